"""The page on which a person sets the keys of the labeling page, or switches them off."""

import secrets

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from labeling.assigning import annotator_of
from labeling.doors import judges_only
from labeling.keys import ACTIONS, as_key, keys_of, problems_of
from labeling.preferring import set_preferences, switch_keys

_LONGEST_TYPED = 50


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@judges_only
def keys(request: HttpRequest) -> HttpResponse:
    """Show a person's keys, or keep what they typed; nothing is kept while two actions have the same key."""
    if request.method == "POST":
        return _reset(request) if "reset" in request.POST else _save(request)
    annotator = annotator_of(person_id=_person(request), fresh_seed=secrets.randbits(62))
    return _page(request, keys_of(annotator.keys), {}, annotator.keys_on, annotator.reference_shown)


@require_POST
@judges_only
def switch(request: HttpRequest) -> HttpResponse:
    """Switch the keys on or off, for the script of the labeling page."""
    is_on = request.POST.get("on") == "1"
    switch_keys(person_id=_person(request), fresh_seed=secrets.randbits(62), keys_on=is_on)
    return HttpResponse(status=204)


def _save(request: HttpRequest) -> HttpResponse:
    typed = {action.name: as_key(request.POST.get(action.name, "")[:_LONGEST_TYPED]) for action in ACTIONS}
    keys_on, reference_shown = "keys_on" in request.POST, "reference_shown" in request.POST
    problems = problems_of(typed)
    if problems:
        return _page(request, typed, problems, keys_on, reference_shown)
    set_preferences(
        person_id=_person(request), fresh_seed=secrets.randbits(62), keys=typed, keys_on=keys_on,
        reference_shown=reference_shown,
    )  # fmt: skip
    messages.success(request, "Saved. The labeling page uses these keys from now on.")
    return redirect("labeling:keys")


def _reset(request: HttpRequest) -> HttpResponse:
    set_preferences(
        person_id=_person(request), fresh_seed=secrets.randbits(62), keys=keys_of({}), keys_on=True,
        reference_shown=True,
    )  # fmt: skip
    messages.success(request, "All keys are as they were at first.")
    return redirect("labeling:keys")


def _page(
    request: HttpRequest, typed: dict[str, str], problems: dict[str, str], keys_on: bool, reference_shown: bool
) -> HttpResponse:
    rows = [(action, typed[action.name], problems.get(action.name, "")) for action in ACTIONS]
    shown = {"rows": rows, "problem_count": len(problems), "keys_on": keys_on, "reference_shown": reference_shown}
    return render(request, "labeling/keys.html", shown, status=422 if problems else 200)


def _person(request: HttpRequest) -> int:
    assert request.user.pk is not None  # noqa: S101 - judges_only let only signed-in people through
    return int(request.user.pk)
