"""Corrections: void a set of labels at once, see beforehand what that does, and undo it. Nothing is ever deleted."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Exists, F, OuterRef

from benchmarks.models import Category, Response, Study
from labeling.models import Annotator, Correction, Guideline, Label, LabelQuerySet
from labeling.verdicts import UNDECIDED, verdicts_of

LONGEST_REASON = 1000
_BATCH_SIZE = 500  # so few that a vote on one of these answers waits for some milliseconds only


class CorrectionRefused(ValueError):
    """The correction cannot be made or undone; the message says why."""


@dataclass(frozen=True)
class Scope:
    """Which labels a correction is about: those that count, of a judge or by a guideline or both; the rest narrows it.

    `since` is the first moment that belongs to it and `until` the first that does not, by when a label was given.
    """

    annotator_id: int | None = None
    guideline: Guideline | None = None
    study: Study | None = None
    category: Category | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def labels(self) -> LabelQuerySet:
        """Return the labels that it would void now."""
        facts = {
            "labeler_id": self.annotator_id,
            "guideline": self.guideline,
            "response__study": self.study,
            "response__prompt__category": self.category,
            "created_at__gte": self.since,
            "created_at__lt": self.until,
        }
        return Label.objects.current().filter(**{name: fact for name, fact in facts.items() if fact is not None})


@dataclass(frozen=True)
class Effect:
    """What a correction would do: how many labels of how many judges on how many answers, and to which verdicts.

    Verdicts are lost (nobody else decided), turned (right becomes wrong, or wrong right), gained (a dispute is over)
    or handed to a lesser source (they stay, but by imported labels or a grader); the others stay as they are.
    """

    label_count: int
    judge_count: int
    answer_count: int
    lost_count: int = 0
    turned_count: int = 0
    gained_count: int = 0
    handed_count: int = 0

    @property
    def kept_count(self) -> int:
        """Return on how many answers nothing changes but the number of labels."""
        return self.answer_count - self.lost_count - self.turned_count - self.gained_count - self.handed_count


@dataclass(frozen=True)
class Undoing:
    """What undoing a correction brought back, and how many of its labels stay out."""

    restored_count: int
    left_count: int


def foresee(*, scope: Scope) -> Effect:
    """Say what a correction would do now; reads only."""
    _refuse_unbounded(scope)
    totals = scope.labels.aggregate(
        labels=Count("pk"), judges=Count("labeler", distinct=True), answers=Count("response", distinct=True)
    )
    effect = Effect(totals["labels"], totals["judges"], totals["answers"])
    for label_ids, response_ids in _batches(scope.labels):
        effect = _with_verdicts(effect, label_ids, response_ids)
    return effect


def void_labels(*, scope: Scope, reason: str, person_id: int | None, now: datetime) -> Correction:
    """Void the labels of a scope that were given until now, in batches of short transactions.

    Their answers wait again at once: whoever reads gets a new reading list. A vote that comes meanwhile is later than
    the correction, so that it counts; killed half-way, the correction stands for what it has voided by then.

    Raises:
        CorrectionRefused: no judge and no guideline is named, the reason is missing, or no label is in the scope.
    """
    _refuse_unbounded(scope)
    if not reason.strip():
        raise CorrectionRefused("Say why: whoever judged reads the reason beside each label that counts no more.")
    until = min(scope.until or now, now)
    bounded = replace(scope, until=until)
    if scope.since is not None and scope.since >= until:
        raise CorrectionRefused("The first moment must lie before the last, and not in the future.")
    if not bounded.labels.exists():
        raise CorrectionRefused("No label that counts is in this scope, so that there is nothing to void.")
    correction = Correction.objects.create(
        annotator_id=scope.annotator_id, guideline=scope.guideline, study=scope.study, category=scope.category,
        since=scope.since, until=until, reason=reason.strip()[:LONGEST_REASON], made_by_id=person_id,
        created_at=now,
    )  # fmt: skip
    try:
        while _void_batch(correction.pk, bounded, now):
            pass
    finally:
        expire_lists()
    correction.refresh_from_db()
    return correction


def undo_correction(*, correction_id: int, person_id: int | None, now: datetime) -> Undoing:
    """Let the labels of a correction count again, but those whose judge has judged the answer anew.

    Undone once more, it tries again what stayed out.

    Raises:
        CorrectionRefused: there is no such correction, or every label of it counts again already.
    """
    correction = Correction.objects.filter(pk=correction_id).first()
    if correction is None:
        raise CorrectionRefused(f"There is no correction {correction_id}.")
    if correction.undone_at is not None and not correction.left_count:
        raise CorrectionRefused("This correction was undone already; every label of it counts again.")
    before, reached = correction.restored_count, 0
    try:
        while (latest := _restore_batch(correction_id, reached, person_id, now)) is not None:
            reached = latest
    finally:
        expire_lists()
    correction.refresh_from_db()
    return Undoing(correction.restored_count - before, correction.left_count)


def labels_of(correction: Correction) -> LabelQuerySet:
    """Return the labels of a correction; `is_judged_anew` tells of each whether its judge has another that counts."""
    return correction.labels.annotate(is_judged_anew=Exists(_in_the_way()))


def expire_lists() -> None:
    """Have every reading list made anew at its next use, so that answers that wait again are found at once."""
    Annotator.objects.filter(list_made_at__isnull=False).update(list_made_at=None)


def _refuse_unbounded(scope: Scope) -> None:
    if scope.annotator_id is None and scope.guideline is None:
        raise CorrectionRefused("Name whose labels, or by which version of a guideline: not everybody's at once.")


def _batches(labels: LabelQuerySet) -> Iterator[tuple[list[int], set[int]]]:
    """Give the ids of labels with those of their answers, all labels of one answer together."""
    label_ids, response_ids = list[int](), set[int]()
    for label_id, response_id in labels.order_by("response_id", "pk").values_list("pk", "response_id").iterator():
        if response_id not in response_ids and len(label_ids) >= _BATCH_SIZE:
            yield label_ids, response_ids
            label_ids, response_ids = [], set()
        label_ids.append(label_id)
        response_ids.add(response_id)
    if label_ids:
        yield label_ids, response_ids


def _with_verdicts(effect: Effect, label_ids: list[int], response_ids: set[int]) -> Effect:
    before, after = verdicts_of(response_ids), verdicts_of(response_ids, without=label_ids)
    lost = turned = gained = handed = 0
    for response_id in response_ids:
        was, becomes = before.get(response_id, UNDECIDED), after.get(response_id, UNDECIDED)
        lost += was.is_correct is not None and becomes.is_correct is None
        gained += was.is_correct is None and becomes.is_correct is not None
        both = was.is_correct is not None and becomes.is_correct is not None
        turned += both and was.is_correct is not becomes.is_correct
        handed += both and was.is_correct is becomes.is_correct and was.source != becomes.source
    return replace(
        effect,
        lost_count=effect.lost_count + lost,
        turned_count=effect.turned_count + turned,
        gained_count=effect.gained_count + gained,
        handed_count=effect.handed_count + handed,
    )


def _void_batch(correction_id: int, scope: Scope, now: datetime) -> bool:
    """Void the next labels; tell whether there may be more. Nothing is left to do once the correction is undone."""
    with transaction.atomic():
        correction = Correction.objects.select_for_update(of=("self",)).get(pk=correction_id)
        if correction.undone_at is not None:
            return False
        found = scope.labels.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True)
        label_ids = list(found[:_BATCH_SIZE])
        if not label_ids:
            return False
        Label.objects.filter(pk__in=label_ids).update(
            voided_at=now, void_reason=correction.reason, correction=correction
        )
        Correction.objects.filter(pk=correction_id).update(label_count=F("label_count") + len(label_ids))
    return True


def _restore_batch(correction_id: int, reached: int, person_id: int | None, now: datetime) -> int | None:
    """Let the next labels after one count again where they may; return the last looked at, None at the end.

    The answers are locked, as a vote on one locks it: nobody judges anew between the look and the restoring.
    """
    with transaction.atomic():
        correction = Correction.objects.select_for_update(of=("self",)).get(pk=correction_id)
        if correction.undone_at is None:
            correction.undone_at, correction.undone_by_id = now, person_id
            correction.save(update_fields=["undone_at", "undone_by"])
        out = correction.labels.filter(voided_at__isnull=False, pk__gt=reached).order_by("pk")
        rows = list(out.values_list("pk", "response_id")[:_BATCH_SIZE])
        answers = Response.objects.filter(pk__in={response_id for _, response_id in rows})
        list(answers.select_for_update(no_key=True).order_by("pk").values_list("pk"))
        restored = (
            Label.objects.filter(pk__in=[pk for pk, _ in rows], correction=correction, voided_at__isnull=False)
            .exclude(Exists(_in_the_way()))
            .update(voided_at=None, void_reason="")
        )
        Correction.objects.filter(pk=correction_id).update(restored_count=F("restored_count") + restored)
    return rows[-1][0] if rows else None


def _in_the_way() -> LabelQuerySet:
    """Return the label that counts of the judge of an outer label, on the same answer and of the same kind."""
    return (
        Label.objects.current()
        .filter(
            response=OuterRef("response"), source=OuterRef("source"), kind=OuterRef("kind"), labeler=OuterRef("labeler")
        )
        .exclude(pk=OuterRef("pk"))
        .exclude(source=Label.Source.IMPORTED)
    )
