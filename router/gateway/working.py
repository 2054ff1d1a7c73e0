"""Blocking work of the gateway's event loop, in threads: the database, questions to servers, checks of answers."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import TypeVar

from benchmarks.inference.interruption import Interruption
from router.connections import PLACES, DatabaseAway, DatabasePlace, DatabaseWatch

Result = TypeVar("Result")

_ASKING_THREADS = 32
_NOTICED_S = 0.5  # work that takes longer makes somebody look whether Postgres is there
_STARTING_S = 10.0
_CHECKING_THREADS = 2  # code of answers is run there, in the sandbox: the machine has other work


class Workers:
    """The threads of one event loop."""

    def __init__(self) -> None:
        self._watch = DatabaseWatch(clock=time.monotonic)
        self._waiting_for_postgres = 0  # pieces of patient work that it has been found away for
        self._database = ThreadPoolExecutor(PLACES, thread_name_prefix="gateway-database")
        self._asking = ThreadPoolExecutor(_ASKING_THREADS, thread_name_prefix="gateway-asking")
        self._checking = ThreadPoolExecutor(_CHECKING_THREADS, thread_name_prefix="gateway-checking")

    def begin(self) -> None:
        """Start the threads, so that the event loop does not wait for that in the middle of its work."""
        _start(self._database, PLACES)
        _start(self._asking, _ASKING_THREADS)

    @property
    def is_away(self) -> bool:
        """Tell whether Postgres was found away; nobody is asked."""
        return self._waiting_for_postgres > 0 or self._watch.is_away

    async def query(self, work: Callable[[], Result], *, is_patient: bool = False) -> Result:
        """Run work that uses the database; its connection is given back with its end.

        Where Postgres is away only patient work waits for it as long as the pool does: what stores rows outlives a
        short outage so, and is not stored after it was told that it could not be.

        Raises:
            DatabaseAway: Postgres does not answer; not of patient work.
        """
        if self.is_away and not is_patient:
            raise DatabaseAway
        running = asyncio.get_running_loop().run_in_executor(self._database, _with_place, work)
        if not is_patient:
            await self._notice_outage(running)
            return await running
        with self.knowing_of_outage():
            return await running

    @contextmanager
    def knowing_of_outage(self) -> Iterator[None]:
        """While work with the database takes its time and Postgres is away, `is_away` says so to whoever comes next."""
        looking: list[asyncio.Task[None]] = []
        look = asyncio.get_running_loop().call_later(
            _NOTICED_S, lambda: looking.append(asyncio.ensure_future(self._look()))
        )
        try:
            yield
        finally:
            look.cancel()
            for one in looking:
                one.cancel()

    async def _look(self) -> None:
        """Look again and again whether Postgres is there, until cancelled."""
        is_away = False
        try:
            while True:
                was_away, is_away = is_away, not await self.ask(self._watch.answers)
                self._waiting_for_postgres += is_away - was_away
                await asyncio.sleep(_NOTICED_S)
        finally:
            self._waiting_for_postgres -= is_away

    async def _notice_outage(self, running: "asyncio.Future[Result]") -> None:
        """Return once work has ended, or Postgres was found to answer while it takes its time.

        Raises:
            DatabaseAway: it does not; the work is left to itself.
        """
        try:
            done, _ = await asyncio.wait({running}, timeout=_NOTICED_S)
            if not done and not await self.ask(self._watch.answers):
                running.add_done_callback(_unheard)
                raise DatabaseAway
        except asyncio.CancelledError:
            running.cancel()
            raise

    async def ask(self, work: Callable[[], Result]) -> Result:
        """Run work that waits for a server and uses no database."""
        return await asyncio.get_running_loop().run_in_executor(self._asking, work)

    async def interruptible(self, work: Callable[[Interruption], Result]) -> Result:
        """Run work that waits for a server; where who wants it leaves, its interruption ends the waiting."""
        interruption = Interruption()
        try:
            return await self.ask(lambda: work(interruption))
        except asyncio.CancelledError:
            interruption.interrupt()
            raise

    async def check(self, work: Callable[[], Result]) -> Result:
        """Run work that reads an answer, and may run what is in it, and uses no database."""
        return await asyncio.get_running_loop().run_in_executor(self._checking, work)

    def close(self) -> None:
        """Take no more work; what runs ends by itself."""
        self._database.shutdown(wait=False)
        self._asking.shutdown(wait=False)
        self._checking.shutdown(wait=False)


def _start(threads: ThreadPoolExecutor, count: int) -> None:
    """Return once so many threads run: each of as many pieces of work waits for the others."""
    started = threading.Barrier(count + 1)
    for _ in range(count):
        threads.submit(started.wait, _STARTING_S)
    with suppress(threading.BrokenBarrierError):  # the machine is slow: they come later
        started.wait(_STARTING_S)


def _with_place(work: Callable[[], Result]) -> Result:
    place = DatabasePlace()
    place.claim()
    try:
        return work()
    finally:
        place.release()


def _unheard(running: "asyncio.Future[Result]") -> None:
    """Take note of the error of work that nobody waits for, so that it is not told as forgotten."""
    if not running.cancelled():
        running.exception()
