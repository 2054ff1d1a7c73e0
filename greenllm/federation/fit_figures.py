"""The figure of an energy fit in Plotly's JSON form: what answers cost against what the fit expects. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from greenllm.charts import PALETTE, SYMBOLS, Chart


@dataclass(frozen=True)
class FittedAnswer:
    """One measured answer beside what the fit expects of its lengths, in J."""

    response_id: int
    prompt_tokens: int
    output_tokens: int
    energy_j: float
    fitted_j: float

    @property
    def residual_j(self) -> float:
        """Return what it cost more than the fit expects (J)."""
        return self.energy_j - self.fitted_j


def fit_chart(answers: Sequence[FittedAnswer], *, quality: str) -> Chart:
    """Return measured against fitted energies, with the line on which both are the same."""
    most = max((max(one.energy_j, one.fitted_j) for one in answers), default=0.0)
    return Chart(
        id="energy-fit",
        title=f"Energy of an answer (J, {quality}) against the fit, n = {len(answers)}",
        description=(
            f"Points near the line cost what the fit expects. {len(answers)} answers, at most {most:.3g} J; "
            f"the numbers are in the table."
        ),
        figure={
            "data": [
                {
                    "type": "scatter",
                    "mode": "markers",
                    "name": "Answers",
                    "x": [one.fitted_j for one in answers],
                    "y": [one.energy_j for one in answers],
                    "text": [f"{one.prompt_tokens} + {one.output_tokens} tokens" for one in answers],
                    "marker": {"size": 7, "symbol": SYMBOLS[0], "color": PALETTE[0]},
                },
                {
                    "type": "scatter",
                    "mode": "lines",
                    "name": "As fitted",
                    "x": [0.0, most],
                    "y": [0.0, most],
                    "line": {"color": PALETTE[1], "dash": "dash", "width": 2},
                },
            ],
            "layout": {
                "xaxis": {"title": {"text": "Expected by the fit (J)"}, "rangemode": "tozero"},
                "yaxis": {"title": {"text": f"Energy of the answer (J, {quality})"}, "rangemode": "tozero"},
                "showlegend": True,
                "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"},
            },
        },
    )
