"""The charts of an evaluation in Plotly's JSON form. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10
from typing import Any

from greenllm.charts import PALETTE, SYMBOLS, Chart

_STEPS = 12  # of a mix between two models; on a logarithmic axis it is no straight line
_WIDE = 6  # costs that are further apart than so many times need few marks
_MAX_TOLD = 30  # marks that a description lists one by one
_LEGEND = {"orientation": "h", "y": 1.02, "yanchor": "bottom"}


@dataclass(frozen=True)
class Point:
    """One approach: accuracy in percent with its interval, and cost in the unit that is shown."""

    title: str
    series: str
    accuracy: float
    low: float
    high: float
    cost: float


@dataclass(frozen=True)
class Bin:
    """Shown probabilities of one bin and how often they came true, in percent."""

    p: float
    right: float
    n: int


def pareto_chart(
    points: Sequence[Point], dials: Mapping[str, Sequence[Point]], frontier: Sequence[Point], unit: str
) -> Chart:
    """Return accuracy against cost: single models, controls, policies, the dials, and the best mixes of two models."""
    names = list(dict.fromkeys(point.series for point in points))
    told = [f"{one.title}: {one.accuracy:.1f} % at {one.cost:.3g} {unit}" for one in points]
    listed = "; ".join(told[:_MAX_TOLD]) + ("; the table has all" if len(told) > _MAX_TOLD else "")
    traces = [_mixes(frontier)] if frontier else []
    traces += [_dial(name, names.index(name), marks) for name, marks in dials.items() if name in names]
    traces += [_marks(name, number, [one for one in points if one.series == name]) for number, name in enumerate(names)]
    return Chart(
        id="evaluation-pareto",
        title=f"Accuracy (%) against cost ({unit} per prompt), with 95 % intervals",
        description=f"Up and to the left is better. {listed}.{_costless(points)}",
        figure={
            "data": traces,
            "layout": {
                "xaxis": {
                    "title": {"text": f"Cost ({unit} per prompt)"},
                    "type": "log",
                    **_ticks([one.cost for one in points]),
                },
                "yaxis": {"title": {"text": "Accuracy (%)"}},
                "legend": _LEGEND,
                "hovermode": "closest",
            },
        },
    )


def reliability_chart(found: Mapping[str, Sequence[Bin]]) -> Chart:
    """Return how often shown probabilities came true; on the diagonal they are perfectly calibrated."""
    told = [f"{title}, {one.p:.0f} %: {one.right:.0f} %" for title, bins in found.items() for one in bins]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter", "mode": "lines", "name": "perfect calibration", "x": [0, 100], "y": [0, 100],
            "hoverinfo": "skip",
            "line": {"dash": "dot", "width": 1.5, "color": "#808080"},
        }
    ]  # fmt: skip
    for number, (title, bins) in enumerate(found.items()):
        most = max((one.n for one in bins), default=1)
        traces.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": title,
                "x": [one.p for one in bins], "y": [one.right for one in bins],
                "text": [f"n = {one.n}" for one in bins],
                "marker": {
                    "size": [6 + 14 * (one.n / most) ** 0.5 for one in bins], "color": _colour(number),
                    "symbol": SYMBOLS[number % len(SYMBOLS)],
                },
                "line": {"color": _colour(number), "width": 1.5},
            }
        )  # fmt: skip
    return Chart(
        id="evaluation-reliability",
        title="Came true (%) against shown probability (%); larger marks stand for more estimates",
        description=f"On the diagonal they are perfectly calibrated. {'; '.join(told[:_MAX_TOLD])}.",
        figure={
            "data": traces,
            "layout": {
                "xaxis": {"title": {"text": "Shown probability (%)"}, "range": [0, 100]},
                "yaxis": {"title": {"text": "Came true (%)"}, "range": [0, 104]},
                "showlegend": True,
                "legend": _LEGEND,
            },
        },
    )


def steadiness_chart(found: Mapping[str, Mapping[str, float]]) -> Chart:
    """Return the share of choices (%) that stay when prompts are written otherwise, by policy."""
    told = [f"{title}, {name}: {share:.0f} %" for name, shares in found.items() for title, share in shares.items()]
    return Chart(
        id="evaluation-steadiness",
        title="Choices that stay (%) when prompts are written otherwise",
        description=f"{'; '.join(told)}.",
        figure={
            "data": [
                {
                    "type": "bar", "name": name, "x": list(shares), "y": list(shares.values()),
                    "marker": {"color": _colour(number)},
                }
                for number, (name, shares) in enumerate(found.items())
            ],
            "layout": {
                "barmode": "group",
                "xaxis": {"type": "category"},
                "yaxis": {"title": {"text": "Unchanged (%)"}, "range": [0, 104]},
                "showlegend": True,
                "legend": _LEGEND,
            },
        },
    )  # fmt: skip


def _ticks(costs: Sequence[float]) -> dict[str, Any]:
    """Return marks at 1, 2 and 5 times the powers of ten, closer where costs are; the axis itself writes 2 for 20."""
    drawn = [cost for cost in costs if cost > 0]  # the axis has no place for others; the table has them
    if not drawn:
        return {}
    first, latest = floor(log10(min(drawn))), ceil(log10(max(drawn)))
    steps = (1, 2, 5) if max(drawn) > _WIDE * min(drawn) else (1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    values = [step * 10.0**power for power in range(first, latest + 1) for step in steps]
    return {"tickvals": values, "ticktext": [f"{value:g}" for value in values]}


def _costless(points: Sequence[Point]) -> str:
    names = ", ".join(one.title for one in points if one.cost <= 0)
    return f" A logarithmic axis has no place for what costs nothing: {names}." if names else ""


def _colour(number: int) -> str:
    return PALETTE[number % len(PALETTE)]


def _marks(name: str, number: int, points: Sequence[Point]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [one.cost for one in points],
        "y": [one.accuracy for one in points],
        "text": [one.title for one in points],
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 1, "color": _colour(number),
            "array": [one.high - one.accuracy for one in points],
            "arrayminus": [one.accuracy - one.low for one in points],
        },
        "marker": {"size": 10, "symbol": SYMBOLS[number % len(SYMBOLS)], "color": _colour(number)},
    }  # fmt: skip


def _dial(name: str, number: int, points: Sequence[Point]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": f"dial of {name}",
        "showlegend": False,  # of the colour of its policy
        "x": [one.cost for one in points],
        "y": [one.accuracy for one in points],
        "text": [one.title for one in points],
        "marker": {"size": 5, "color": _colour(number)},
        "line": {"width": 1.5, "color": _colour(number)},
    }


def _mixes(frontier: Sequence[Point]) -> dict[str, Any]:
    x, y, text = [frontier[0].cost], [frontier[0].accuracy], [frontier[0].title]
    for one, other in pairwise(frontier):
        for step in range(1, _STEPS + 1):
            share = step / _STEPS
            x.append(one.cost + share * (other.cost - one.cost))
            y.append(one.accuracy + share * (other.accuracy - one.accuracy))
            text.append(f"{1 - share:.0%} {one.title}, {share:.0%} {other.title}")
    return {
        "type": "scatter", "mode": "lines", "name": "best mix of two models", "x": x, "y": y, "text": text,
        "line": {"dash": "dot", "width": 1.5, "color": "#808080"},
    }  # fmt: skip
