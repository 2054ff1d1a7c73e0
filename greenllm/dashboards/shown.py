"""What the page shows of an answered prompt."""

from dataclasses import dataclass

from benchmarks.units import nanoseconds_to_seconds
from router.answering import Answer
from router.policy import Candidate


@dataclass(frozen=True)
class ShownNeighbour:
    """One known prompt near the one that was asked; distance is squared L2."""

    text: str
    category: str
    squared_distance: float


@dataclass(frozen=True)
class ShownAnswer:
    """An answer, the model that gave it, and why that one."""

    text: str
    model: str
    category: str
    explanation: str
    predicted_sci_gco2e: float | None
    quality: str
    sci_count: int
    output_token_count: int | None
    duration_s: float | None
    request_id: str
    neighbours: tuple[ShownNeighbour, ...]
    candidates: tuple[Candidate, ...]


def shown_answer(answered: Answer) -> ShownAnswer:
    """Return the parts of an answer that the page shows."""
    found = answered.route
    duration_ns = answered.generation.total_duration_ns
    return ShownAnswer(
        text=answered.generation.text,
        model=answered.deployment.language_model.name,
        category=found.nearest_prompt.category.name if found else "",
        explanation=answered.decision.explanation,
        predicted_sci_gco2e=answered.decision.predicted_sci_gco2e,
        quality=answered.decision.predicted_quality,
        sci_count=found.choice.chosen.sci_count if found else 0,
        output_token_count=answered.generation.output_token_count,
        duration_s=None if duration_ns is None else nanoseconds_to_seconds(duration_ns),
        request_id=answered.request.public_id,
        neighbours=tuple(
            ShownNeighbour(
                found.prompts[one.prompt_id].item_text,
                found.prompts[one.prompt_id].category.name,
                one.squared_distance,
            )
            for one in found.neighbours
        )
        if found
        else (),
        candidates=found.choice.candidates if found else (),
    )
