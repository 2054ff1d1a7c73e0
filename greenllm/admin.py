"""The admin site: people, and RQ's page of queues, for those who may."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, Permission
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db.models import ManyToManyField
from django.forms import ModelMultipleChoiceField
from django.forms.renderers import BaseRenderer
from django.forms.utils import flatatt
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from rq.exceptions import NoSuchJobError

from benchmarks.admin import TickedRows
from greenllm.models import User

_SEE_QUEUES = "django_rq.admin"
# of rows of a table that is not there, and of the package rq-scheduler, which is not used here
_LEADING_NOWHERE = {
    *(f"django_rq_dashboard_{act}" for act in ("add", "history", "delete", "change")),
    "django_rq_scheduler_jobs",
}
_SELECTED = mark_safe(" selected")
_View = Callable[..., HttpResponseBase]

admin.site.site_header = "GreenLLM administration"
admin.site.site_title = "GreenLLM"


class LongSelect(FilteredSelectMultiple):
    """A choice among hundreds, written by code: Django's makes two templates of each option."""

    def optgroups(self, name: str, value: list[str], attrs: dict[str, Any] | None = None) -> list[Any]:
        """Return none: `render` writes them."""
        return []

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: BaseRenderer | None = None
    ) -> SafeString:
        """Return the field with its options."""
        chosen = {str(one) for one in value or ()}
        options = format_html_join(
            "\n",
            '<option value="{}"{}>{}</option>',
            ((key, _SELECTED if str(key) in chosen else "", title) for key, title in self.choices),
        )
        widget = self.get_context(name, value, attrs)["widget"]
        return format_html('<select name="{}"{}>\n{}\n</select>', widget["name"], flatatt(widget["attrs"]), options)


class LongChoices(TickedRows):
    """Lets people choose among all permissions."""

    def formfield_for_manytomany(
        self, db_field: ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any] | None:
        """Return a field of a form; those with two boxes are written by code."""
        if db_field.related_model is Permission:
            kwargs.setdefault("queryset", Permission.objects.select_related("content_type"))  # each is told with it
        if db_field.name in self.filter_horizontal:
            kwargs.setdefault("widget", LongSelect(db_field.verbose_name, is_stacked=False))
        return super().formfield_for_manytomany(db_field, request, **kwargs)


admin.site.unregister(Group)


@admin.register(Group)
class RolesAdmin(GroupAdmin, LongChoices):
    """Roles, and what else Django groups."""


@admin.register(User)
class PeopleAdmin(UserAdmin, LongChoices):  # type: ignore[type-arg]  # generic in the stubs only, not when run
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
