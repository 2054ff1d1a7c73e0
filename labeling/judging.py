"""A person's judgements: stored, taken back and changed. Nothing that was said is ever deleted."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from django.db import connection, transaction
from django.db.models import Q

from labeling.assigning import lock_answer, return_answer
from labeling.evidence import has_seen_evidence
from labeling.models import Label, Skip, Verdict
from labeling.standing import standing_of
from labeling.waiting import SESSION, is_waiting

TAKEN_BACK = "taken back by its judge"
LONGEST_COMMENT = 2000
MAX_ACTIVE_SECONDS = 120.0  # whoever takes longer went for a coffee


class LabelNotCurrent(ValueError):
    """The label is another person's, or was changed or taken back already."""


# Ends the lease and reads what is known, at once: each statement that a vote saves is a part of a millisecond.
_GIVE_UP_LEASE = """
WITH lease AS (
    DELETE FROM labeling_lease WHERE annotator_id = %(person)s AND response_id = %(response)s RETURNING kind
)
SELECT (SELECT kind FROM lease),
       ARRAY(
           SELECT kind || ':' || verdict FROM labeling_label WHERE response_id = %(response)s
           AND labeler_id = %(person)s AND source = 'person' AND is_current AND voided_at IS NULL
       ),
       EXISTS (SELECT FROM labeling_evidencelook WHERE person_id = %(person)s AND response_id = %(response)s),
       EXISTS (SELECT FROM labeling_skip WHERE annotator_id = %(person)s AND response_id = %(response)s)
"""


class Outcome(Enum):
    """What became of a vote."""

    SAVED = "saved"
    REPEATED = "repeated"  # the same vote had arrived already
    CONFLICTING = "conflicting"  # the person had judged it otherwise, in another window
    KEPT = "kept"  # the lease was gone, but nobody had judged the answer
    TOO_LATE = "too late"  # the lease was gone, and somebody else had judged the answer


class Undone(Enum):
    """What undo brought back."""

    VOTE = "vote"
    SKIP = "skip"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Vote:
    """What a person says of one answer, and how long they looked at it."""

    response_id: int
    verdict: Verdict
    guideline_id: int | None
    shown_at: datetime
    active_seconds: float
    comment: str = ""
    is_adjudication: bool = False


@dataclass(frozen=True)
class _Found:
    """What a person had to do with an answer before their vote: `said` holds kind and verdict of their labels."""

    lease_kind: str | None
    said: tuple[tuple[str, str], ...]
    has_seen_evidence: bool
    was_skipped: bool

    @property
    def was_held(self) -> bool:
        return self.lease_kind is not None


class Hindrance(Enum):
    """Why an answer that undo brought back is not shown."""

    HELD = "held"  # somebody else looks at it
    OTHER_MODE = "other mode"  # it waits for a reader while the person settles, or the other way round
    DONE = "done"  # it waits for nobody any more


@dataclass(frozen=True)
class Return:
    """What undo did; `hindrance` says why the answer is not on the person's desk, None where it is."""

    undone: Undone
    hindrance: Hindrance | None = None

    @property
    def is_held(self) -> bool:
        """Tell whether the person has the answer before them again."""
        return self.hindrance is None


def judge(*, person_id: int, vote: Vote) -> Outcome:
    """Store a vote of somebody who holds, or held, the answer; the caller has made sure that they did.

    A vote without a lease is kept as long as the answer still waits: only what would be one too many is left out. The
    lease, which nobody sees, tells whether a vote is a self-check.
    """
    with transaction.atomic():
        lock_answer(vote.response_id)  # votes on one answer take turns
        found = _give_up_lease(person_id, vote.response_id)
        kind = _kind_of(vote, found)
        earlier = _earlier(found, vote, kind)
        if earlier:
            return Outcome.REPEATED if vote.verdict in earlier else Outcome.CONFLICTING
        if not found.was_held and not is_waiting(response_id=vote.response_id, kind=kind):
            return Outcome.TOO_LATE
        Label.objects.create(
            response_id=vote.response_id,
            verdict=vote.verdict,
            source=Label.Source.PERSON,
            kind=kind,
            labeler_id=person_id,
            guideline_id=vote.guideline_id,
            comment=vote.comment[:LONGEST_COMMENT],
            saw_evidence=found.has_seen_evidence,
            shown_at=vote.shown_at,
            active_seconds=min(max(vote.active_seconds, 0.0), MAX_ACTIVE_SECONDS),
        )
        if found.was_skipped:
            Skip.objects.filter(response_id=vote.response_id, annotator_id=person_id).delete()
    return Outcome.SAVED if found.was_held else Outcome.KEPT


def take_back_latest(*, person_id: int, now: datetime, is_adjudicating: bool = False) -> Return:
    """Take back the latest vote or skip of this sitting and hold its answer for the person again.

    Whoever adjudicates takes back adjudications, and whoever reads takes back what they said as a reader.
    """
    since, settles = now - SESSION, Q(kind=Label.Kind.ADJUDICATION)
    with transaction.atomic():
        votes = Label.objects.current().by(person_id).filter(settles if is_adjudicating else ~settles)
        votes = votes.filter(created_at__gt=since)
        label = votes.select_for_update(of=("self",)).order_by("-created_at", "-pk").first()
        skips = Skip.objects.filter(annotator_id=person_id, skipped_at__gt=since)
        skip = skips.select_for_update(of=("self",)).order_by("-skipped_at", "-pk").first()
        if skip is not None and (label is None or skip.skipped_at > label.created_at):
            response_id, undone = skip.response_id, Undone.SKIP
            kind = _kind_of_skipped(person_id, response_id, is_adjudicating=is_adjudicating)
            skip.delete()
        elif label is not None:
            response_id, undone, kind = label.response_id, Undone.VOTE, label.kind
            _void(label, now)
        else:
            return Return(Undone.NOTHING)
        is_held = return_answer(person_id=person_id, response_id=response_id, now=now, kind=kind)
        return Return(undone, None if is_held else _hindrance(response_id, is_adjudicating=is_adjudicating))


def take_back(*, label_id: int, person_id: int, now: datetime) -> Label:
    """Void one of a person's own labels; its answer waits again, for anybody.

    Raises:
        LabelNotCurrent: it is not theirs, or no longer counts.
    """
    with transaction.atomic():
        label = _own_current(label_id, person_id)
        _void(label, now)
    return label


def change_verdict(*, label_id: int, person_id: int, verdict: Verdict) -> Label:
    """Supersede one of a person's own labels by another verdict; return the label that counts now.

    Raises:
        LabelNotCurrent: it is not theirs, or no longer counts.
    """
    with transaction.atomic():
        label = _own_current(label_id, person_id)
        if label.verdict == verdict:
            return label
        label.is_current = False
        label.save(update_fields=["is_current"])
        return Label.objects.create(
            response_id=label.response_id,
            verdict=verdict,
            source=Label.Source.PERSON,
            kind=label.kind,
            labeler_id=person_id,
            guideline_id=label.guideline_id,
            comment=label.comment,
            saw_evidence=has_seen_evidence(person_id=person_id, response_id=label.response_id),
            supersedes=label,
        )


def comment_on(*, label_id: int, person_id: int, comment: str) -> Label:
    """Put a remark on one of a person's own labels, in place of an earlier one; the verdict stays as it is.

    Raises:
        LabelNotCurrent: it is not theirs, or no longer counts.
    """
    with transaction.atomic():
        label = _own_current(label_id, person_id)
        label.comment = comment[:LONGEST_COMMENT]
        label.save(update_fields=["comment"])
    return label


def _give_up_lease(person_id: int, response_id: int) -> _Found:
    """End a person's lease of an answer; return what it was for, and what they had to do with the answer before."""
    with connection.cursor() as cursor:
        cursor.execute(_GIVE_UP_LEASE, {"person": person_id, "response": response_id})
        lease_kind, said, has_seen_evidence, was_skipped = cursor.fetchone()
    pairs = tuple((kind, verdict) for kind, verdict in (one.split(":") for one in said))
    return _Found(lease_kind, pairs, has_seen_evidence, was_skipped)


def _kind_of(vote: Vote, found: _Found) -> str:
    if vote.is_adjudication:
        return Label.Kind.ADJUDICATION.value
    return found.lease_kind or Label.Kind.JUDGEMENT.value


def _kind_of_skipped(person_id: int, response_id: int, *, is_adjudicating: bool) -> str:
    """Return for what a skipped answer was shown: who has judged it already saw it as a self-check."""
    if is_adjudicating:
        return Label.Kind.ADJUDICATION.value
    judged = Label.objects.current().by(person_id).judgements().filter(response_id=response_id)
    return Label.Kind.SELF_CHECK.value if judged.exists() else Label.Kind.JUDGEMENT.value


def _hindrance(response_id: int, *, is_adjudicating: bool) -> Hindrance:
    standing = standing_of(response_id)
    wants = {True: standing.wants_adjudicator, False: standing.wants_reader}
    if wants[is_adjudicating]:
        return Hindrance.HELD
    return Hindrance.OTHER_MODE if wants[not is_adjudicating] else Hindrance.DONE


def _earlier(found: _Found, vote: Vote, kind: str) -> set[str]:
    """Return the verdicts that the person gave already to what they are judging now.

    A vote that comes twice may find the self-check that it made, and no lease that tells it from the first judgement.
    """
    check, settling = Label.Kind.SELF_CHECK.value, Label.Kind.ADJUDICATION.value
    if kind == check:
        return {verdict for said, verdict in found.said if said == check}
    return {verdict for said, verdict in found.said if (said == settling) == vote.is_adjudication}


def _own_current(label_id: int, person_id: int) -> Label:
    own = Label.objects.current().by(person_id).select_for_update(of=("self",))
    label = own.filter(pk=label_id).first()
    if label is None:
        raise LabelNotCurrent("This verdict is not yours, or it was changed or taken back already.")
    return label


def _void(label: Label, now: datetime) -> None:
    label.voided_at = now
    label.void_reason = TAKEN_BACK
    label.save(update_fields=["voided_at", "void_reason"])
