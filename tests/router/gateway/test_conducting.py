"""The end of a request: its rows are stored beside what else is left to do, and before its answer leaves."""

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import pytest
from django.db import DatabaseError

from benchmarks.inference.base import ChatMessage, GenerationParameters
from router.answering import Caller
from router.gateway.application import wanted
from router.gateway.conducting import Conductor, State
from router.gateway.house import House
from router.gateway.recording import Record, Recorder
from router.wire import ChatRequest
from tests.router.endpoint import COMMITTED, LIKE_MATH, Endpoint, error_of


class Store:
    """Stores a batch once it is let go on, and keeps it."""

    def __init__(self) -> None:
        self.may_end = threading.Event()
        self.records: list[Record] = []

    def __call__(self, records: Sequence[Record]) -> list[Exception | None]:
        if not self.may_end.wait(30):
            return [TimeoutError("nothing was done meanwhile")] * len(records)
        self.records.extend(records)
        return [None] * len(records)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    made = House(wanted())
    yield made
    await made.close()


def conductor_of(house: House, store: Store) -> Conductor:
    house.recorder = Recorder(house.workers, store)
    asked = ChatRequest("small", (ChatMessage("user", LIKE_MATH),), GenerationParameters())
    return Conductor(house, Caller("openai"), asked)


class TestEnd:
    async def test_does_other_work_while_the_rows_are_stored(self, house: House) -> None:
        store = Store()
        conductor = conductor_of(house, store)
        await conductor.end(State.ANSWERED, meanwhile=store.may_end.set)
        assert [one.request for one in store.records] == [conductor.request]

    async def test_stores_the_rows_where_the_other_work_fails(self, house: House) -> None:
        store = Store()
        store.may_end.set()

        def fail() -> None:
            raise ValueError("no words for it")

        with pytest.raises(ValueError, match="no words"):
            await conductor_of(house, store).end(State.ANSWERED, meanwhile=fail)
        assert len(store.records) == 1

    async def test_stores_the_rows_for_one_who_leaves(self, house: House) -> None:
        store, has_begun = Store(), asyncio.Event()
        ending = asyncio.ensure_future(conductor_of(house, store).end(State.ANSWERED, meanwhile=has_begun.set))
        await has_begun.wait()
        ending.cancel()
        store.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await ending
        assert len(store.records) == 1


@pytest.mark.slow
class TestAnswer:
    pytestmark = COMMITTED

    def test_is_an_error_where_its_rows_cannot_be_stored(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def refuse(_recorder: Recorder, records: Sequence[Record]) -> list[Exception | None]:
            return [DatabaseError("the disk is full")] * len(records)

        monkeypatch.setattr(Recorder, "_stored", refuse)
        response = endpoint.chat()
        assert response.status_code == 500
        assert error_of(response)["type"] == "server_error"
