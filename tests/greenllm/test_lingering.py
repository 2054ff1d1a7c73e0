"""Connections of a web process that is to end."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from greenllm.lingering import LingeringProtocol

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Ending:
    """A server over a socket in a folder, and what its application waits for before it answers."""

    def __init__(self, listener: socket.socket) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.server = uvicorn.Server(
            uvicorn.Config(
                self._answer, http=LingeringProtocol, interface="asgi3", lifespan="off", log_level="critical"
            )
        )
        self._listener = listener
        self._writers: list[asyncio.StreamWriter] = []
        self._served = asyncio.create_task(self.server.serve([listener]))

    async def connect(self) -> Streams:
        """Return a connection that the server has accepted."""
        count = len(self.server.server_state.connections)
        streams = await asyncio.open_unix_connection(self._listener.getsockname())
        self._writers.append(streams[1])
        await until(lambda: len(self.server.server_state.connections) > count)
        return streams

    async def begin_end(self) -> None:
        """Return once the server has told its connections that it ends."""
        self.server.should_exit = True
        await until(lambda: all(one._is_ending for one in self.server.server_state.connections))

    async def end(self) -> None:
        """Return once it and its clients have ended; it is given much longer than it needs."""
        self.server.should_exit = True
        async with asyncio.timeout(60):
            await self._served
        for writer in self._writers:
            writer.close()
            await writer.wait_closed()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        await self.gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def until(is_so: Any) -> None:
    async with asyncio.timeout(60):
        while not is_so():
            await asyncio.sleep(0.001)


async def ask(streams: Streams) -> bytes:
    """Send a request and return its answer, head and body."""
    reader, writer = streams
    writer.write(REQUEST)
    return await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(2)


@asynccontextmanager
async def ending(folder: Path) -> AsyncIterator[Ending]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "web.sock"))
        found = Ending(listener)
        await until(lambda: found.server.started)
        try:
            yield found
        finally:
            await found.end()


class TestLingeringProtocol:
    async def test_answers_who_had_just_come(self, tmp_path: Path) -> None:
        async with ending(tmp_path) as found:
            streams = await found.connect()
            await found.begin_end()
            answer = await ask(streams)

            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close\r\n" in answer
            assert await streams[0].read() == b""

    async def test_answers_a_kept_connection_once_more(self, tmp_path: Path) -> None:
        async with ending(tmp_path) as found:
            streams = await found.connect()
            assert b"connection: close" not in await ask(streams)
            await found.begin_end()

            assert b"connection: close\r\n" in await ask(streams)
            assert await streams[0].read() == b""

    async def test_closes_who_asks_nothing(self, tmp_path: Path) -> None:
        async with ending(tmp_path) as found:
            streams = await found.connect()
            await found.begin_end()

            assert await streams[0].read() == b""

    async def test_ends_an_answer_that_takes_longer(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("greenllm.lingering._LOOK_S", 0.05)
        async with ending(tmp_path) as found:
            found.gate.clear()
            streams = await found.connect()
            await found.begin_end()
            answer = asyncio.create_task(ask(streams))
            await asyncio.sleep(0.3)  # the looks are over
            found.gate.set()

            assert (await answer).endswith(b"ok")
