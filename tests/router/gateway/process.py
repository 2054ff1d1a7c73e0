"""A web process of its own over the test's database, which a test can kill."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import httpx
from django.db import connection

from tests.environment import ROOT, free_port


@dataclass(frozen=True)
class WebServer:
    """A uvicorn with the application in a process of its own."""

    address: str
    process: "subprocess.Popen[bytes]"

    def kill(self) -> None:
        """Stop it as a kernel does that wants memory: it can do nothing about it."""
        self.process.kill()
        self.process.wait(10)


@contextmanager
def own_process(*, socket_dir: str = "", pool: int = 0) -> Iterator[WebServer]:
    """Serve the application over the test's database in a process of its own; give where.

    `socket_dir` is another way to the folder of Postgres' socket, which a test can close; `pool` is
    how many connections requests share.
    """
    port = free_port()
    with _process("--host", "127.0.0.1", "--port", str(port), socket_dir=socket_dir, pool=pool) as process:
        server = WebServer(f"http://127.0.0.1:{port}", process)
        _wait(server)
        yield server


@contextmanager
def process_on(listener: socket.socket) -> Iterator["subprocess.Popen[bytes]"]:
    """Serve the application likewise, but on a socket that others may accept on, too; it may not be ready yet."""
    with _process("--fd", str(listener.fileno()), fds=(listener.fileno(),)) as process:
        yield process


@contextmanager
def _process(
    *where: str, socket_dir: str = "", fds: Sequence[int] = (), pool: int = 0
) -> Iterator["subprocess.Popen[bytes]"]:
    place = connection.settings_dict
    database = f"postgresql://{place['USER']}@/{quote(socket_dir or str(place['HOST']))}/{place['NAME']}"
    command = [sys.executable, "-m", "uvicorn", "greenllm.asgi:application", *where, "--ws", "none"]
    process = subprocess.Popen(
        [*command, "--http", "greenllm.lingering:LingeringProtocol", "--log-level", "error"],
        cwd=ROOT, env={**os.environ, "DATABASE_URL": database, "GREENLLM_DATABASE_POOL": str(pool)}, pass_fds=fds,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def _wait(server: WebServer) -> None:
    deadline = time.monotonic() + 60
    while server.process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(f"{server.address}/health", timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the web process does not start")
