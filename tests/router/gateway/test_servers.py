import asyncio
from contextlib import AsyncExitStack

import pytest
from prometheus_client import generate_latest

from router.gateway.servers import Limits, ServerDesk, ServerNotAvailable
from router.metrics import REGISTRY
from tests.scraping import Counted


class Moment:
    """A clock that stands still until it is told."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def desk(moment: Moment | None = None, **limits: float) -> ServerDesk:
    given = {"at_once": 1, "waiting": 1, "patience_s": 30.0, "rest_s": 10.0, **limits}
    return ServerDesk("server", Limits(**given), monotonic=moment or Moment())  # type: ignore[arg-type]


async def hold(desk: ServerDesk, entered: list[int], number: int, until: asyncio.Event) -> None:
    async with desk.place():
        entered.append(number)
        await until.wait()


class TestPlaces:
    async def test_are_given_in_turn(self) -> None:
        one, entered, until = desk(waiting=2), [], asyncio.Event()
        tasks = [asyncio.ensure_future(hold(one, entered, number, until)) for number in range(3)]
        await asyncio.sleep(0)
        assert entered == [0]
        until.set()
        await asyncio.gather(*tasks)
        assert entered == [0, 1, 2]

    async def test_beyond_the_queue_are_refused_with_a_time_to_come_again(self) -> None:
        one, until = desk(), asyncio.Event()
        tasks = [asyncio.ensure_future(hold(one, [], number, until)) for number in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ServerNotAvailable) as caught:
            await hold(one, [], 2, until)
        assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (429, "rate_limit_exceeded", 2)
        until.set()
        await asyncio.gather(*tasks)

    async def test_are_not_waited_for_without_end(self) -> None:
        one, until = desk(patience_s=0.001), asyncio.Event()
        first = asyncio.ensure_future(hold(one, [], 0, until))
        await asyncio.sleep(0)
        with pytest.raises(ServerNotAvailable):
            await hold(one, [], 1, until)
        until.set()
        await first
        async with one.place():  # the one who gave up holds nothing
            pass

    async def test_of_one_who_leaves_the_queue_are_free_for_the_next(self) -> None:
        one, entered, until = desk(waiting=2), [], asyncio.Event()
        tasks = [asyncio.ensure_future(hold(one, entered, number, until)) for number in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.sleep(0)
        until.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert entered == [0, 2]

    async def test_given_to_one_who_leaves_at_that_moment_are_not_lost(self) -> None:
        one, entered, until = desk(waiting=2), [], asyncio.Event()
        async with AsyncExitStack() as first:
            await first.enter_async_context(one.place())
            tasks = [asyncio.ensure_future(hold(one, entered, number, until)) for number in range(2)]
            await asyncio.sleep(0)
        tasks[0].cancel()  # its turn has come, and it has not noticed yet
        until.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert entered == [1]
        async with one.place():
            pass


class TestRest:
    async def test_begins_after_three_failures_in_a_row(self) -> None:
        one = desk()
        for has_failed in (True, True, False, True, True):
            one.note(has_failed=has_failed)
        async with one.place():
            pass
        one.note(has_failed=True)
        with pytest.raises(ServerNotAvailable) as caught:
            await one.place().__aenter__()
        assert (caught.value.status, caught.value.retry_after_s) == (503, 10)

    async def test_ends_with_one_trial_that_succeeds(self) -> None:
        moment = Moment()
        one = desk(moment, at_once=5)
        for _ in range(3):
            one.note(has_failed=True)
        moment.now = 10.0
        async with one.place():
            with pytest.raises(ServerNotAvailable):
                await one.place().__aenter__()
            one.note(has_failed=False)
            async with one.place():
                pass

    async def test_begins_anew_with_a_trial_that_fails(self) -> None:
        moment = Moment()
        one = desk(moment)
        for _ in range(3):
            one.note(has_failed=True)
        moment.now = 10.0
        async with one.place():
            one.note(has_failed=True)
        with pytest.raises(ServerNotAvailable):
            await one.place().__aenter__()


class TestCounting:
    async def test_tells_how_many_are_answered_and_how_many_wait(self) -> None:
        counted = Counted(lambda: generate_latest(REGISTRY).decode())

        def standing() -> tuple[float, float]:
            asked, waiting = (counted("greenllm_server_requests", state=state) for state in ("asked", "waiting"))
            return asked, waiting

        moment, until = Moment(), asyncio.Event()
        one = desk(moment, waiting=2)
        tasks = [asyncio.ensure_future(hold(one, [], number, until)) for number in range(3)]
        await asyncio.sleep(0)
        assert standing() == (1, 2)
        tasks.pop().cancel()
        await asyncio.sleep(0)
        assert standing() == (1, 1)
        moment.now = 7.0
        until.set()
        await asyncio.gather(*tasks)
        assert standing() == (0, 0)
        assert counted("greenllm_server_wait_seconds_count", server="server") == 2
        assert counted("greenllm_server_wait_seconds_sum", server="server") == 7.0
