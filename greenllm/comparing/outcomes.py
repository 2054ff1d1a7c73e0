"""What two studies say of the same prompts: values per prompt and model, repeats averaged.

A study may have a hundred thousand answers and more, so that they come as columns of numbers, one query a study, and of
those of a study that was asked for before only what changed since.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from django.db import connection

from benchmarks.models import LanguageModel, Study
from benchmarks.sci import SciInputs, score
from labeling.renewing import Renewals, Touched, renewed

ENERGY, SCI, DURATION, TOKENS, ACCURACY = "energy", "sci", "duration", "tokens", "accuracy"
VALUES = (ENERGY, SCI, DURATION, TOKENS)
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
_Whole = npt.NDArray[np.int64]

_WHOLE = {"id": "response.id", "prompt": "response.prompt_id", "model": "deployment.language_model_id"}
_BASIS = {
    "intensity": "measurement.carbon_intensity_gco2e_per_kwh",
    "embodied": "measurement.total_embodied_emissions_gco2e",
    "lifespan": "measurement.expected_lifespan_s",
    "share": "measurement.resource_share",
}
_FLOATS = {
    ENERGY: "measurement.energy_j",
    SCI: "measurement.sci_gco2e",
    DURATION: "measurement.time_reserved_s",
    TOKENS: "response.output_token_count",
    "vote": "CASE answer.verdict WHEN 'correct' THEN 1 WHEN 'incorrect' THEN -1 ELSE 0 END",
    **_BASIS,
}
_WORDS = {"quality": "measurement.quality", "boundary": "measurement.boundary"}
# numbers as Postgres has them in memory, 8 bytes each: rows of a hundred thousand answers would take a second to read;
# each column is in the order in which the rows come, and numpy sorts faster than Postgres
_PACKED = ", ".join(
    [f"string_agg(int8send({name}), '')" for name in _WHOLE]
    + [f"string_agg(float8send(coalesce({name}, 'NaN')), '')" for name in _FLOATS]
    + [f"array_agg({name})" for name in _WORDS]
)
_SELECTED = ", ".join(
    [f"({sql})::bigint AS {name}" for name, sql in _WHOLE.items()]
    + [f"({sql})::float8 AS {name}" for name, sql in _FLOATS.items()]
    + [f"coalesce({sql}, '') AS {name}" for name, sql in _WORDS.items()]
)
_SOME = "AND response.id = ANY(%(ids)s) AND answer.response_id = ANY(%(ids)s)"
_LATEST = Renewals(most=4)  # studies: some ten megabytes for a hundred thousand answers
_ANSWERS = f"""
SELECT {_PACKED} FROM (
    SELECT {_SELECTED}
    FROM benchmarks_response AS response
    JOIN benchmarks_deployment AS deployment ON deployment.id = response.deployment_id
    JOIN labeling_currentanswer AS answer ON answer.response_id = response.id AND answer.study_id = %(study)s
    LEFT JOIN benchmarks_measurement AS measurement ON measurement.id = response.measurement_id
    WHERE response.study_id = %(study)s AND response.state = 'finished' {{only}}
) AS finished
"""  # noqa: S608 - put together of constants


@dataclass(frozen=True)
class _Words:
    """A column of words: each row's place among those that come."""

    places: _Whole
    words: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[str]) -> "_Words":
        words = tuple(sorted(set(rows)))
        place_of = {word: place for place, word in enumerate(words)}
        return cls(np.fromiter((place_of[one] for one in rows), np.int64, len(rows)), words)

    def at(self, rows: npt.NDArray[np.intp]) -> "_Words":
        """Return those rows."""
        return _Words(self.places[rows], self.words)

    def __add__(self, other: "_Words") -> "_Words":
        words = (*self.words, *(one for one in other.words if one not in self.words))
        moved = np.array([words.index(one) for one in other.words], np.int64)
        return _Words(np.concatenate([self.places, moved[other.places]]), words)


@dataclass(frozen=True)
class _Columns:
    """Finished answers in the order of their ids, a column for each thing; a value that is missing is NaN."""

    whole: dict[str, _Whole]
    values: dict[str, Floats]
    words: dict[str, _Words]

    def at(self, rows: npt.NDArray[np.intp]) -> "_Columns":
        """Return those rows, in that order."""
        return _Columns(
            {name: column[rows] for name, column in self.whole.items()},
            {name: column[rows] for name, column in self.values.items()},
            {name: column.at(rows) for name, column in self.words.items()},
        )

    def __add__(self, other: "_Columns") -> "_Columns":
        both = _Columns(
            {name: np.concatenate([column, other.whole[name]]) for name, column in self.whole.items()},
            {name: np.concatenate([column, other.values[name]]) for name, column in self.values.items()},
            {name: column + other.words[name] for name, column in self.words.items()},
        )
        return both.at(np.argsort(both.whole["id"]))


@dataclass(frozen=True)
class StudyAnswers:
    """A study's finished answers in the order of their ids, a column for each thing; what is missing is NaN."""

    study: Study
    names: dict[int, str]
    prompts: _Whole
    models: _Whole
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
    models: _Whole
    prompts: _Whole
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
    """Return the finished answers of a study, in two queries, whatever their number.

    Those of the studies asked for last are kept in memory: after a change only the answers that changed are read.
    """
    columns = renewed(
        ("comparing.answers", study.pk),
        lambda: _columns(study),
        lambda before, touched: _renewed(study, before, touched),
        studies=[study.pk],
        renewals=_LATEST,
    )
    models = columns.whole["model"]
    names = LanguageModel.objects.filter(pk__in=np.unique(models).tolist()).order_by("pk").values_list("pk", "name")
    return StudyAnswers(study, dict(names), columns.whole["prompt"], models, columns.values, *_kinds(columns))


def _columns(study: Study, ids: Collection[int] | None = None) -> _Columns:
    """Read the finished answers of a study, or those of some ids."""
    query = _ANSWERS.format(only="" if ids is None else _SOME)
    with connection.cursor() as cursor:
        cursor.execute(query, {"study": study.pk, "ids": list(ids or ())})
        packed = cursor.fetchone()
    whole, floats, words = packed[: len(_WHOLE)], packed[len(_WHOLE) : -len(_WORDS)], packed[-len(_WORDS) :]
    read = _Columns(
        {name: _unpacked(column, ">i8").astype(np.int64) for name, column in zip(_WHOLE, whole, strict=True)},
        {name: _unpacked(column, ">f8").astype(np.float64) for name, column in zip(_FLOATS, floats, strict=True)},
        {name: _Words.of(column or []) for name, column in zip(_WORDS, words, strict=True)},
    )
    return read.at(np.argsort(read.whole["id"]))


def _renewed(study: Study, before: _Columns, touched: Touched) -> _Columns:
    """Return the answers with those that changed read anew."""
    kept = np.flatnonzero(~np.isin(before.whole["id"], list(touched.response_ids)))
    return before.at(kept) + _columns(study, touched.response_ids)


def outcomes_of(*, answers: StudyAnswers, intensity: float | None) -> StudyOutcomes:
    """Return what the answers of a study say; SCI is made anew at a carbon intensity (gCO2e/kWh), if given.

    An answer whose score cannot be made at that intensity has none.
    """
    models, rows = np.unique(answers.models, return_inverse=True)
    prompts, columns = np.unique(answers.prompts, return_inverse=True)
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


def _kinds(columns: _Columns) -> tuple[dict[int, set[str]], set[str]]:
    """Return the qualities of each model's energies, and their boundaries."""
    measured = np.flatnonzero(~np.isnan(columns.values[ENERGY]))
    quality, boundary = columns.words["quality"], columns.words["boundary"]
    models, rows = np.unique(columns.whole["model"][measured], return_inverse=True)
    count = len(quality.words) or 1
    found: dict[int, set[str]] = defaultdict(set)
    for pair in np.unique(rows * count + quality.places[measured]).tolist():
        found[int(models[pair // count])].add(quality.words[pair % count])
    return dict(found), {boundary.words[one] for one in np.unique(boundary.places[measured]).tolist()}


def _unpacked(column: bytes | None, kind: str) -> npt.NDArray[np.generic]:
    return np.frombuffer(column or b"", dtype=kind)


def _means(places: _Whole, values: Floats, shape: tuple[int, int]) -> Floats:
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
