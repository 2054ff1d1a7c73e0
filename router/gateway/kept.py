"""Values that a process keeps for a moment, so that a burst of requests reads the database once."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Kept(Generic[Key, Value]):
    """Keeps what was made for a key as long as `lifetime_s`, at most `most` of them; of failures it keeps none.

    What is asked for within the last `ahead_s` of its life is made anew beside, so that nobody waits for it. Whoever
    asks while a first value is made waits for that one; where all who wait leave, its making is cancelled. All on one
    event loop.
    """

    def __init__(
        self, *, lifetime_s: float, most: int, ahead_s: float = 0.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._lifetime_s, self._ahead_s = lifetime_s, ahead_s
        self._most = most
        self._monotonic = monotonic
        self._values: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        self._making: dict[Key, asyncio.Task[Value]] = {}
        self._waiting: Counter[asyncio.Task[Value]] = Counter()

    async def get(self, key: Key, make: Callable[[], Awaitable[Value]]) -> Value:
        """Return what is kept for a key, or make it; raises what `make` raises."""
        now = self._monotonic()
        kept = self._values.get(key)
        if kept is not None and now < kept[0]:
            if now >= kept[0] - self._ahead_s:
                self._begin(key, make, now)
            return kept[1]
        task = self._begin(key, make, now)
        self._waiting[task] += 1
        try:
            return await asyncio.shield(task)  # one who leaves takes it from nobody else
        finally:
            self._waiting[task] -= 1
            if not self._waiting[task]:
                del self._waiting[task]
                if not task.done():
                    self._forget(key, task)
                    task.cancel()

    async def settle(self) -> None:
        """Return once nothing is being made."""
        while self._making:
            await asyncio.wait(list(self._making.values()))

    def _begin(self, key: Key, make: Callable[[], Awaitable[Value]], now: float) -> "asyncio.Task[Value]":
        """Return the making of a value, which may have begun already."""
        task = self._making.get(key)
        if task is None:
            task = self._making[key] = asyncio.ensure_future(self._make(key, make, now))
            task.add_done_callback(lambda done: self._made(key, done))
        return task

    async def _make(self, key: Key, make: Callable[[], Awaitable[Value]], now: float) -> Value:
        value = await make()
        self._values[key] = (now + self._lifetime_s, value)  # counted from before it was read: none is older than that
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return value

    def _forget(self, key: Key, task: asyncio.Task[Value]) -> None:
        if self._making.get(key) is task:
            del self._making[key]

    def _made(self, key: Key, done: asyncio.Task[Value]) -> None:
        self._forget(key, done)
        if not done.cancelled():
            done.exception()  # whoever waited got it; nobody may have
