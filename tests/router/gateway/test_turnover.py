"""A web process takes over from another on the same socket, as `deploy/systemd` has it, while streams are open."""

import asyncio
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
from django.db import connections

from benchmarks.inference.scripted import ScriptedAnswer
from router.models import GatewayRequest, WebProcess
from tests.router.endpoint import CHAT, COMMITTED, Endpoint, OpenEndpoint
from tests.router.gateway.process import process_on

pytestmark = [COMMITTED, pytest.mark.slow]

STREAMS, QUICK = 20, 40


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as found:
        found.bind(str(tmp_path / "web.sock"))
        found.listen(1024)
        yield found


def held_back(gate: threading.Event) -> Callable[[str, str], ScriptedAnswer]:
    """Answer `quick` prompts at once, and hold the others back after their first word."""
    return lambda _model, prompt: ScriptedAnswer("one two three", gate=None if prompt == "quick" else gate)


class Turnover:
    """Streams of the former process, and what is asked while the later one takes over."""

    def __init__(self, endpoint: Endpoint, listener: socket.socket, gate: threading.Event) -> None:
        self.endpoint, self.listener, self.gate = endpoint, listener, gate
        self.begun = 0
        self.whole = 0
        self.asked_while_both_lived = 0

    async def ask(self, session: aiohttp.ClientSession, prompt: str) -> None:
        """Ask for a stream; a connection that was closed before a byte of an answer came is made anew, once."""
        body = {"model": "small", "stream": True, "messages": [{"role": "user", "content": prompt}]}
        headers = {"Authorization": f"Bearer {self.endpoint.secret}"}
        for is_last in (False, True):
            try:
                async with session.post(f"http://localhost{CHAT}", json=body, headers=headers) as response:
                    assert response.status == 200
                    text = await response.content.readany()
                    self.begun += 1
                    text += await response.content.read()
                    self.whole += text.endswith(b"data: [DONE]\n\n")
                    return
            except aiohttp.ServerDisconnectedError:
                if is_last:
                    raise

    async def run(self) -> int | None:
        """Open streams, let the later process take over, ask on, and let the streams end; return the exit code."""
        path = str(self.listener.getsockname())
        # a proxy without kept connections: whichever process accepts
        connector = aiohttp.UnixConnector(path, limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            with process_on(self.listener) as former:
                async with asyncio.TaskGroup() as streams:
                    for _ in range(STREAMS):
                        streams.create_task(self.ask(session, "slow"))
                    await self._until(lambda: self.begun == STREAMS)
                    with process_on(self.listener) as later:
                        await self._take_over(session, former)
                        later.terminate()
                        await asyncio.to_thread(later.wait, 30)
                return former.returncode

    async def _take_over(self, session: aiohttp.ClientSession, former: "subprocess.Popen[bytes]") -> None:
        await self._until_both_are_there()
        former.terminate()
        for _ in range(QUICK):
            await self.ask(session, "quick")
            self.asked_while_both_lived += former.poll() is None
        self.gate.set()
        await asyncio.to_thread(former.wait, 30)
        await self.ask(session, "quick")

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not is_so():
                await asyncio.sleep(0.01)

    async def _until_both_are_there(self) -> None:
        def count() -> int:
            try:
                return WebProcess.objects.count()
            finally:
                connections.close_all()

        async with asyncio.timeout(60):
            while await asyncio.to_thread(count) < 2:
                await asyncio.sleep(0.05)


class TestTurnover:
    def test_breaks_no_stream_and_refuses_nobody(self, open_endpoint: OpenEndpoint, listener: socket.socket) -> None:
        gate = threading.Event()
        turnover = Turnover(open_endpoint(answers=held_back(gate)), listener, gate)

        assert asyncio.run(turnover.run()) == -signal.SIGTERM  # which uvicorn raises again once all is done

        assert turnover.whole == STREAMS + QUICK + 1
        assert turnover.asked_while_both_lived == QUICK  # new ones were served while old streams went on
        assert set(GatewayRequest.objects.values_list("state", flat=True)) == {"answered"}
        assert GatewayRequest.objects.count() == STREAMS + QUICK + 1
