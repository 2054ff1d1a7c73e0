"""How many database connections the threads that answer may have at once, however many answers are under way."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from django.db import OperationalError, connection

PLACES = 5
_FRESH_S = 1.0
_places = threading.BoundedSemaphore(PLACES)


class DatabasePlace:
    """The right of one thread to a database connection; it waits for it, and gives both back together."""

    def __init__(self, places: threading.BoundedSemaphore = _places) -> None:
        self._places = places
        self._is_held = False

    def claim(self) -> None:
        """Wait until a connection may be used; holding the place already changes nothing."""
        if not self._is_held:
            self._places.acquire()
            self._is_held = True

    def release(self) -> None:
        """Close this thread's connection and give the place to another thread."""
        connection.close()
        if self._is_held:
            self._is_held = False
            self._places.release()

    @contextmanager
    def given_back(self) -> Iterator[None]:
        """Give the place back within the block, which waits for a server, and claim it again."""
        self.release()
        try:
            yield
        finally:
            self.claim()


class DatabaseAway(OperationalError):
    """Postgres does not answer; the message is fit for whoever asks."""

    def __init__(self) -> None:
        super().__init__("The database does not answer at the moment; try again in a few seconds.")


class DatabaseWatch:
    """Whether Postgres answers, asked over a connection of its own; an answer counts for a second.

    Args:
        clock: seconds.
        probe: raises `psycopg.Error` where it is away.
    """

    def __init__(self, *, clock: Callable[[], float], probe: Callable[[], None] | None = None) -> None:
        self._clock, self._probe = clock, probe or _connect
        self._lock = threading.Lock()
        self._asked_at: float | None = None
        self._answers = True

    @property
    def is_away(self) -> bool:
        """Tell whether it was found away within the latest second; nobody is asked."""
        return not self._answers and self._is_fresh()

    def answers(self) -> bool:
        """Ask it, unless somebody did within the latest second; may take as long as a connection, at most 2 s."""
        with self._lock:
            if not self._is_fresh():
                try:
                    self._probe()
                    self._answers = True
                except psycopg.Error:
                    self._answers = False
                self._asked_at = self._clock()
            return self._answers

    def _is_fresh(self) -> bool:
        return self._asked_at is not None and self._clock() - self._asked_at < _FRESH_S


def _connect() -> None:
    address = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor, "connect_timeout": 2}
    psycopg.connect(**address).close()
