"""The tables of an evaluation as sheets for CSV, with figures as exact as they are stored."""

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.datasets.outcome_table import QUALITIES
from greenllm.dashboards.sheets import Sheet, Value, joined

Stored = Mapping[str, Any]
_ENDS = ("value", "low", "high")


def _approaches(report: Stored) -> Sheet:
    unit = report["unit"]
    header = [
        "approach", "kind", "dial_of", "split_count", "n", *_named("accuracy"), *_named(f"cost_{unit}"), "cost_quality",
        *_named("accuracy_change"), *_named("saving"), "worst_accuracy_change", f"own_cost_{unit}", "own_cost_quality",
        "mix_accuracy_at_cost", "mix_at_cost", *_named("accuracy_gain_at_cost"), f"mix_cost_{unit}_at_accuracy",
        "mix_at_accuracy", *_named("saving_at_accuracy"),
    ]  # fmt: skip
    own, n, quality = report["own_cost"]["quality"], report["prompt_count"], _quality(report)
    rows: list[tuple[Value, ...]] = [
        (
            row["title"], row["kind"], row["dial_of"], report["split_count"], n, *_ends(row["accuracy"]),
            *_ends(row["cost"]), quality, *_ends(row["accuracy_change"]), *_ends(row["saving"]), row["worst_change"],
            row["own_cost"], own if row["is_routed"] else None, row["mixture"], row["mixture_of"], *_ends(row["gain"]),
            row["mixture_cost"], row["mixture_cost_of"], *_ends(row["equal_saving"]),
        )
        for row in report["rows"]
    ]  # fmt: skip
    return Sheet(tuple(header), tuple(rows))


def _calibration(report: Stored) -> Sheet:
    return Sheet(
        ("approach", "expected_calibration_error", "mean_probability", "share_right", "n"),
        tuple(
            (title, found["expected_error"], one["p"], one["right"], one["n"])
            for title, found in report["calibration"].items()
            for one in found["bins"]
        ),
    )


def _steadiness(report: Stored) -> Sheet:
    names = ("policy", "written", "n", "unchanged", "accuracy_change", "cost_change")
    return Sheet(names, tuple(tuple(one[name] for name in names) for one in report["steadiness"]))


def _choices(report: Stored) -> Sheet:
    return Sheet(
        ("approach", "model", "share", "n"),
        tuple(
            (row["title"], model, share, report["prompt_count"])
            for row in report["rows"]
            for model, share in row["chosen"].items()
        ),
    )


SHEETS: Mapping[str, Callable[[Stored], Sheet]] = {
    "approaches": _approaches,
    "calibration": _calibration,
    "steadiness": _steadiness,
    "choices": _choices,
}


def _quality(report: Stored) -> str:
    """Return how the costs of answers came about, in the order of their worth."""
    return joined([name for name in QUALITIES if report["qualities"].get(name)]) or "missing"


def _named(name: str) -> tuple[str, str, str]:
    return name, f"{name}_low", f"{name}_high"


def _ends(found: Stored | None) -> tuple[Value, ...]:
    return (None, None, None) if found is None else tuple(found[name] for name in _ENDS)
