"""Who may judge: people with the permission to add labels, and nobody unnamed."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase

JUDGE_ANSWERS = "labeling.add_label"
ADJUDICATE = "labeling.change_label"  # what readers left open; labels themselves are never changed
CHANGE_RULES = "labeling.change_judgementrule"
SET_GOLD = "labeling.change_goldanswer"
RESOLVE_FLAGS = "labeling.change_flag"
CORRECT_LABELS = "labeling.change_correction"
_View = Callable[..., HttpResponseBase]


def judges_only(view: _View) -> _View:
    """Open a view to signed-in people who may judge; a script gets a status instead of the sign-in page."""
    return _people_with(JUDGE_ANSWERS, view)


def flag_resolvers_only(view: _View) -> _View:
    """Open a view to signed-in people who decide what becomes of flagged answers."""
    return _people_with(RESOLVE_FLAGS, view)


def correctors_only(view: _View) -> _View:
    """Open a view to signed-in people who may void other people's labels."""
    return _people_with(CORRECT_LABELS, view)


def rule_makers_only(view: _View) -> _View:
    """Open a view to signed-in people who say how often answers are judged."""
    return _people_with(CHANGE_RULES, view)


def label_carriers_only(view: _View) -> _View:
    """Open a view to signed-in people who take labels out and in: with the names of judges, and in their names."""
    return _people_with(CHANGE_RULES, view)


def gold_setters_only(view: _View) -> _View:
    """Open a view to signed-in people who say which answers are gold."""
    return _people_with(SET_GOLD, view)


def _people_with(permission: str, view: _View) -> _View:
    @wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            is_fragment = getattr(request, "htmx", False)
            return HttpResponse(status=403) if is_fragment else redirect_to_login(_way_back(request))
        if not request.user.has_perm(permission):
            raise PermissionDenied
        return view(request, *args, **kwargs)

    return wrapped


def _way_back(request: HttpRequest) -> str:
    """Return where to go after signing in: a view that takes only POST is no place to come back to."""
    return request.get_full_path() if request.method in {"GET", "HEAD"} else "/label/"
