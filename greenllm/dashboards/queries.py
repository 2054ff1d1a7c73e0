"""Table-shaped reads for the pages: the paper's three tables, category by model."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from django.db.models import F

from benchmarks.intervals import Interval, share_interval
from benchmarks.models import Prompt, Study
from greenllm.dashboards.counted import CountedAnswers, Masses, Tallied, answers_counted, tallied_of
from labeling.models import Verdict

_LISTED_STUDIES = 200


@dataclass(frozen=True)
class Cell:
    """One category answered by one model; a total has an empty category, an empty model, or both.

    `response_count` answers, of which `judged_count` have a verdict; figures are None where there is nothing to
    make them of. SCI in gCO2e; `qualities` says how the energies behind them came about.
    """

    category: str
    model: str
    response_count: int
    correct_count: int
    judged_count: int
    scis_gco2e: Masses
    scis_of_correct_gco2e: Masses
    qualities: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def scored_count(self) -> int:
        """Return how many answers have an SCI."""
        return self.scis_gco2e.n

    @property
    def sum_sci_gco2e(self) -> float | None:
        """Return the sum of SCI over all answers that have one, right or wrong."""
        return self.scis_gco2e.total if self.scis_gco2e.n else None

    @property
    def is_judged_by_graders(self) -> bool:
        """Tell whether a grader's word decided any verdict."""
        return "grader" in self.sources

    @cached_property
    def accuracy(self) -> Interval | None:
        """Return the share of right answers among the judged ones."""
        return share_interval(self.correct_count, self.judged_count)

    @cached_property
    def mean_sci(self) -> Interval | None:
        """Return the mean SCI over all answers, right or wrong."""
        return self.scis_gco2e.mean

    @cached_property
    def mean_sci_of_correct(self) -> Interval | None:
        """Return the mean SCI over the correct answers."""
        return self.scis_of_correct_gco2e.mean


@dataclass(frozen=True)
class StudyTables:
    """The cells of a study, with the order of its rows and columns, and their totals over all prompts."""

    categories: tuple[str, ...]
    models: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]

    @property
    def is_estimated(self) -> bool:
        """Tell whether any energy behind the figures was estimated."""
        return any("estimated" in cell.qualities for cell in self.cells.values())

    @property
    def is_judged(self) -> bool:
        """Tell whether any answer behind the figures is judged."""
        return any(cell.judged_count for cell in self.cells.values())

    def rows(self) -> list[tuple[str, list[Cell | None]]]:
        """Return each category with its cells in the order of the models."""
        return [
            (category, [self.cells.get((category, model)) for model in self.models]) for category in self.categories
        ]

    @cached_property
    def model_totals(self) -> dict[str, Cell]:
        """Return what each model did over all categories."""
        return {model: _pooled("", model, [one for one in self._all if one.model == model]) for model in self.models}

    @cached_property
    def category_totals(self) -> dict[str, Cell]:
        """Return what all models together did in each category."""
        return {name: _pooled(name, "", [one for one in self._all if one.category == name]) for name in self.categories}

    @cached_property
    def total(self) -> Cell:
        """Return all models over all categories."""
        return _pooled("", "", self._all)

    def total_row(self) -> list[Cell]:
        """Return the models' totals in the order of the models."""
        return [self.model_totals[model] for model in self.models]

    @property
    def _all(self) -> list[Cell]:
        return [self.cells[key] for key in sorted(self.cells)]


def latest_study() -> Study | None:
    """Return the study that a newcomer wants to see: a running one, else the one that started last."""
    shown = Study.objects.filter(kind=Study.Kind.MEASURED).exclude(state=Study.State.DRAFT).select_related("machine")
    latest_first = shown.order_by(F("started_at").desc(nulls_last=True), "-pk")
    return latest_first.filter(state=Study.State.RUNNING).first() or latest_first.first()


def studies_to_show() -> list[Study]:
    """Return the studies that have begun, of every kind, the latest first."""
    begun = Study.objects.exclude(state=Study.State.DRAFT).select_related("machine")
    return list(begun.order_by(F("started_at").desc(nulls_last=True), "-pk")[:_LISTED_STUDIES])


def study_tables(
    study: Study, tallies: Sequence[Tallied] | None = None, *, models: Sequence[str] | None = None
) -> StudyTables:
    """Return the paper's tables over the training prompts of a study, from what is finished so far. Four queries.

    With the counts of its answers as `tallies`, one fewer; with the `models` that it asks in their order, another.
    """
    cells = counted_cells(tallied_of(study) if tallies is None else tallies)
    if models is None:
        models = list(study.targets.order_by("position").values_list("deployment__language_model__name", flat=True))
    return StudyTables(
        categories=tuple(sorted({category for category, _ in cells})),
        models=tuple(dict.fromkeys([*models, *sorted({model for _, model in cells})])),
        cells=cells,
    )


def counted_cells(tallies: Sequence[Tallied]) -> dict[tuple[str, str], Cell]:
    """Return the cells of a study over its training prompts from what is counted of its answers, in two queries."""
    found: dict[tuple[str, str], list[CountedAnswers]] = defaultdict(list)
    for one in answers_counted(one for one in tallies if one.role != Prompt.Role.VALIDATION):
        found[one.category, one.model].append(one)
    return {key: _cell(*key, given) for key, given in found.items()}


def _cell(category: str, model: str, given: Sequence[CountedAnswers]) -> Cell:
    right = [one for one in given if one.verdict == Verdict.CORRECT]
    judged = [one for one in given if one.verdict in {Verdict.CORRECT, Verdict.INCORRECT}]
    return Cell(
        category=category,
        model=model,
        response_count=sum(one.answer_count for one in given),
        correct_count=sum(one.answer_count for one in right),
        judged_count=sum(one.answer_count for one in judged),
        scis_gco2e=Masses.together([one.sci for one in given]),
        scis_of_correct_gco2e=Masses.together([one.sci for one in right]),
        qualities=tuple(sorted({one.quality for one in given})),
        sources=tuple(sorted({one.verdict_source for one in judged})),
    )


def _pooled(category: str, model: str, cells: Sequence[Cell]) -> Cell:
    return Cell(
        category=category,
        model=model,
        response_count=sum(one.response_count for one in cells),
        correct_count=sum(one.correct_count for one in cells),
        judged_count=sum(one.judged_count for one in cells),
        scis_gco2e=Masses.together([one.scis_gco2e for one in cells]),
        scis_of_correct_gco2e=Masses.together([one.scis_of_correct_gco2e for one in cells]),
        qualities=tuple(sorted({quality for one in cells for quality in one.qualities})),
        sources=tuple(sorted({source for one in cells for source in one.sources})),
    )
