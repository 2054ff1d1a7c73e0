"""Who may ask without a key or a session."""

from django.conf import settings
from django.http import HttpRequest

_LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def is_anonymous_allowed(request: HttpRequest) -> bool:
    """Tell whether a caller may read and ask without signing in: only where switched on, and from this machine.

    A forwarded request came from somewhere else, whatever the address of the proxy.
    """
    if settings.ANONYMOUS_ACCESS != "loopback":
        return False
    is_forwarded = any(name in request.headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"))
    return request.META.get("REMOTE_ADDR") in _LOOPBACK and not is_forwarded
