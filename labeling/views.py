"""The labeling page: one answer at a time, judged blind, saved at once."""

from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from benchmarks.models import Response
from labeling.assigning import recall_skipped, skip_answer
from labeling.choosing import Choice, filters, read_choice
from labeling.desk import Told, desk_of, judge_and_go_on
from labeling.doors import ADJUDICATE, judges_only
from labeling.evidence import evidence_modes, remember_look
from labeling.flagging import flag_answer
from labeling.judging import (
    MAX_ACTIVE_SECONDS,
    Hindrance,
    LabelNotCurrent,
    Outcome,
    Undone,
    Vote,
    comment_on,
    judge,
    take_back_latest,
)
from labeling.models import JudgementRule, Verdict
from labeling.tickets import InvalidTicket, Ticket, read_ticket
from labeling.waiting import Mode

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
_NOT_BACK = {
    Hindrance.HELD: "Taken back. Somebody else looks at that answer now, so it is not shown again.",
    Hindrance.OTHER_MODE: (
        "Taken back. That answer is not one of those shown here: it comes back in the order in which you had it."
    ),
    Hindrance.DONE: "Taken back. That answer has been judged meanwhile, so it is not shown again.",
}
_PROBLEMS = {Outcome.CONFLICTING, Outcome.TOO_LATE}


@require_safe
@never_cache
@judges_only
def next_answer(request: HttpRequest) -> HttpResponse:
    """Show the answer that the person holds, or the next one."""
    desk = desk_of(person_id=_person(request), choice=_choice(request), now=timezone.now())
    return render(request, "labeling/next.html", {**desk, **filters(may_adjudicate=_may_adjudicate(request))})


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
    if ticket.is_adjudication and not _may_adjudicate(request):
        return _go_on(request, Told("Settling answers is for adjudicators. Nothing was saved.", is_problem=True))
    given = _vote(request, ticket, Verdict(verdict), now)
    if getattr(request, "htmx", False):
        outcome, desk = judge_and_go_on(person_id=ticket.person_id, vote=given, choice=_choice(request), now=now)
        return render(request, "labeling/_held.html", {**desk, "told": _told(outcome, given)})
    outcome = judge(person_id=ticket.person_id, vote=given)
    return _go_on(request, _told(outcome, given))


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
def flag(request: HttpRequest) -> HttpResponse:
    """Tell admins that an answer cannot be judged, and hand out the next one."""
    reason = _typed(request, "reason")
    if not reason:
        return _go_on(request, Told("Nothing was flagged: say in a few words what is wrong with it.", is_problem=True))
    try:
        ticket = read_ticket(request.POST.get("ticket", ""), person_id=_person(request))
    except InvalidTicket as error:
        return _go_on(request, Told(f"{error} Nothing was flagged.", is_problem=True))
    flag_answer(person_id=ticket.person_id, response_id=ticket.response_id, reason=reason, now=timezone.now())
    return _go_on(request, Told("Flagged. It does not come back to you until an admin has looked into it."))


@require_POST
@judges_only
def evidence(request: HttpRequest) -> HttpResponse:
    """Show what a grader found in the answer on the screen, where that may be asked for, and keep that it was seen."""
    try:
        ticket = read_ticket(request.POST.get("ticket", ""), person_id=_person(request))
    except InvalidTicket as error:
        return _go_on(request, Told(str(error), is_problem=True))
    response = Response.objects.select_related("prompt").filter(pk=ticket.response_id).first()
    if response is None or not _may_ask(response):
        return _go_on(request, Told("What graders found is not shown before the vote here.", is_problem=True))
    remember_look(person_id=ticket.person_id, response_id=response.pk, now=timezone.now())
    return _go_on(request, None)


@require_POST
@judges_only
def comment(request: HttpRequest, label_id: int) -> HttpResponse:
    """Put a remark on one of the person's own verdicts."""
    try:
        comment_on(label_id=label_id, person_id=_person(request), comment=_typed(request, "comment"))
    except LabelNotCurrent as error:
        return _go_on(request, Told(str(error), is_problem=True))
    return _go_on(request, Told("Your comment is stored with the verdict."))


@require_POST
@judges_only
def undo(request: HttpRequest) -> HttpResponse:
    """Take back the latest vote or skip, and show its answer again."""
    result = take_back_latest(
        person_id=_person(request), now=timezone.now(), is_adjudicating=_choice(request).chosen.is_adjudication
    )
    if result.undone is Undone.NOTHING:
        return _go_on(request, Told("There is nothing more to undo in this sitting."))
    if result.hindrance is not None:
        return _go_on(request, Told(_NOT_BACK[result.hindrance]))
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


def _may_adjudicate(request: HttpRequest) -> bool:
    return request.user.has_perm(ADJUDICATE)


def _choice(request: HttpRequest) -> Choice:
    wants_to_settle = request.GET.get("mode", "").strip() == Mode.DISPUTED.value  # else nobody need be asked
    return read_choice(request.GET, may_adjudicate=wants_to_settle and _may_adjudicate(request))


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
        comment=_typed(request, "comment"),
        is_adjudication=ticket.is_adjudication,
    )


def _told(outcome: Outcome, vote: Vote) -> Told:
    return Told(_SAID[outcome].format(verdict=vote.verdict.label.lower()), is_problem=outcome in _PROBLEMS)


def _may_ask(response: Response) -> bool:
    return evidence_modes().of(response.prompt.category_id) is JudgementRule.Evidence.ON_DEMAND


def _typed(request: HttpRequest, name: str) -> str:
    """Return what a person typed, without what Postgres cannot hold."""
    return request.POST.get(name, "").replace("\x00", "").strip()


def _seconds(request: HttpRequest, name: str, otherwise: float) -> float:
    """Read a duration that the script measured in ms; what is no duration counts as not measured."""
    text = request.POST.get(name, "")
    return int(text) / 1000 if text.isdecimal() and len(text) < 12 else otherwise


def _go_on(request: HttpRequest, told: Told | None) -> HttpResponse:
    """Answer the script with what to show next; without a script go back to the page."""
    choice = _choice(request)
    if getattr(request, "htmx", False):
        desk = desk_of(person_id=_person(request), choice=choice, now=timezone.now())
        return render(request, "labeling/_held.html", {**desk, "told": told})
    if told is not None:
        messages.add_message(request, messages.ERROR if told.is_problem else messages.SUCCESS, told.text)
    return redirect(reverse("labeling:next") + choice.query)
