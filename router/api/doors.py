"""Who may ask without a key or a session, and who may see what models did and cost."""

from collections.abc import Mapping

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.http import HttpRequest

_VIEW_RESULTS = "benchmarks.view_study"
_JUDGE_ANSWERS = "labeling.add_label"
_LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}


def is_anonymous_allowed(request: HttpRequest) -> bool:
    """Tell whether a caller may read and ask without signing in: only where switched on, and from this machine."""
    return is_local(request.META.get("REMOTE_ADDR"), request.headers)


def is_local(address: str | None, headers: Mapping[str, str]) -> bool:
    """Tell whether anonymous use is switched on and a request came from this machine."""
    return settings.ANONYMOUS_ACCESS == "loopback" and is_from_here(address, headers)


def is_from_here(address: str | None, headers: Mapping[str, str]) -> bool:
    """Tell whether a request came from this machine.

    A forwarded request came from somewhere else, whatever the address of the proxy.
    """
    is_forwarded = any(name in headers for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"))
    return address in _LOOPBACK and not is_forwarded


def sees_results(request: HttpRequest) -> bool:
    """Tell whether the caller of a page may see what models did and cost."""
    if request.user.is_authenticated:
        return request.user.has_perm(_VIEW_RESULTS)
    return is_anonymous_allowed(request)


def judges_blind(person: AbstractUser) -> bool:
    """Tell whether a person judges answers and must not know what models did and cost.

    One query for whoever may see results by a role, as most owners of keys: keys are read twice a second.
    """
    return not person.has_perm(_VIEW_RESULTS) and person.has_perm(_JUDGE_ANSWERS)
