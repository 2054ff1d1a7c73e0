"""What a person has just judged: their latest verdict, and what the grader says of it now that they have voted."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Exists, OuterRef

from benchmarks.models import Response
from labeling.evidence import Evidence, evidence_modes, evidence_of, remember_look
from labeling.models import EvidenceLook, JudgementRule, Label, Skip, Verdict
from labeling.waiting import SESSION

_Mode = JudgementRule.Evidence


@dataclass(frozen=True)
class LatestLabel:
    """A person's latest verdict of this sitting."""

    label_id: int
    verdict: str
    item: str
    comment: str
    evidence: Evidence | None

    @property
    def is_contradicted(self) -> bool:
        """Tell whether a grader says the opposite."""
        sides = {Verdict.CORRECT.label, Verdict.INCORRECT.label}
        said = {self.verdict, self.evidence.verdict} if self.evidence is not None else set()
        return said == sides


@dataclass(frozen=True)
class Opinion:
    """What one reader said of an answer; who that is stays unsaid."""

    verdict: str
    comment: str


def opinions_on(response_ids: Iterable[int]) -> dict[int, tuple[Opinion, ...]]:
    """Return what readers said of answers, right before wrong, so that the order does not tell who said it."""
    wanted, found = list(response_ids), defaultdict[int, list[Opinion]](list)
    if not wanted:
        return {}
    labels = Label.objects.current().of_people().judgements().filter(response_id__in=wanted)
    for label in labels.order_by("verdict", "comment", "pk"):
        found[label.response_id].append(Opinion(label.get_verdict_display(), label.comment))
    return {response_id: tuple(opinions) for response_id, opinions in found.items()}


def latest_label(*, person_id: int, now: datetime) -> LatestLabel | None:
    """Return the person's latest verdict, None where they skipped something since or said nothing in this sitting.

    Where the category lets them see evidence after the vote, it comes along, and that they saw it is kept.
    """
    later_skip = Skip.objects.filter(annotator_id=person_id, skipped_at__gt=OuterRef("created_at"))
    look = EvidenceLook.objects.filter(person_id=person_id, response_id=OuterRef("response_id"))
    row = (
        Label.objects.current()
        .by(person_id)
        .filter(created_at__gt=now - SESSION)
        .order_by("-created_at", "-pk")
        .values_list("pk", "verdict", "comment", "response_id", Exists(later_skip), Exists(look))
        .first()
    )
    if row is None:
        return None
    label_id, verdict, comment, response_id, is_followed_by_skip, has_look = row
    if is_followed_by_skip:
        return None
    response = Response.objects.select_related("prompt__category").get(pk=response_id)
    mode = evidence_modes([response.prompt.category_id])[response.prompt.category_id]
    may_see = mode is _Mode.AFTER_VOTE or (mode is _Mode.ON_DEMAND and has_look)
    evidence = evidence_of([response]).get(response.pk) if may_see else None
    if evidence is not None and not has_look:
        remember_look(person_id=person_id, response_id=response.pk, now=now)
    return LatestLabel(label_id, Verdict(verdict).label, response.prompt.item_text, comment, evidence)
