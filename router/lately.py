"""What was read a moment ago may decide again: for the endpoint, where many decisions a second read the same rows.

Only within `Lately.used` is anything kept; everybody else reads each time.
"""

import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

Value = TypeVar("Value")

_MOST = 10_000
_FEW = 256


class WouldWait(Exception):
    """Something has to be waited for, which whoever decides here must not."""


class Lately:
    """Keeps what was read as long as `lifetime_s`; safe to use from several threads.

    What is asked for within the last `ahead_s` of its life is due: `renew` reads it anew, so that nobody waits.
    """

    def __init__(
        self, *, lifetime_s: float, ahead_s: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._lifetime_s, self._ahead_s = lifetime_s, ahead_s
        self._monotonic = monotonic
        self._values: dict[Hashable, tuple[float, Any]] = {}  # Any: each key has its own type
        self._due: dict[Hashable, Callable[[], Any]] = {}
        self._look_at = _FEW

    @contextmanager
    def used(self, *, may_wait: bool = True) -> Iterator[None]:
        """Let `lately` keep what it reads here, in this thread until the end of the block.

        Where it may not wait, `lately` and `require_time` raise `WouldWait` instead.
        """
        before = _used.set(_Use(self, may_wait=may_wait))
        try:
            yield
        finally:
            _used.reset(before)

    @property
    def has_due(self) -> bool:
        """Tell whether something ought to be renewed."""
        return bool(self._due)

    def renew(self) -> None:
        """Read what is due; raises what reading raises, and what could not be read is kept to the end of its life."""
        while self._due:
            try:
                key, read = self._due.popitem()
            except KeyError:  # another thread took the last one
                return
            self._read(key, read)

    def get(self, key: Hashable, read: Callable[[], Value], *, may_wait: bool = True) -> Value:
        """Return what was read for a key, or read it; raises what reading raises, and `WouldWait`."""
        now = self._monotonic()
        kept = self._values.get(key)
        if kept is not None and now < kept[0]:
            if now >= kept[0] - self._ahead_s:
                self._due[key] = read
            value: Value = kept[1]
            return value
        if not may_wait:
            raise WouldWait
        return self._read(key, read)

    def _read(self, key: Hashable, read: Callable[[], Value]) -> Value:
        now = self._monotonic()  # counted from before it is read: none is older than that
        value = read()
        if len(self._values) >= self._look_at:
            self._drop_old(now)
        self._values[key] = (now + self._lifetime_s, value)
        return value

    def _drop_old(self, now: float) -> None:
        """Forget what counts no more; where too much is left, everything."""
        for key, (until, _) in list(self._values.items()):
            if until <= now:
                self._values.pop(key, None)
        if len(self._values) >= _MOST:
            self._values.clear()
        self._look_at = max(_FEW, 2 * len(self._values))  # so that a look costs little for each value that is kept


@dataclass(frozen=True)
class _Use:
    kept: Lately
    may_wait: bool


_used: ContextVar[_Use | None] = ContextVar("lately", default=None)


def lately(key: Hashable, read: Callable[[], Value]) -> Value:
    """Return what `read` returns, or returned a moment ago where that may count."""
    use = _used.get()
    return read() if use is None else use.kept.get(key, read, may_wait=use.may_wait)


def require_time() -> None:
    """Say that what follows has to wait for something.

    Raises:
        WouldWait: it must not.
    """
    use = _used.get()
    if use is not None and not use.may_wait:
        raise WouldWait
