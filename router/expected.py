"""What the answer of a request is expected to cost, by its decision."""

from benchmarks.models import Deployment
from router.models import GatewayRequest, RoutingDecision
from router.routing import candidates_from_json
from router.steps import made_by, with_own_runs


def predicted_of(decision: RoutingDecision, deployment: Deployment) -> tuple[float | None, str]:
    """Return what the deployment that answers is expected to cost, in gCO2e, and of what quality that is."""
    if deployment.pk == decision.chosen_id:
        return decision.predicted_sci_gco2e, decision.predicted_quality
    found = (one.evidence for one in candidates_from_json(decision.candidates))
    evidence = next((one for one in found if one.deployment_id == deployment.pk), None)
    return (None, "") if evidence is None else (evidence.sci_gco2e, evidence.quality)


def predicted_in_all(
    request: GatewayRequest, decision: RoutingDecision, deployment: Deployment
) -> tuple[float | None, str]:
    """Return what an answer is expected to cost together with the runs that its request discarded, and the quality."""
    sci_gco2e, quality = predicted_of(decision, deployment)
    return with_own_runs(sci_gco2e, quality, made_by(request.public_id, decision.steps)), quality
