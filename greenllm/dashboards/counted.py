"""Answers as Postgres counts them (`labeling.answer_tally`), and the sums of their masses."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import NamedTuple, Self

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


class Tallied(NamedTuple):
    """Answers that are alike in all that pages ask for, and the masses of those that have an SCI."""

    category_id: int
    deployment_id: int
    quality: str
    verdict: str
    verdict_source: str
    state: str
    role: str
    answer_count: int
    sci_count: int
    sci_gco2e: Decimal
    sci_gco2e_squared: Decimal


def tallied(tallies: "QuerySet[AnswerTally]") -> list[Tallied]:
    """Return the counts of answers, in one query: a page reads them once, for each reading adds what just changed."""
    key = ("category_id", "deployment_id", "quality", "verdict", "verdict_source", "state", "role")
    rows = (
        tallies.values_list(*key)
        .annotate(
            count=Sum("answer_count"), scored=Sum("sci_count"), total=Sum("sci_gco2e"), squared=Sum("sci_gco2e_squared")
        )
        .filter(count__gt=0)
        .order_by(*key)
    )
    return [Tallied(*row) for row in rows]


def tallied_of(study: Study) -> list[Tallied]:
    """Return the counts of a study's answers, in one query."""
    return tallied(AnswerTally.objects.filter(study_id=study.pk))


def count_of(tallies: Iterable[Tallied]) -> int:
    """Return how many answers these are."""
    return sum(one.answer_count for one in tallies)


def finished_of(tallies: Iterable[Tallied]) -> list[Tallied]:
    """Return those of finished answers."""
    return [one for one in tallies if one.state == Response.State.FINISHED]


def progress_counted(tallies: Sequence[Tallied]) -> Progress:
    """Return how far a study is, from what is counted of its responses."""
    counts: Counter[str] = Counter()
    for one in tallies:
        counts[one.state] += one.answer_count
    return Progress(
        total=counts.total(),
        finished=counts[Response.State.FINISHED],
        failed=counts[Response.State.FAILED],
        cancelled=counts[Response.State.CANCELLED],
    )


def answers_counted(tallies: Iterable[Tallied]) -> list[CountedAnswers]:
    """Return what is counted of finished answers, in two queries for their names."""
    categories = dict(Category.objects.values_list("pk", "name"))
    named = Deployment.objects.values_list("pk", "language_model_id", "language_model__name")
    models = {pk: (model_id, name) for pk, model_id, name in named}
    return [
        CountedAnswers(
            categories[one.category_id], one.deployment_id, *models[one.deployment_id], one.quality or "missing",
            one.verdict, one.verdict_source, one.answer_count,
            Masses(one.sci_count, one.sci_gco2e, one.sci_gco2e_squared),
        )
        for one in finished_of(tallies)
    ]  # fmt: skip
