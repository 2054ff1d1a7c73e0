"""What django-allauth asks of us: how somebody is signed in, who asks, and how secrets are kept."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from greenllm.account.locking import address_of
from greenllm.account.second_factor import is_required_of, sealed, unsealed

ROLE_BACKEND = "greenllm.roles.RoleBackend"
_CODE_GOOD_FOR_S = 120  # longer than the step before, this and the next one, 30 s each


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth is not read by mypy
    """Signs people in by our own backend, after one step only: the second factor, where there is one."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:  # noqa: ARG002  allauth passes it by name
        """Nobody makes their own account; admins invite."""
        return False

    def get_login_stages(self) -> list[str]:
        """Return the steps between the password and the session."""
        return ["allauth.mfa.stages.AuthenticateStage"]

    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Begin the session; after the second step the person comes from the database, without a backend."""
        user.backend = ROLE_BACKEND  # type: ignore[attr-defined]
        super().login(request, user)

    def get_client_ip(self, request: HttpRequest) -> str:
        """Return the address whose guesses count together.

        Raises:
            PermissionDenied: nobody knows where the request came from.
        """
        address = address_of(request)
        if address is None:
            raise PermissionDenied("The address of the client is unknown.")
        return address

    def add_message(
        self, request: HttpRequest, level: int, message_template: str | None = None, *more: Any, **named: Any
    ) -> None:
        """Tell what became of the second factor; that somebody signed in is seen without a toast."""
        if (message_template or "").startswith("mfa/"):
            super().add_message(request, level, message_template, *more, **named)


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Keeps secrets sealed, and the second factor with those who must have one."""

    def encrypt(self, text: str) -> str:
        """Return what is stored of a secret."""
        return sealed(text)

    def decrypt(self, encrypted_text: str) -> str:
        """Return a secret that was stored."""
        return unsealed(encrypted_text)

    def can_delete_authenticator(self, authenticator: Any) -> bool:
        """Tell whether somebody may do without."""
        return not is_required_of(authenticator.user)


class _Once:
    """Takes a code once, for as long as a clock that is off by one step makes it good."""

    user: AbstractBaseUser

    def clean_code(self) -> str:
        code: str = super().clean_code()  # type: ignore[misc]
        if not cache.add(f"greenllm.code.{self.user.pk}.{code.replace(' ', '')}", "used", timeout=_CODE_GOOD_FOR_S):
            raise MFAAdapter().validation_error("incorrect_code")
        return code


class SignInForm(_Once, AuthenticateForm):  # type: ignore[misc]
    """Asks for a code after the password."""


class ConfirmForm(_Once, ReauthenticateForm):  # type: ignore[misc]
    """Asks for a code before something that matters."""
