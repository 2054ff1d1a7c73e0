"""What a request of a key with a carbon budget has cost in the end, in place of what it was expected to.

Booked is what the chosen model was expected to cost; spent is what every attempt generated: a fallback counts beside
the one that failed, a cancelled answer as far as it came. A measured attempt counts as measured. Otherwise its tokens
tell: by the energy fit of its deployment, at the SCI per joule of its measured answers, or else by the mean SCI of an
output token there. Where a server reported no prompt tokens, because the answer broke off, they are estimated from the
characters that were sent. Where nobody knows what a token costs, an attempt counts as it was expected to. A measured
figure that is there only after the rows were stored takes the place of what the attempt counted as until then.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Sum

from benchmarks.models import Deployment, Response
from router.deployment_facts import Facts, active_facts
from router.expected import predicted_of
from router.length import Asked, estimated_tokens
from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt
from router.spending import settle_hour, usual_sci


@dataclass(frozen=True)
class Settling:
    """What was booked on the budget of a key (gCO2e) and when, by which decision, and what was sent for it.

    `counted_gco2e` is what each attempt counted as when it was settled, by its number.
    """

    asked: Asked
    decision: RoutingDecision
    booked_gco2e: float
    booked_at: datetime
    counted_gco2e: dict[int, float] = field(default_factory=dict)

    @property
    def hour(self) -> datetime:
        """Return when the hour began that was booked on."""
        return self.booked_at.replace(minute=0, second=0, microsecond=0)


def settle(ended: Sequence[tuple[GatewayRequest, Sequence[UpstreamAttempt], Settling]]) -> None:
    """Put what requests have cost in the place of what was booked for them; call it in a transaction.

    One update for each key and hour.
    """
    if not ended:
        return
    facts = active_facts()
    differences: dict[tuple[int, datetime], float] = defaultdict(float)
    for request, attempts, settling in ended:
        if request.api_key_id is not None:
            spent = [spent_gco2e(one, settling, facts.get(one.deployment_id)) for one in attempts]
            settling.counted_gco2e.update(zip((one.number for one in attempts), spent, strict=True))
            differences[request.api_key_id, settling.hour] += sum(spent) - settling.booked_gco2e
    for (key_id, began_at), difference in sorted(differences.items()):  # in order, so that no two wait for each other
        settle_hour(api_key_id=key_id, began_at=began_at, difference_gco2e=difference)


def settle_measured(*, request: GatewayRequest, attempt: UpstreamAttempt, settling: Settling) -> None:
    """Put what a settled attempt was measured to cost in the place of what it counted as; call it in a transaction."""
    measurement = attempt.measurement
    before_gco2e = settling.counted_gco2e.get(attempt.number)
    if request.api_key_id is None or measurement is None or measurement.sci_gco2e is None or before_gco2e is None:
        return
    settling.counted_gco2e[attempt.number] = measurement.sci_gco2e
    difference = measurement.sci_gco2e - before_gco2e
    settle_hour(api_key_id=request.api_key_id, began_at=settling.hour, difference_gco2e=difference)


def spent_gco2e(attempt: UpstreamAttempt, settling: Settling, facts: Facts | None) -> float:
    """Return what an attempt cost (gCO2e); 0 where nothing was generated."""
    measurement = attempt.measurement
    if measurement is not None and measurement.sci_gco2e is not None:
        return measurement.sci_gco2e
    output_tokens = attempt.output_token_count or 0
    if not output_tokens and attempt.outcome != UpstreamAttempt.Outcome.FINISHED:
        return 0.0
    fit, scored = (None, None) if facts is None else (facts.fit, facts.scored)
    if output_tokens and fit is not None and scored is not None:
        prompt_tokens = attempt.prompt_token_count or estimated_tokens(settling.asked.sent_characters, fit)
        return max(0.0, fit.energy_j(prompt_tokens, output_tokens)) * scored.sci_gco2e / scored.energy_j
    of_a_token = gco2e_per_output_token(attempt.deployment) if output_tokens else None
    if of_a_token is not None:
        return output_tokens * of_a_token
    expected, _ = predicted_of(settling.decision, attempt.deployment)
    return usual_sci(deployment=attempt.deployment) if expected is None else expected


def gco2e_per_output_token(deployment: Deployment) -> float | None:
    """Return the mean SCI of an output token in a deployment's measured answers (gCO2e), None where there is none."""
    known = Response.objects.finished().filter(
        deployment=deployment, measurement__sci_gco2e__isnull=False, output_token_count__gt=0
    )
    sums = known.aggregate(sci=Sum("measurement__sci_gco2e"), tokens=Sum("output_token_count"))
    return float(sums["sci"] / sums["tokens"]) if sums["tokens"] else None
