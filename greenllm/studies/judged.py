"""What was said of one answer, for readers: without names, and folded for those who may still judge it."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from benchmarks.models import Response
from greenllm.doors import may, people_with
from greenllm.roles import CHANGE_PEOPLE, JUDGE_ANSWERS, VIEW_RESULTS
from labeling.evidence import has_seen_evidence, remember_look
from labeling.models import Grade, Label
from labeling.verdicts import Decision


@dataclass(frozen=True)
class GivenLabel:
    """One label and who gave it, as far as the reader may know."""

    label: Label
    by: str


@dataclass(frozen=True)
class Judged:
    """The verdict on an answer with the labels and grades behind it; nothing of them while folded."""

    verdict: Decision
    labels: tuple[GivenLabel, ...] = ()
    grades: tuple[Grade, ...] = ()
    is_folded: bool = False


def judged_of(request: HttpRequest, response: Response, verdict: Decision) -> Judged:
    """Return what the reader may see of the judgements on an answer.

    A person who may judge sees them once they have judged it themselves, or have asked for them (`reveal`).
    """
    labels = list(response.labels.select_related("labeler").order_by("created_at", "pk"))
    if _is_still_blind(request, response, labels):
        return Judged(verdict, is_folded=True)
    grades = tuple(response.grades.order_by("grader", "grader_version", "pk"))
    return Judged(verdict, _named(request, labels), grades)


@require_POST
@people_with(VIEW_RESULTS)
def reveal(request: HttpRequest, pk: int) -> HttpResponse:
    """Remember that a person has seen what others said of an answer, and show it."""
    found = get_object_or_404(Response.objects.only("pk"), pk=pk)
    if request.user.pk is not None and may(request, JUDGE_ANSWERS):
        remember_look(person_id=request.user.pk, response_id=found.pk, now=timezone.now())
    return redirect(f"{reverse('studies:response', args=[pk])}#judged-title")


def _is_still_blind(request: HttpRequest, response: Response, labels: list[Label]) -> bool:
    person_id = request.user.pk
    if person_id is None or response.state != Response.State.FINISHED or not may(request, JUDGE_ANSWERS):
        return False
    if any(label.labeler_id == person_id and label.source == Label.Source.PERSON for label in labels):
        return False
    return not has_seen_evidence(person_id=person_id, response_id=response.pk)


def _named(request: HttpRequest, labels: list[Label]) -> tuple[GivenLabel, ...]:
    """Return labels with their judges: by name for those who manage people, otherwise as person 1 and so on."""
    may_see_names = may(request, CHANGE_PEOPLE)
    persons: dict[int, str] = {}
    named = []
    for label in labels:
        by = str(label.get_source_display())
        if label.labeler is not None and label.labeler_id is not None:
            number = persons.setdefault(label.labeler_id, f"person {len(persons) + 1}")
            by = str(label.labeler) if may_see_names else number
            by = "you" if label.labeler_id == request.user.pk else by
        named.append(GivenLabel(label, by))
    return tuple(named)
