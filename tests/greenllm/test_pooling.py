"""The database connections of a web process."""

import time
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection
from django.db.utils import OperationalError
from psycopg_pool import ConnectionPool

from greenllm.pooling import pooled
from greenllm.watched_postgres.base import DatabaseWrapper as _DatabaseWrapper

DatabaseWrapper: Any = _DatabaseWrapper  # Any: the stubs do not know its pool
pytestmark = pytest.mark.django_db


@pytest.fixture
def wrapper() -> Iterator[Any]:
    """A connection from a pool of one."""
    wrapper = DatabaseWrapper(pooled(connection.settings_dict, most=1), alias="default")
    yield wrapper
    wrapper.close()
    wrapper.close_pool()


def server_process(wrapper: Any) -> int:
    with wrapper.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


class TestPooledConnection:
    def test_is_used_again_by_the_next_request(self, wrapper: Any) -> None:
        first = server_process(wrapper)
        wrapper.close()
        assert server_process(wrapper) == first

    def test_that_postgres_ended_is_replaced_unseen(self, wrapper: Any) -> None:
        first = server_process(wrapper)
        wrapper.close()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
        assert server_process(wrapper) != first

    def test_is_handed_out_without_a_question_to_postgres(self, wrapper: Any) -> None:
        server_process(wrapper)
        wrapper.close()
        with patch.object(ConnectionPool, "check_connection", side_effect=AssertionError) as asked:
            server_process(wrapper)
        assert not asked.called

    def test_gives_back_no_transaction_that_was_left_open(self, wrapper: Any) -> None:
        first = server_process(wrapper)
        wrapper.set_autocommit(False)
        with wrapper.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 4321")
        wrapper.close()
        assert server_process(wrapper) == first
        with wrapper.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone()[0] == "0"

    def test_is_waited_for_and_then_refused_where_all_are_in_use(self, wrapper: Any) -> None:
        server_process(wrapper)
        assert wrapper.pool is not None
        wrapper.pool._pool.timeout = 0.01
        second = DatabaseWrapper(wrapper.settings_dict, alias="default")
        with pytest.raises(OperationalError, match="couldn't get a connection"):
            second.ensure_connection()


class TestPool:
    def test_ends_what_a_busy_moment_had_made(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("greenllm.pooling.IDLE_S", 0.02)
        settings = pooled(connection.settings_dict, most=5)
        wrappers = [DatabaseWrapper(settings, alias="default") for _ in range(5)]
        try:
            assert len({server_process(one) for one in wrappers}) == 5
            for one in wrappers:
                one.close()
            deadline = time.monotonic() + 30
            while (left := wrappers[0].pool._pool.get_stats()["pool_size"]) > 2 and time.monotonic() < deadline:
                time.sleep(0.02)
            assert left == 2
        finally:
            for one in wrappers:
                one.close()
            wrappers[0].close_pool()


def test_no_pool_leaves_the_settings_as_they_are() -> None:
    assert pooled({"NAME": "green", "OPTIONS": {"sslmode": "require"}}, most=0) == {
        "NAME": "green",
        "OPTIONS": {"sslmode": "require"},
    }


def test_keeps_the_other_options() -> None:
    assert pooled({"OPTIONS": {"sslmode": "require"}}, most=1)["OPTIONS"]["sslmode"] == "require"
