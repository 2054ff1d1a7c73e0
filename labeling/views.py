"""The labeling page: one answer at a time, judged blind, saved at once."""

from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from labeling.assigning import recall_skipped, skip_answer
from labeling.desk import Told, desk_of, filters, read_choice
from labeling.doors import judges_only
from labeling.judging import MAX_ACTIVE_SECONDS, Outcome, Undone, Vote, judge, take_back_latest
from labeling.models import Verdict
from labeling.tickets import InvalidTicket, Ticket, read_ticket

_SAID = {
    Outcome.SAVED: "Saved: {verdict}.",
    Outcome.REPEATED: "Saved: {verdict}.",
    Outcome.KEPT: "Saved: {verdict}. Your time for this answer had run out, but nobody else had judged it.",
    Outcome.CONFLICTING: (
        "You had judged this answer already, in another window. That verdict stands; your history lets you change it."
    ),
    Outcome.TOO_LATE: (
        "Your time for this answer had run out, and somebody else has judged it meanwhile. "
        "Your verdict “{verdict}” was not needed any more; nothing else is lost."
    ),
}
_PROBLEMS = {Outcome.CONFLICTING, Outcome.TOO_LATE}


@require_safe
@never_cache
@judges_only
def next_answer(request: HttpRequest) -> HttpResponse:
    """Show the answer that the person holds, or the next one."""
    choice = read_choice(request.GET)
    desk = desk_of(person_id=_person(request), choice=choice, now=timezone.now())
    return render(request, "labeling/next.html", {**desk, **filters()})


@require_POST
@judges_only
def vote(request: HttpRequest) -> HttpResponse:
    """Save a verdict and hand out what comes next."""
    now, verdict = timezone.now(), request.POST.get("verdict", "")
    if verdict not in Verdict.values:
        return _go_on(request, Told("No verdict was chosen: choose correct, incorrect or unsure.", is_problem=True))
    try:
        ticket = read_ticket(request.POST.get("ticket", ""), person_id=_person(request))
    except InvalidTicket as error:
        return _go_on(request, Told(f"{error} Nothing was saved; judge the answer below.", is_problem=True))
    outcome = judge(person_id=_person(request), vote=_vote(request, ticket, Verdict(verdict), now))
    said = _SAID[outcome].format(verdict=Verdict(verdict).label.lower())
    return _go_on(request, Told(said, is_problem=outcome in _PROBLEMS))


@require_POST
@judges_only
def skip(request: HttpRequest) -> HttpResponse:
    """Leave an answer for later and hand out the next one."""
    try:
        ticket = read_ticket(request.POST.get("ticket", ""), person_id=_person(request))
    except InvalidTicket as error:
        return _go_on(request, Told(f"{error} Nothing was skipped.", is_problem=True))
    skip_answer(person_id=ticket.person_id, response_id=ticket.response_id, now=timezone.now())
    return _go_on(request, Told("Skipped. It comes back later, after all others."))


@require_POST
@judges_only
def undo(request: HttpRequest) -> HttpResponse:
    """Take back the latest vote or skip, and show its answer again."""
    result = take_back_latest(person_id=_person(request), now=timezone.now())
    if result.undone is Undone.NOTHING:
        return _go_on(request, Told("There is nothing more to undo in this sitting."))
    if not result.is_held:
        return _go_on(request, Told("Taken back. Somebody else looks at that answer now, so it is not shown again."))
    return _go_on(request, Told(f"Your latest {result.undone.value} is taken back. Judge the answer again."))


@require_POST
@judges_only
def renew(request: HttpRequest) -> HttpResponse:
    """Hold the answers longer for somebody who is still there."""
    return _go_on(request, None)


@require_POST
@judges_only
def recall(request: HttpRequest) -> HttpResponse:
    """Bring back what the person skipped."""
    count = recall_skipped(person_id=_person(request), now=timezone.now())
    return _go_on(request, Told(f"{count} skipped answer{'' if count == 1 else 's'} came back."))


def _person(request: HttpRequest) -> int:
    assert request.user.pk is not None  # noqa: S101 - judges_only let only signed-in people through
    return int(request.user.pk)


def _vote(request: HttpRequest, ticket: Ticket, verdict: Verdict, now: datetime) -> Vote:
    """Put a vote together; without a script the time since the page was made stands in for the active time."""
    since_issue = (now - ticket.issued_at).total_seconds()
    elapsed = min(_seconds(request, "elapsed_ms", since_issue), since_issue)
    return Vote(
        response_id=ticket.response_id,
        verdict=verdict,
        guideline_id=ticket.guideline_id,
        shown_at=now - timedelta(seconds=elapsed),
        active_seconds=min(_seconds(request, "active_ms", elapsed), elapsed, MAX_ACTIVE_SECONDS),
    )


def _seconds(request: HttpRequest, name: str, otherwise: float) -> float:
    """Read a duration that the script measured in ms; what is no duration counts as not measured."""
    text = request.POST.get(name, "")
    return int(text) / 1000 if text.isdecimal() and len(text) < 12 else otherwise


def _go_on(request: HttpRequest, told: Told | None) -> HttpResponse:
    """Answer the script with what to show next; without a script go back to the page."""
    choice = read_choice(request.GET)
    if getattr(request, "htmx", False):
        desk = desk_of(person_id=_person(request), choice=choice, now=timezone.now())
        return render(request, "labeling/_held.html", {**desk, "told": told})
    if told is not None:
        messages.add_message(request, messages.ERROR if told.is_problem else messages.SUCCESS, told.text)
    return redirect(reverse("labeling:next") + choice.query)
