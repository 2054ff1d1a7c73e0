"""How long Chroma may take to answer: little where a prompt waits for its decision, much where an index is built."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

BUILDING_S = 600.0  # thousands of vectors are written at once
DECIDING_S = 5.0
REST_S = 10.0

_patience: ContextVar[float] = ContextVar("chroma_patience", default=BUILDING_S)


def patience_s() -> float:
    """Return for how many seconds each question to Chroma may go without an answer here."""
    return _patience.get()


def bound(request: httpx.Request) -> None:
    """Give a request of Chroma's client, which would wait for ever, the patience of who asks."""
    request.extensions["timeout"] = httpx.Timeout(patience_s()).as_dict()


def is_silence(error: BaseException | None) -> bool:
    """Tell whether an error comes of a question that was not answered in time; Chroma's client words some anew."""
    while error is not None:
        if isinstance(error, httpx.TimeoutException):
            return True
        error = error.__cause__ or error.__context__
    return False


class Silence:
    """Whether Chroma has just left a question without an answer; for `REST_S` no decision asks it again.

    Without it each of many prompts would wait for the whole of its patience, one after another.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = 0.0

    @property
    def lasts(self) -> bool:
        """Tell whether it was silent a moment ago."""
        return self._monotonic() < self._until

    def note(self) -> None:
        """Note that a question was left without an answer."""
        self._until = self._monotonic() + REST_S


@contextmanager
def impatience(limit_s: float = DECIDING_S) -> Iterator[None]:
    """Let what is asked of Chroma in this block be answered soon, or not at all."""
    before = _patience.set(limit_s)
    try:
        yield
    finally:
        _patience.reset(before)
