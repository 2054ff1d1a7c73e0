"""Setting up and taking away one's own authenticator app: every other session of the person ends with it."""

from typing import Any

from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse

from greenllm.account.views import signed_in


class _GoesOn:
    """Lets the session of whoever changes it go on; it gets a new key, as after a change of the password."""

    request: HttpRequest

    def form_valid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_valid(form)  # type: ignore[misc]
        person = signed_in(self.request)
        person.refresh_from_db(fields=["sessions_ended"])  # which a trigger has counted up
        update_session_auth_hash(self.request, person)
        return response


class AddApp(_GoesOn, ActivateTOTPView):  # type: ignore[misc]  # allauth is not read by mypy
    """Set an authenticator app up."""


class RemoveApp(_GoesOn, DeactivateTOTPView):  # type: ignore[misc]
    """Take it away."""


add_app, remove_app = AddApp.as_view(), RemoveApp.as_view()
