"""Blocking work of the gateway's event loop, in threads: the database, questions to servers, checks of answers."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from benchmarks.inference.interruption import Interruption
from router.connections import PLACES, DatabasePlace

Result = TypeVar("Result")

_ASKING_THREADS = 32
_CHECKING_THREADS = 2  # code of answers is run there, in the sandbox: the machine has other work


class Workers:
    """The threads of one event loop."""

    def __init__(self) -> None:
        self._database = ThreadPoolExecutor(PLACES, thread_name_prefix="gateway-database")
        self._asking = ThreadPoolExecutor(_ASKING_THREADS, thread_name_prefix="gateway-asking")
        self._checking = ThreadPoolExecutor(_CHECKING_THREADS, thread_name_prefix="gateway-checking")

    async def query(self, work: Callable[[], Result]) -> Result:
        """Run work that uses the database; its connection is given back with its end."""
        return await asyncio.get_running_loop().run_in_executor(self._database, _with_place, work)

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


def _with_place(work: Callable[[], Result]) -> Result:
    place = DatabasePlace()
    place.claim()
    try:
        return work()
    finally:
        place.release()
