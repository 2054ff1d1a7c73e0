"""Answers as Postgres counts them (`labeling.answer_tally`), and the sums of their masses."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Self

from django.db.models import QuerySet, Sum

from benchmarks.intervals import Interval, mean_interval_of_sums
from benchmarks.models import Category, Deployment, Response, Study
from benchmarks.studying import Progress
from labeling.models import AnswerTally

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Masses:
    """What n masses in grams add up to, and their squares; as decimals, so that nothing is lost by subtracting."""

    n: int
    sum_g: Decimal
    sum_squared: Decimal

    @classmethod
    def together(cls, several: Sequence["Masses"]) -> Self:
        """Return several as one."""
        return cls(
            sum(one.n for one in several),
            sum((one.sum_g for one in several), _ZERO),
            sum((one.sum_squared for one in several), _ZERO),
        )

    @property
    def total(self) -> float:
        """Return their sum in grams."""
        return float(self.sum_g)

    @cached_property
    def mean(self) -> Interval | None:
        """Return their mean with Student's interval; None where there is none."""
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
    """Return how many finished answers are counted, in one query."""
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
            Masses(scored, total, squared),
        )
        for category, deployment, quality, verdict, source, count, scored, total, squared in rows
    ]  # fmt: skip
