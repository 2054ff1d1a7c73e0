"""Pages take turns: only a few are made at once, in the order in which they were asked for.

Threads of Python compute one at a time. Of twenty pages at once, each would take twenty times as long, and the event
loop, which answers every stream and every request of the endpoint, would come as seldom as any of them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from asgiref.sync import markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

_AT_ONCE = 4
_LONGEST_S = 0.25


class PageTurns:
    """Middleware that lets a page begin once it is its turn; one that waits for something long does not hold others up.

    It needs the event loop: everything inside of it is made in the page's thread.
    """

    sync_capable = False
    async_capable = True

    def __init__(
        self,
        get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]],
        *,
        at_once: int = _AT_ONCE,
        longest_s: float = _LONGEST_S,
    ) -> None:
        self._get_response = get_response
        self._places = asyncio.Semaphore(at_once)
        self._longest_s = longest_s
        markcoroutinefunction(self)

    async def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Make a page in its turn."""
        async with self._turn():
            return await self._get_response(request)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        await self._places.acquire()
        is_over = False

        def end() -> None:
            nonlocal is_over
            if not is_over:
                is_over = True
                self._places.release()

        ending = asyncio.get_running_loop().call_later(self._longest_s, end)
        try:
            yield
        finally:
            ending.cancel()
            end()
