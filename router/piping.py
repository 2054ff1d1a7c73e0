"""Read what a blocking generator gives from an event loop: it runs in a thread of its own, with back-pressure.

asyncio's own executor has few threads, and a generation may hold one for minutes; here each has its own.
"""

import asyncio
import threading
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")

_CAPACITY = 64


class _ReaderLeft(Exception):
    pass


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None


class Pipe(Generic[Item]):
    """Carries the items of one generator from its thread to one reader.

    When the reader leaves, `on_leave` is called, which shall end what the generator waits for; the generator is
    closed in its own thread, so that it can put in order what it left. At most `capacity` items wait.
    """

    def __init__(
        self,
        generate: Callable[[], Generator[Item, None, None]],
        *,
        on_leave: Callable[[], None],
        capacity: int = _CAPACITY,
        name: str = "pipe",
    ) -> None:
        self._generate = generate
        self._on_leave = on_leave
        self._loop = asyncio.get_running_loop()
        self._items: asyncio.Queue[Item | _End] = asyncio.Queue()
        self._room = threading.Semaphore(capacity)
        self._has_left = threading.Event()
        self._end: _End | None = None
        threading.Thread(target=self._work, name=name).start()

    async def read(self) -> Item:
        """Wait for the next item.

        Raises what the generator raised, and `StopAsyncIteration` after its last item.
        """
        if self._end is None:
            item = await self._items.get()
            if not isinstance(item, _End):
                self._room.release()
                return item
            self._end = item
        raise self._end.error or StopAsyncIteration

    def leave(self) -> None:
        """Read no more; may be called from anywhere, and more than once."""
        if not self._has_left.is_set():
            self._has_left.set()
            self._on_leave()
            self._room.release()  # for the thread that waits for room

    def _work(self) -> None:
        end = _End(None)
        try:
            with closing(self._generate()) as items:
                for item in items:
                    self._put(item)
        except _ReaderLeft:
            return
        except Exception as error:  # noqa: BLE001  the reader gets it
            end = _End(error)
        with suppress(_ReaderLeft):
            self._hand_over(end)

    def _put(self, item: Item) -> None:
        self._room.acquire()
        if self._has_left.is_set():
            raise _ReaderLeft
        self._hand_over(item)

    def _hand_over(self, item: Item | _End) -> None:
        try:
            self._loop.call_soon_threadsafe(self._items.put_nowait, item)
        except RuntimeError as closed:  # the loop has ended, and with it the reader
            raise _ReaderLeft from closed
