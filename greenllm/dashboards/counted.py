"""Masses as values or as their sums, and answers as Postgres counts them (`labeling.answer_tally`)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Self

from django.db.models import QuerySet, Sum

from benchmarks.intervals import Interval, mean_interval, mean_interval_of_sums
from benchmarks.models import Category, Deployment, Response, Study
from benchmarks.studying import Progress
from labeling.models import AnswerTally

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Masses:
    """Masses in grams: every value, or where there are too many only their sums (`values` is None)."""

    n: int
    sum_g: Decimal
    sum_squared: Decimal
    values: tuple[float, ...] | None

    @classmethod
    def of(cls, masses_g: Iterable[float | None]) -> Self:
        """Return those that are known."""
        values = tuple(one for one in masses_g if one is not None)
        return cls(len(values), _ZERO, _ZERO, values)

    @classmethod
    def together(cls, several: Sequence["Masses"]) -> Self:
        """Return several as one; all are values or all are sums."""
        values = None
        if all(one.values is not None for one in several):
            values = tuple(mass for one in several for mass in one.values or ())
        return cls(
            sum(one.n for one in several),
            sum((one.sum_g for one in several), _ZERO),
            sum((one.sum_squared for one in several), _ZERO),
            values,
        )

    @property
    def total(self) -> float:
        """Return their sum in grams."""
        return float(self.sum_g) if self.values is None else sum(self.values)

    @cached_property
    def mean(self) -> Interval | None:
        """Return their mean with its interval: bootstrap of values, Student's of sums."""
        if self.values is not None:
            return mean_interval(self.values)
        if not self.n:
            return None
        # of masses that are all the same, rounding of the quotient can leave less than nothing
        squared_deviations = max(_ZERO, self.sum_squared - self.sum_g * self.sum_g / self.n)
        return mean_interval_of_sums(self.n, self.total, float(squared_deviations))


@dataclass(frozen=True)
class CountedAnswers:
    """Finished answers of one deployment in one category that are alike in quality and verdict."""

    category: str
    deployment_id: int
    language_model_id: int
    model: str
    quality: str
    verdict: str
    verdict_source: str
    answer_count: int
    sci: Masses


def finished_count(tallies: "QuerySet[AnswerTally]") -> int:
    """Return how many finished answers are counted, in one query: whether there are too many to be read one by one."""
    return int(tallies.filter(state=Response.State.FINISHED).aggregate(count=Sum("answer_count"))["count"] or 0)


def progress_counted(study: Study) -> Progress:
    """Return how far a study is, from what is counted of its responses, in one query."""
    states = AnswerTally.objects.filter(study_id=study.pk).values_list("state").annotate(n=Sum("answer_count"))
    counts = dict(states.order_by())
    return Progress(
        total=sum(counts.values()),
        finished=counts.get(Response.State.FINISHED, 0),
        failed=counts.get(Response.State.FAILED, 0),
        cancelled=counts.get(Response.State.CANCELLED, 0),
    )


def answers_counted(tallies: "QuerySet[AnswerTally]") -> list[CountedAnswers]:
    """Return what is counted of finished answers, in three queries."""
    categories = dict(Category.objects.values_list("pk", "name"))
    named = Deployment.objects.values_list("pk", "language_model_id", "language_model__name")
    models = {pk: (model_id, name) for pk, model_id, name in named}
    key = ("category_id", "deployment_id", "quality", "verdict", "verdict_source")
    rows = (
        tallies.filter(state=Response.State.FINISHED)
        .values_list(*key)
        .annotate(
            count=Sum("answer_count"), scored=Sum("sci_count"), total=Sum("sci_gco2e"), squared=Sum("sci_gco2e_squared")
        )
        .filter(count__gt=0)
        .order_by(*key)
    )
    return [
        CountedAnswers(
            categories[category], deployment, *models[deployment], quality or "missing", verdict, source, count,
            Masses(scored, total, squared, None),
        )
        for category, deployment, quality, verdict, source, count, scored, total, squared in rows
    ]  # fmt: skip
