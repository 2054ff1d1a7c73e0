"""A client that leaves while a decision is made: whatever that books on a budget is given back."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections

from benchmarks.inference.base import ChatMessage, GenerationParameters
from router.answering import Caller
from router.gateway.application import wanted
from router.gateway.conducting import Conductor, State
from router.gateway.house import House
from router.models import GatewayRequest, KeyHour
from router.spending import book_decision
from router.wire import ChatRequest
from tests.router.endpoint import COMMITTED, LIKE_MATH, Endpoint
from tests.router.gateway.test_surfaces import give_budget

pytestmark = [COMMITTED, pytest.mark.slow]


class Gate:
    """Stands before the booking, until it is opened."""

    def __init__(self) -> None:
        self.was_reached, self.is_open = threading.Event(), threading.Event()

    def book(self, *given: Any, **named: Any) -> Any:
        self.was_reached.set()
        assert self.is_open.wait(30)
        return book_decision(*given, **named)


async def leave_within(gate: Gate, caller: Caller, model: str) -> None:
    house = House(wanted())
    try:
        asked = ChatRequest(model, (ChatMessage("user", LIKE_MATH),), GenerationParameters())
        conductor = Conductor(house, caller, asked)
        deciding = asyncio.ensure_future(conductor.decide())
        while not gate.was_reached.is_set() and not deciding.done():
            await asyncio.sleep(0.005)
        deciding.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        assert not deciding.done()
        gate.is_open.set()
        with pytest.raises(asyncio.CancelledError):
            await deciding
        await conductor.end(State.CANCELLED)
    finally:
        gate.is_open.set()
        await house.close()


@pytest.mark.parametrize("model", ["auto", "large"])
def test_a_booking_that_goes_on_is_given_back(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, model: str) -> None:
    gate = Gate()
    monkeypatch.setattr("router.gateway.deciding.book_decision", gate.book)
    give_budget(endpoint, 1.0)
    async_to_sync(leave_within)(gate, Caller("openai", api_key_id=endpoint.key.pk, has_budget=True), model)
    connections.close_all()
    hour = KeyHour.objects.get()
    assert (hour.request_count, hour.spent_gco2e) == (1, 0.0)
    assert GatewayRequest.objects.get().state == State.CANCELLED
