"""Compare two studies prompt by prompt: energy, SCI, time, tokens and accuracy, each with interval, test and words."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from hashlib import sha256

import numpy as np

from benchmarks.models import Study
from benchmarks.paired import Paired, Sample, compare_samples, holm
from greenllm.answer_columns import Flags, Floats
from greenllm.comparing.outcomes import (
    ACCURACY,
    ENERGY,
    SCI,
    VALUES,
    StudyAnswers,
    StudyOutcomes,
    answers_of,
    outcomes_of,
)
from greenllm.comparing.wording import MEASURES, Measure, notes_on, sentence
from labeling.keeping import keep_figure, read_figure
from labeling.unchanged import unchanged

ALL_MODELS = "all models"
_MOST_COMPARED = 500  # samples, those asked for last; a comparison of ten models has 55
_MOST_KEPT = 200  # of these, in the database
_LARGE = 1000  # pairs; fewer are compared as fast as the database says what it keeps
_KEY = "comparing.samples"
_COMPARED: OrderedDict[str, Paired | None] = OrderedDict()
_LOCK = threading.Lock()
_RECALLED = threading.Event()  # set once this process knows what others kept


class NothingToPair(ValueError):
    """The studies have no prompt and model in common; the message tells what to do."""


@dataclass(frozen=True)
class ComparedRow:
    """One measure of one model, A against B. `reason` says why a figure or a test is not there."""

    model: str
    measure: Measure
    n: int
    paired: Paired | None
    quality: str
    p_adjusted: float | None = None
    reason: str = ""
    words: str = ""


@dataclass(frozen=True)
class _Compared:
    """What two studies have in common and what differs: the notes beside the figures, and the rows."""

    intensity_gco2e_per_kwh: float | None
    pair_count: int
    notes: tuple[str, ...]
    rows: tuple[ComparedRow, ...]


@dataclass(frozen=True)
class StudyComparison(_Compared):
    """Two studies with how they compare."""

    a: Study
    b: Study


@dataclass(frozen=True)
class _Sides:
    """The outcomes of two studies on the prompts of both, and which model of each stands in a pair, by its name."""

    a: StudyOutcomes
    b: StudyOutcomes
    models: dict[str, tuple[int, int]]

    def values(self, pair: str, measure: str) -> tuple[Floats, Floats]:
        """Return a pair's values of each prompt of both studies, in the order of their ids, NaN where there is none."""
        row_a, row_b = self._rows(pair)
        if measure == ACCURACY:
            return _shares(self.a.verdicts[row_a][self._shared[0]]), _shares(self.b.verdicts[row_b][self._shared[1]])
        return self.a.means[measure][row_a][self._shared[0]], self.b.means[measure][row_b][self._shared[1]]

    def are_answered(self, pair: str) -> Flags:
        """Tell of each prompt of both studies whether both models of a pair have any figure of it."""
        known = [tuple(~np.isnan(values) for values in self.values(pair, one)) for one in (*VALUES, ACCURACY)]
        of_a, of_b = (np.logical_or.reduce(flags) for flags in zip(*known, strict=True))
        both: Flags = of_a & of_b
        return both

    def qualities(self, pairs: list[str]) -> tuple[str, str]:
        """Return the quality of the energies on each side."""
        return (
            self.a.quality_of(self.models[pair][0] for pair in pairs),
            self.b.quality_of(self.models[pair][1] for pair in pairs),
        )

    def _rows(self, pair: str) -> tuple[int, int]:
        model_a, model_b = self.models[pair]
        return self.a.row_of(model_a), self.b.row_of(model_b)

    @cached_property
    def _shared(self) -> tuple[np.typing.NDArray[np.intp], np.typing.NDArray[np.intp]]:
        """Where the prompts of both stand in the tables of each."""
        _, at_a, at_b = np.intersect1d(self.a.prompts, self.b.prompts, assume_unique=True, return_indices=True)
        return at_a, at_b


def _shares(verdicts: Floats) -> Floats:
    """Return 1 for right and 0 for wrong, NaN where nothing is decided."""
    return np.where(verdicts == 0, np.nan, verdicts > 0)


def compare_studies(
    *, a: Study, b: Study, across_models: tuple[str, str] | None = None, intensity: float | None = None
) -> StudyComparison:
    """Compare two studies on the prompts and language models that both have; repeats are averaged first.

    With `across_models` one model of A stands against another of B. Energies of unlike quality are not compared. SCI
    is compared at one carbon intensity: the given one, else A's where the studies have different ones.

    What is worked out is kept until an answer of either study changes.

    Raises:
        NothingToPair: no pair, or an unknown model.
    """
    found = unchanged(
        ("comparing.compare_studies", _facts_of(a), _facts_of(b), across_models, intensity),
        lambda: _compared(a, b, across_models, intensity),
        studies={a.pk, b.pk},
        kind=_Compared,
    )
    return StudyComparison(found.intensity_gco2e_per_kwh, found.pair_count, found.notes, found.rows, a, b)


def _facts_of(study: Study) -> tuple[str, ...]:
    """Return all that is known of a study itself, as words."""
    return tuple(repr(getattr(study, one.attname)) for one in Study._meta.concrete_fields)


def _compared(a: Study, b: Study, across_models: tuple[str, str] | None, intensity: float | None) -> _Compared:
    answers_a, answers_b = answers_of(a), answers_of(b)
    intensities = answers_a.intensities | answers_b.intensities
    if intensity is None and len(intensities) > 1:
        intensity = a.carbon_intensity_gco2e_per_kwh or min(intensities)
    found_a, found_b = (outcomes_of(answers=one, intensity=intensity) for one in (answers_a, answers_b))
    sides = _Sides(found_a, found_b, _models(answers_a, answers_b, across_models))
    counts = {pair: int(sides.are_answered(pair).sum()) for pair in sorted(sides.models)}
    pairs = [pair for pair, count in counts.items() if count]
    if not pairs:
        raise NothingToPair(
            f"{a} and {b} have no prompt that the same language model answered in both. Two models can be compared "
            f"with --across-models MODEL_A MODEL_B."
        )
    rows = _rows(sides, pairs)
    adjusted = holm([row.paired.p if row.paired is not None else None for row in rows])
    names = across_models or (a.name, b.name)
    told = [
        replace(row, p_adjusted=p, words=sentence(names, row.measure, row.paired, p, row.reason))
        for row, p in zip(rows, adjusted, strict=True)
    ]
    shown = next(iter(intensities), None) if intensity is None else intensity
    return _Compared(shown, sum(counts.values()), notes_on(found_a, found_b, intensity), tuple(told))


def _models(a: StudyAnswers, b: StudyAnswers, across: tuple[str, str] | None) -> dict[str, tuple[int, int]]:
    if across is not None:
        return {f"{across[0]} / {across[1]}": (_model_named(a, across[0]), _model_named(b, across[1]))}
    shared = a.names.keys() & b.names.keys()
    names = [a.names[model] for model in shared]
    return {  # one name may stand for two sets of weights
        a.names[model] if names.count(a.names[model]) == 1 else f"{a.names[model]} ({model})": (model, model)
        for model in shared
    }


def _model_named(answers: StudyAnswers, name: str) -> int:
    found = [model for model, known in answers.names.items() if known == name]
    if not found:
        known = ", ".join(sorted(set(answers.names.values()))) or "none"
        raise NothingToPair(f"{answers.study} has no answers of {name!r}. It has answers of: {known}.")
    return max(found)


def _rows(sides: _Sides, pairs: list[str]) -> list[ComparedRow]:
    """Return a row for each measure of each pair, and over all of them where there are several."""
    groups = [(pair, [pair]) for pair in pairs] + ([(ALL_MODELS, pairs)] if len(pairs) > 1 else [])
    asked = [(title, of_group, measure) for title, of_group in groups for measure in MEASURES]
    reasons = [_why_uncompared(*sides.qualities(of_group), measure) for _, of_group, measure in asked]
    samples = [
        Sample.of([]) if reason else _sample(sides, of_group, measure.key)
        for (_, of_group, measure), reason in zip(asked, reasons, strict=True)
    ]
    return [
        _row(title, sides.qualities(of_group), measure, paired, reason)
        for (title, of_group, measure), reason, paired in zip(asked, reasons, _compare(samples), strict=True)
    ]


def _compare(samples: Sequence[Sample]) -> list[Paired | None]:
    """Return what `compare_samples` does, of samples that were compared before what it said then.

    A label changes one or two of some dozen samples, and each of these takes thousands of draws. The database keeps
    those of large ones, by all that they depend on.
    """
    keys = [_digest(one) for one in samples]
    are_large = any(one.first.size >= _LARGE for one in samples)
    if are_large and not _RECALLED.is_set():
        _recall()
    with _LOCK:
        known = {key: _COMPARED[key] for key in keys if key in _COMPARED}
    unknown = {key: one for key, one in zip(keys, samples, strict=True) if key not in known}
    known |= zip(unknown, compare_samples(list(unknown.values())), strict=True)
    with _LOCK:
        for key in keys:
            _COMPARED[key] = known[key]
            _COMPARED.move_to_end(key)
        while len(_COMPARED) > _MOST_COMPARED:
            _COMPARED.popitem(last=False)
        latest = dict(list(_COMPARED.items())[-_MOST_KEPT:])
    if are_large and unknown:
        keep_figure(_KEY, (), latest)
    return [known[key] for key in keys]


def _recall() -> None:
    """Take in what processes before this one compared, of which the database keeps the latest."""
    [kept] = read_figure(_KEY, (), kind=dict[str, Paired | None]) or ({},)
    with _LOCK:
        for key, paired in kept.items():
            _COMPARED.setdefault(key, paired)
    _RECALLED.set()


def _digest(sample: Sample) -> str:
    """Return what stands for all that a comparison depends on."""
    digest = sha256(b"verdicts" if sample.are_verdicts else b"values")
    for column in (sample.first, sample.second):
        digest.update(column.tobytes())
    return digest.hexdigest()


def _row(
    title: str, qualities: tuple[str, str], measure: Measure, paired: Paired | None, uncompared: str
) -> ComparedRow:
    quality = (" / ".join(dict.fromkeys(qualities))) if measure.key in {ENERGY, SCI} else ""
    if paired is not None:
        return ComparedRow(title, measure, paired.n, paired, quality, reason=paired.reason)
    nothing = (
        "no answer is judged on both sides" if measure.key == ACCURACY else "no prompt has this figure on both sides"
    )
    return ComparedRow(title, measure, 0, None, quality, reason=uncompared or nothing)


def _why_uncompared(quality_a: str, quality_b: str, measure: Measure) -> str:
    return _unlike(quality_a, quality_b) if measure.key in {ENERGY, SCI} else ""


def _unlike(quality_a: str, quality_b: str) -> str:
    if "missing" in {quality_a, quality_b}:
        return "not compared: the energy is missing in " + ("both" if quality_a == quality_b else "one of them")
    if quality_a != quality_b:
        return f"not compared: the energy of A is {quality_a}, that of B {quality_b}"
    if " and " in quality_a:
        return f"not compared: energies that are {quality_a} stand mixed in both"
    return ""


def _sample(sides: _Sides, pairs: list[str], measure: str) -> Sample:
    """Pair the values of a measure by prompt; over several models a prompt's value is the mean of those that both have.

    Verdicts of one model stay verdicts; over several the shares of right answers per prompt are tested as values are.
    """
    both = np.array([sides.values(pair, measure) for pair in pairs])  # pair, side, prompt
    known = ~np.isnan(both).any(axis=1, keepdims=True)
    counts = known.sum(axis=0)[0]
    paired = counts > 0
    # one model after the other: a sum in numpy's own order could end in another digit
    first, second = reduce(np.add, np.where(known, both, 0.0))[:, paired] / counts[paired]
    return Sample(first, second, are_verdicts=measure == ACCURACY and len(pairs) == 1)
