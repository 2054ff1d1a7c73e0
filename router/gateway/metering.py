"""Measure one request at a time with the machine's meters, where nothing else goes on there and nobody waits for it.

A request is measured only if the meters were ready before it asked its server: so it is not held up. They are made
ready after a request has ended, by taking the machine's lock and starting the sampler (or asking that of the worker);
after half a minute without a request, or where a study starts, they are given back.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from django.db import DatabaseError, connection
from django.utils import timezone

from benchmarks.models import Deployment, Measurement
from router.metering import MeterReady, NotNow, make_ready, measured

logger = logging.getLogger(__name__)

_READY_LOOKS = 15
_LOOK_S = 2.0
PATIENCE_S = 5.0  # of a caller who asked to be measured, for the meters, and again for the figure
Result = TypeVar("Result")


@dataclass(eq=False)
class Ticket:
    """One request that is being measured; `found` is its measurement, or None where it cannot be told."""

    public_id: str
    started_at: datetime
    start_ns: int
    found: "asyncio.Future[Measurement | None]"
    stop_ns: int = 0
    is_alone: bool = True


@dataclass
class LiveMeter:
    """The meters of this process's machine, for the requests of one event loop; where `every` is 0 none is measured."""

    machine_name: str
    every: int
    _under_way: int = 0
    _unmeasured: int = 0
    _ready: MeterReady | None = None
    _ticket: Ticket | None = None
    _preparing: "asyncio.Task[None] | None" = None
    _watching: "asyncio.Task[None] | None" = None
    _finishing: "asyncio.Task[None] | None" = None
    _held: ExitStack = field(default_factory=ExitStack)
    noting: "set[asyncio.Task[None]]" = field(default_factory=set)  # of measurements that came after their rows

    def __post_init__(self) -> None:
        self._unmeasured = self.every  # the first chance is taken
        # the lock belongs to a database connection and the sampler to a thread, so all of it is done in one
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gateway-metering")

    def begin(self) -> None:
        """Note that a request has come: one that is being measured is not alone any more."""
        self._under_way += 1
        if self._ticket is not None:
            self._ticket.is_alone = False

    def end(self) -> None:
        """Note that a request has ended, and make the meters ready where it is time to."""
        self._under_way -= 1
        self._unmeasured += 1
        if self.every and self._unmeasured > self.every and self._under_way == 0:
            self._prepare()

    async def wait_until_ready(self) -> None:
        """Make the meters ready for a request whose caller wants it measured; for a moment, and maybe in vain."""
        if self.every and self._ticket is None:
            await asyncio.wait({self._prepare()}, timeout=PATIENCE_S)

    def take(self, deployment: Deployment, public_id: str) -> Ticket | None:
        """Begin to measure a request, where the meters are ready for its machine and it is alone there."""
        ready = self._ready
        if ready is None or self._ticket is not None or self._under_way != 1:
            return None
        if deployment.server.machine_id != ready.machine.pk:
            return None
        if self._watching is not None:
            self._watching.cancel()
        self._unmeasured = 0
        found: asyncio.Future[Measurement | None] = asyncio.get_running_loop().create_future()
        self._ticket = Ticket(public_id, timezone.now(), time.monotonic_ns(), found)
        return self._ticket

    def stop(self, ticket: Ticket, *, is_whole: bool) -> None:
        """End the measuring of a request; where its answer is not whole nothing is kept."""
        if self._ticket is not ticket:
            return
        ticket.stop_ns = time.monotonic_ns()
        ready, self._ticket, self._ready = self._ready, None, None
        is_kept = is_whole and ticket.is_alone and ready is not None
        self._finishing = asyncio.ensure_future(self._finish(ticket, ready if is_kept else None))

    async def close(self) -> None:
        """Give the meters back, once what was measured is noted."""
        if self.noting:
            await asyncio.wait(self.noting, timeout=PATIENCE_S)
        for task in (self._preparing, self._watching):
            if task is not None:
                task.cancel()
                await asyncio.wait({task})
        self._ready = None
        await self._run(self._give_back)
        self._thread.shutdown(wait=False)

    def _prepare(self) -> "asyncio.Task[None]":
        if self._preparing is None or (self._preparing.done() and self._ready is None):
            self._preparing = asyncio.ensure_future(self._make_ready())
        return self._preparing

    async def _make_ready(self) -> None:
        self._ready = await self._run(self._made_ready)
        if self._ready is not None:
            self._watching = asyncio.ensure_future(self._watch(self._ready))

    def _made_ready(self) -> MeterReady | None:
        try:
            return make_ready(machine_name=self.machine_name, held=self._held)
        except NotNow as reason:
            logger.debug("no request is measured now: %s", reason)
        except Exception:  # the outer edge: a request that is not measured is whole
            logger.exception("no request can be measured")
        self._give_back()
        return None

    async def _watch(self, ready: MeterReady) -> None:
        for _ in range(_READY_LOOKS):
            await asyncio.sleep(_LOOK_S)
            if await self._run(ready.is_wanted_elsewhere):
                break
        if self._ready is ready and self._ticket is None:
            self._ready = None
            await self._run(self._give_back)

    async def _finish(self, ticket: Ticket, ready: MeterReady | None) -> None:
        ticket.found.set_result(await self._run(lambda: self._measured(ticket, ready)))

    def _measured(self, ticket: Ticket, ready: MeterReady | None) -> Measurement | None:
        try:
            if ready is None:
                return None
            return measured(
                ready=ready, public_id=ticket.public_id, started_at=ticket.started_at,
                start_ns=ticket.start_ns, stop_ns=ticket.stop_ns,
            )  # fmt: skip
        except NotNow as reason:
            logger.info("the measurement of %s is dropped: %s", ticket.public_id, reason)
        except Exception:  # the outer edge: a request that is not measured is whole
            logger.exception("%s could not be measured", ticket.public_id)
        finally:
            self._give_back()
        return None

    def _give_back(self) -> None:
        try:
            self._held.close()
        except DatabaseError:
            logger.warning("the connection that held the machine was lost; so is its lock")
        connection.close()

    async def _run(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
