"""Which active models cannot do what a request needs beyond text."""

from collections.abc import Callable, Mapping, Sequence

from benchmarks.models import Deployment
from router.abilities import Able, Unable, unable_of


def able_deployments() -> list[Deployment]:
    """Return the deployments that are asked what they can."""
    return list(Deployment.objects.active().select_related("language_model", "server").order_by("pk"))


def unable_among(deployments: Sequence[Deployment], told: Mapping[int, Able], needed: Mapping[str, str]) -> Unable:
    """Return which of some deployments cannot do what is needed, by what their servers told of each."""
    return unable_of(needed, told, {one.pk: one.language_model.name for one in deployments})


def unable_now(*, needed: Mapping[str, str], told: Callable[[Sequence[Deployment]], Mapping[int, Able]]) -> Unable:
    """Return which active deployments cannot do what is needed; without a query or a question where nothing is."""
    if not needed:
        return Unable()
    deployments = able_deployments()
    return unable_among(deployments, told(deployments), needed)
