"""How many database connections the threads that answer may have at once, however many answers are under way."""

import threading

from django.db import connection

PLACES = 5
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
