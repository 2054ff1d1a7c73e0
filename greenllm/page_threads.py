"""Threads for Django's pages that are there before a page is asked for, and serve one page after another.

Without them each page starts a thread of its own. The event loop waits until a thread that it starts runs, and at the
end until it is gone: beside hundreds of streams that held every answer up for as long as 300 ms.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from asgiref.sync import ThreadSensitiveContext
from django.db import connections

_KEPT = 8
_NAME = "page"

Message = MutableMapping[str, Any]  # Any: as ASGI has it
Served = Callable[..., Awaitable[None]]  # as ASGI has it


class PageThreads:
    """Serves an application, each request with a thread to itself while it lasts; at most `kept` wait for the next."""

    def __init__(self, served: Served, *, kept: int = _KEPT) -> None:
        self._served = served
        self._kept = kept
        self._starting = ThreadPoolExecutor(1, thread_name_prefix="page-starting")
        self._idle = [_started() for _ in range(kept)]

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        """Serve a request."""
        thread = self._idle.pop() if self._idle else await self._another()
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self._served(scope, receive, send)
        except BaseException:
            thread.submit(connections.close_all)  # after what may still run there: nobody else ever would
            thread.shutdown(wait=False)
            raise
        self._give_back(thread)

    async def _another(self) -> ThreadPoolExecutor:
        return await asyncio.get_running_loop().run_in_executor(self._starting, _started)

    def _give_back(self, thread: ThreadPoolExecutor) -> None:
        if len(self._idle) < self._kept:
            self._idle.append(thread)
        else:
            thread.shutdown(wait=False)


def _started() -> ThreadPoolExecutor:
    """Return an executor whose one thread runs."""
    thread = ThreadPoolExecutor(1, thread_name_prefix=_NAME)
    thread.submit(int).result()
    return thread
