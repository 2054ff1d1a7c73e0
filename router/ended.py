"""One request that has ended, as those are told who count and trace."""

from dataclasses import dataclass, field
from functools import cached_property

from benchmarks.models import Deployment
from router.baseline import baseline_of
from router.expected import predicted_in_all
from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt
from router.routing import candidates_from_json
from router.terms import Scope


@dataclass
class Ended:
    """A request with all that it caused; `deployment` is the one that answered or would have, None where none was.

    `key_name` and `key_prefix` tell the API key, empty without one; never its secret. `trace_parent` is the span of
    the caller that the request is part of, as W3C's `traceparent` has it, or empty. No property asks the database.
    """

    request: GatewayRequest
    key_name: str = ""
    key_prefix: str = ""
    trace_parent: str = ""
    decision: RoutingDecision | None = None
    deployment: Deployment | None = None
    attempts: list[UpstreamAttempt] = field(default_factory=list)
    scope: Scope = Scope.GENERATE

    @property
    def model(self) -> str:
        """Return the name of the model, or an empty text."""
        return "" if self.deployment is None else self.deployment.language_model.name

    @property
    def is_answered(self) -> bool:
        """Tell whether a model answered; an answer of the cache cost nothing anew."""
        return self.request.state == GatewayRequest.State.ANSWERED and not self.request.cache_hit

    @cached_property
    def predicted(self) -> tuple[float | None, str]:
        """Return what the answer was expected to cost, in gCO2e with its quality; None where nobody knows."""
        if self.decision is None or self.deployment is None:
            return None, ""
        return predicted_in_all(self.request, self.decision, self.deployment)

    @cached_property
    def saved_gco2e(self) -> float | None:
        """Return what the choice was expected to save; None where that cannot be told, or another model took over.

        An answer in place of one that a person refused saves nothing and costs what it costs: what the choice saved
        on that question was told with the refused answer.
        """
        decision = self.decision
        if decision is None or self.deployment is None or self.deployment.pk != decision.chosen_id:
            return None
        wanted = {decision.chosen_id, decision.baseline_id}
        rows = [row for row in decision.candidates if row["deployment_id"] in wanted]
        saved_gco2e = baseline_of(decision, candidates_from_json(rows)).saved_gco2e
        if saved_gco2e is None or self.request.instead_of_id is None:
            return saved_gco2e
        cost_gco2e, _ = self.predicted
        return None if cost_gco2e is None else -cost_gco2e
