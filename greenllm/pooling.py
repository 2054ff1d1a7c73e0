"""Database connections of a web process: kept between requests, and shared by all of them."""

import select
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from psycopg_pool import ConnectionPool, PoolTimeout

from router.connections import DatabaseAway, DatabaseWatch

# Seconds that a request waits for a connection before it fails: fifty people who open the queue in one second are
# served in turn.
PATIENCE_S = 20.0
# After so many seconds without Postgres the pool stops trying until somebody asks again, so that it finds a restarted
# one at once instead of at the end of a long pause.
_RECONNECT_S = 5.0
_FEWEST = 2
# While connections stay unused for so many seconds one of them is ended, so that a process has as many as the latest
# moments wanted. The pool's own ten minutes let their number rise to the most that one moment in hours ever wanted.
IDLE_S = 60.0
NOTICED_S = 0.5  # who waits longer for a connection looks whether Postgres is there

ENGINE = "greenllm.watched_postgres"

_is_impatient: ContextVar[bool] = ContextVar("is_impatient", default=False)
_watch = DatabaseWatch(clock=time.monotonic)


@contextmanager
def impatience() -> Iterator[None]:
    """Let what runs inside fail at once where Postgres is away; the pool's patience is for busy moments alone."""
    before = _is_impatient.set(True)
    try:
        yield
    finally:
        _is_impatient.reset(before)


class WatchedPool:
    """A pool as Django asks one; who is impatient learns within a second that Postgres is away."""

    def __init__(self, pool: "ConnectionPool[Any]", watch: DatabaseWatch = _watch) -> None:
        self._pool, self._watch = pool, watch

    def open(self) -> None:
        """Let the pool make its connections, unless it does already."""
        self._pool.open()

    def getconn(self) -> Any:  # Any: whatever Django has the pool connect
        """Return a connection.

        Raises:
            DatabaseAway: Postgres does not answer; only where that is asked by an impatient one.
            PoolTimeout: all connections are in use, or Postgres is away, for as long as the pool waits.
        """
        if not _is_impatient.get():
            return self._usable(self._pool.timeout)
        if self._watch.is_away:
            raise DatabaseAway
        try:
            return self._usable(min(NOTICED_S, self._pool.timeout))
        except PoolTimeout:
            if not self._watch.answers():
                raise DatabaseAway from None
        return self._usable(max(0.0, self._pool.timeout - NOTICED_S))

    def _usable(self, patience_s: float) -> Any:  # Any: as above
        """Return a connection that Postgres has not ended; one whose server has said something is asked first.

        The pool's own check asks every one, which costs each page and each decision a turn of its own.
        """
        until, left_s = time.monotonic() + patience_s, patience_s
        while True:
            connection = self._pool.getconn(left_s)
            if not has_news(connection):
                return connection
            try:
                ConnectionPool.check_connection(connection)
            except psycopg.Error:
                self._pool.putconn(connection)  # which ends it, and makes another
                left_s = max(0.0, until - time.monotonic())
            else:
                return connection

    def close(self) -> None:
        """End all connections."""
        self._pool.close()


def has_news(connection: Any) -> bool:  # Any: of whatever rows
    """Tell whether the server of an idle connection has said something, such as that it is gone; nobody is asked."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


def pooled(database: Mapping[str, Any], *, most: int) -> dict[str, Any]:
    """Return Django's settings of a database so that at most `most` connections are shared; 0 leaves them as they are.

    A connection that is made for one request costs it 15 ms and more, because its server process knows no table yet.
    Django cannot keep one for each thread here, since there are more threads than connections. Each connection is
    looked at before it is handed out, which finds what a restart of Postgres has ended; `WatchedPool` does that, so the
    pool's own look is off.
    """
    if most == 0:
        return dict(database)
    pool = {
        "min_size": min(_FEWEST, most), "max_size": most, "max_idle": IDLE_S, "timeout": PATIENCE_S,
        "reconnect_timeout": _RECONNECT_S,
    }  # fmt: skip
    options = {**database.get("OPTIONS", {}), "pool": pool}
    return {**database, "ENGINE": ENGINE, "CONN_HEALTH_CHECKS": False, "OPTIONS": options}
