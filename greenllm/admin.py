"""The admin site: people, and RQ's page of queues, for those who may."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.views.decorators.http import require_safe
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from rq.exceptions import NoSuchJobError

from greenllm.models import User

_SEE_QUEUES = "django_rq.admin"
# of rows of a table that is not there, and of the package rq-scheduler, which is not used here
_LEADING_NOWHERE = {
    *(f"django_rq_dashboard_{act}" for act in ("add", "history", "delete", "change")),
    "django_rq_scheduler_jobs",
}
_View = Callable[..., HttpResponseBase]

admin.site.site_header = "GreenLLM administration"
admin.site.site_title = "GreenLLM"


@admin.register(User)
class PeopleAdmin(UserAdmin):  # type: ignore[type-arg]  # generic in the stubs only, not when run
    """People; when somebody came and signed in is told, and not changed."""

    readonly_fields = ("last_login", "date_joined")


@admin.register(Dashboard)
class QueuePages(QueueAdmin):  # type: ignore[misc]  # RQ leaves it without types
    """RQ's pages, for staff with its permission: by themselves they let all staff empty queues and run jobs anew."""

    def get_urls(self) -> list[URLPattern]:
        """Return RQ's routes that lead somewhere, each behind the permission."""
        found: list[URLPattern] = [one for one in super().get_urls() if one.name and one.name not in _LEADING_NOWHERE]
        for one in found:
            one.callback = _permitted(one.callback)
        return found


def _permitted(view: _View) -> _View:
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path())
        if not (request.user.is_staff and request.user.has_perm(_SEE_QUEUES)):
            raise PermissionDenied
        try:
            return view(request, *args, **kwargs)
        except (NoSuchJobError, IndexError) as error:  # the number of a queue in an address counts in a list
            raise Http404(str(error)) from error

    return wrapped


@require_safe
def sign_in(request: HttpRequest) -> HttpResponse:
    """Lead whoever comes to the admin site to the one page where people sign in; it says what is done about guessing.

    Raises:
        PermissionDenied: the person is signed in already, and no staff.
    """
    if not request.user.is_authenticated:
        return redirect_to_login(request.GET.get("next") or reverse("admin:index"))
    if not request.user.is_staff:
        raise PermissionDenied
    return redirect("admin:index")
