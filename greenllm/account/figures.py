"""The chart of the page of a key in Plotly's JSON form. Pure."""

from collections.abc import Sequence
from datetime import date, timedelta

from benchmarks.moments import written_day
from benchmarks.units import SECONDS_PER_DAY, grams_to_milligrams
from greenllm.charts import PALETTE, Chart

_BAR_MS = 0.8 * SECONDS_PER_DAY * 1000


def spending_chart(days: Sequence[tuple[date, float | None]], *, until: date, day_count: int) -> Chart:
    """Return what a key's requests were expected to cost by day, up to one; a day without a figure has no bar."""
    known = [(day, grams_to_milligrams(gco2e)) for day, gco2e in days if gco2e is not None]
    told = "; ".join(f"{written_day(day)}: {mass:.3g} mgCO₂e" for day, mass in known)
    return Chart(
        id="key-spending",
        title="Predicted emissions by day (mgCO₂e)",
        description=f"Bars, one for each day with a figure. {told}." if known else "No day has a figure.",
        figure={
            "data": [
                {
                    "type": "bar",
                    "x": [day.isoformat() for day, _ in known],
                    "y": [mass for _, mass in known],
                    "width": _BAR_MS,
                    "marker": {"color": PALETTE[0]},
                    "hovertemplate": "%{x}: %{y:.3g} mgCO₂e<extra></extra>",
                }
            ],
            "layout": {
                "xaxis": {
                    "type": "date",
                    "title": {"text": "Day (UTC)"},
                    "range": [(until - timedelta(days=one)).isoformat() for one in (day_count, -1)],
                },
                "yaxis": {"title": {"text": "mgCO₂e"}, "rangemode": "tozero"},
                "margin": {"t": 10},
            },
        },
    )
