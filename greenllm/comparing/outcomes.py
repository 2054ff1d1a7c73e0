"""What two studies say of the same prompts: values per prompt and model, repeats averaged."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.models import LanguageModel, Study
from benchmarks.sci import SciInputs, score
from greenllm.answer_columns import Columns, Floats, Whole, distinct
from greenllm.study_columns import study_columns

ENERGY, SCI, DURATION, TOKENS, ACCURACY = "energy", "sci", "duration", "tokens", "accuracy"
VALUES = (ENERGY, SCI, DURATION, TOKENS)


@dataclass(frozen=True)
class StudyAnswers:
    """A study's finished answers in the order of their ids, a column for each thing; what is missing is NaN."""

    study: Study
    names: dict[int, str]
    prompts: Whole
    models: Whole
    values: dict[str, Floats]
    qualities: dict[int, set[str]]
    boundaries: set[str]

    @property
    def intensities(self) -> set[float]:
        """Return the carbon intensities (gCO2e/kWh) that scores were made at."""
        known = self.values["intensity"]
        return set(np.unique(known[~np.isnan(known)]).tolist())


@dataclass(frozen=True)
class StudyOutcomes:
    """One study's answers: per model and prompt the mean of each value, and what the figures rest on.

    The tables have a row for each of `models` and a column for each of `prompts`, in the order of their ids. A mean of
    no value is NaN. A prompt's verdict is the majority's of its repeats: 1 right, -1 wrong, 0 where a tie or nobody
    decides.
    """

    study: Study
    names: dict[int, str]
    models: Whole
    prompts: Whole
    means: dict[str, Floats]
    verdicts: Floats
    qualities: dict[int, set[str]]
    boundaries: set[str]
    intensities: set[float]
    answer_count: int
    missing_count: int

    def quality_of(self, models: Iterable[int]) -> str:
        """Return the one quality of these models' energies; several are named together, none is `missing`."""
        found = set().union(*(self.qualities.get(model, set()) for model in models))
        return " and ".join(sorted(found)) or "missing"

    def row_of(self, model: int) -> int:
        """Return the row of a model in the tables."""
        return int(np.searchsorted(self.models, model))


def answers_of(study: Study) -> StudyAnswers:
    """Return the finished answers of a study, in three queries, whatever their number."""
    columns = study_columns(study)
    models = columns.whole["model"]
    names = LanguageModel.objects.filter(pk__in=distinct(models)[0].tolist()).order_by("pk").values_list("pk", "name")
    return StudyAnswers(study, dict(names), columns.whole["prompt"], models, columns.values, *_kinds(columns))


def outcomes_of(*, answers: StudyAnswers, intensity: float | None) -> StudyOutcomes:
    """Return what the answers of a study say; SCI is made anew at a carbon intensity (gCO2e/kWh), if given.

    An answer whose score cannot be made at that intensity has none.
    """
    models, rows = distinct(answers.models)
    prompts, columns = distinct(answers.prompts)
    places = rows * len(prompts) + columns
    shape = (len(models), len(prompts))
    values = {**answers.values, SCI: _scores(answers.values, intensity)}
    balance = np.bincount(places, weights=values["vote"], minlength=len(models) * len(prompts))
    return StudyOutcomes(
        study=answers.study,
        names=answers.names,
        models=models,
        prompts=prompts,
        means={name: _means(places, values[name], shape) for name in VALUES},
        verdicts=np.sign(balance).reshape(shape),
        qualities=answers.qualities,
        boundaries=answers.boundaries,
        intensities=answers.intensities,
        answer_count=len(answers.prompts),
        missing_count=int(np.isnan(answers.values[ENERGY]).sum()),
    )


def _kinds(columns: Columns) -> tuple[dict[int, set[str]], set[str]]:
    """Return the qualities of each model's energies, and their boundaries."""
    measured = np.flatnonzero(~np.isnan(columns.values[ENERGY]))
    quality, boundary = columns.words["quality"], columns.words["boundary"]
    models, rows = distinct(columns.whole["model"][measured])
    count = len(quality.words) or 1
    found: dict[int, set[str]] = defaultdict(set)
    for pair in distinct(rows * count + quality.places[measured])[0].tolist():
        found[int(models[pair // count])].add(quality.words[pair % count])
    return dict(found), {boundary.words[one] for one in distinct(boundary.places[measured])[0].tolist()}


def _means(places: Whole, values: Floats, shape: tuple[int, int]) -> Floats:
    """Return the mean at each place of a table, NaN where there is no value."""
    known = ~np.isnan(values)
    counts = np.bincount(places[known], minlength=shape[0] * shape[1])
    sums = np.bincount(places[known], weights=values[known], minlength=shape[0] * shape[1])
    means = np.full(counts.shape, np.nan)
    np.divide(sums, counts, out=means, where=counts > 0)
    return means.reshape(shape)


def _scores(values: dict[str, Floats], intensity: float | None) -> Floats:
    """Return the SCI of each answer (gCO2e), NaN where it has none; it is stored where it was made at `intensity`."""
    if intensity is None:
        return values[SCI]
    scores = values[SCI].copy()
    others = np.flatnonzero(values["intensity"] != intensity)
    needed = np.stack([values[name] for name in (ENERGY, DURATION, "embodied", "lifespan", "share")])[:, others]
    scores[others] = np.nan
    is_whole = ~np.isnan(needed).any(axis=0)
    scores[others[is_whole]] = [
        score(SciInputs(energy_j, time_s, intensity, embodied_gco2e, lifespan_s, share)).sci_gco2e
        for energy_j, time_s, embodied_gco2e, lifespan_s, share in needed[:, is_whole].T.tolist()
    ]
    return scores
