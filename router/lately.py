"""What was read a moment ago may decide again: for the endpoint, where many decisions a second read the same rows.

Only within `Lately.used` is anything kept; everybody else reads each time.
"""

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

_MOST = 10_000
_FEW = 256


class WouldWait(Exception):
    """Something has to be waited for, which whoever decides here must not.

    Under a `key` it is kept once somebody has waited for it, which `read` does if it is told; without a key each has
    to wait for itself.
    """

    def __init__(self, key: Hashable = None, read: Callable[[], object] | None = None) -> None:
        super().__init__(f"{key or 'something'} has to be waited for")
        self.key, self.read = key, read


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
            raise WouldWait(key, lambda: self.get(key, read))
        return self._read(key, read)

    def get_each(
        self,
        kind: str,
        keys: Iterable[Key],
        read: Callable[[list[Key]], Mapping[Key, Value]],
        *,
        lifetime_s: float,
        may_wait: bool = True,
    ) -> dict[Key, Value]:
        """Return what was read for each of some keys of a kind, all that lack in one reading; see `lately_each`."""
        now = self._monotonic()
        kept = {key: self._values.get((kind, key), (now, None)) for key in keys}
        lacking = [key for key, (until, _) in kept.items() if now >= until]
        if lacking:
            if not may_wait:
                raise WouldWait((kind, *lacking), lambda: self._read_each(kind, lacking, read, lifetime_s))
            kept.update(self._read_each(kind, lacking, read, lifetime_s))
        return {key: value for key, (_, value) in kept.items() if value is not None}

    def _read(self, key: Hashable, read: Callable[[], Value]) -> Value:
        now = self._monotonic()  # counted from before it is read: none is older than that
        value = read()
        self._keep({key: (now + self._lifetime_s, value)})
        return value

    def _read_each(
        self, kind: str, keys: list[Key], read: Callable[[list[Key]], Mapping[Key, Value]], lifetime_s: float
    ) -> dict[Key, tuple[float, Value | None]]:
        until = self._monotonic() + lifetime_s
        values = read(keys)
        found = {key: (until, values.get(key)) for key in keys}
        self._keep({(kind, key): one for key, one in found.items()})
        return found

    def _keep(self, values: Mapping[Any, tuple[float, Any]]) -> None:
        if len(self._values) + len(values) > self._look_at:
            self._drop_old(self._monotonic())
        self._values.update(values)

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


def lately_each(
    kind: str, keys: Iterable[Key], read: Callable[[list[Key]], Mapping[Key, Value]], *, lifetime_s: float
) -> dict[Key, Value]:
    """Return what `read` tells of keys of a kind, or told within `lifetime_s`; of what it does not tell, nothing."""
    use = _used.get()
    if use is None:
        return dict(read(list(keys)))
    return use.kept.get_each(kind, keys, read, lifetime_s=lifetime_s, may_wait=use.may_wait)


def require_time(key: Hashable = None) -> None:
    """Say that what follows has to wait for something; under a key it is kept afterwards.

    Raises:
        WouldWait: it must not.
    """
    use = _used.get()
    if use is not None and not use.may_wait:
        raise WouldWait(key)
