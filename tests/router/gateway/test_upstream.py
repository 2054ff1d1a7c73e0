import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from benchmarks.inference.base import (
    AccessRefused,
    ChatMessage,
    FirstTokenTimedOut,
    Generation,
    GenerationParameters,
    GenerationRequest,
    GenerationTimedOut,
    RefusedForNow,
    ServerForbidden,
    ServerUnreachable,
    StreamBroken,
    StreamPiece,
    TextChunk,
)
from benchmarks.inference.chatting import ChatWire, PreparingClient
from benchmarks.inference.connecting import client_for
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.inference.scripted_openai import ScriptedOpenAI
from benchmarks.reach import Reach, using
from router.gateway.upstream import UpstreamAnswer, open_session
from tests.benchmarks.inference.asking import eventually

pytestmark = pytest.mark.slow
WORDS = "It is five."
Server = ScriptedOllama | ScriptedOpenAI
Ask = Callable[..., UpstreamAnswer]


def scripted(kind: str, *faults: Fault, answers: Any = None) -> Server:
    models, script = (ScriptedModel("small"),), answers or {"two": WORDS}
    if kind == "ollama":
        return ScriptedOllama(models, answers=script, faults=faults)
    return ScriptedOpenAI(models, flavour=Flavour.VLLM, answers=script, faults=faults)


def wire_of(kind: str, base_url: str, **limits: float) -> ChatWire:
    client = client_for(kind, base_url, **limits)  # type: ignore[arg-type]
    assert isinstance(client, PreparingClient)
    wanted = GenerationRequest("small", (ChatMessage("user", "two"),), GenerationParameters(seed=1))
    assert not client.is_ready_for(wanted)
    first = client.prepare(wanted)
    assert client.is_ready_for(wanted)
    assert first.body["model"] == "small"
    return client.prepare(wanted)


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    session, answers = open_session(connect_timeout_s=1.0), []

    def asking(kind: str, base_url: str, **limits: float) -> UpstreamAnswer:
        answers.append(UpstreamAnswer(session, wire_of(kind, base_url, **limits)))
        return answers[-1]

    yield asking
    for answer in answers:
        answer.close()
    await session.close()


async def pieces_of(answer: UpstreamAnswer, pieces: list[StreamPiece]) -> None:
    while not (pieces and isinstance(pieces[-1], Generation)):
        pieces.extend(await answer.read(10.0) or [])


@pytest.mark.parametrize("kind", ["ollama", "openai"])
class TestAnswer:
    async def test_comes_in_pieces_and_whole(self, ask: Ask, kind: str) -> None:
        with scripted(kind) as server:
            answer, pieces = ask(kind, server.base_url), []
            await pieces_of(answer, pieces)
        texts = [piece.text for piece in pieces if isinstance(piece, TextChunk)]
        last = pieces[-1]
        assert isinstance(last, Generation)
        assert ("".join(texts), last.text, last.done_reason, last.output_token_count) == (WORDS, WORDS, "stop", 3)
        assert last.time_to_first_token_ns
        assert answer.is_finished

    async def test_sends_what_the_blocking_client_sends(self, ask: Ask, kind: str) -> None:
        with scripted(kind) as server:
            await pieces_of(ask(kind, server.base_url), [])
            sent = server.requests[-1]
            wanted = GenerationRequest("small", (ChatMessage("user", "two"),), GenerationParameters(seed=1))
            client_for(kind, server.base_url).generate(wanted)
            assert (sent.path, sent.body) == (server.requests[-1].path, server.requests[-1].body)

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    async def test_is_not_asked_for_where_no_server_may_be(self, ask: Ask, kind: str, host: str) -> None:
        with scripted(kind) as server:
            url = server.base_url.replace("127.0.0.1", host)
            answer = ask(kind, url)
            asked_before = len(server.requests)
            with using(Reach(networks=())), pytest.raises(ServerForbidden, match="GREENLLM_SERVER_NETWORKS"):
                await pieces_of(answer, [])
            assert len(server.requests) == asked_before

    @pytest.mark.parametrize("fault", [FaultKind.CUT, FaultKind.GARBAGE, FaultKind.ERROR_LINE, FaultKind.NO_FINAL_LINE])
    async def test_that_breaks_gives_what_came_before(self, ask: Ask, kind: str, fault: FaultKind) -> None:
        with scripted(kind, Fault(fault)) as server:
            pieces: list[StreamPiece] = []
            with pytest.raises(StreamBroken) as caught:
                await pieces_of(ask(kind, server.base_url), pieces)
        assert [piece.text for piece in pieces if isinstance(piece, TextChunk)] == ["It"]
        assert caught.value.partial_text == "It"

    async def test_is_awaited_no_longer_than_asked(self, ask: Ask, kind: str) -> None:
        with scripted(kind, Fault(FaultKind.HANG)) as server:
            answer = ask(kind, server.base_url)
            assert await answer.read(0.05) is None

    async def test_without_a_first_token_ends_with_the_budget(self, ask: Ask, kind: str) -> None:
        with scripted(kind, Fault(FaultKind.HANG)) as server:
            answer = ask(kind, server.base_url, first_token_timeout_s=0.3)
            with pytest.raises(FirstTokenTimedOut):
                await answer.read(10.0)

    async def test_that_stalls_ends_with_the_budget(self, ask: Ask, kind: str) -> None:
        with scripted(kind, Fault(FaultKind.STALL)) as server:
            answer = ask(kind, server.base_url, total_timeout_s=0.5)
            with pytest.raises(GenerationTimedOut) as caught:
                await pieces_of(answer, [])
        assert caught.value.partial_text == "It"

    @pytest.mark.parametrize(
        ("status", "error"), [(503, RefusedForNow), (401, AccessRefused)], ids=["busy", "wants a key"]
    )
    async def test_refused_is_told_by_its_status(
        self, ask: Ask, kind: str, status: int, error: type[Exception]
    ) -> None:
        with (
            scripted(kind, Fault(FaultKind.STATUS, status=status, message="not now")) as server,
            pytest.raises(error, match="not now"),
        ):
            await ask(kind, server.base_url).read(10.0)

    async def test_of_nobody(self, ask: Ask, kind: str) -> None:
        with scripted(kind) as server:
            wire = wire_of(kind, server.base_url)
        session = open_session(connect_timeout_s=1.0)
        with pytest.raises(ServerUnreachable):
            await UpstreamAnswer(session, wire).read(10.0)
        await session.close()

    @pytest.mark.parametrize("fault", [FaultKind.HANG, FaultKind.STALL], ids=["before the first byte", "later"])
    async def test_closed_early_stops_the_server(self, ask: Ask, kind: str, fault: FaultKind) -> None:
        with scripted(kind, Fault(fault)) as server:
            answer = ask(kind, server.base_url)
            await answer.read(0.3)
            answer.close()
            assert await asyncio.to_thread(eventually, lambda: server.cancelled_count == 1)

    async def test_fed_byte_by_byte_is_the_same(self, kind: str) -> None:
        script = {"two": "Größe \N{SNOWMAN} 五"}
        with scripted(kind, answers=lambda _model, _prompt: ScriptedAnswer(script["two"], thinking="So")) as server:
            wire, session = wire_of(kind, server.base_url), open_session(connect_timeout_s=1.0)
            async with session.post(wire.url, json=wire.body) as response:
                raw = await response.read()
            await session.close()
        pieces = [piece for number in range(len(raw)) for piece in wire.feed(raw[number : number + 1])]
        last = pieces[-1]
        assert isinstance(last, Generation)
        assert (last.text, last.thinking) == (script["two"], "So")


class Resetting:
    """A server that answers once on each connection, and resets it when it is asked again there."""

    def __init__(self) -> None:
        self.reset_count = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_used = False
        while head := await self._head(reader):
            if head.startswith("POST /api/chat"):
                if is_used:
                    self.reset_count += 1
                    writer.transport.abort()
                    return
                is_used = True
                done = {"done": True, "done_reason": "stop", "message": {"role": "assistant", "content": WORDS}}
                self._send(writer, {"model": "small", **done})
            else:
                self._send(writer, {"models": [], "details": {}, "model_info": {}, "capabilities": ["completion"]})
            await writer.drain()
        writer.close()

    async def _head(self, reader: asyncio.StreamReader) -> str:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = re.search(r"content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
        except (asyncio.IncompleteReadError, ConnectionError):
            return ""
        return head.replace("post", "POST", 1)

    def _send(self, writer: asyncio.StreamWriter, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode() + b"\n"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


async def test_connections_that_the_server_has_ended_cost_no_answer() -> None:
    resetting = Resetting()
    server = await asyncio.start_server(resetting.serve, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    session = open_session(connect_timeout_s=1.0)

    async def ask_at_once(count: int) -> list[list[StreamPiece]]:
        wires = [await asyncio.to_thread(wire_of, "ollama", address) for _ in range(count)]
        answers = [UpstreamAnswer(session, wire) for wire in wires]
        read: list[list[StreamPiece]] = [[] for _ in answers]
        await asyncio.gather(*(pieces_of(answer, pieces) for answer, pieces in zip(answers, read, strict=True)))
        for answer in answers:
            answer.close()
        return read

    await ask_at_once(3)
    [pieces] = await ask_at_once(1)

    assert pieces[-1].text == WORDS  # type: ignore[union-attr]
    assert resetting.reset_count == 3
    await session.close()
    server.close()
