"""What was read a moment ago may decide again: for the endpoint, where many decisions a second read the same rows.

Only within `Lately.used` is anything kept; everybody else reads each time.
"""

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Value = TypeVar("Value")

_MOST = 10_000


class Lately:
    """Keeps what was read as long as `lifetime_s`; safe to use from several threads."""

    def __init__(self, *, lifetime_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._lifetime_s = lifetime_s
        self._monotonic = monotonic
        self._values: dict[Hashable, tuple[float, Any]] = {}  # Any: each key has its own type

    @contextmanager
    def used(self) -> Iterator[None]:
        """Let `lately` keep what it reads here, in this thread until the end of the block."""
        before = _used.set(self)
        try:
            yield
        finally:
            _used.reset(before)

    def get(self, key: Hashable, read: Callable[[], Value]) -> Value:
        """Return what was read for a key, or read it; raises what reading raises."""
        now = self._monotonic()
        kept = self._values.get(key)
        if kept is not None and now < kept[0]:
            value: Value = kept[1]
            return value
        value = read()
        if len(self._values) >= _MOST:
            self._values.clear()
        self._values[key] = (now + self._lifetime_s, value)
        return value


_used: ContextVar[Lately | None] = ContextVar("lately", default=None)


def lately(key: Hashable, read: Callable[[], Value]) -> Value:
    """Return what `read` returns, or returned a moment ago where that may count."""
    kept = _used.get()
    return read() if kept is None else kept.get(key, read)
