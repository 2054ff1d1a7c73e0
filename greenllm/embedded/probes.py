"""Tell whether a server answers, by connecting to it: a pid proves nothing (zombies, reuse)."""

import errno
import http.client
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from greenllm.embedded.addresses import LOOPBACK
from greenllm.embedded.errors import EmbeddedError

_TIMEOUT_S = 1.0


class PortInUseError(EmbeddedError):
    """Another program listens on a port that an embedded service needs."""


def unix_socket_answers(path: Path) -> bool:
    """Tell whether something accepts connections on a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT_S)
        try:
            connection.connect(str(path))
        except OSError:
            return False
    return True


def valkey_answers(path: Path) -> bool:
    """Tell whether Valkey answers PING; while it still loads its file it accepts but refuses commands."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT_S)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def port_answers(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether something accepts TCP connections on a port."""
    try:
        with socket.create_connection((host, port), _TIMEOUT_S):
            return True
    except OSError:
        return False


def http_answers(url: str) -> bool:
    """Tell whether a GET of the address is answered with a status below 500."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or LOOPBACK, parts.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def require_free_port(port: int, *, variable: str, service: str, host: str = LOOPBACK) -> None:
    """Check that a server could listen on a TCP port.

    Raises:
        PortInUseError: someone listens there; names them where the kernel tells.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as candidate:
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return
    raise PortInUseError(
        f"Port {port}, which {service} needs, is in use{_holder(port)}. "
        f"Stop that program, or set {variable} to a free port."
    )


def port_check(port: int, *, variable: str, service: str) -> Callable[[], None]:
    """Return `require_free_port` as a step that a service takes before it starts."""
    return lambda: require_free_port(port, variable=variable, service=service)


def _holder(port: int) -> str:
    import psutil  # costs 20 ms and is needed only for this message

    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return ""
    for connection in connections:
        if connection.status != psutil.CONN_LISTEN or not connection.laddr:
            continue
        if connection.laddr.port == port and connection.pid:
            try:
                name = psutil.Process(connection.pid).name()
            except psutil.Error:
                name = "a process that just ended"
            return f" by {name} (pid {connection.pid})"
    return ""
