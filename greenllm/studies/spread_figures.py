"""The figures of a study's spread in Plotly's JSON form. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.spread import Spread
from greenllm.charts import PALETTE, SYMBOLS, Chart


@dataclass(frozen=True)
class CellPoint:
    """The energy of one cell (J), each prompt counted once; `series` is the model with its set of parameters."""

    series: str
    category: str
    energy_j: Spread


def cells_chart(points: Sequence[CellPoint]) -> Chart:
    """Return the mean energy of each cell (J) by category with its 95 % interval; one prompt has none."""
    names = list(dict.fromkeys(point.series for point in points))
    described = "; ".join(f"{one.series}, {one.category}: {one.energy_j.mean:.3g} J" for one in points)
    return Chart(
        id="spread-cells",
        title="Mean energy of a prompt (J) with its 95 % interval",
        description=f"A mark for each of {len(points)} cells: {described}.",
        figure={
            "data": [
                _trace(name, number, [one for one in points if one.series == name]) for number, name in enumerate(names)
            ],
            "layout": {
                "xaxis": {"title": {"text": "Category"}, "type": "category"},
                "yaxis": {"title": {"text": "Energy (J)"}, "rangemode": "tozero"},
                "scattermode": "group",
                "showlegend": True,
                "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            },
        },
    )


def _trace(name: str, number: int, points: Sequence[CellPoint]) -> dict[str, Any]:
    halves = [0.0 if one.energy_j.high is None else one.energy_j.high - one.energy_j.mean for one in points]
    colour = PALETTE[number % len(PALETTE)]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [one.category for one in points],
        "y": [one.energy_j.mean for one in points],
        "error_y": {"type": "data", "array": halves, "thickness": 1.5, "color": colour},
        "marker": {"size": 9, "symbol": SYMBOLS[number % len(SYMBOLS)], "color": colour},
    }
