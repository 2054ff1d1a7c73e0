"""Signing in: the password first, then the second factor of whoever has one."""

from typing import cast

from allauth.account.utils import perform_login
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpResponse


class SignIn(LoginView):
    """Ask for name and password; django-axes counts what is wrong."""

    template_name = "account/sign_in.html"

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Begin the session, or ask for the second factor first."""
        answer = perform_login(self.request, form.get_user(), redirect_url=self.get_success_url())
        return cast(HttpResponse, answer)
