import asyncio

import pytest

from router.gateway.kept import Kept


class Source:
    """Counts how often it was read; a clock that stands still until it is told."""

    def __init__(self, *, ahead_s: float = 0.0) -> None:
        self.now = 0.0
        self.count = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.kept: Kept[str, int] = Kept(lifetime_s=0.5, most=2, ahead_s=ahead_s, monotonic=lambda: self.now)

    async def read(self) -> int:
        await self.gate.wait()
        self.count += 1
        return self.count

    async def get(self, key: str = "a") -> int:
        return await self.kept.get(key, self.read)


class TestKept:
    async def test_is_made_once_within_its_lifetime(self) -> None:
        source = Source()
        assert [await source.get(), await source.get()] == [1, 1]
        source.now = 0.5
        assert await source.get() == 2

    async def test_is_as_old_as_the_beginning_of_its_reading(self) -> None:
        source = Source()
        source.gate.clear()
        reading = asyncio.ensure_future(source.get())
        await asyncio.sleep(0)
        source.now = 0.6
        source.gate.set()
        assert (await reading, await source.get()) == (1, 2)

    async def test_is_made_once_for_all_who_wait(self) -> None:
        source = Source()
        assert await asyncio.gather(*(source.get() for _ in range(5))) == [1] * 5

    async def test_is_taken_from_nobody_by_one_who_leaves(self) -> None:
        source = Source()
        source.gate.clear()
        first, second = (asyncio.ensure_future(source.get()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        source.gate.set()
        assert await second == 1
        assert first.cancelled()

    async def test_is_not_made_on_once_all_who_wait_have_left(self) -> None:
        source = Source()
        source.gate.clear()
        waiting = [asyncio.ensure_future(source.get()) for _ in range(2)]
        await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
        source.gate.set()
        assert await source.get() == 1  # by a making of its own: the first was cancelled before it counted

    async def test_keeps_no_failure(self) -> None:
        source = Source()

        async def fail() -> int:
            raise LookupError

        with pytest.raises(LookupError):
            await source.kept.get("a", fail)
        assert await source.get() == 1

    async def test_keeps_no_more_than_it_may(self) -> None:
        source = Source()
        for key in ("a", "b", "c", "a"):
            await source.get(key)
        assert source.count == 4


class TestKeptAhead:
    async def test_is_made_anew_beside_before_its_end(self) -> None:
        source = Source(ahead_s=0.3)
        await source.get()
        source.now = 0.2
        assert await source.get() == 1  # nobody waits for the new one
        await source.kept.settle()
        source.now = 0.6
        assert (await source.get(), source.count) == (2, 2)

    async def test_is_made_anew_once_for_all_who_ask_meanwhile(self) -> None:
        source = Source(ahead_s=0.3)
        await source.get()
        source.now, _ = 0.2, source.gate.clear()
        assert [await source.get() for _ in range(5)] == [1] * 5
        source.gate.set()
        await source.kept.settle()
        assert source.count == 2

    async def test_counts_no_longer_where_the_new_one_does_not_come(self) -> None:
        source = Source(ahead_s=0.3)
        await source.get()
        source.now = 0.4

        async def fail() -> int:
            raise LookupError

        assert await source.kept.get("a", fail) == 1
        await source.kept.settle()
        source.now = 0.5
        with pytest.raises(LookupError):
            await source.kept.get("a", fail)
