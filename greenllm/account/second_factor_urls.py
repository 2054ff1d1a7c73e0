"""The pages of the second factor. django-allauth leads to them by these names, without a namespace."""

from allauth.account.views import reauthenticate
from allauth.mfa.base import views as base
from allauth.mfa.recovery_codes import views as codes
from django.contrib.auth.decorators import login_required
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from django.views.generic import RedirectView

from greenllm.account.setting_up import add_app, remove_app

_asking = require_http_methods(["GET", "HEAD", "POST"])

urlpatterns = [
    path("second-factor/", require_safe(never_cache(base.index)), name="mfa_index"),
    path("second-factor/sign-in/", _asking(base.authenticate), name="mfa_authenticate"),
    path("second-factor/confirm/", _asking(never_cache(base.reauthenticate)), name="mfa_reauthenticate"),
    path("second-factor/add/", _asking(never_cache(login_required(add_app))), name="mfa_activate_totp"),
    path("second-factor/remove/", _asking(never_cache(remove_app)), name="mfa_deactivate_totp"),
    path("second-factor/codes/", require_safe(never_cache(codes.view_recovery_codes)), name="mfa_view_recovery_codes"),
    path(
        "second-factor/codes/new/",
        _asking(never_cache(login_required(codes.generate_recovery_codes))),
        name="mfa_generate_recovery_codes",
    ),
    path(
        "second-factor/codes/download/",
        require_safe(codes.download_recovery_codes),
        name="mfa_download_recovery_codes",
    ),
    path("confirm/", _asking(never_cache(reauthenticate)), name="account_reauthenticate"),
    path(
        "sign-in-first/",
        require_safe(RedirectView.as_view(pattern_name="account:sign-in", query_string=True)),
        name="account_login",
    ),
]
