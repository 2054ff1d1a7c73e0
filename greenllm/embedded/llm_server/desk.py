"""Serve orders one after the other: one generation at a time, so that a measured run is not disturbed."""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from greenllm.embedded.llm_server.engine import CANCELLED, Completion
from greenllm.embedded.llm_server.library import Library, Model
from greenllm.embedded.llm_server.orders import EmbeddingOrder, GenerationOrder
from greenllm.embedded.llm_server.refusals import RequestRefusedError
from greenllm.embedded.llm_server.residents import Residents

logger = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class ClientGoneError(Exception):
    """The client left before its order was served."""


@dataclass(frozen=True)
class Finished:
    """The end of an order. `load_ns` is the time it took to have the model ready, in nanoseconds."""

    completion: Completion
    load_ns: int


@dataclass(frozen=True)
class Embedded:
    """The embeddings of an order's texts, each of length one."""

    embeddings: tuple[tuple[float, ...], ...]
    prompt_tokens: int
    load_ns: int


class Departure:
    """Whether a client has left; the engine's thread and the event loop both look at it."""

    def __init__(self) -> None:
        self._seen_by_threads = threading.Event()
        self._seen_by_loop = asyncio.Event()

    def announce(self) -> None:
        """Say that the client has left; call it in the event loop."""
        self._seen_by_threads.set()
        self._seen_by_loop.set()

    def has_happened(self) -> bool:
        return self._seen_by_threads.is_set()

    async def wait(self) -> None:
        await self._seen_by_loop.wait()


class Desk:
    """Takes orders from the event loop and has them worked off in threads."""

    def __init__(self, library: Library, residents: Residents) -> None:
        self._library = library
        self._residents = residents
        self._turn = asyncio.Lock()

    async def find(self, name: str) -> Model:
        """Return the model a client names; see `Library.find`."""
        return await asyncio.to_thread(self._library.find, name)

    async def generate(self, order: GenerationOrder, departure: Departure) -> AsyncGenerator[str | Finished]:
        """Yield the pieces of the answer as they are made, and how it ended.

        Raises:
            RequestRefusedError: before the first piece or, if the engine fails, after it.
            ClientGoneError: the client left while it waited for its turn.
        """
        model = await self.find(order.model)
        if model.facts.is_embedder:
            raise RequestRefusedError(f'"{order.model}" does not support {_kind(order)}')
        async with self._taking_turn(departure):
            started_ns = time.monotonic_ns()
            engine = await _in_thread(lambda: self._residents.get(model, order.load))
            load_ns = time.monotonic_ns() - started_ns
            line = _Line()
            work = asyncio.ensure_future(
                _in_thread(lambda: line.carry(lambda say: engine.generate(order, say, departure.has_happened)))
            )
            try:
                async for piece in line.pieces():
                    yield piece
                completion = await work
            finally:
                departure.announce()
                await _settled(work)
                self._residents.keep(model.name, order.keep_alive)
            if completion.reason == CANCELLED:
                logger.info("generation with %s cancelled, its client left", model.name)
            yield Finished(completion, load_ns)

    async def load(self, order: GenerationOrder | EmbeddingOrder, departure: Departure) -> bool:
        """Load a model, or unload it when it shall be kept for no time; tells whether it is loaded now.

        Raises:
            RequestRefusedError: there is no such model, or it cannot be loaded.
            ClientGoneError: the client left while it waited for its turn.
        """
        model = await self.find(order.model)
        async with self._taking_turn(departure):
            if order.keep_alive is not None and not order.keep_alive:
                self._residents.unload(model.name)
                return False
            await _in_thread(lambda: self._residents.get(model, order.load))
            self._residents.keep(model.name, order.keep_alive)
            return True

    async def embed(self, order: EmbeddingOrder, departure: Departure) -> Embedded:
        """Embed the texts of an order.

        Raises:
            RequestRefusedError: no such model, no embedder, or a text that is too long.
            ClientGoneError: the client left before the end.
        """
        model = await self.find(order.model)
        if not model.facts.is_embedder:
            raise RequestRefusedError(f'"{order.model}" does not support embeddings')
        async with self._taking_turn(departure):
            started_ns = time.monotonic_ns()
            engine = await _in_thread(lambda: self._residents.get(model, order.load))
            load_ns = time.monotonic_ns() - started_ns
            embeddings, prompt_tokens = [], 0
            try:
                for text in order.texts:
                    if departure.has_happened():
                        raise ClientGoneError
                    numbers, count = await _in_thread(partial(engine.embed, text, truncates=order.truncates))
                    embeddings.append(tuple(numbers))
                    prompt_tokens += count
            finally:
                self._residents.keep(model.name, order.keep_alive)
        return Embedded(tuple(embeddings), prompt_tokens, load_ns)

    async def drop_expired(self) -> None:
        """Unload the models whose time is over, when nothing is being generated."""
        async with self._turn:
            await _in_thread(self._residents.drop_expired)

    @asynccontextmanager
    async def _taking_turn(self, departure: Departure) -> AsyncIterator[None]:
        mine = asyncio.ensure_future(self._turn.acquire())
        gone = asyncio.ensure_future(departure.wait())
        try:
            await asyncio.wait({mine, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not mine.done():
                raise ClientGoneError
            yield
        finally:
            gone.cancel()
            if not mine.cancel() and not mine.cancelled():
                self._turn.release()


class _Line:
    """Hands pieces of text from an engine's thread over to the event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()

    def carry(self, work: Callable[[Callable[[str], None]], Completion]) -> Completion:
        """Run the work in the current thread, then mark the end of its pieces."""
        try:
            return work(self._put)
        finally:
            self._put(None)

    async def pieces(self) -> AsyncIterator[str]:
        while (piece := await self._queue.get()) is not None:
            yield piece

    def _put(self, piece: str | None) -> None:
        self._loop.call_soon_threadsafe(self._queue.put_nowait, piece)


def _kind(order: GenerationOrder) -> str:
    return "chat" if order.messages else "generate"


async def _in_thread(work: Callable[[], _Result]) -> _Result:
    """Run the work in a thread to its end, even when the caller is cancelled: two may never run side by side."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await _settled(running)
        raise


async def _settled(work: asyncio.Future[_Result]) -> None:
    """Wait until the work is over, whatever came of it."""
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            continue  # the engine must be free before its turn is given on
    if not work.cancelled():
        work.exception()
