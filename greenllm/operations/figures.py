"""The charts of the operations page in Plotly's JSON form, made of plain numbers. Pure.

Masses go in as gCO2e and are drawn in mgCO2e; shares are drawn in percent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.intervals import Interval
from benchmarks.units import grams_to_milligrams
from greenllm.charts import PALETTE, SYMBOLS, bar_gap

Figure = dict[str, Any]  # JSON, whose shape is Plotly's

_FEW_MOMENTS = 3
_ROUND = [float(f"{first}e{power}") for power in range(-3, 9) for first in (1, 2, 5)]
_PATTERNS = ("", "/", "\\", "x", ".", "+")


def shares(categories: Sequence[str], models: Sequence[str], counts: Mapping[tuple[str, str], int]) -> Figure:
    """Draw for each category which share of its prompts went to which model, as stacked bars."""
    sums = {name: sum(counts.get((name, model), 0) for model in models) for name in categories}
    bars = [
        {
            "type": "bar", "orientation": "h", "name": model, "y": list(categories), "marker": _fill(number),
            "x": [100 * counts.get((name, model), 0) / sums[name] if sums[name] else 0 for name in categories],
        }
        for number, model in enumerate(models)
    ]  # fmt: skip
    layout = {
        "barmode": "stack",
        "bargap": bar_gap(len(categories)),
        "xaxis": {"title": {"text": "Share of prompts (%)"}, "range": [0, 100]},
        "yaxis": {"type": "category", "autorange": "reversed"},
        "showlegend": True,
    }
    return {"data": bars, "layout": layout}


def carbon(moments: Sequence[str], groups: Mapping[str, Sequence[float]]) -> Figure:
    """Draw the predicted carbon of each step, stacked by group; each group has a value in gCO2e for each moment."""
    bars = [
        {
            "type": "bar", "name": name, "x": list(moments), "y": [grams_to_milligrams(one) for one in values],
            "marker": _fill(number),
        }
        for number, (name, values) in enumerate(groups.items())
    ]  # fmt: skip
    layout = {"barmode": "stack", "bargap": bar_gap(len(moments)), **_over_time("Predicted carbon (mgCO₂e)", moments)}
    return {"data": bars, "layout": layout}


def saving(moments: Sequence[str], chosen_gco2e: Sequence[float], baseline_gco2e: Sequence[float]) -> Figure:
    """Draw what the choices cost beside what the baseline would have cost, step by step."""
    lines = [
        _line("Baseline", moments, [grams_to_milligrams(one) for one in baseline_gco2e], 1, dash="dot"),
        _line("Chosen", moments, [grams_to_milligrams(one) for one in chosen_gco2e], 2, fill="tozeroy"),
    ]
    return {"data": lines, "layout": _over_time("Carbon (mgCO₂e)", moments)}


def latency(parts: Sequence[str], median_ms: Sequence[float | None], p95_ms: Sequence[float | None]) -> Figure:
    """Draw the median and the 95th percentile of each part on a logarithmic axis, which has no zero for bars."""
    spots = [
        {
            "type": "scatter", "mode": "markers", "name": name, "x": list(parts), "y": list(values),
            "marker": {"color": PALETTE[number], "symbol": SYMBOLS[number], "size": 11},
        }
        for number, (name, values) in enumerate((("Median", median_ms), ("95th percentile", p95_ms)))
    ]  # fmt: skip
    layout = {
        "xaxis": {"type": "category"},
        "yaxis": {"title": {"text": "Duration (ms), logarithmic"}, "type": "log", "tickvals": _ROUND},
        "showlegend": True,
    }
    return {"data": spots, "layout": layout}


def calibration(moments: Sequence[str], supposed: Sequence[float], right: Sequence[Interval | None]) -> Figure:
    """Draw the mean probability that was told beside the share that turned out right, with its 95 % interval."""
    lines = [
        _line("Told", moments, [100 * one for one in supposed], 0, dash="dot"),
        {
            **_line("Right", moments, [None if one is None else 100 * one.value for one in right], 2),
            "error_y": {
                "type": "data", "symmetric": False,
                "array": [0 if one is None else 100 * (one.high - one.value) for one in right],
                "arrayminus": [0 if one is None else 100 * (one.value - one.low) for one in right],
            },
        },
    ]  # fmt: skip
    layout = _over_time("Share of answers (%)", moments)
    layout["yaxis"]["range"] = [0, 104]
    return {"data": lines, "layout": layout}


def _over_time(title: str, moments: Sequence[str]) -> dict[str, Any]:
    """Return the axes of a chart over time; few moments are named themselves, and names lie flat, also on a phone."""
    axis: dict[str, Any] = {"title": {"text": "Time (UTC)"}, "type": "date", "tickangle": 0, "nticks": 5}
    if len(moments) <= _FEW_MOMENTS:
        axis |= {"tickvals": list(moments), "tickformat": "%-d %b<br>%H:%M"}
    return {
        "xaxis": axis,
        "yaxis": {"title": {"text": title}, "rangemode": "tozero"},
        "showlegend": True,
    }


def _line(
    name: str,
    moments: Sequence[str],
    values: Sequence[float | None],
    number: int,
    *,
    dash: str = "solid",
    fill: str = "none",
) -> Figure:
    color = PALETTE[number % len(PALETTE)]
    return {
        "type": "scatter", "mode": "lines+markers", "name": name, "x": list(moments), "y": list(values), "fill": fill,
        "line": {"color": color, "dash": dash}, "marker": {"color": color, "symbol": SYMBOLS[number % len(SYMBOLS)]},
    }  # fmt: skip


def _fill(number: int) -> Figure:
    pattern = _PATTERNS[(number // len(PALETTE)) % len(_PATTERNS)]
    return {"color": PALETTE[number % len(PALETTE)], "pattern": {"shape": pattern}}
