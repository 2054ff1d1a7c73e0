"""The fields of a line: what each may hold, and what is said where one holds something else."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from labeling.models import Label, Verdict

_LARGEST_WHOLE = 2**63 - 1
_FIRST_YEAR, _LAST_YEAR = 1970, 9000
_T = TypeVar("_T")


@dataclass(frozen=True)
class Refusal:
    """Why one line, or one part of it, is not imported."""

    line: int
    field: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        named = f"{self.field}: " if self.field else ""
        return f"line {self.line}: {named}{self.reason} {self.remedy}"


class LineRefused(ValueError):
    """A line cannot be imported."""

    def __init__(self, field_name: str, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self._said = (field_name, reason, remedy)

    def at(self, line: int) -> Refusal:
        """Return the refusal of the line."""
        return Refusal(line, *self._said)


_A_MOMENT = "Give date, time and time zone, such as 2026-01-31T12:00:00+00:00."
_REMEDIES = {
    "response": "Give the number of the answer, which stands in its page's address.",
    "repeat": "Give a whole number; the first answer is 1.",
    "id": "Give the id as GreenLLM exported it, or leave 'source' out.",
    "supersedes": "Give the id of the earlier label as GreenLLM exported it.",
    "verdict": f"Give one of {', '.join(Verdict.values)}.",
    "kind": f"Give one of {', '.join(Label.Kind.values)}, or leave it empty.",
    "source": f"Give one of {', '.join(Label.Source.values)}, or leave it empty.",
    "score": "Give a number from 0 to 1, or leave it empty.",
    "active_seconds": "Give the seconds as a number that is not negative, or leave it empty.",
    "saw_evidence": "Give true or false.",
    "is_current": "Give true or false.",
    "guideline_version": "Give the version as a whole number, or leave it empty.",
    **dict.fromkeys(("created_at", "shown_at", "voided_at"), _A_MOMENT),
}


def get(row: Mapping[str, Any], name: str, convert: Callable[[Any], _T], default: Any) -> Any:
    """Return a column, converted; what the default is where it is empty. Any: each column has a type of its own."""
    value = row.get(name)
    if value is None or value == "":
        return default
    try:
        return convert(value)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        said = str(value) if len(str(value)) <= 60 else f"{str(value)[:57]}..."
        raise LineRefused(name, f"It cannot be {said!r}.", _REMEDIES.get(name, str(error))) from error


def is_unicode(text: str) -> bool:
    """Return whether a text was read from UTF-8 and is not half of a letter."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_text(value: Any) -> str:
    if isinstance(value, dict | list | bool):
        raise TypeError("Give a text.")
    text = str(value)
    if "\x00" in text or not is_unicode(text):
        raise ValueError("Give a text in UTF-8 without NUL.")
    return text


def as_whole(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise TypeError("it is no whole number.")
    number = int(value)
    if not 0 <= number <= _LARGEST_WHOLE:
        raise ValueError("it is out of range.")
    return number


def as_number(value: Any) -> float:
    if isinstance(value, bool) or not math.isfinite(float(value)):
        raise TypeError("it is no number.")
    return float(value)


def as_share(value: Any) -> float:
    number = as_number(value)
    if not 0 <= number <= 1:
        raise ValueError("it is out of range.")
    return number


def as_seconds(value: Any) -> float:
    number = as_number(value)
    if number < 0:
        raise ValueError("it is negative.")
    return number


def as_flag(value: Any) -> bool:
    named = {"true": True, "false": False, "1": True, "0": False}
    if isinstance(value, bool):
        return value
    if str(value).lower() not in named:
        raise ValueError("it is neither true nor false.")
    return named[str(value).lower()]


def as_moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("it has no time zone.")
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError("it is out of range.")
    return moment


def as_uuid(value: Any) -> UUID:
    return UUID(as_text(value))


def as_choice(value: Any, known: list[str]) -> str:
    if value not in known:
        raise ValueError("it is none of these.")
    return str(value)
