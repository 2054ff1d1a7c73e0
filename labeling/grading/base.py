"""What a grader is: it reads one answer and suggests a verdict; people decide."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Suggestion:
    """What a grader found: a verdict (`correct`, `incorrect`, `unsure`), its evidence and its reason.

    One that is not settled could not be found out now (no sandbox, no database): it is not kept, and asked again.
    """

    verdict: str
    reason: str
    score: float | None = None
    extracted: dict[str, Any] = field(default_factory=dict)
    is_settled: bool = True


class Grader(Protocol):
    """Suggests a verdict for the answers to one kind of check. It keeps nothing and writes nothing."""

    name: str
    version: int

    def grade(self, *, answer: str, checks: Mapping[str, Any], reference: str = "", item: str = "") -> Suggestion:
        """Suggest a verdict for an answer; `reference` is a right answer and `item` the bare task, where known.

        Raises:
            UnusableCheck: the prompt's check lacks what this grader needs.
        """
        ...


class UnusableCheck(ValueError):
    """A prompt's check cannot be used; the message names what is missing."""


def not_graded(reason: str) -> Suggestion:
    """Return what a grader says that could not do its work here and now."""
    return Suggestion("unsure", f"not graded: {reason}", is_settled=False)


def text_in(checks: Mapping[str, Any], field_name: str, default: str = "") -> str:
    """Return a text of a check.

    Raises:
        UnusableCheck: it is something else than a text.
    """
    value = checks.get(field_name, default)
    if not isinstance(value, str):
        raise UnusableCheck(f"{field_name!r} of the check must be a text")
    return value
