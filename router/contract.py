"""What every answer tells of its choice and of its carbon, whatever the wire."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from benchmarks.models import Deployment, Measurement
from router.answering import Caller, Decided
from router.baseline import baseline_of
from router.budget import HourSpent
from router.expected import predicted_in_all, predicted_of
from router.models import GatewayRequest, RoutingDecision
from router.routing import candidates_from_json

_SUMMARY = (
    "request_id", "requested", "model", "category", "policy", "predicted_sci_gco2e", "discarded_sci_gco2e", "sci_gco2e",
    "saved_gco2e", "quality",
)  # fmt: skip
_OF_THE_ANSWER = {
    "X-GreenLLM-Model", "X-GreenLLM-Route", "X-GreenLLM-Predicted-GCO2e", "X-GreenLLM-Discarded-Runs",
    "X-GreenLLM-Discarded-GCO2e", "X-GreenLLM-Budget",
}  # fmt: skip


class Detail(StrEnum):
    """How much of our own part an answer carries; the header `X-GreenLLM-Metadata` asks for it."""

    FULL = "full"
    SUMMARY = "summary"
    OFF = "off"

    def shown_to(self, caller: Caller) -> "Detail":
        """Return how much of it a caller may see: whoever judges blind must not know what models did and cost."""
        return Detail.SUMMARY if self is Detail.FULL and caller.judges_blind else self


def choice_headers(decided: Decided, measurement: Measurement | None = None) -> dict[str, str]:
    """Return the headers that tell the choice, and what was measured; there is none for what is not known."""
    name, decision = decided.deployment.language_model.name, decided.decision
    headers = {
        "x-request-id": decided.request.public_id,
        "X-GreenLLM-Request-Id": decided.request.public_id,
        "X-GreenLLM-Model": name,
        "X-GreenLLM-Route": _route_word(decided),
        "X-GreenLLM-Policy": decision.policy,
    }
    if decided.request.background_task:
        headers["X-GreenLLM-Background"] = decided.request.background_task
    if decided.route is not None and decided.route.neighbours:
        nearest = decided.route.neighbours[0]
        headers["X-GreenLLM-Category"] = decided.route.nearest_prompt.category.name
        headers["X-GreenLLM-Nearest-Prompt"] = decided.route.nearest_prompt.external_id
        headers["X-GreenLLM-Distance"] = f"{nearest.squared_distance:.6f}"
    predicted_sci_gco2e, _ = predicted_of(decision, decided.deployment)
    if predicted_sci_gco2e is not None:
        headers["X-GreenLLM-Predicted-GCO2e"] = f"{predicted_sci_gco2e:.6g}"
    if measurement is not None and measurement.sci_gco2e is not None:
        headers["X-GreenLLM-Measured-GCO2e"] = f"{measurement.sci_gco2e:.6g}"
        headers["X-GreenLLM-Measured-Quality"] = measurement.quality
    if decision.steps:
        headers["X-GreenLLM-Discarded-Runs"] = str(len(decision.steps))
    if decision.discarded_sci_gco2e is not None:
        headers["X-GreenLLM-Discarded-GCO2e"] = f"{decision.discarded_sci_gco2e:.6g}"
    if decided.hour is not None:
        headers.update(decided.hour.headers)
    return {header: one_line(value) for header, value in headers.items()}


def headers_of_any_answer(decided: Decided) -> dict[str, str]:
    """Return the headers of `choice_headers` that hold whichever model of a cascade answers."""
    return {name: value for name, value in choice_headers(decided).items() if name not in _OF_THE_ANSWER}


def carbon_of(
    *,
    request: GatewayRequest,
    decision: RoutingDecision,
    deployment: Deployment,
    measurement: Measurement | None = None,
    hour: HourSpent | None = None,
    detail: Detail = Detail.FULL,
) -> Mapping[str, Any]:
    """Return our own part of an answer: the choice, what it was expected to cost, and what it cost where measured.

    `deployment` is the one that answers, which another than the chosen one may be where that failed. Masses are in
    gCO2e per answer. `quality` is that of `sci_gco2e` where there is one, else of the expected figure. `hour` is the
    carbon budget of the key as it stood with this request.
    """
    if detail is Detail.OFF:
        return {}
    baseline = baseline_of(decision, candidates_from_json(decision.candidates))
    strong, is_as_chosen = baseline.evidence, deployment.pk == decision.chosen_id
    predicted_sci_gco2e, predicted_quality = predicted_of(decision, deployment)
    told = {
        "request_id": request.public_id,
        "requested": request.requested_model,
        "model": deployment.language_model.name,
        "category": decision.category.name if decision.category else None,
        "policy": decision.policy,
        "background": request.background_task or None,
        "overrides": decision.overrides,
        "reason": decision.explanation,
        "neighbours": decision.neighbours,
        "candidates": decision.candidates,
        "predicted_sci_gco2e": predicted_sci_gco2e,
        "predicted_quality": predicted_quality or "missing",
        "discarded": decision.steps,
        "discarded_sci_gco2e": decision.discarded_sci_gco2e,
        "energy_j": measurement.energy_j if measurement else None,
        "sci_gco2e": measurement.sci_gco2e if measurement else None,
        "embodied_emissions_gco2e": measurement.embodied_emissions_gco2e if measurement else None,
        "carbon_intensity_gco2e_per_kwh": measurement.carbon_intensity_gco2e_per_kwh if measurement else None,
        "baseline": {"model": strong.model, "sci_gco2e": strong.sci_gco2e} if strong else None,
        "saved_gco2e": baseline.saved_gco2e if is_as_chosen else None,
        "quality": (measurement.quality if measurement else predicted_quality) or "missing",
        "method": _method(measurement, decision),
        "carbon_intensity": decision.intensity or None,
        "budget": None if hour is None else hour.as_json(),
    }
    return told if detail is Detail.FULL else {name: told[name] for name in _SUMMARY}


def _method(measurement: Measurement | None, decision: RoutingDecision) -> str:
    """Return in words how the figure that `quality` belongs to came about."""
    if measurement is None:
        is_named = decision.reason == RoutingDecision.Reason.PINNED
        return "predicted from " + ("all answers of the model" if is_named else "the answers to similar prompts")
    how = f"the meters of {measurement.machine} while it answered, by {measurement.method_version}"
    return f"{how}: {measurement.boundary or measurement.missing_reason}"


def expected_in_all(decided: Decided) -> float | None:
    """Return what an answer is expected to cost together with the runs that were discarded for it, in gCO2e."""
    return predicted_in_all(decided.request, decided.decision, decided.deployment)[0]


def _route_word(decided: Decided) -> str:
    if decided.deployment.pk != decided.decision.chosen_id:
        return "fallback"
    return "auto" if decided.route else "pinned"


def one_line(text: str) -> str:
    """Return a name as a header can hold it; prompts and models may be called anything."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)
