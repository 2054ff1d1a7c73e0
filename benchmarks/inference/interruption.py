"""End the waiting of a request from another thread: the only way to stop a read that is already blocked."""

import socket
import threading
from contextlib import suppress


class Interruption:
    """Shuts the connections of the requests that it was given to, now and from then on.

    What a request reads then ends at once with an `InferenceError`, and the server sees that the client has left.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._is_set = False

    @property
    def is_set(self) -> bool:
        """Say whether it has come."""
        return self._is_set

    def interrupt(self) -> None:
        """Shut every connection; doing so twice changes nothing."""
        with self._lock:
            self._is_set = True
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            _shut(one)

    def watch(self, connection: socket.socket) -> None:
        """Take charge of a connection; one that comes too late is shut at once."""
        with self._lock:
            if not self._is_set:
                self._sockets.append(connection)
                return
        _shut(connection)


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):  # it was closed already
        # the plain socket's way also for TLS, whose own would take the session from under a read
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
