"""Admins without a second factor, where one is required: nothing is open to them but setting it up."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from greenllm.account.second_factor import has_second_factor, is_required_of

_SET_UP = "mfa_activate_totp"
# to set it up, to prove who one is before that, to leave, and what takes no session
_OPEN = frozenset(
    {_SET_UP, "account_reauthenticate", "account:sign-out", "account:set-password", "health", "api-health"}
)


class RequireSecondFactor(MiddlewareMixin):
    """Leads whoever must have a second factor, and has none, to where it is set up."""

    def process_view(self, request: HttpRequest, *_view: Any) -> HttpResponseBase | None:
        """Answer in place of the view, or leave it to the view."""
        if not is_required_of(request.user) or has_second_factor(request.user):
            return None
        request.lacks_second_factor = True  # type: ignore[attr-defined]  # pages of setting it up say why
        if request.resolver_match and request.resolver_match.view_name in _OPEN:
            return None
        if getattr(request, "htmx", False):
            return HttpResponse(status=403, headers={"HX-Redirect": reverse(_SET_UP)})
        return redirect(_SET_UP)
