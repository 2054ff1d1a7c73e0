"""The figures of a sweep in Plotly's JSON form: a figure of the answers against a parameter, a line a model. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.intervals import Interval
from greenllm.charts import PALETTE, SYMBOLS, Chart

_DASHES = ("solid", "dash", "dot", "dashdot")


@dataclass(frozen=True)
class Point:
    """What one model did with one set of parameters, over all its answers; figures are None where there are none.

    Energy in J per answer, tokens in output tokens per answer. `qualities` says how the energies came about.
    """

    value: float | None
    response_count: int
    energy_j: Interval | None
    tokens: Interval | None
    accuracy: Interval | None
    qualities: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """The points of one model in the order of the parameter; `others` tells the other parameters that vary."""

    model: str
    others: str
    points: tuple[Point, ...]

    @property
    def name(self) -> str:
        """Return the name in the legend."""
        return f"{self.model} ({self.others})" if self.others else self.model


def energy_chart(lines: Sequence[Line], parameter: str) -> Chart:
    """Return the mean energy of an answer (J) against the parameter."""
    return _chart("sweep-energy", "Energy per answer (J)", lines, parameter, figure_of=lambda point: point.energy_j)


def tokens_chart(lines: Sequence[Line], parameter: str) -> Chart:
    """Return the mean number of output tokens against the parameter."""
    return _chart("sweep-tokens", "Output tokens per answer", lines, parameter, figure_of=lambda point: point.tokens)


def accuracy_chart(lines: Sequence[Line], parameter: str) -> Chart:
    """Return the share of right answers (%) against the parameter."""
    return _chart(
        "sweep-accuracy", "Accuracy (%)", lines, parameter, figure_of=lambda point: point.accuracy, scale=100.0
    )


def _chart(
    chart_id: str,
    title: str,
    lines: Sequence[Line],
    parameter: str,
    *,
    figure_of: Callable[[Point], Interval | None],
    scale: float = 1.0,
) -> Chart:
    described = [
        f"{line.name}: " + ", ".join(f"{scale * one.value:.3g} at {value:g}" for value, one in _known(line, figure_of))
        for line in lines
    ]
    y_axis: dict[str, Any] = {"title": {"text": title}, "rangemode": "tozero"}
    if scale == 100.0:
        y_axis = {"title": {"text": title}, "range": [-4, 104]}
    return Chart(
        id=chart_id,
        title=f"{title} against {parameter}, with 95 % intervals",
        description=f"A line for each of {len(lines)}: {'; '.join(described)}.",
        figure={
            "data": [
                _trace(line, number, figure_of, scale) for number, line in enumerate(lines) if _known(line, figure_of)
            ],
            "layout": {
                "xaxis": {"title": {"text": parameter}},
                "yaxis": y_axis,
                "showlegend": True,
                "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            },
        },
    )


def _known(line: Line, figure_of: Callable[[Point], Interval | None]) -> list[tuple[float, Interval]]:
    return [
        (point.value, figure)
        for point in line.points
        if point.value is not None and (figure := figure_of(point)) is not None
    ]


def _trace(line: Line, number: int, figure_of: Callable[[Point], Interval | None], scale: float) -> dict[str, Any]:
    known = _known(line, figure_of)
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.name,
        "x": [value for value, _ in known],
        "y": [scale * one.value for _, one in known],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [scale * (one.high - one.value) for _, one in known],
            "arrayminus": [scale * (one.value - one.low) for _, one in known],
            "thickness": 1,
        },
        "line": {
            "color": PALETTE[number % len(PALETTE)],
            "dash": _DASHES[number // len(PALETTE) % len(_DASHES)],
            "width": 2,
        },
        "marker": {"size": 9, "symbol": SYMBOLS[number % len(SYMBOLS)], "color": PALETTE[number % len(PALETTE)]},
    }
