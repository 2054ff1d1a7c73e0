"""Pages while Postgres is away: 503 in words, at once, and the pool's patience left to those who have it."""

import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from psycopg_pool import PoolTimeout

from greenllm.outages import AWAY, FULL, OutageMiddleware, server_error, told_outage
from greenllm.pooling import NOTICED_S, WatchedPool, has_news, impatience
from router.connections import DatabaseAway, DatabaseWatch
from tests.router.gateway.process import own_process
from tests.router.gateway.test_without_postgres import cut_off

AT_ONCE_S = 10.0  # far below the 20 s for which the pool waits; on an idle machine it is half a second


class BusyPool:
    """A pool all of whose connections are in use until the `frees_at`-th question."""

    timeout = 20.0

    def __init__(self, connection: socket.socket | None = None, frees_at: int = 99) -> None:
        self.waits: list[float | None] = []
        self._connection, self._frees_at = connection, frees_at

    def getconn(self, timeout: float | None = None) -> socket.socket | None:
        self.waits.append(timeout)
        if len(self.waits) < self._frees_at:
            raise PoolTimeout
        return self._connection


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets that are connected with each other."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def watch(*, is_away: bool) -> DatabaseWatch:
    def probe() -> None:
        if is_away:
            raise psycopg.OperationalError

    return DatabaseWatch(clock=lambda: 0.0, probe=probe)


def pool_of(busy: BusyPool, *, is_away: bool) -> WatchedPool:
    stand_in: Any = busy
    return WatchedPool(stand_in, watch(is_away=is_away))


class TestWatchedPool:
    def test_tells_an_impatient_one_that_postgres_is_away_and_the_next_at_once(self) -> None:
        busy = BusyPool()
        pool = pool_of(busy, is_away=True)
        with impatience():
            for _ in range(2):
                with pytest.raises(DatabaseAway):
                    pool.getconn()
        assert busy.waits == [NOTICED_S]

    def test_waits_on_where_postgres_is_only_busy(self, ends: tuple[socket.socket, socket.socket]) -> None:
        busy = BusyPool(ends[0], frees_at=2)
        with impatience():
            assert pool_of(busy, is_away=False).getconn() is ends[0]
        assert busy.waits == [NOTICED_S, 20.0 - NOTICED_S]

    def test_leaves_the_pool_its_patience_for_what_stores_answers(self) -> None:
        busy = BusyPool()
        with pytest.raises(PoolTimeout):
            pool_of(busy, is_away=True).getconn()
        assert busy.waits == [20.0]


class TestNews:
    def test_is_not_of_a_connection_that_is_idle(self, ends: tuple[socket.socket, socket.socket]) -> None:
        assert not has_news(ends[0])

    def test_is_that_the_server_spoke_or_went_away(self, ends: tuple[socket.socket, socket.socket]) -> None:
        ends[1].sendall(b"x")
        assert has_news(ends[0])
        ends[0].recv(1)
        ends[1].close()
        assert has_news(ends[0])


def caused_by(cause: Exception | None) -> OperationalError:
    error = OperationalError("x")
    error.__cause__ = cause
    return error


class TestToldOutage:
    @pytest.mark.parametrize(
        ("error", "told"),
        [
            pytest.param(caused_by(psycopg.OperationalError("refused")), AWAY, id="refused"),
            pytest.param(caused_by(psycopg.errors.AdminShutdown()), AWAY, id="shut down"),
            pytest.param(caused_by(psycopg.errors.CannotConnectNow()), AWAY, id="starting"),
            pytest.param(caused_by(psycopg.errors.DiskFull()), FULL, id="disk full"),
            pytest.param(caused_by(psycopg.errors.TooManyConnections()), FULL, id="too many connections"),
            pytest.param(caused_by(psycopg.errors.DeadlockDetected()), None, id="deadlock"),
            pytest.param(caused_by(psycopg.errors.QueryCanceled()), None, id="too slow"),
            pytest.param(InterfaceError("connection already closed"), AWAY, id="closed"),
            pytest.param(DatabaseAway(), AWAY, id="found away"),
            pytest.param(ValueError("x"), None, id="a bug"),
            pytest.param(None, None, id="nothing"),
        ],
    )
    def test_knows_an_outage_from_other_errors(self, error: Exception | None, told: str | None) -> None:
        assert told_outage(error) == told


class TestOutagePage:
    def answered(self, path: str, method: str = "GET", **headers: str) -> HttpResponse:
        middleware = OutageMiddleware(lambda _request: HttpResponse())
        request = RequestFactory().generic(method, path, headers=headers)
        answer = middleware.process_exception(request, DatabaseAway())
        assert answer is not None
        assert (answer.status_code, answer["Retry-After"], answer["Cache-Control"]) == (503, "5", "no-store")
        return answer

    def test_offers_to_try_again_what_was_asked(self) -> None:
        page = self.answered("/studies/?q=a&b=%22").content.decode()
        assert AWAY in page
        assert 'href="/studies/?q=a&amp;b=%22"' in page

    def test_says_of_what_was_sent_that_it_may_be_missing(self) -> None:
        assert "may not have been saved" in self.answered("/label/vote/", "POST").content.decode()

    def test_is_a_toast_for_htmx(self) -> None:
        assert AWAY in self.answered("/label/vote/", "POST", **{"HX-Request": "true"})["HX-Trigger"]

    @pytest.mark.parametrize(("path", "told"), [("/v1/models", "database_unavailable"), ("/api/tags", AWAY)])
    def test_is_an_error_for_clients_of_the_endpoint(self, path: str, told: str) -> None:
        assert told in self.answered(path).content.decode()

    def test_leaves_other_errors_alone(self) -> None:
        middleware = OutageMiddleware(lambda _request: HttpResponse())
        assert middleware.process_exception(HttpRequest(), ValueError("x")) is None

    def test_also_answers_what_fails_outside_of_a_view(self) -> None:
        try:
            raise DatabaseAway
        except DatabaseAway:
            assert server_error(RequestFactory().get("/")).status_code == 503
        try:
            raise ValueError
        except ValueError:
            assert server_error(RequestFactory().get("/")).status_code == 500

    def test_needs_no_database(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_: object) -> None:
            raise DatabaseAway

        monkeypatch.setattr("django.contrib.auth.views.LoginView.get", away)
        answer = client.get("/account/sign-in/")
        assert answer.status_code == 503
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestPagesWithoutPostgres:
    def test_are_a_503_at_once_and_pages_again_when_it_is_back(self, tmp_path: Path) -> None:
        way, folder = tmp_path / "way", Path(str(connection.settings_dict["HOST"]))
        way.symlink_to(folder, target_is_directory=True)
        with (
            own_process(socket_dir=str(way), pool=4) as server,
            httpx.Client(base_url=server.address, timeout=60) as web,
        ):
            secret = re.search(r'csrfmiddlewaretoken" value="(\w+)', web.get("/account/sign-in/").text)
            assert secret is not None
            form = {"username": "ada", "password": "wrong", "csrfmiddlewaretoken": secret[1]}
            assert web.post("/account/sign-in/", data=form).status_code == 200
            cut_off(way)
            began = time.monotonic()
            refused = [web.post("/account/sign-in/", data=form) for _ in range(3)]
            assert {one.status_code for one in refused} == {503}
            assert time.monotonic() - began < AT_ONCE_S
            assert AWAY in refused[0].text
            way.symlink_to(folder, target_is_directory=True)
            deadline = time.monotonic() + 60
            while web.post("/account/sign-in/", data=form).status_code != 200:
                assert time.monotonic() < deadline, "no page again"
                time.sleep(0.2)
