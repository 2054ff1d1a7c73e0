"""Where decisions are made: on the event loop where they are quick and wait for nothing, in threads otherwise."""

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from django.db import connections
from django.utils import timezone
from pytest_django.fixtures import Settings

from benchmarks.federating import retire
from benchmarks.inference.base import Embeddings
from benchmarks.inference.interruption import Interruption
from benchmarks.inference.scripted import Fault, FaultKind
from router.circumstances import Routed, route_sent
from router.connections import PLACES, DatabasePlace, _places
from router.gateway.presence import Presence
from router.indexing import current_index
from router.models import PolicyVersion, RoutingDecision
from router.wiring import interruptible_gateway
from tests.browsing import served
from tests.router.endpoint import CHAT, COMMITTED, LIKE_MATH, Endpoint, OpenEndpoint
from tests.router.standins import EMBEDDER_NAME, WordClient

pytestmark = [COMMITTED, pytest.mark.slow]

LONG = LIKE_MATH + " and one" * 100  # its costs are adjusted to the lengths of known prompts, which are queried


@pytest.fixture
def deciding(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Tell of each decision whether a thread made it."""
    made: list[bool] = []

    def told(**given: Any) -> Routed:
        routed = route_sent(**given)
        made.append(threading.current_thread().name.startswith("gateway-database"))
        return routed

    monkeypatch.setattr("router.gateway.deciding.route_sent", told)
    return made


@pytest.fixture
def client(endpoint: Endpoint) -> Iterator[httpx.Client]:
    PolicyVersion.objects.create(policy="knn", sci_price=1000.0)  # it goes by what is kept in memory
    headers = {"Authorization": f"Bearer {endpoint.secret}"}
    with served() as address, httpx.Client(base_url=address, headers=headers, timeout=30) as client:
        yield client
    connections.close_all()


def ask(client: httpx.Client, text: str = LIKE_MATH) -> httpx.Response:
    return client.post(CHAT, json={"model": "auto", "messages": [{"role": "user", "content": text}]})


def ask_until_quick(client: httpx.Client, deciding: list[bool]) -> list[httpx.Response]:
    """Ask until the event loop decides: once the server has told what it has in memory."""
    answers = []
    while len(answers) < 200:
        answers.append(ask(client))
        if not deciding[-1]:
            return answers
    raise AssertionError("every decision is left to threads")


@pytest.fixture
def always_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.gateway.deciding._QUICK_S", 3600.0)
    monkeypatch.setattr("router.gateway.deciding.FRESH_S", 600.0)
    monkeypatch.setattr("router.gateway.deciding.AHEAD_S", 0.0)


@pytest.mark.usefixtures("always_quick")
class TestQuickDecisions:
    def test_are_made_on_the_event_loop_and_are_the_same(self, client: httpx.Client, deciding: list[bool]) -> None:
        answers = [*ask_until_quick(client, deciding), *(ask(client) for _ in range(2))]
        assert (deciding[0], deciding[-3:]) == (True, [False] * 3)
        assert {one.headers["X-GreenLLM-Model"] for one in answers} == {"small"}
        rows = RoutingDecision.objects.values_list("neighbours", "explanation", "predicted_sci_gco2e")
        assert len(rows) == len(answers)
        assert len({str(row) for row in rows}) == 1

    def test_are_left_to_threads_where_they_need_a_query_and_hinder_no_other(
        self, client: httpx.Client, deciding: list[bool]
    ) -> None:
        ask_until_quick(client, deciding)
        assert [ask(client, text).status_code for text in (LONG, LIKE_MATH, LIKE_MATH)] == [200] * 3
        assert deciding[-3:] == [True, False, False]

    def test_that_come_at_once_share_what_is_read(self, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[object] = []

        def noted(**given: Any) -> Any:
            read.append(given)
            return current_index(**given)

        monkeypatch.setattr("router.routing.current_index", noted)
        with ThreadPoolExecutor(8) as clients:
            answers = list(clients.map(lambda _: ask(client), range(8)))
        assert [one.status_code for one in answers] == [200] * 8
        assert len(read) == 1


class TestSlowDecisions:
    def test_are_left_to_threads(
        self, client: httpx.Client, deciding: list[bool], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("router.gateway.deciding._QUICK_S", 0.0)
        assert [ask(client).status_code for _ in range(3)] == [200] * 3
        assert deciding == [True] * 3


class TestFreshDecisions:
    def test_leave_a_retired_model_out(
        self, client: httpx.Client, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("router.gateway.deciding._QUICK_S", 3600.0)
        assert ask(client).headers["X-GreenLLM-Model"] == "small"
        retire(deployment=endpoint.federation.small, now=timezone.now())
        connections.close_all()
        tick = threading.Event()
        for _ in range(200):  # it is known after half a second, however long a request takes here
            if ask(client).headers["X-GreenLLM-Model"] == "large":
                return
            tick.wait(0.02)
        raise AssertionError("the retired model answers on")


class TestASilentEmbedder:
    def test_is_waited_for_as_long_as_is_set(self, open_endpoint: OpenEndpoint, settings: Settings) -> None:
        settings.EMBEDDING_TIMEOUT_S = 0.5
        endpoint = open_endpoint(Fault(FaultKind.HANG, model=EMBEDDER_NAME))
        headers = {"Authorization": f"Bearer {endpoint.secret}"}
        body = {"model": "auto", "messages": [{"role": "user", "content": LIKE_MATH}]}
        with served() as address:
            response = httpx.post(address + CHAT, json=body, headers=headers, timeout=20)
        connections.close_all()
        assert response.status_code == 200
        assert RoutingDecision.objects.get().reason == "degraded"

    @pytest.mark.parametrize("asker", ["the route", "the chat"])
    def test_keeps_no_place_at_the_database(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, asker: str
    ) -> None:
        free: list[int] = []

        class Watching(WordClient):
            def embed(self, name: str, texts: Sequence[str]) -> Embeddings:
                taken = [_places for _ in range(PLACES) if _places.acquire(blocking=False)]
                for one in taken:
                    one.release()
                free.append(len(taken))
                return super().embed(name, texts)

        monkeypatch.setattr("router.wiring.connect", lambda **_known: Watching())
        monkeypatch.setattr("router.wiring._watch", None)
        monkeypatch.setattr(Presence, "beat", lambda _self: None)  # it would take a place for a moment
        if asker == "the route":
            body = json.dumps({"prompt": LIKE_MATH}).encode()
            assert endpoint.send("POST", "/v1/greenllm/route", raw=body).status_code == 200
        else:
            place = DatabasePlace()
            place.claim()
            interruptible_gateway(Interruption(), place).embedder().embed([LIKE_MATH])
            place.release()
        assert free == [PLACES]
