"""Pages that take turns."""

import asyncio
from contextlib import suppress

import pytest
from django.http import HttpRequest, HttpResponse

from greenllm.page_turns import PageTurns


class Pages:
    """Pages that are begun and wait until they are let go on."""

    def __init__(self, *, at_once: int = 2, longest_s: float = 60.0) -> None:
        self.begun: list[str] = []
        self._going: dict[str, asyncio.Event] = {}
        self._turns = PageTurns(self._made, at_once=at_once, longest_s=longest_s)

    def ask(self, name: str) -> "asyncio.Task[HttpResponse]":
        request = HttpRequest()
        request.path = name
        self._going[name] = asyncio.Event()
        return asyncio.ensure_future(self._turns(request))  # type: ignore[arg-type]  # it is a coroutine

    def let_go(self, name: str) -> None:
        self._going[name].set()

    async def _made(self, request: HttpRequest) -> HttpResponse:
        self.begun.append(request.path)
        await self._going[request.path].wait()
        if request.path.startswith("fails"):
            raise LookupError
        return HttpResponse(request.path)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_begin_in_the_order_in_which_they_were_asked_for() -> None:
    async def run() -> None:
        pages = Pages(at_once=2)
        asked = [pages.ask(name) for name in ("one", "two", "three", "four")]
        await settled()
        assert pages.begun == ["one", "two"]
        pages.let_go("two")
        assert (await asked[1]).content == b"two"
        await settled()
        assert pages.begun == ["one", "two", "three"]
        for name in ("one", "three", "four"):
            pages.let_go(name)
        await asyncio.gather(*asked)

    asyncio.run(run())


def test_one_that_takes_long_holds_no_other_up() -> None:
    async def run() -> None:
        pages = Pages(at_once=1, longest_s=0.01)
        slow, other = pages.ask("slow"), pages.ask("other")
        pages.let_go("other")
        assert (await asyncio.wait_for(other, 20)).content == b"other"
        assert not slow.done()
        pages.let_go("slow")
        await slow
        first, second = pages.ask("first"), pages.ask("second")  # it has given its place back once, not twice
        await settled()
        assert pages.begun == ["slow", "other", "first"]
        for name in ("first", "second"):
            pages.let_go(name)
        await asyncio.gather(first, second)

    asyncio.run(run())


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_one_that_ends_otherwise_gives_its_place_back(is_cancelled: bool) -> None:
    async def run() -> None:
        pages = Pages(at_once=1)
        ending, waiting, other = pages.ask("fails"), pages.ask("waits"), pages.ask("other")
        await settled()
        waiting.cancel()  # one that has no place yet has none to give back
        if is_cancelled:
            ending.cancel()
        else:
            pages.let_go("fails")
        with suppress(asyncio.CancelledError, LookupError):
            await ending
        pages.let_go("other")
        assert (await asyncio.wait_for(other, 20)).content == b"other"
        assert pages.begun == ["fails", "other"]

    asyncio.run(run())
