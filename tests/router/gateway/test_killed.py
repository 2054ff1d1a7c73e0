"""What is left of a web process that is killed in the middle of a burst of streams."""

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from django.db import connections
from django.utils import timezone

from benchmarks.inference.scripted import ScriptedAnswer
from router.abandoning import abandon_lost
from router.gateway.recording import LOOK_S
from router.models import GatewayRequest, UpstreamAttempt, WebProcess
from tests.router.endpoint import CHAT, COMMITTED, Endpoint, OpenEndpoint
from tests.router.gateway.process import own_process

pytestmark = [COMMITTED, pytest.mark.slow]

QUICK, SLOW = 40, 20


def scripted(gate: threading.Event) -> Callable[[str, str], ScriptedAnswer]:
    """Answer `quick` prompts at once, one word after the other, and hold the others back after their first word."""

    def script(_model: str, prompt: str) -> ScriptedAnswer:
        is_held = prompt.startswith("slow")
        return ScriptedAnswer(
            "one two three four", seconds_per_token=0.0 if is_held else 0.02, gate=gate if is_held else None
        )

    return script


class Burst:
    """Streams that are asked for at once; whose last byte came is in `answered`, by the id of the request."""

    def __init__(self, endpoint: Endpoint, address: str) -> None:
        self.endpoint = endpoint
        self.address = address
        self.begun: dict[str, str] = {}
        self.answered: set[str] = set()

    async def stream(self, session: aiohttp.ClientSession, prompt: str, latest: asyncio.Event) -> None:
        body = {"model": "small", "stream": True, "messages": [{"role": "user", "content": prompt}]}
        headers = {"Authorization": f"Bearer {self.endpoint.secret}"}
        try:
            async with session.post(self.address + CHAT, json=body, headers=headers) as response:
                public_id = response.headers["X-GreenLLM-Request-Id"]
                self.begun[public_id] = prompt
                self._look(latest)
                text = await response.text()
            if text.endswith("data: [DONE]\n\n"):
                self.answered.add(public_id)
                self._look(latest)
        except aiohttp.ClientError:
            pass  # the process was killed

    def _look(self, latest: asyncio.Event) -> None:
        if len(self.begun) == QUICK + SLOW and len(self.answered) == QUICK:
            latest.set()

    async def until(self, kill: Callable[[], Any]) -> None:
        """Ask for all; once the quick ones are answered and the rows of those under way are there, kill the process."""
        latest = asyncio.Event()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            prompts = [f"quick {number}" for number in range(QUICK)] + [f"slow {number}" for number in range(SLOW)]
            streams = [asyncio.ensure_future(self.stream(session, prompt, latest)) for prompt in prompts]
            await asyncio.wait_for(latest.wait(), 30)
            await asyncio.to_thread(self._wait_for_early_rows)
            kill()
            await asyncio.gather(*streams)

    def _wait_for_early_rows(self) -> None:
        tick = threading.Event()
        for _ in range(200):
            if UpstreamAttempt.objects.filter(outcome="running").count() >= SLOW:
                break
            tick.wait(LOOK_S / 10)
        connections.close_all()


class TestAKilledProcess:
    def test_loses_no_request_whose_last_byte_was_sent(self, open_endpoint: OpenEndpoint) -> None:
        gate = threading.Event()
        endpoint = open_endpoint(answers=scripted(gate))
        with own_process(pool=4) as server:
            burst = Burst(endpoint, server.address)
            asyncio.run(burst.until(server.kill))
        gate.set()
        rows = dict(GatewayRequest.objects.values_list("public_id", "state"))
        assert len(burst.answered) == QUICK
        assert {rows[one] for one in burst.answered} == {"answered"}
        whole = UpstreamAttempt.objects.filter(request__public_id__in=burst.answered, outcome="finished")
        assert {one.output_token_count for one in whole} == {4}
        assert whole.count() == len(burst.answered)
        self.leaves_a_trace_of_those_under_way(burst, rows)

    def leaves_a_trace_of_those_under_way(self, burst: Burst, rows: dict[str, str]) -> None:
        left = set(burst.begun) - burst.answered
        assert {rows[one] for one in left} == {"running"}
        attempts = UpstreamAttempt.objects.filter(request__public_id__in=left)
        assert [one.outcome for one in attempts] == ["running"] * SLOW
        later = timezone.now() + timedelta(minutes=2)
        assert abandon_lost(now=later, silent=timedelta(minutes=1), longest=timedelta(hours=1)) == SLOW
        assert set(GatewayRequest.objects.filter(public_id__in=left).values_list("state", "error_code")) == {
            ("abandoned", "ProcessGone")
        }
        assert set(attempts.values_list("outcome", flat=True)) == {"abandoned"}
        assert not WebProcess.objects.exists()

    def test_in_a_quick_burst_loses_none_that_was_answered(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint(answers={})
        with own_process(pool=4) as server:
            burst = Burst(endpoint, server.address)
            asyncio.run(_killed_while_answering(burst, server.kill))
        states = dict(GatewayRequest.objects.values_list("public_id", "state"))
        assert {states.get(one) for one in burst.answered} == {"answered"}


async def _killed_while_answering(burst: Burst, kill: Callable[[], None]) -> None:
    """Ask again and again, 20 at once, until 200 are answered; then kill, while others are being answered."""
    is_over = False

    async def ask_on(session: aiohttp.ClientSession) -> None:
        while not is_over:
            await burst.stream(session, "quick", asyncio.Event())

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        asking = [asyncio.ensure_future(ask_on(session)) for _ in range(20)]
        while len(burst.answered) < 200:
            await asyncio.sleep(0.001)
        is_over = True
        kill()
        await asyncio.gather(*asking)
