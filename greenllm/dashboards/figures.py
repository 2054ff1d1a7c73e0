"""The figures of the dashboards in Plotly's JSON form, made of plain numbers. Pure.

SCI goes in as gCO2e and is drawn in mgCO2e; shares are drawn in percent.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.intervals import Interval
from benchmarks.units import grams_to_milligrams
from greenllm.charts import PALETTE, SYMBOLS

Figure = dict[str, Any]  # JSON, whose shape is Plotly's

_MANY = len(PALETTE)


@dataclass(frozen=True)
class Spot:
    """One approach as a point: its accuracy, and an SCI with the ends of its interval where it has one (gCO2e)."""

    name: str
    kind: str
    accuracy: Interval
    sci_gco2e: float
    sci_low_gco2e: float | None = None
    sci_high_gco2e: float | None = None


def sum_against_accuracy(spots: Sequence[Spot], models: Sequence[str] = ()) -> Figure:
    """Draw Figure 2 of the paper: the sum of SCI, wrong answers included, against accuracy.

    `models` is the order by which the other figures of the page give colours.
    """
    return _scatter(spots, models, "Sum of SCI (mgCO₂e)")


def mean_against_accuracy(spots: Sequence[Spot]) -> Figure:
    """Draw the mean SCI per prompt against accuracy, each with its 95 % interval."""
    return _scatter(spots, (), "Mean SCI per prompt (mgCO₂e)")


def sci_by_category(
    categories: Sequence[str], models: Sequence[str], means: Mapping[tuple[str, str], Interval | None]
) -> Figure:
    """Draw the mean SCI of each category as bars grouped by model; `means` is by category and model, in gCO2e."""
    bars = []
    for number, model in enumerate(models):
        found = [means.get((category, model)) for category in categories]
        bars.append(
            {
                "type": "bar",
                "name": model,
                "x": list(categories),
                "y": [None if one is None else grams_to_milligrams(one.value) for one in found],
                "error_y": _error_bars(found, grams_to_milligrams(1.0)),
                "marker": {"color": _colour(number), "pattern": {"shape": _pattern(number)}},
            }
        )
    layout = {
        "barmode": "group",
        "xaxis": {"title": {"text": "Category"}, "type": "category"},
        "yaxis": {"title": {"text": "Mean SCI (mgCO₂e)"}, "rangemode": "tozero"},
    }
    return {"data": bars, "layout": layout}


def _scatter(spots: Sequence[Spot], models: Sequence[str], cost: str) -> Figure:
    names = dict.fromkeys([*models, *(spot.name for spot in spots if spot.kind == "model")])
    routers = [spot.name for spot in spots if spot.kind == "router"]
    numbers = {name: number for several in (routers, names) for number, name in enumerate(several)}
    layout = {
        "xaxis": {"title": {"text": cost}, "rangemode": "tozero"},
        "yaxis": {"title": {"text": "Accuracy (%)"}, "range": [-4, 104]},
        "showlegend": True,
    }
    return {"data": [_trace(spot, numbers.get(spot.name, 0)) for spot in spots], "layout": layout}


def _trace(spot: Spot, number: int) -> Figure:
    milligrams = grams_to_milligrams(1.0)
    trace: Figure = {
        "type": "scatter",
        "mode": "markers",
        "name": spot.name,
        "x": [grams_to_milligrams(spot.sci_gco2e)],
        "y": [100 * spot.accuracy.value],
        "marker": _marker(spot.kind, number),
        "error_y": {**_error_bars([spot.accuracy], 100.0), "thickness": 1},
    }
    if spot.sci_low_gco2e is not None and spot.sci_high_gco2e is not None:
        interval = Interval(spot.sci_gco2e, spot.sci_low_gco2e, spot.sci_high_gco2e, spot.accuracy.n)
        trace["error_x"] = {**_error_bars([interval], milligrams), "thickness": 1}
    return trace


def _marker(kind: str, number: int) -> Figure:
    if kind == "router":
        return {"size": 16, "symbol": ("star", "bowtie")[number % 2], "color": PALETTE[1]}
    if kind == "measured-router":
        return {"size": 17, "symbol": "star-diamond", "color": PALETTE[3]}
    if kind == "oracle":
        return {"size": 14, "symbol": "star-open", "color": PALETTE[2]}
    plain = [symbol for symbol in SYMBOLS if symbol != "star"]
    return {"size": 11, "symbol": plain[number % len(plain)], "color": _colour(number)}


def _error_bars(found: Sequence[Interval | None], scale: float) -> Figure:
    def _ends(length: Callable[[Interval], float]) -> list[float]:
        return [0.0 if one is None else length(one) * scale for one in found]

    return {
        "type": "data",
        "symmetric": False,
        "array": _ends(lambda one: one.high - one.value),
        "arrayminus": _ends(lambda one: one.value - one.low),
    }


def _colour(number: int) -> str:
    return PALETTE[number % _MANY]


def _pattern(number: int) -> str:
    return ("", "/", "x", ".")[number // _MANY % 4]  # more models than colours are told apart by their pattern
