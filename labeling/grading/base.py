"""What a grader is: it reads one answer and suggests a verdict; people decide."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Suggestion:
    """What a grader found: a verdict (`correct`, `incorrect`, `unsure`), its evidence and its reason."""

    verdict: str
    reason: str
    score: float | None = None
    extracted: dict[str, Any] = field(default_factory=dict)


class Grader(Protocol):
    """Suggests a verdict for the answers to one kind of check. Pure: no clock, network or database."""

    name: str
    version: int

    def grade(self, *, answer: str, checks: Mapping[str, Any]) -> Suggestion:
        """Suggest a verdict for an answer.

        Raises:
            UnusableCheck: the prompt's check lacks what this grader needs.
        """
        ...


class UnusableCheck(ValueError):
    """A prompt's check cannot be used; the message names what is missing."""
