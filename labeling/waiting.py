"""What waits for a person's judgement, and how far the judging has come."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Aggregate, Count, Exists, FloatField, OuterRef, Q, Sum

from benchmarks.models import Category, Response, Study
from benchmarks.models.study import ResponseQuerySet
from labeling.models import Flag, Label, Lease, Skip

# How many people judge each answer. One number, here: overlap by category or share will come from rows instead.
REQUIRED_JUDGEMENTS = 1
# A sitting: so long a skipped answer rests, and so far back undo reaches.
SESSION = timedelta(hours=12)


@dataclass(frozen=True)
class QueueFilter:
    """Which answers a person wants to judge; empty means all."""

    study: Study | None = None
    category: Category | None = None

    @property
    def is_narrow(self) -> bool:
        """Return whether it leaves anything out."""
        return self.study is not None or self.category is not None

    def answers(self) -> ResponseQuerySet:
        """Return the finished answers that it lets through, judged or not; those that an admin withdrew are out."""
        finished = Response.objects.finished().exclude(flags__resolution=Flag.Resolution.WITHDRAWN)
        if self.study is not None:
            finished = finished.filter(study=self.study)
        if self.category is not None:
            finished = finished.filter(prompt__category=self.category)
        return finished


@dataclass(frozen=True)
class Progress:
    """How far the judging of some answers has come, and one person's part in it today."""

    total_count: int
    judged_count: int
    own_count: int
    median_seconds: float | None
    timed_count: int
    active_seconds: float | None = None

    @property
    def left_count(self) -> int:
        """Return how many answers still want a judgement."""
        return self.total_count - self.judged_count

    @property
    def labels_per_active_hour(self) -> float | None:
        """Return the person's pace today; None where none of their labels was timed."""
        return 3600 * self.timed_count / self.active_seconds if self.active_seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Return how long the person alone would need for what is left, at that pace."""
        return 3600 * self.left_count / self.labels_per_active_hour if self.labels_per_active_hour else None


@dataclass(frozen=True)
class Remainder:
    """Why a person gets no further answer: what is left rests, or others hold it."""

    left_count: int
    skipped_count: int
    held_count: int
    flagged_count: int = 0


class _Median(Aggregate):
    """The median, as Postgres works it out."""

    function = "PERCENTILE_CONT"
    template = "%(function)s(0.5) WITHIN GROUP (ORDER BY %(expressions)s)"
    output_field = FloatField()


def progress_in(
    *, chosen: QueueFilter, person_id: int, since: datetime, required: int = REQUIRED_JUDGEMENTS
) -> Progress:
    """Count the finished answers of a filter and those judged by people; `since` begins the person's day."""
    own = (
        Label.objects.current()
        .by(person_id)
        .filter(created_at__gte=since)
        .aggregate(
            count=Count("pk"),
            timed=Count("active_seconds"),
            median=_Median("active_seconds"),
            active=Sum("active_seconds"),
        )
    )
    return Progress(
        total_count=chosen.answers().count(),
        judged_count=_judged(chosen, required).count(),
        own_count=own["count"],
        median_seconds=own["median"],
        timed_count=own["timed"],
        active_seconds=own["active"],
    )


def remainder_in(
    *, chosen: QueueFilter, person_id: int, now: datetime, required: int = REQUIRED_JUDGEMENTS
) -> Remainder:
    """Count what is left in a filter, what of it the person lets rest, and what others hold."""
    left = chosen.answers().exclude(pk__in=_judged(chosen, required).values("pk"))
    mine = Skip.objects.filter(response=OuterRef("pk"), annotator_id=person_id, skipped_at__gt=now - SESSION)
    held = Lease.objects.filter(response=OuterRef("pk"), expires_at__gt=now).exclude(annotator_id=person_id)
    flagged = Flag.objects.filter(response=OuterRef("pk"), person_id=person_id, resolution="")
    counts = left.aggregate(
        left=Count("pk"), skipped=Count("pk", filter=Exists(mine)), held=Count("pk", filter=Exists(held)),
        flagged=Count("pk", filter=Exists(flagged)),
    )  # fmt: skip
    return Remainder(counts["left"], counts["skipped"], counts["held"], counts["flagged"])


def is_waiting(*, response_id: int, required: int = REQUIRED_JUDGEMENTS) -> bool:
    """Tell whether an answer still wants a person's judgement."""
    return Label.objects.current().of_people().filter(response_id=response_id).count() < required


def _judged(chosen: QueueFilter, required: int) -> ResponseQuerySet:
    """Return the answers with enough current labels of people; graders' labels do not count."""
    labels = Label.objects.current().of_people()
    if required == 1:  # the usual case needs no counting
        return chosen.answers().filter(pk__in=labels.values("response"))
    enough = labels.values("response").annotate(people=Count("pk")).filter(Q(people__gte=required))
    return chosen.answers().filter(pk__in=enough.values("response"))
