"""What a comparison says in words, and what differs between two studies beside their figures."""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.intervals import Interval
from benchmarks.models import ParameterSet, Study
from benchmarks.paired import Paired
from greenllm.comparing.outcomes import ACCURACY, DURATION, ENERGY, SCI, TOKENS, StudyOutcomes
from greenllm.templatetags.figures import signed, significant

_CLEAR = 0.05


@dataclass(frozen=True)
class Measure:
    """One thing that is compared: its title and unit, what a value is multiplied by to be shown, and its words."""

    key: str
    title: str
    unit: str
    scale: float
    verb: str
    less: str
    more: str


MEASURES = (
    Measure(ENERGY, "Energy", "J/prompt", 1.0, "used", "less energy", "more energy"),
    Measure(SCI, "SCI", "mgCO2e/prompt", 1000.0, "emitted", "less carbon", "more carbon"),
    Measure(DURATION, "Time", "s/prompt", 1.0, "took", "less time", "more time"),
    Measure(TOKENS, "Output tokens", "tokens/prompt", 1.0, "wrote", "fewer tokens", "more tokens"),
    Measure(ACCURACY, "Accuracy", "% right", 100.0, "answered", "fewer prompts right", "more prompts right"),
)


def sentence(names: tuple[str, str], measure: Measure, paired: Paired | None, p: float | None, reason: str) -> str:
    """Say a row in one sentence that needs no statistics to be understood."""
    a, b = names
    if paired is None:
        return f"{measure.title} is {reason}." if reason.startswith("not ") else f"{measure.title}: {reason}."
    if paired.difference.low == paired.difference.high == 0:
        return f"{measure.title}: the same in {a} and {b} in all {paired.n} pairs."
    evidence = f"{paired.n} pair{'s' if paired.n != 1 else ''}, {_p_words(p, reason)}"
    if measure.key == ACCURACY:
        return _start(p) + _points(a, b, measure, paired, evidence)
    if paired.ratio is None:
        return f"{a} and {b} differ by {_amount(paired.difference.value, measure)} ({evidence})."
    return _start(p) + _share(a, b, measure, paired.ratio, evidence, is_shown=_is_shown(p))


def _share(a: str, b: str, measure: Measure, ratio: Interval, evidence: str, *, is_shown: bool) -> str:
    value, low, high = (100 * (one - 1) for one in (ratio.value, ratio.low, ratio.high))
    if is_shown and low * high > 0:
        near, far = sorted((abs(low), abs(high)))
        return (
            f"{a} {measure.verb} {_signed(value, measure)} than {b} (95 % interval {significant(near, 2)} to "
            f"{significant(far, 2)} %), {evidence}."
        )
    return (
        f"{a} {measure.verb} {_signed(value, measure)} than {b} (95 % interval {_signed(low, measure)} to "
        f"{_signed(high, measure)}), {evidence}."
    )


def _points(a: str, b: str, measure: Measure, paired: Paired, evidence: str) -> str:
    points = [100 * one for one in (paired.difference.value, paired.difference.low, paired.difference.high)]
    words = measure.less if points[0] < 0 else measure.more
    interval = f"{signed(points[1], 0)} to {signed(points[2], 0)} points"
    return (
        f"{a} answered {100 * paired.mean_a:.0f} % right and {b} {100 * paired.mean_b:.0f} %, "
        f"{abs(points[0]):.0f} points {words} (95 % interval {interval}), {evidence}."
    )


def _signed(percent: float, measure: Measure) -> str:
    return f"{significant(abs(percent), 2)} % {measure.less if percent < 0 else measure.more}"


def _amount(value: float, measure: Measure) -> str:
    return f"{significant(value * measure.scale)} {measure.unit}"


def _start(p: float | None) -> str:
    if p is None:
        return "Not tested: "
    return "" if _is_shown(p) else "No difference is shown: "


def _is_shown(p: float | None) -> bool:
    return p is not None and p < _CLEAR


def _p_words(p: float | None, reason: str) -> str:
    if p is None:
        return f"no test ({reason})"
    return "p < 0.001" if p < 0.001 else f"p = {significant(p, 2)}"


def notes_on(a: StudyOutcomes, b: StudyOutcomes, intensity: float | None) -> tuple[str, ...]:
    """Say what differs between two studies beside the figures, and how that was dealt with."""
    notes = []
    models = a.names.keys() | b.names.keys()
    for what, of_a, of_b in (
        ("machine", _machine(a.study), _machine(b.study)),
        ("quality of the energy", a.quality_of(models), b.quality_of(models)),
        ("boundary", _listed(a.boundaries), _listed(b.boundaries)),
        ("parameters", _parameters(a.study), _parameters(b.study)),
        ("number of repeats", str(a.study.repeats), str(b.study.repeats)),
    ):
        if of_a != of_b:
            notes.append(f"Another {what}: {of_a} in {a.study}, {of_b} in {b.study}.")
    if intensity is not None:
        notes.append(
            f"SCI is compared at {intensity:g} gCO2e/kWh for both, made anew from the stored energy ({a.study}: "
            f"{_listed(map('{:g}'.format, a.intensities))}, {b.study}: {_listed(map('{:g}'.format, b.intensities))})."
        )
    notes += [
        f"{one.missing_count} of {one.answer_count} answers of {one.study} have no energy; they are left out."
        for one in (a, b)
        if one.missing_count
    ]
    return tuple(notes)


def _machine(study: Study) -> str:
    if study.machine is None:
        return "unknown"
    processor = study.machine_snapshot.get("cpu_model") or study.machine.cpu_model
    return f"{study.machine.name} ({processor})" if processor else study.machine.name


def _parameters(study: Study) -> str:
    return _listed(_said(parameters) for parameters in study.parameter_sets.all())


def _said(parameters: ParameterSet) -> str:
    stated = {
        "seed": parameters.seed, "temperature": parameters.temperature, "num_ctx": parameters.num_ctx,
        "num_predict": parameters.num_predict, "top_p": parameters.top_p, "top_k": parameters.top_k,
        **parameters.extras,
    }  # fmt: skip
    return " ".join(f"{name}={value}" for name, value in stated.items() if value is not None)


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(set(words))) or "unknown"
