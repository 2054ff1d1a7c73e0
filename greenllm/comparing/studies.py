"""Compare two studies prompt by prompt: energy, SCI, time, tokens and accuracy, each with interval, test and words."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

from benchmarks.models import Study
from benchmarks.paired import Paired, compare_pairs, compare_verdicts, holm
from greenllm.comparing.outcomes import ACCURACY, ENERGY, SCI, Key, StudyOutcomes, outcomes_of
from greenllm.comparing.wording import MEASURES, Measure, notes_on, sentence

ALL_MODELS = "all models"


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
class StudyComparison:
    """Two studies, what differs between them beside the figures, and the rows."""

    a: Study
    b: Study
    intensity_gco2e_per_kwh: float | None
    pair_count: int
    notes: tuple[str, ...]
    rows: tuple[ComparedRow, ...]


@dataclass(frozen=True)
class _Side:
    """One study's answers by (prompt, name of the pair), whichever model gave them."""

    outcomes: StudyOutcomes
    models: dict[str, int]

    def key(self, prompt: int, pair: str) -> Key:
        return (prompt, self.models[pair])

    def answers_to(self, pair: str) -> set[int]:
        """Return the prompts that the model of a pair has any figure of."""
        model = self.models[pair]
        keys = chain(*self.outcomes.values.values(), self.outcomes.verdicts)
        return {prompt for prompt, one in keys if one == model}


def compare_studies(
    *, a: Study, b: Study, across_models: tuple[str, str] | None = None, intensity: float | None = None
) -> StudyComparison:
    """Compare two studies on the prompts and language models that both have; repeats are averaged first.

    With `across_models` one model of A stands against another of B. Energies of unlike quality are not compared. SCI
    is compared at one carbon intensity: the given one, else A's where the studies have different ones.

    Raises:
        NothingToPair: no pair, or an unknown model.
    """
    found_a, found_b = outcomes_of(study=a, intensity=intensity), outcomes_of(study=b, intensity=intensity)
    if intensity is None and len(found_a.intensities | found_b.intensities) > 1:
        intensity = a.carbon_intensity_gco2e_per_kwh or min(found_a.intensities | found_b.intensities)
        found_a, found_b = outcomes_of(study=a, intensity=intensity), outcomes_of(study=b, intensity=intensity)
    side_a, side_b = _sides(found_a, found_b, across_models)
    prompts = {pair: sorted(side_a.answers_to(pair) & side_b.answers_to(pair)) for pair in side_a.models}
    prompts = {pair: both for pair, both in sorted(prompts.items()) if both}
    if not prompts:
        raise NothingToPair(
            f"{a} and {b} have no prompt that the same language model answered in both. Two models can be compared "
            f"with --across-models MODEL_A MODEL_B."
        )
    rows = [_row(side_a, side_b, {pair: both}, pair, measure) for pair, both in prompts.items() for measure in MEASURES]
    if len(prompts) > 1:
        rows += [_row(side_a, side_b, prompts, ALL_MODELS, measure) for measure in MEASURES]
    adjusted = holm([row.paired.p if row.paired is not None else None for row in rows])
    names = across_models or (a.name, b.name)
    told = [
        replace(row, p_adjusted=p, words=sentence(names, row.measure, row.paired, p, row.reason))
        for row, p in zip(rows, adjusted, strict=True)
    ]
    shown = next(iter(found_a.intensities | found_b.intensities), None) if intensity is None else intensity
    return StudyComparison(
        a, b, shown, sum(map(len, prompts.values())), notes_on(found_a, found_b, intensity), tuple(told)
    )


def _sides(a: StudyOutcomes, b: StudyOutcomes, across: tuple[str, str] | None) -> tuple[_Side, _Side]:
    if across is None:
        shared = a.names.keys() & b.names.keys()
        names = [a.names[model] for model in shared]
        pairs = {  # one name may stand for two sets of weights
            a.names[model] if names.count(a.names[model]) == 1 else f"{a.names[model]} ({model})": model
            for model in shared
        }
        return _Side(a, pairs), _Side(b, pairs)
    pair = f"{across[0]} / {across[1]}"
    return _Side(a, {pair: _model_named(a, across[0])}), _Side(b, {pair: _model_named(b, across[1])})


def _model_named(outcomes: StudyOutcomes, name: str) -> int:
    found = [model for model, known in outcomes.names.items() if known == name]
    if not found:
        known = ", ".join(sorted(set(outcomes.names.values()))) or "none"
        raise NothingToPair(f"{outcomes.study} has no answers of {name!r}. It has answers of: {known}.")
    return max(found)


def _row(a: _Side, b: _Side, prompts: dict[str, list[int]], model: str, measure: Measure) -> ComparedRow:
    quality_a = a.outcomes.quality_of(a.models[pair] for pair in prompts)
    quality_b = b.outcomes.quality_of(b.models[pair] for pair in prompts)
    quality = quality_a if quality_a == quality_b else f"{quality_a} / {quality_b}"
    if measure.key in {ENERGY, SCI}:
        reason = _unlike(quality_a, quality_b)
        if reason:
            return ComparedRow(model, measure, 0, None, quality, reason=reason)
    else:
        quality = ""
    if measure.key == ACCURACY:
        paired, reason = _verdicts(a, b, prompts)
    else:
        paired, reason = _values(a, b, prompts, measure.key)
    return ComparedRow(model, measure, paired.n if paired else 0, paired, quality, reason=reason)


def _unlike(quality_a: str, quality_b: str) -> str:
    if "missing" in {quality_a, quality_b}:
        return "not compared: the energy is missing in " + ("both" if quality_a == quality_b else "one of them")
    if quality_a != quality_b:
        return f"not compared: the energy of A is {quality_a}, that of B {quality_b}"
    if " and " in quality_a:
        return f"not compared: energies that are {quality_a} stand mixed in both"
    return ""


def _values(a: _Side, b: _Side, prompts: dict[str, list[int]], measure: str) -> tuple[Paired | None, str]:
    """Pair the values of a measure; over several models a prompt's value is the mean over those that both have."""
    of_a, of_b = a.outcomes.values[measure], b.outcomes.values[measure]
    by_prompt: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for pair, both in prompts.items():
        for prompt in both:
            value_a, value_b = of_a.get(a.key(prompt, pair)), of_b.get(b.key(prompt, pair))
            if value_a is not None and value_b is not None:
                by_prompt[prompt].append((value_a, value_b))
    paired = compare_pairs([_mean(values) for _, values in sorted(by_prompt.items())])
    return paired, _why_not(paired, "no prompt has this figure on both sides")


def _verdicts(a: _Side, b: _Side, prompts: dict[str, list[int]]) -> tuple[Paired | None, str]:
    """Pair the verdicts; over several models the shares of right answers per prompt are tested as values are."""
    by_prompt: dict[int, list[tuple[bool, bool]]] = defaultdict(list)
    for pair, both in prompts.items():
        for prompt in both:
            verdict_a = a.outcomes.verdicts.get(a.key(prompt, pair))
            verdict_b = b.outcomes.verdicts.get(b.key(prompt, pair))
            if verdict_a is not None and verdict_b is not None:
                by_prompt[prompt].append((verdict_a, verdict_b))
    if len(prompts) == 1:
        paired = compare_verdicts([values[0] for _, values in sorted(by_prompt.items())])
    else:
        paired = compare_pairs([_mean(values) for _, values in sorted(by_prompt.items())])
    return paired, _why_not(paired, "no answer is judged on both sides")


def _mean(values: Sequence[tuple[float, float]]) -> tuple[float, float]:
    return sum(one for one, _ in values) / len(values), sum(one for _, one in values) / len(values)


def _why_not(paired: Paired | None, nothing: str) -> str:
    return nothing if paired is None else paired.reason
