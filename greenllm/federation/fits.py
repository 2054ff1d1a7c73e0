"""What the model's page shows of the latest energy fit."""

from dataclasses import dataclass

from django.db.models import OuterRef, Subquery

from benchmarks.fitting import measured_answers
from benchmarks.models import Deployment, EnergyFit
from greenllm.charts import Chart
from greenllm.federation.fit_figures import FittedAnswer, fit_chart

SHOWN_ANSWERS = 100


@dataclass(frozen=True)
class ShownFit:
    """The latest fit of a deployment beside its latest answers."""

    fit: EnergyFit
    answers: list[FittedAnswer]
    chart: Chart


def latest_fit() -> Subquery:
    """Return the key of a deployment's latest fit, for a query of deployments."""
    return Subquery(EnergyFit.objects.filter(deployment=OuterRef("pk")).order_by("-pk").values("pk")[:1])


def shown_fit(deployment: Deployment, fit_id: int | None) -> ShownFit | None:
    """Return a fit of a deployment with its chart in three queries; None in none where none was made."""
    if fit_id is None:
        return None
    fit = EnergyFit.objects.get(pk=fit_id)
    answers = [
        FittedAnswer(
            one.response_id,
            one.prompt_tokens,
            one.output_tokens,
            one.energy_j,
            fit.energy_j(one.prompt_tokens, one.output_tokens),
        )
        for one in measured_answers(deployment=deployment, most=SHOWN_ANSWERS)
    ]
    return ShownFit(fit, answers, fit_chart(answers, quality=fit.quality))
