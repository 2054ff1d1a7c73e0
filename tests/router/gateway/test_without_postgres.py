"""The endpoint of a web process that has lost Postgres: 503 at once, and answers again as soon as it is back."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from django.db import connection

from router.connections import DatabaseAway, DatabaseWatch
from router.gateway.working import Workers
from tests.benchmarks.inference.asking import eventually
from tests.router.endpoint import CHAT, COMMITTED, LIKE_MATH, Endpoint
from tests.router.gateway.process import WebServer, own_process

AT_ONCE_S = 10.0  # far below the 20 s for which the pool waits; on an idle machine it is half a second


class TestDatabaseWatch:
    def test_asks_once_a_second(self) -> None:
        moments, asked, away = [0.0], [], [True]

        def probe() -> None:
            asked.append(moments[0])
            if away[0]:
                raise psycopg.OperationalError

        watch = DatabaseWatch(clock=lambda: moments[0], probe=probe)
        assert not watch.is_away
        assert not watch.answers()
        assert not watch.answers()
        assert watch.is_away
        assert asked == [0.0]
        moments[0], away[0] = 1.5, False
        assert not watch.is_away
        assert watch.answers()
        assert asked == [0.0, 1.5]


@pytest.mark.slow
class TestWorkers:
    async def test_know_of_an_outage_by_what_waits_for_its_end(self) -> None:
        is_away, may_end = [True], threading.Event()

        def probe() -> None:
            if is_away[0]:
                raise psycopg.OperationalError

        workers = Workers()
        workers._watch = DatabaseWatch(clock=time.monotonic, probe=probe)
        storing = asyncio.ensure_future(workers.query(lambda: may_end.wait(60), is_patient=True))
        await come_true(lambda: workers.is_away)
        with pytest.raises(DatabaseAway):
            await workers.query(lambda: None)
        is_away[0] = False
        await come_true(lambda: not workers.is_away)
        assert await workers.query(lambda: "read") == "read"
        assert not storing.done()
        may_end.set()
        assert await storing
        workers.close()

    async def test_forget_an_outage_with_what_waited_for_its_end(self) -> None:
        may_end = threading.Event()

        def probe() -> None:
            raise psycopg.OperationalError

        workers = Workers()
        workers._watch = DatabaseWatch(clock=time.monotonic, probe=probe)
        storing = asyncio.ensure_future(workers.query(lambda: may_end.wait(60), is_patient=True))
        await come_true(lambda: workers._waiting_for_postgres == 1)
        may_end.set()
        await storing
        assert workers._waiting_for_postgres == 0
        workers.close()


async def come_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def ask(server: WebServer, endpoint: Endpoint) -> httpx.Response:
    body = {"model": "small", "messages": [{"role": "user", "content": LIKE_MATH}]}
    headers = {"Authorization": f"Bearer {endpoint.secret}"}
    return httpx.post(f"{server.address}{CHAT}", json=body, headers=headers, timeout=60)


def cut_off(way: Path) -> None:
    """Take Postgres away from whoever came by this way, as a stop of it would: connections end, and none is taken."""
    way.unlink()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )


@pytest.mark.slow
class TestWithoutPostgres:
    pytestmark = COMMITTED

    def test_is_a_503_at_once_and_over_when_it_is_back(self, endpoint: Endpoint, tmp_path: Path) -> None:
        way, folder = tmp_path / "way", Path(str(connection.settings_dict["HOST"]))
        way.symlink_to(folder, target_is_directory=True)
        with own_process(socket_dir=str(way)) as server:
            assert ask(server, endpoint).status_code == 200
            cut_off(way)
            began = time.monotonic()
            refused = [ask(server, endpoint) for _ in range(3)]  # the key of the first is known still
            took_s = time.monotonic() - began
            assert [one.status_code for one in refused] == [503, 503, 503]
            assert {one.json()["error"]["code"] for one in refused} == {"database_unavailable"}
            assert "try again in a few seconds" in refused[0].json()["error"]["message"]
            assert took_s < AT_ONCE_S
            assert httpx.get(f"{server.address}/health", timeout=60).status_code == 503
            way.symlink_to(folder, target_is_directory=True)
            assert eventually(lambda: ask(server, endpoint).status_code == 200, 60.0)
