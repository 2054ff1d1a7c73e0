"""The security headers of static files, which are served before Django's middleware that gives pages theirs."""

from collections.abc import MutableMapping

from django.conf import settings


def note_heads(headers: MutableMapping[str, str], _path: str, _url: str) -> None:
    """Set the headers that a page has; who did not come by HTTPS takes no notice of the one that asks for it."""
    from csp.utils import build_policy  # it reads the settings, which name this function

    headers["Content-Security-Policy"] = build_policy()
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = settings.SECURE_REFERRER_POLICY
    headers["Cross-Origin-Opener-Policy"] = settings.SECURE_CROSS_ORIGIN_OPENER_POLICY
    if settings.SECURE_HSTS_SECONDS:
        headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
