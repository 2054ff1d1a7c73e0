"""The comparison of the router with each model and the oracle, as a table for a terminal."""

from benchmarks.intervals import Interval
from benchmarks.units import grams_to_milligrams
from greenllm.templatetags.figures import NONE, significant
from router.evaluating import MEASURED_ROUTER, ROUTED_AS, Comparison, ComparisonRow

_HEADER = ("approach", "n", "accuracy", "energy (J/prompt)", "SCI (mgCO2e/prompt)", "energy is")


def comparison_lines(comparison: Comparison) -> list[str]:
    """Return the lines of the table, with its notes."""
    rows = [_HEADER, *(_cells(row) for row in comparison.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return [*lines, *_notes(comparison)]


def _cells(row: ComparisonRow) -> tuple[str, ...]:
    return (
        row.name,
        str(row.prompt_count),
        _share(row.accuracy),
        _mean(row.energy_j, 1.0),
        _mean(row.sci_gco2e, grams_to_milligrams(1.0)),
        ", ".join(row.qualities),
    )


def _share(interval: Interval | None) -> str:
    if interval is None:
        return NONE
    return f"{interval.value:.0%} [{interval.low:.0%}, {interval.high:.0%}]"


def _mean(interval: Interval | None, scale: float) -> str:
    if interval is None:
        return NONE
    low, high = significant(interval.low * scale), significant(interval.high * scale)
    return f"{significant(interval.value * scale)} [{low}, {high}]"


def _notes(comparison: Comparison) -> list[str]:
    return [
        *_note_on_forms(comparison),
        f"{comparison.prompt_count} prompts that the index has never seen; 95 % intervals in brackets "
        "(Wilson's for shares, Student's for means).",
        "Verdicts are the graders', standing in for people (source=grader). The router's own energy is not in its rows"
        + (" but in the measured one." if comparison.measured is not None else "."),
        *_note_on_measured(comparison),
        *([comparison.reckoned] if comparison.reckoned else []),
        f"With {comparison.prompt_count} prompts this proves only that the plumbing works, not that any row is better.",
    ]


def _note_on_measured(comparison: Comparison) -> list[str]:
    measured = comparison.measured
    if measured is None:
        return []
    chosen = ", ".join(f"{name} {count}" for name, count in measured.answered_by)
    lines = [
        f"{MEASURED_ROUTER}: the answers of the study {measured.study}, whole prompts sent to the router over HTTP "
        f"(boundary: classifier, network and chosen model). Answered by {chosen}."
    ]
    if measured.differences:
        lines.append(f"It differs from the study {comparison.study} in {' and '.join(measured.differences)}.")
    return lines


def _note_on_forms(comparison: Comparison) -> list[str]:
    if comparison.embedded_text not in ROUTED_AS:
        return []
    return [
        f"The index embeds {ROUTED_AS[comparison.embedded_text]}. Live prompts have no template and come as the bare "
        "items do, so both forms are shown."
    ]
