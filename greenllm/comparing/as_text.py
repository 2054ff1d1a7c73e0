"""Comparisons and break-even points as lines for a terminal, and as JSON."""

from dataclasses import asdict
from typing import Any

from benchmarks.intervals import Interval
from benchmarks.units import grams_to_milligrams
from greenllm.comparing.breaking_even import BreakEven, OwnCarbon
from greenllm.comparing.studies import ComparedRow, StudyComparison
from greenllm.templatetags.figures import NONE, significant

Row = dict[str, Any]  # as JSON has it


def comparison_lines(comparison: StudyComparison) -> list[str]:
    """Return what differs, then a sentence for each row under its model."""
    lines = [f"A = {comparison.a}, B = {comparison.b}: {comparison.pair_count} pairs of answers to the same prompt."]
    lines += [f"! {note}" for note in comparison.notes]
    model = None
    for row in comparison.rows:
        if row.model != model:
            model = row.model
            lines += ["", model]
        lines += [f"  {row.words}", f"    {_means(row)}"] if row.paired is not None else [f"  {row.words}"]
    return [*lines, "", *METHOD]


METHOD = (
    "Repeats are averaged first. Intervals: bootstrap over pairs. Tests: Wilcoxon signed-rank, for verdicts of one "
    "model McNemar's exact test; p is adjusted for the number of rows (Holm).",
    "A difference is called shown where the adjusted p is below 0.05.",
)


def _means(row: ComparedRow) -> str:
    paired, scale = row.paired, row.measure.scale
    if paired is None:
        return ""
    quality = f", {row.quality}" if row.quality else ""
    return (
        f"{row.measure.title}: A {significant(paired.mean_a * scale)}, B {significant(paired.mean_b * scale)}, "
        f"A \u2212 B {_interval(paired.difference, scale)} {row.measure.unit}, n = {row.n}{quality}"
    )


def _interval(interval: Interval, scale: float = 1.0) -> str:
    value, low, high = (significant(one * scale) for one in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def comparison_as_json(comparison: StudyComparison) -> Row:
    """Return a comparison for programs: every figure as it is, in the units of its name."""
    return {
        "a": comparison.a.name,
        "b": comparison.b.name,
        "carbon_intensity_gco2e_per_kwh": comparison.intensity_gco2e_per_kwh,
        "pair_count": comparison.pair_count,
        "notes": list(comparison.notes),
        "rows": [
            {
                "model": row.model,
                "measure": row.measure.key,
                "n": row.n,
                "quality": row.quality,
                "p_adjusted": row.p_adjusted,
                "reason": row.reason,
                "words": row.words,
                "paired": asdict(row.paired) if row.paired is not None else None,
            }
            for row in comparison.rows
        ],
    }


def break_even_lines(found: BreakEven) -> list[str]:
    """Return a break-even point with everything that it rests on."""
    return [*own_lines(found.own), *saving_lines(found), break_even_sentence(found)]


def own_lines(own: OwnCarbon) -> list[str]:
    """Say what a study's own carbon is made of, and what is not in it."""
    lines = [
        f"The study's answers emitted {_milligrams(own.answers_gco2e)} ({own.scored_count} answers with a score, "
        f"{', '.join(own.qualities) or 'none'})."
    ]
    if own.unscored_count:
        lines.append(f"{own.unscored_count} answers have no score (failed, cancelled, or a gap): they are not in it.")
    if own.lost_attempt_count:
        lines.append(f"{own.lost_attempt_count} failed or lost attempts were not measured: they are not in it.")
    lines.append("Loading the models was not measured: it is not in it.")
    for what, n, carbon, qualities in (
        ("Idle time", own.idle_count, own.idle_gco2e, own.idle_qualities),
        ("Building the index", 1, own.index_gco2e, own.index_qualities),
    ):
        if carbon is None:
            lines.append(f"{what} was not measured.")
            continue
        told = "counted" if own.is_like_answers(qualities) else "not counted: that of the answers is of another quality"
        lines.append(f"{what} emitted {_milligrams(carbon)} (n = {n}, {', '.join(qualities)}), which is {told}.")
    return lines


def saving_lines(found: BreakEven) -> list[str]:
    """Say what the router saves per prompt against the model alone, and at which accuracy."""
    lines = [
        f"Baseline: {found.baseline} alone, {found.baseline_right} of {found.judged_count} judged answers right; the "
        f"router's choices {found.router_right:g} of {found.judged_count}."
    ]
    if found.saving_gco2e is not None:
        saving = _interval(found.saving_gco2e, grams_to_milligrams(1.0))
        lines.append(
            f"Saving per routed prompt: {saving} mgCO2e (95 % interval), n = {found.saving_gco2e.n} validation prompts "
            f"routed as bare items, {found.quality}. The router's own energy is not counted."
        )
    return lines


def break_even_sentence(found: BreakEven) -> str:
    """Say the break-even point in one sentence."""
    if found.prompts is None:
        return found.reason
    value, low, high = (f"{one:,.0f}" for one in (found.prompts.value, found.prompts.low, found.prompts.high))
    return f"After {value} routed prompts (95 % interval {low} to {high}) the study has repaid its own carbon."


def break_even_as_json(found: BreakEven) -> Row:
    """Return a break-even point for programs."""
    stated = {
        name: value for name, value in vars(found).items() if name not in {"study", "own", "saving_gco2e", "prompts"}
    }
    return {
        "study": found.study.name,
        "own": {**asdict(found.own), "total_gco2e": found.own.total_gco2e},
        **stated,
        "saving_gco2e": asdict(found.saving_gco2e) if found.saving_gco2e is not None else None,
        "prompts": asdict(found.prompts) if found.prompts is not None else None,
    }


def _milligrams(mass_g: float | None) -> str:
    return NONE if mass_g is None else f"{significant(grams_to_milligrams(mass_g))} mgCO2e"
