"""What the page shows of an answered prompt."""

from dataclasses import dataclass

from benchmarks.units import nanoseconds_to_seconds
from router.answering import Answer
from router.explaining import Explanation, explanations_of


@dataclass(frozen=True)
class ShownAnswer:
    """An answer, what it took, and why the model that gave it was chosen."""

    text: str
    output_token_count: int | None
    duration_s: float | None
    reason: Explanation


def shown_answer(answered: Answer, *, sees_results: bool) -> ShownAnswer:
    """Return the parts of an answer that the page shows."""
    duration_ns = answered.generation.total_duration_ns
    [reason] = explanations_of([answered.decision], sees_results=sees_results)
    return ShownAnswer(
        text=answered.generation.text,
        output_token_count=answered.generation.output_token_count,
        duration_s=None if duration_ns is None else nanoseconds_to_seconds(duration_ns),
        reason=reason,
    )
