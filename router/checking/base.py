"""What a checker is: it reads one answer and says whether it may stand. Pure values."""

from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Finding(Enum):
    """What a checker says of an answer."""

    ACCEPT = "accept"
    REJECT = "reject"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Checked:
    """One answer with all that a checker may look at; what is not known is None or empty.

    `earlier` are the turns before the prompt, in words; empty where it began the conversation.
    `other_answer` is another cheap model's answer to the same prompt; `is_refused` is whether the person who asked
    found the answer not good enough; `mean_margin_nats` is how sure the model was of its words, where its server tells.
    """

    prompt: str
    category: str
    answer: str
    other_answer: str | None = None
    is_refused: bool | None = None
    mean_margin_nats: float | None = None
    earlier: str = ""


@dataclass(frozen=True)
class Check:
    """What one checker found, and why in one sentence."""

    finding: Finding
    reason: str


class Checker(Protocol):
    """Says of one answer: accept, reject, or cannot tell. It keeps nothing and writes nothing."""

    @property
    def name(self) -> str:
        """Return the name under which it is measured and stored."""

    @property
    def version(self) -> int:
        """Return the version of its rule; figures of another version do not count for it."""

    @property
    def covers(self) -> str:
        """Return in a few words of which prompts and answers it can say anything."""

    @property
    def wants_second_answer(self) -> bool:
        """Return whether it compares with another model's answer, which costs something."""

    @property
    def reads_conversations(self) -> bool:
        """Return whether it can judge an answer whose prompt stands at the end of a conversation."""

    def check(self, checked: Checked) -> Check:
        """Return what it finds."""


def accept(reason: str) -> Check:
    """Return that the answer may stand."""
    return Check(Finding.ACCEPT, reason)


def reject(reason: str) -> Check:
    """Return that the answer may not stand."""
    return Check(Finding.REJECT, reason)


def unknown(reason: str) -> Check:
    """Return that the checker cannot tell, which is no guess in either direction."""
    return Check(Finding.UNKNOWN, reason)
