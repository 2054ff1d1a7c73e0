"""One's own account: roles, password, API keys; and the page on which a link sets a password."""

from typing import Any, cast

from allauth.account.utils import perform_login
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import PasswordChangeView, PasswordResetConfirmView
from django.contrib.messages.views import SuccessMessageMixin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from greenllm.account.inviting import link_tokens
from greenllm.account.key_forms import NewKeyForm
from greenllm.account.second_factor import has_second_factor
from greenllm.doors import may
from greenllm.models import User
from greenllm.roles import CHANGE_PEOPLE, Role
from router.key_terms import create_key_with
from router.keys import NewKey
from router.models import ApiKey

_SHOWN_KEYS = 100


@require_safe
@never_cache
@login_required
def overview(request: HttpRequest) -> HttpResponse:
    """Show a person's own account."""
    return _own_page(request, NewKeyForm())


@require_POST
@never_cache
@login_required
def add_key(request: HttpRequest) -> HttpResponse:
    """Make a key and show it this once; nothing keeps it, so that the answer is the page and no redirect."""
    if not _may_make(request):
        raise PermissionDenied
    form = NewKeyForm(request.POST)
    if not form.is_valid():
        return _own_page(request, form, status=400)
    made = create_key_with(owner_id=signed_in(request).pk, name=form.cleaned_data["name"], terms=form.terms())
    return _own_page(request, NewKeyForm(), made=made)


class ChangePassword(SuccessMessageMixin[Any], PasswordChangeView):
    """Change one's own password; other sessions of the person end, this one goes on."""

    template_name = "account/password.html"
    success_url = reverse_lazy("account:overview")
    success_message = "Your password is changed. Your other sessions have ended."


class SetPassword(SuccessMessageMixin[Any], PasswordResetConfirmView):
    """Set a password by a link and sign in; Django moves the token from the address into the session first."""

    template_name = "account/set_password.html"
    success_url = reverse_lazy("account:overview")
    success_message = "Your password is set."
    token_generator = link_tokens

    def get_user(self, uidb64: str) -> User | None:
        """Return the person of a link; nobody for somebody switched off."""
        person = super().get_user(uidb64)
        return person if isinstance(person, User) and person.is_active else None

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep the password and sign in, by the second factor where there is one."""
        super().form_valid(form)
        return cast(HttpResponse, perform_login(self.request, form.user, redirect_url=str(self.success_url)))


def _own_page(request: HttpRequest, form: NewKeyForm, *, made: NewKey | None = None, status: int = 200) -> HttpResponse:
    person = signed_in(request)
    names = set(person.groups.values_list("name", flat=True))
    context = {
        "roles": [role.label for role in Role if role.value in names],
        "keys": list(ApiKey.objects.filter(owner=person).order_by("-created_at", "-pk")[:_SHOWN_KEYS]),
        "form": form,
        "made": made,
        "has_second_factor": has_second_factor(person),
        "may_make": _may_make(request),
        "base_url": request.build_absolute_uri("/v1"),
    }
    return render(request, "account/overview.html", context, status=status)


def _may_make(request: HttpRequest) -> bool:
    """Tell whether a person may make a key: everybody may, or only admins where the setting says so."""
    return settings.OWN_KEYS or may(request, CHANGE_PEOPLE)


def signed_in(request: HttpRequest) -> User:
    """Return who is signed in; for views that nobody else reaches."""
    assert isinstance(request.user, User)  # noqa: S101  login_required stands before each view
    return request.user
