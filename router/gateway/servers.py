"""How much one inference server is asked at once, and when it is left alone because it fails."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from router import metrics
from router.wire import WireError

_FAILURES_BEFORE_REST = 3
_RETRY_BUSY_S = 2.0


class ServerNotAvailable(WireError):
    """A server is not asked now; `retry_after_s` is when it may be worth another try."""

    def __init__(self, message: str, *, status: int, kind: str, code: str, retry_after_s: float) -> None:
        super().__init__(message, status=status, kind=kind, code=code)
        self.retry_after_s = max(1, math.ceil(retry_after_s))


@dataclass(frozen=True)
class Limits:
    """How many requests one server is asked at once, how many wait and how long, and how long a failing one rests."""

    at_once: int
    waiting: int
    patience_s: float
    rest_s: float


class ServerDesk:
    """Lets requests to one server through: some at once, some wait in turn, the others are told to come again.

    After three failures in a row the server rests; then one request tries it, and the others follow where that one
    succeeds. The moment that counts as failure is told by `note`.
    """

    def __init__(self, name: str, limits: Limits, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._limits = limits
        self._monotonic = monotonic
        self._busy = 0
        self._queue: deque[asyncio.Future[None]] = deque()
        self._failures = 0
        self._rests_until = -math.inf
        self._is_tried = False
        self._label = metrics.servers(name)
        self._asked = metrics.AT_SERVERS.labels(self._label, "asked")
        self._waits = metrics.AT_SERVERS.labels(self._label, "waiting")

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Hold the right to ask the server.

        Raises:
            ServerNotAvailable: it rests (503), or too many ask it (429).
        """
        is_trial = self._require_awake()
        try:
            came_at = self._monotonic()
            await self._enter()
            self._asked.inc()
            try:
                metrics.SERVER_WAIT.labels(self._label).observe(self._monotonic() - came_at)
                yield
            finally:
                self._asked.dec()
                self._leave()
        finally:
            if is_trial:
                self._is_tried = False

    def note(self, *, has_failed: bool) -> None:
        """Note how asking the server went."""
        if not has_failed:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= _FAILURES_BEFORE_REST:
            self._rests_until = self._monotonic() + self._limits.rest_s

    def _require_awake(self) -> bool:
        """Refuse while the server rests; return whether this request is the one that tries it."""
        if self._failures < _FAILURES_BEFORE_REST:
            return False
        left_s = self._rests_until - self._monotonic()
        if left_s > 0 or self._is_tried:
            raise ServerNotAvailable(
                f"The inference server {self._name} failed {self._failures} times in a row and is left alone for a "
                "moment. Ask again later, or look at the server.",
                status=503,
                kind="server_error",
                code="upstream_error",
                retry_after_s=left_s,
            )
        self._is_tried = True
        return True

    async def _enter(self) -> None:
        if self._busy < self._limits.at_once:
            self._busy += 1
            return
        if len(self._queue) >= self._limits.waiting:
            raise self._too_many()
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._waits.inc()
        try:
            async with asyncio.timeout(self._limits.patience_s) as limit:
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._leave()  # the turn came as this one left: it is the next one's
            else:
                with suppress(ValueError):  # it was passed over already
                    self._queue.remove(turn)
            if isinstance(error, TimeoutError) and limit.expired():
                raise self._too_many() from error
            raise
        finally:
            self._waits.dec()

    def _leave(self) -> None:
        """Give the place to whoever waits longest."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._busy -= 1

    def _too_many(self) -> ServerNotAvailable:
        return ServerNotAvailable(
            f"The inference server {self._name} has as many requests as it may have. Ask again in a moment.",
            status=429,
            kind="rate_limit_error",
            code="rate_limit_exceeded",
            retry_after_s=_RETRY_BUSY_S,
        )
