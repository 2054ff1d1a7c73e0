"""The figures of a study's spread in Plotly's JSON form. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from benchmarks.spread import Drift, Spread
from greenllm.charts import PALETTE, SYMBOLS, Chart

MAX_MARKS = 500
_MAX_TOLD = 30  # marks that a description lists one by one


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


@dataclass(frozen=True)
class ControlPoint:
    """One run of the control workload that has an energy (J), so many hours after the first."""

    hours: float
    energy_j: float


def control_chart(points: Sequence[ControlPoint], drift: Drift | None) -> Chart:
    """Return the energy of the runs against the time since the first, and the line of the drift where one is known.

    Of more than `MAX_MARKS` runs only some are drawn, which the title says; the line is that of all.
    """
    hours, energies = [one.hours for one in points], [one.energy_j for one in points]
    step = -(-len(points) // MAX_MARKS)
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "Run",
            "x": hours[::step],
            "y": energies[::step],
            "marker": {"size": 9, "symbol": SYMBOLS[0], "color": PALETTE[0]},
        }
    ]
    if drift is not None:
        mean, middle = fmean(energies), fmean(hours)
        ends = [min(hours), max(hours)]
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "Drift (least squares)",
                "x": ends,
                "y": [mean * (1 + drift.share_per_hour * (end - middle)) for end in ends],
                "line": {"color": PALETTE[1], "width": 2, "dash": "dash"},
            }
        )
    which = "each control run" if step == 1 else f"one control run in {step}"
    told = [f"{one.energy_j:.3g} J at {one.hours:.3g} h" for one in points]
    listed = ", ".join(told) if len(told) <= _MAX_TOLD else f"from {told[0]} to {told[-1]}"
    return Chart(
        id="spread-control",
        title=f"Energy of {which} (J)",
        description=f"A mark for {which} of {len(points)}: {listed}.",
        figure={
            "data": data,
            "layout": {
                "xaxis": {"title": {"text": "Hours since the first run"}},
                "yaxis": {"title": {"text": "Energy (J)"}},
                "showlegend": True,
                "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            },
        },
    )
