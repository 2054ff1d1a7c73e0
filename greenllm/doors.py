"""Who may open a page: by role, and readers on this very machine where the setting allows it."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from router.api.doors import is_anonymous_allowed

_View = Callable[..., HttpResponseBase]


def may(request: HttpRequest, permission: str) -> bool:
    """Tell whether the caller has a permission."""
    return request.user.is_authenticated and request.user.has_perm(permission)


def may_read(request: HttpRequest, permission: str) -> bool:
    """Tell whether the caller may read a page: by permission, or unnamed from this machine where that is on."""
    if request.user.is_authenticated:
        return request.user.has_perm(permission)
    return is_anonymous_allowed(request)


def readers_with(permission: str) -> Callable[[_View], _View]:
    """Open a page that changes nothing to people with a permission, and to unnamed readers where those are allowed."""
    return _door(lambda request: may_read(request, permission))


def people_with(permission: str) -> Callable[[_View], _View]:
    """Open a page to signed-in people with a permission only."""
    return _door(lambda request: may(request, permission))


def _door(is_open_to: Callable[[HttpRequest], bool]) -> Callable[[_View], _View]:
    def decorate(view: _View) -> _View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if is_open_to(request):
                return view(request, *args, **kwargs)
            if request.user.is_authenticated:
                raise PermissionDenied
            if getattr(request, "htmx", False):
                return HttpResponse(status=403)  # htmx would put the sign-in page where the fragment belongs
            return redirect_to_login(request.get_full_path())

        return wrapped

    return decorate
