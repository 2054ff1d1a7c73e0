"""How a model leaves the router: out of every process's next decision, unless nothing could be decided afterwards."""

from datetime import datetime

from django.db import transaction

from benchmarks.federating import change_state
from benchmarks.models import Deployment
from router.joining import close_evaluation
from router.models import PolicyVersion


class CannotRetire(ValueError):
    """Without the model the router could not decide; the message says what to do first."""


def retire_model(*, deployment: Deployment, now: datetime) -> None:
    """Take a deployment out of routing; its measurements and labels stay as history.

    Every process reads who is active at each decision and drops what it knew of others, so nothing is re-embedded.

    Raises:
        CannotRetire: it is the last active model, or the fallback of the policy in force.
    """
    with transaction.atomic():
        # two admins who retire the last two at once take turns
        active_ids = list(Deployment.objects.active().select_for_update(of=("self",)).values_list("pk", flat=True))
        hindrance = _hindrance(deployment, active_ids)
        if hindrance:
            raise CannotRetire(hindrance)
        change_state(deployment=deployment, state=Deployment.State.RETIRED, now=now)
        close_evaluation(deployment=deployment, now=now)


def hindrance_to_retiring(deployment: Deployment) -> str:
    """Say why a deployment cannot be retired now and what to do first; empty where it can. Two queries."""
    return _hindrance(deployment, list(Deployment.objects.active().values_list("pk", flat=True)))


def _hindrance(deployment: Deployment, active_ids: list[int]) -> str:
    if active_ids == [deployment.pk]:
        return (
            f"{deployment} is the only active model: without it the router has no model to choose and refuses every "
            f"prompt. Activate another one first."
        )
    version = PolicyVersion.objects.order_by("-pk").first()
    if version is not None and version.fallback_id == deployment.pk:
        return (
            f"{deployment} is the fallback of policy version {version.pk} ({version.policy}), which is in force: "
            f"without it nothing could be routed. Add a version with another fallback first (admin, Policy versions)."
        )
    return ""
