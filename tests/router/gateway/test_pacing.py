"""How requests that come at once begin: a few in each turn of the event loop, in their order."""

import asyncio

from router.gateway.pacing import Pacing


async def begun_by_turn(pacing: Pacing, count: int, *, leaving: tuple[int, ...] = ()) -> list[list[int]]:
    """Let requests come at once, of which some leave at once; return which of them began in each turn of the loop."""
    turns: list[list[int]] = [[]]

    async def ask(number: int) -> None:
        await pacing.begin()
        turns[-1].append(number)

    tasks = [asyncio.ensure_future(ask(number)) for number in range(count)]
    left = count - len(leaving)
    for turn in range(10 * count):
        await asyncio.sleep(0)
        if turn == 0:
            for number in leaving:
                tasks[number].cancel()
        if sum(map(len, turns)) == left:
            break
        turns.append([])
    await asyncio.gather(*tasks, return_exceptions=True)
    return [one for one in turns if one]


class TestPacing:
    def test_lets_a_few_begin_in_each_turn_in_their_order(self) -> None:
        turns = asyncio.run(begun_by_turn(Pacing(at_once=3), 10))
        assert [number for turn in turns for number in turn] == list(range(10))
        assert max(map(len, turns)) == 3

    def test_does_not_let_one_wait_that_comes_alone(self) -> None:
        async def come_alone() -> list[bool]:
            pacing, at_once = Pacing(at_once=1), []
            for _ in range(3):
                asking = asyncio.ensure_future(pacing.begin())
                await asyncio.sleep(0)
                at_once.append(asking.done())
                await asking
                for _ in range(3):  # turns in which nobody comes
                    await asyncio.sleep(0)
            return at_once

        assert asyncio.run(come_alone()) == [True] * 3

    def test_gives_no_turn_to_those_who_have_left(self) -> None:
        turns = asyncio.run(begun_by_turn(Pacing(at_once=2), 9, leaving=(3, 4, 5, 6)))
        assert [number for turn in turns for number in turn] == [0, 1, 2, 7, 8]
        assert len(turns) <= 4

    def test_begins_anew_after_a_rest(self) -> None:
        async def twice() -> list[list[list[int]]]:
            pacing = Pacing(at_once=2)
            found = [await begun_by_turn(pacing, 4)]
            for _ in range(5):
                await asyncio.sleep(0)
            return [*found, await begun_by_turn(pacing, 4)]

        first, second = asyncio.run(twice())
        assert [[number for turn in turns for number in turn] for turns in (first, second)] == [[0, 1, 2, 3]] * 2
        assert max(map(len, [*first, *second])) == 2
