"""Table-shaped reads for the pages: the paper's three tables, category by model."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import F

from benchmarks.intervals import Interval, mean_interval, share_interval
from benchmarks.models import Prompt, Response, Study
from labeling.verdicts import UNDECIDED, verdicts_of


@dataclass(frozen=True)
class Cell:
    """One category answered by one model.

    `response_count` answers, of which `judged_count` have a verdict; figures are None where there is nothing to
    make them of. SCI in gCO2e; `qualities` says how the energies behind them came about.
    """

    category: str
    model: str
    response_count: int
    judged_count: int
    scored_count: int
    accuracy: Interval | None
    mean_sci_of_correct: Interval | None
    sum_sci_gco2e: float | None
    qualities: tuple[str, ...]
    is_judged_by_graders: bool


@dataclass(frozen=True)
class StudyTables:
    """The cells of a study, with the order of its rows and columns."""

    categories: tuple[str, ...]
    models: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]

    @property
    def is_estimated(self) -> bool:
        """Tell whether any energy behind the figures was estimated."""
        return any("estimated" in cell.qualities for cell in self.cells.values())

    def rows(self) -> list[tuple[str, list[Cell | None]]]:
        """Return each category with its cells in the order of the models."""
        return [
            (category, [self.cells.get((category, model)) for model in self.models]) for category in self.categories
        ]


@dataclass(frozen=True)
class _Answer:
    sci_gco2e: float | None
    quality: str
    is_correct: bool | None
    source: str


def latest_study() -> Study | None:
    """Return the study that a newcomer wants to see: a running one, else the one that started last."""
    shown = Study.objects.filter(kind=Study.Kind.MEASURED).exclude(state=Study.State.DRAFT).select_related("machine")
    latest_first = shown.order_by(F("started_at").desc(nulls_last=True), "-pk")
    return latest_first.filter(state=Study.State.RUNNING).first() or latest_first.first()


def study_tables(study: Study) -> StudyTables:
    """Return the paper's tables over the training prompts of a study, from what is finished so far. Three queries."""
    rows = list(
        Response.objects.finished()
        .filter(study=study)
        .exclude(prompt__role=Prompt.Role.VALIDATION)
        .order_by("pk")
        .values_list(
            "pk",
            "prompt__category__name",
            "deployment__language_model__name",
            "measurement__sci_gco2e",
            "measurement__quality",
        )
    )
    verdicts = verdicts_of(row[0] for row in rows)
    answers: dict[tuple[str, str], list[_Answer]] = defaultdict(list)
    for response_id, category, model, sci, quality in rows:
        verdict = verdicts.get(response_id, UNDECIDED)
        answers[category, model].append(_Answer(sci, quality or "missing", verdict.is_correct, verdict.source))
    targets = study.targets.order_by("position").values_list("deployment__language_model__name", flat=True)
    return StudyTables(
        categories=tuple(sorted({category for category, _ in answers})),
        models=tuple(dict.fromkeys([*targets, *sorted({model for _, model in answers})])),
        cells={key: _cell(*key, given) for key, given in answers.items()},
    )


def _cell(category: str, model: str, answers: Sequence[_Answer]) -> Cell:
    judged = [one for one in answers if one.is_correct is not None]
    scored = [one.sci_gco2e for one in answers if one.sci_gco2e is not None]
    of_correct = [one.sci_gco2e for one in judged if one.is_correct and one.sci_gco2e is not None]
    return Cell(
        category=category,
        model=model,
        response_count=len(answers),
        judged_count=len(judged),
        scored_count=len(scored),
        accuracy=share_interval(sum(bool(one.is_correct) for one in judged), len(judged)),
        mean_sci_of_correct=mean_interval(of_correct),
        sum_sci_gco2e=sum(scored) if scored else None,
        qualities=tuple(sorted({one.quality for one in answers})),
        is_judged_by_graders=any(one.source == "grader" for one in judged),
    )
