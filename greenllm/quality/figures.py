"""The charts of the pages of quality in Plotly's JSON form. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.intervals import Interval
from greenllm.charts import PALETTE, SYMBOLS, Chart, bar_gap

_MAX_TOLD = 30  # marks that a description lists one by one


@dataclass(frozen=True)
class Mark:
    """One value with the ends of its 95 % interval, where it has one, at a place on the axis."""

    place: str
    value: float
    low: float | None
    high: float | None
    n: int


Series = Mapping[str, Sequence[Mark]]  # by what the legend calls it


def share_mark(place: str, share: Interval | None) -> list[Mark]:
    """Return the mark of a share in percent, or none where it is missing."""
    if share is None:
        return []
    return [Mark(place, 100 * share.value, 100 * share.low, 100 * share.high, share.n)]


def agreement_chart(series: Series) -> Chart:
    """Return the three figures of agreement by category."""
    return _chart(
        "quality-agreement", "Agreement by category, with 95 % intervals", series,
        xaxis={"title": {"text": "Category"}, "type": "category"}, yaxis={"title": {"text": "Agreement (1 is full)"}},
        unit="",
    )  # fmt: skip


def people_chart(series: Series) -> Chart:
    """Return how often each person judges as gold says, and as they did before."""
    return _shares("quality-people", "People against gold and against themselves (%)", series, "Person")


def graders_chart(series: Series) -> Chart:
    """Return precision and recall of each grader."""
    return _shares("quality-graders", "Precision and recall of graders (%)", series, "Grader, category")


def drift_chart(series: Series, *, x_title: str, of_days: bool) -> Chart:
    """Return how shares change over time: by the day that a period begins, or by its labels."""
    places = {
        mark.place for marks in series.values() for mark in marks
    }  # of one day an axis of time shows parts of a second
    return _chart(
        "quality-drift", "Shares over time (%), with 95 % intervals", series,
        xaxis={"title": {"text": x_title}, "type": "date" if of_days and len(places) > 1 else "category"},
        yaxis={"title": {"text": "Share (%)"}, "range": [0, 104]}, unit=" %", mode="lines+markers",
    )  # fmt: skip


def pace_chart(days: Sequence[str], labels: Sequence[int], per_hour: Sequence[float | None]) -> Chart:
    """Return how many labels came in each stretch, named by its first day (UTC); `per_hour`: per active hour."""
    busiest = max(zip(labels, days, strict=True), default=(0, "none"))
    return Chart(
        id="quality-pace",
        title="Labels over time",
        description=f"Bars of {sum(labels)} labels in {len(days)} stretches; the most, {busiest[0]}, from "
        f"{busiest[1]} on. The table has all, with labels per active hour.",
        figure={
            "data": [
                {
                    "type": "bar", "name": "Labels", "x": list(days), "y": list(labels),
                    "text": ["" if one is None else f"{one:.0f} an active hour" for one in per_hour],
                    "textposition": "none", "marker": {"color": PALETTE[0]},
                }
            ],
            "layout": {
                "xaxis": {"title": {"text": "First day (UTC)"}, "type": "category" if len(days) == 1 else "date"},
                "yaxis": {"title": {"text": "Labels"}, "rangemode": "tozero"},
                "bargap": bar_gap(len(days)),
            },
        },
    )  # fmt: skip


def _shares(chart_id: str, title: str, series: Series, x_title: str) -> Chart:
    return _chart(
        chart_id, f"{title}, with 95 % intervals", series,
        xaxis={"title": {"text": x_title}, "type": "category"},
        yaxis={"title": {"text": "Share (%)"}, "range": [0, 104]}, unit=" %",
    )  # fmt: skip


def _chart(
    chart_id: str, title: str, series: Series, *, xaxis: dict[str, Any], yaxis: dict[str, Any], unit: str,
    mode: str = "markers",
) -> Chart:  # fmt: skip
    named = {name: marks for name, marks in series.items() if marks}
    told = [f"{name}, {one.place}: {one.value:.3g}{unit}" for name, marks in named.items() for one in marks]
    listed = "; ".join(told) if len(told) <= _MAX_TOLD else f"from {told[0]} to {told[-1]}; the table has all"
    return Chart(
        id=chart_id,
        title=title,
        description=f"{title}. {len(told)} marks: {listed}.",
        figure={
            "data": [_trace(name, number, marks, mode) for number, (name, marks) in enumerate(named.items())],
            "layout": {
                "xaxis": xaxis,
                "yaxis": yaxis,
                "scattermode": "group",
                "showlegend": True,
                "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            },
        },
    )


def _trace(name: str, number: int, marks: Sequence[Mark], mode: str) -> dict[str, Any]:
    colour = PALETTE[number % len(PALETTE)]
    return {
        "type": "scatter",
        "mode": mode,
        "name": name,
        "x": [one.place for one in marks],
        "y": [one.value for one in marks],
        "text": [f"n = {one.n}" for one in marks],
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [0.0 if one.high is None else one.high - one.value for one in marks],
            "arrayminus": [0.0 if one.low is None else one.value - one.low for one in marks],
            "thickness": 1.5,
            "color": colour,
        },
        "marker": {"size": 9, "symbol": SYMBOLS[number % len(SYMBOLS)], "color": colour},
        "line": {"color": colour, "width": 1.5},
    }
