"""What a person has just judged: their latest verdict, and what the grader says of it now that they have voted."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from labeling.evidence import Evidence, EvidenceModes, evidence_modes, evidence_of, remember_look
from labeling.models import JudgementRule, Label, Verdict
from labeling.reading import READ_COLUMNS, READ_JOINS, read_answer
from labeling.waiting import SESSION

_Mode = JudgementRule.Evidence
_LATEST = f"""
SELECT label.id, label.verdict, label.comment,
       EXISTS (SELECT FROM labeling_skip AS skip
               WHERE skip.annotator_id = %(person)s AND skip.skipped_at > label.created_at),
       EXISTS (SELECT FROM labeling_evidencelook AS look
               WHERE look.person_id = %(person)s AND look.response_id = label.response_id),
       {READ_COLUMNS}
FROM (
    SELECT id, verdict, comment, created_at, response_id FROM labeling_label
    WHERE labeler_id = %(person)s AND source = 'person' AND is_current AND voided_at IS NULL AND created_at > %(since)s
    ORDER BY created_at DESC, id DESC LIMIT 1
) AS label
{READ_JOINS}
"""  # noqa: S608 - put together of constants


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


def latest_label(*, person_id: int, now: datetime, modes: EvidenceModes | None = None) -> LatestLabel | None:
    """Return the person's latest verdict, None where they skipped something since or said nothing in this sitting.

    Where the category lets them see evidence after the vote, it comes along, and that they saw it is kept.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LATEST, {"person": person_id, "since": now - SESSION})
        row = cursor.fetchone()
    if row is None:
        return None
    label_id, verdict, comment, is_followed_by_skip, has_look, *answer = row
    if is_followed_by_skip:
        return None
    response = read_answer(answer)
    mode = (modes or evidence_modes()).of(response.prompt.category_id)
    may_see = mode is _Mode.AFTER_VOTE or (mode is _Mode.ON_DEMAND and has_look)
    evidence = evidence_of([response]).get(response.pk) if may_see else None
    if evidence is not None and not has_look:
        remember_look(person_id=person_id, response_id=response.pk, now=now)
    return LatestLabel(label_id, Verdict(verdict).label, response.prompt.item_text, comment, evidence)
