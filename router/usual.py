"""What an answer of a model usually costs: all that is expected of a request that names its model.

Such a request is neither embedded nor compared with known prompts, so that its expected carbon is the mean of all
answers of the model, whatever they were about.
"""

from dataclasses import dataclass

from django.db.models import Sum

from benchmarks.boundary import QUALITIES_IN_ORDER
from labeling.models import AnswerTally


@dataclass(frozen=True)
class Usual:
    """The mean SCI of a deployment's finished answers of the best quality that it has, in gCO2e per answer."""

    sci_gco2e: float
    quality: str
    answer_count: int


def usual_of(*, deployment_id: int) -> Usual | None:
    """Return what an answer of a deployment usually costs; None where none has an SCI. One query of few rows."""
    own = AnswerTally.objects.filter(deployment_id=deployment_id, state="finished").order_by().values("quality")
    sums = own.annotate(count=Sum("sci_count"), total=Sum("sci_gco2e")).filter(count__gt=0)
    found = {one["quality"]: Usual(float(one["total"]) / one["count"], one["quality"], one["count"]) for one in sums}
    return next((found[quality] for quality in QUALITIES_IN_ORDER if quality in found), None)
