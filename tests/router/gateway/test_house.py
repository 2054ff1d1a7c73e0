"""What the requests of one event loop share."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from benchmarks.inference.base import ChatMessage, GenerationRequest
from benchmarks.inference.errors import ServerUnreachable
from benchmarks.models import InferenceServer
from router.connections import PLACES
from router.gateway.application import wanted
from router.gateway.house import House
from router.gateway.working import Workers

SERVER = InferenceServer(pk=1)
WANTED = GenerationRequest("small", (ChatMessage("user", "Hello"),))


class Client:
    """Knows a model once its server was asked, which takes until `others` have come too."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[bool] = []
        self.has_been_asked = threading.Event()
        self.may_go_on = threading.Event()
        self._error, self._is_known = error, False

    def is_ready_for(self, _request: GenerationRequest) -> bool:
        return self._is_known

    def prepare(self, _request: GenerationRequest) -> str:
        if not self._is_known:
            self.asked.append(threading.current_thread() is not threading.main_thread())
            self.has_been_asked.set()
            assert self.may_go_on.wait(20)
            if self._error is not None:
                raise self._error
            self._is_known = True
        return "wire"


def in_house(work: Callable[[House], Awaitable[Any]], client: Client, monkeypatch: pytest.MonkeyPatch) -> Any:
    async def run() -> Any:
        house = House(wanted())

        async def given(_server: InferenceServer) -> Client:
            return client

        monkeypatch.setattr(house, "client", given)
        try:
            return await work(house)
        finally:
            await house.session.close()
            house.workers.close()

    return asyncio.run(run())


async def five_at_once(house: House, client: Client) -> list[Any]:
    first = asyncio.ensure_future(house.wire(SERVER, WANTED))
    while not client.has_been_asked.is_set():
        await asyncio.sleep(0.001)
    others = [asyncio.ensure_future(house.wire(SERVER, WANTED)) for _ in range(4)]
    for _ in range(3):
        await asyncio.sleep(0)
    client.may_go_on.set()
    return await asyncio.gather(first, *others, return_exceptions=True)


class TestWire:
    def test_is_made_with_one_question_to_the_server_for_all_who_ask_at_once(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        client = Client()
        assert in_house(lambda house: five_at_once(house, client), client, monkeypatch) == ["wire"] * 5
        assert client.asked == [True]  # in a thread

    def test_fails_for_each_by_a_question_of_its_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client = Client(ServerUnreachable("http://small", "no answer"))
        found = in_house(lambda house: five_at_once(house, client), client, monkeypatch)
        assert [type(one) for one in found] == [ServerUnreachable] * 5
        assert len(client.asked) == 5


class TestThreads:
    def test_run_before_the_first_work_comes(self) -> None:
        workers = Workers()
        before = set(threading.enumerate())
        try:
            workers.begin()
            assert len(set(threading.enumerate()) - before) >= PLACES + 32
        finally:
            workers.close()
