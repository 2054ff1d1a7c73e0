import asyncio
import gc
import threading
from collections.abc import Generator

import pytest

from router.api.streaming import StreamBody, read_within
from router.piping import Pipe

PATIENCE_S = 5.0


class Source:
    """A blocking generator that tells what became of it; `gate` holds it back after the first item."""

    def __init__(self, count: int, *, is_gated: bool = False, error: Exception | None = None) -> None:
        self.count = count
        self.error = error
        self.gate = threading.Event()
        if not is_gated:
            self.gate.set()
        self.given = 0
        self.ended = threading.Event()
        self.was_closed = False

    def __call__(self) -> Generator[int, None, None]:
        try:
            for number in range(self.count):
                if number == 1:
                    assert self.gate.wait(PATIENCE_S)
                self.given += 1
                yield number
            if self.error:
                raise self.error
        except GeneratorExit:
            self.was_closed = True
            raise
        finally:
            self.ended.set()

    def pipe(self, capacity: int = 64) -> Pipe[int]:
        return Pipe(self, on_leave=self.gate.set, capacity=capacity)

    async def has_ended(self) -> bool:
        return await asyncio.to_thread(self.ended.wait, PATIENCE_S)


async def read_all(pipe: Pipe[int]) -> list[int]:
    items = []
    while True:
        try:
            items.append(await pipe.read())
        except StopAsyncIteration:
            return items


class TestPipe:
    async def test_gives_every_item_in_order_and_then_the_end(self) -> None:
        pipe = Source(500).pipe(capacity=3)
        assert await read_all(pipe) == list(range(500))
        with pytest.raises(StopAsyncIteration):
            await pipe.read()

    async def test_gives_the_items_before_an_error_and_the_error_ever_after(self) -> None:
        pipe = Source(2, error=ValueError("broken")).pipe()
        assert [await pipe.read(), await pipe.read()] == [0, 1]
        for _ in range(2):
            with pytest.raises(ValueError, match="broken"):
                await pipe.read()

    async def test_holds_a_source_back_that_is_faster_than_its_reader(self) -> None:
        source = Source(1000)
        pipe = source.pipe(capacity=4)
        await pipe.read()
        assert not await asyncio.to_thread(source.ended.wait, 0.1)
        assert source.given <= 6
        pipe.leave()
        assert await source.has_ended()

    @pytest.mark.parametrize("capacity", [1, 64], ids=["waits for room", "waits for its source"])
    async def test_closes_its_source_when_the_reader_leaves(self, capacity: int) -> None:
        source = Source(1000, is_gated=capacity > 1)
        pipe = source.pipe(capacity)
        await pipe.read()
        pipe.leave()
        pipe.leave()
        assert await source.has_ended()
        assert source.was_closed

    async def test_runs_more_sources_at_once_than_asyncio_has_threads(self) -> None:
        sources = [Source(2, is_gated=True) for _ in range(60)]
        pipes = [source.pipe() for source in sources]
        assert await asyncio.gather(*(pipe.read() for pipe in pipes)) == [0] * 60
        for source in sources:
            source.gate.set()
        assert await asyncio.gather(*(pipe.read() for pipe in pipes)) == [1] * 60

    def test_outlives_its_event_loop(self) -> None:
        source = Source(3, is_gated=True)

        async def begin() -> None:
            await source.pipe().read()

        asyncio.run(begin())
        source.gate.set()
        assert source.ended.wait(PATIENCE_S)


class TestReadWithin:
    async def test_tells_silence_from_an_item(self) -> None:
        source = Source(2, is_gated=True)
        pipe = source.pipe()
        assert await read_within(pipe, PATIENCE_S) == 0
        assert await read_within(pipe, 0.01) is None
        source.gate.set()
        assert await read_within(pipe, PATIENCE_S) == 1

    async def test_takes_a_timeout_of_the_source_for_what_it_is(self) -> None:
        pipe = Source(0, error=TimeoutError("of the source")).pipe()
        with pytest.raises(TimeoutError, match="of the source"):
            await read_within(pipe, PATIENCE_S)


def body_of(pipe: Pipe[int], ping_interval_s: float = PATIENCE_S) -> StreamBody[int]:
    return StreamBody(
        pipe,
        head=b"head;",
        written=lambda item: b"%d;" % item,
        failed=lambda error: f"failed: {error}".encode(),
        ping=b"ping;",
        ping_interval_s=ping_interval_s,
    )


class TestStreamBody:
    async def test_sends_the_head_and_every_item(self) -> None:
        assert [part async for part in body_of(Source(2).pipe())] == [b"head;", b"0;", b"1;"]

    async def test_tells_of_an_error_and_ends(self) -> None:
        pipe = Source(1, error=ValueError("broken")).pipe()
        assert [part async for part in body_of(pipe)] == [b"head;", b"0;", b"failed: broken"]

    async def test_pings_in_silence_only(self) -> None:
        source = Source(2, is_gated=True)
        parts = []
        async for part in body_of(source.pipe(), ping_interval_s=0.01):
            parts.append(part)
            if parts.count(b"ping;") == 2:
                source.gate.set()
        assert parts[:4] == [b"head;", b"0;", b"ping;", b"ping;"]
        assert parts[-1] == b"1;"

    async def test_ends_its_source_when_it_is_closed_before_its_first_byte(self) -> None:
        source = Source(3, is_gated=True)
        body = body_of(source.pipe())
        body.close()
        assert await source.has_ended()
        assert source.was_closed

    @pytest.mark.slow
    async def test_ends_its_source_when_nobody_ever_read_it(self) -> None:
        source = Source(3, is_gated=True)
        body = body_of(source.pipe())
        del body
        gc.collect()
        assert await source.has_ended()
        assert source.was_closed
