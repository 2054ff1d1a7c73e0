"""Begin a cascade that was decided, and put down how it ended."""

from collections.abc import Sequence
from dataclasses import replace

from router.models import RoutingDecision
from router.policy import Evidence
from router.routing import Route, candidates_as_json
from router.steps import Step, charged_sci_gco2e, steps_as_json
from router.turns import Turns, take_turns


def turns_of(route: Route, *, request_id: str, prompt_text: str, earlier: str = "") -> Turns:
    """Return the cascade of a route from its beginning, for a request by its public id, after `earlier` turns."""
    return take_turns(
        request_id=request_id,
        plan=route.choice.plan,
        prompt_text=prompt_text,
        earlier=earlier,
        category=route.nearest_prompt.category.name,
        evidence={one.evidence.deployment_id: one.evidence for one in route.choice.candidates},
    )


def end_cascade(*, decision: RoutingDecision, route: Route, chosen_id: int, steps: Sequence[Step], told: str) -> Route:
    """Put down how a cascade ended, and return the route so; the row of the decision is not stored.

    `chosen_id` is the deployment whose answer stands, `steps` what was discarded and is charged, `told` says in words
    how it ended.
    """
    choice, chosen, evidence = route.choice, route.planned[chosen_id], evidence_of(route, chosen_id)
    explanation = f"{choice.explanation} {told}"
    candidates = tuple(replace(one, is_chosen=one.evidence is evidence) for one in choice.candidates)
    ended = replace(choice, chosen=evidence, explanation=explanation, candidates=candidates, plan=())
    decision.chosen, decision.explanation = chosen, explanation
    decision.candidates = candidates_as_json(ended)
    decision.predicted_sci_gco2e, decision.predicted_quality = evidence.sci_gco2e, evidence.quality
    decision.steps, decision.discarded_sci_gco2e = steps_as_json(steps), charged_sci_gco2e(steps)
    intensity = route.planned_intensities.get(chosen_id)
    decision.intensity = {} if intensity is None else intensity.as_json()
    return replace(route, chosen=chosen, choice=ended, intensity=intensity, planned={}, planned_intensities={})


def evidence_of(route: Route, deployment_id: int) -> Evidence:
    """Return what is known here of one of the candidates."""
    return next(one.evidence for one in route.choice.candidates if one.evidence.deployment_id == deployment_id)
