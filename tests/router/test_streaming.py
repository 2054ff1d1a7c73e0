"""Streaming as clients meet it: over HTTP, from uvicorn, with a scripted server behind the endpoint."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai
import psycopg
import pytest
from django.db import connection, connections
from django.db.backends.postgresql.base import DatabaseWrapper
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer
from router.connections import PLACES
from router.models import GatewayRequest, PromptIndex, UpstreamAttempt
from tests.benchmarks.inference.asking import eventually
from tests.browsing import served
from tests.router.endpoint import CHAT, COMMITTED, LIKE_CODE, LIKE_MATH, Endpoint, OpenEndpoint
from tests.router.test_wire_chunks import events_of

pytestmark = [COMMITTED, pytest.mark.slow]

PATIENCE_S = 10.0
THREE_WORDS = "It is five."


def gated(gate: threading.Event) -> Callable[[str, str], ScriptedAnswer]:
    return lambda _model, _prompt: ScriptedAnswer(THREE_WORDS, gate=gate)


def asked(text: str = LIKE_MATH, *, model: str = "auto", **fields: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": True, **fields}


def post(address: str, endpoint: Endpoint, **fields: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {endpoint.secret}"}
    return httpx.post(address + CHAT, json=asked(**fields), headers=headers, timeout=PATIENCE_S)


def streaming(address: str, endpoint: Endpoint, **fields: Any) -> Any:
    headers = {"Authorization": f"Bearer {endpoint.secret}"}
    return httpx.stream("POST", address + CHAT, json=asked(**fields), headers=headers, timeout=PATIENCE_S)


def text_of(events: list[Any], field: str = "content") -> str:
    deltas = [one["delta"] for event in events if event != "[DONE]" for one in event["choices"]]
    return "".join(delta.get(field, "") for delta in deltas)


class TestStream:
    def test_is_an_answer_in_pieces(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(answers={LIKE_MATH: THREE_WORDS})
        response = post(address, endpoint)
        request = GatewayRequest.objects.get()
        events = events_of(response.content)
        assert response.status_code == 200
        assert [event if event == "[DONE]" else event["choices"][0]["delta"] for event in events] == [
            {"role": "assistant", "content": ""}, {"content": "It"}, {"content": " is"}, {"content": " five."}, {},
            "[DONE]",
        ]  # fmt: skip
        heads = {(event["id"], event["object"], event["created"], event["model"]) for event in events[:-1]}
        completion = f"chatcmpl-{request.public_id.removeprefix('req_')}"
        assert heads == {(completion, "chat.completion.chunk", int(request.started_at.timestamp()), "small")}
        assert all("usage" not in event for event in events[:-1])
        assert (events[-2]["greenllm"]["model"], events[-2]["greenllm"]["category"]) == ("small", "math")

    def test_has_the_headers_of_an_answer_and_those_of_a_stream(self, endpoint: Endpoint, address: str) -> None:
        streamed, whole = post(address, endpoint), post(address, endpoint, stream=False)
        assert streamed.headers["content-type"] == "text/event-stream"
        assert (streamed.headers["cache-control"], streamed.headers["x-accel-buffering"]) == ("no-cache", "no")
        ours = [name for name in whole.headers if name.startswith("x-greenllm") or name == "x-request-id"]
        assert len(ours) == 9
        same = [name for name in ours if streamed.headers[name] == whole.headers[name]]
        assert set(ours) - set(same) == {"x-request-id", "x-greenllm-request-id"}

    def test_tells_the_usage_where_asked(self, endpoint: Endpoint, address: str) -> None:
        events = events_of(post(address, endpoint, stream_options={"include_usage": True}).content)
        gco2e = events[-2]["greenllm"]["predicted_sci_gco2e"]
        assert [event["usage"] for event in events[:-1]] == [None] * (len(events) - 2) + [
            {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "gco2e": gco2e}
        ]
        assert (events[-2]["choices"], events[-2]["greenllm"]["model"]) == ([], "small")
        assert "greenllm" not in events[-3]

    def test_keeps_thinking_apart(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(answers=lambda _model, _prompt: ScriptedAnswer("Five.", thinking="Two and three"))
        events = events_of(post(address, endpoint).content)
        assert (text_of(events), text_of(events, "reasoning_content")) == ("Five.", "Two and three")
        message = post(address, endpoint, stream=False).json()["choices"][0]["message"]
        assert (message["content"], message["reasoning_content"]) == ("Five.", "Two and three")

    def test_carries_every_character_whole(self, open_endpoint: OpenEndpoint, address: str) -> None:
        text = "Größe \N{SNOWMAN} 五 \N{FAMILY}\N{ZERO WIDTH JOINER}\N{GIRL} e\N{COMBINING ACUTE ACCENT}"
        endpoint = open_endpoint(answers={LIKE_MATH: text})
        assert text_of(events_of(post(address, endpoint).content)) == text

    def test_sends_each_piece_before_the_next_is_made(
        self, open_endpoint: OpenEndpoint, address: str, gate: threading.Event
    ) -> None:
        endpoint = open_endpoint(answers=gated(gate))
        with streaming(address, endpoint) as response:
            lines = response.iter_lines()
            seen = ""
            while "It" not in seen:
                seen += next(lines)
            assert "five" not in seen
            gate.set()
            assert "five" in "".join(lines)

    def test_pings_while_the_model_is_silent(
        self, open_endpoint: OpenEndpoint, address: str, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("router.gateway.replying.PING_INTERVAL_S", 0.02)
        endpoint = open_endpoint(Fault(FaultKind.DELAY, model="small", seconds=0.2), answers=gated(gate))
        with streaming(address, endpoint) as response:
            lines = response.iter_lines()
            seen: list[str] = []
            while not (seen and seen[-1] == ": ping" and any("It" in line for line in seen)):
                seen.append(next(lines))
            gate.set()
            rest = list(lines)
        assert ": ping" in seen[: next(number for number, line in enumerate(seen) if "It" in line)]
        assert rest[-2:] == ["data: [DONE]", ""]
        events = [json.loads(line[6:]) for line in seen + rest if line.startswith("data: {")]
        assert text_of(events) == THREE_WORDS

    def test_of_a_request_is_recorded_before_its_last_byte(self, endpoint: Endpoint, address: str) -> None:
        post(address, endpoint)
        attempt = UpstreamAttempt.objects.select_related("request").get()
        assert (attempt.request.state, attempt.outcome) == ("answered", "finished")
        assert (attempt.prompt_token_count, attempt.output_token_count, attempt.done_reason) == (5, 1, "stop")


class TestRefusal:
    @pytest.mark.parametrize(
        ("fields", "status", "code"),
        [
            pytest.param({"model": "nobody"}, 404, "model_not_found", id="unknown model"),
            pytest.param({"text": "word " * 3000, "model": "large"}, 400, "context_length_exceeded", id="too long"),
            pytest.param({"stream_options": 1}, 400, None, id="wrong field"),
        ],
    )
    def test_is_a_status_and_no_stream(
        self, endpoint: Endpoint, address: str, fields: dict[str, Any], status: int, code: str | None
    ) -> None:
        response = post(address, endpoint, **fields)
        assert (response.status_code, response.headers["content-type"]) == (status, "application/json")
        assert response.json()["error"]["code"] == code

    def test_without_an_index_is_a_status(self, endpoint: Endpoint, address: str) -> None:
        PromptIndex.objects.update(state=PromptIndex.State.REPLACED)
        assert post(address, endpoint).status_code == 503
        assert GatewayRequest.objects.get().state == "failed"

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(Fault(FaultKind.STATUS, model="small", status=503), id="busy"),
            pytest.param(Fault(FaultKind.REFUSE_OPTION, model="small", message="seed"), id="refuses an option"),
        ],
    )
    def test_of_the_inference_server_is_a_status(self, open_endpoint: OpenEndpoint, address: str, fault: Fault) -> None:
        response = post(address, open_endpoint(fault), seed=1)
        assert response.status_code in {400, 502}
        assert set(response.json()["error"]) == {"message", "type", "param", "code"}
        assert UpstreamAttempt.objects.get().outcome == "failed"


class TestBreakingStream:
    @pytest.mark.parametrize("kind", [FaultKind.CUT, FaultKind.GARBAGE, FaultKind.ERROR_LINE, FaultKind.NO_FINAL_LINE])
    def test_ends_with_an_error_event(self, open_endpoint: OpenEndpoint, address: str, kind: FaultKind) -> None:
        endpoint = open_endpoint(Fault(kind, model="small"), answers={LIKE_MATH: THREE_WORDS})
        response = post(address, endpoint)
        *pieces, last = events_of(response.content)
        assert (response.status_code, text_of(pieces)) == (200, "It")
        assert set(last["error"]) == {"message", "type", "param", "code"}
        assert last["error"]["code"] == "upstream_error"
        attempt = UpstreamAttempt.objects.select_related("request").get()
        assert (attempt.request.state, attempt.request.error_code) == ("failed", "StreamBroken")
        assert (attempt.outcome, attempt.output_token_count) == ("failed", 1)
        assert attempt.time_to_first_token_ns

    def test_is_raised_by_the_openai_package(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(Fault(FaultKind.CUT, model="small"), answers={LIKE_MATH: THREE_WORDS})
        with client_of(address, endpoint) as client, pytest.raises(openai.APIError, match="broke off"):
            list(client.chat.completions.create(model="auto", messages=[USER], stream=True))


USER: Any = {"role": "user", "content": LIKE_MATH}


def client_of(address: str, endpoint: Endpoint) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{address}/v1", api_key=endpoint.secret, timeout=PATIENCE_S, max_retries=0)


class TestOpenAIPackage:
    def test_reads_the_pieces_the_usage_and_our_part(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(answers={LIKE_MATH: THREE_WORDS})
        with client_of(address, endpoint) as client:
            stream = client.chat.completions.create(
                model="auto", messages=[USER], stream=True, stream_options={"include_usage": True}
            )
            chunks = list(stream)
        texts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
        assert "".join(text or "" for text in texts) == THREE_WORDS
        assert [chunk.usage is not None for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
        assert chunks[-1].usage is not None
        assert chunks[-1].usage.total_tokens == 8
        assert (chunks[-1].model_extra or {})["greenllm"]["model"] == "small"

    def test_gathers_a_whole_completion(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(answers={LIKE_MATH: THREE_WORDS})
        with (
            client_of(address, endpoint) as client,
            client.chat.completions.stream(model="auto", messages=[USER]) as stream,
        ):
            completion = stream.get_final_completion()
        assert completion.choices[0].message.content == THREE_WORDS
        assert completion.choices[0].finish_reason == "stop"

    def test_closes_a_stream_and_the_model_stops(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STALL, model="small"), answers={LIKE_MATH: THREE_WORDS})
        with client_of(address, endpoint) as client:
            with client.chat.completions.create(model="auto", messages=[USER], stream=True) as stream:
                next(iter(stream))
            assert eventually(lambda: endpoint.server.cancelled_count == 1)
        assert eventually(lambda: GatewayRequest.objects.filter(state="cancelled").exists())


class TestDisconnect:
    def test_stops_the_model_within_a_second_and_is_recorded(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STALL, model="small"), answers={LIKE_MATH: THREE_WORDS})
        with streaming(address, endpoint) as response:
            lines = response.iter_lines()
            while "It" not in next(lines):
                assert endpoint.server.cancelled_count == 0
            left = time.monotonic()
        assert eventually(lambda: endpoint.server.cancelled_count == 1)
        assert time.monotonic() - left < 1.0
        assert eventually(lambda: GatewayRequest.objects.filter(state="cancelled").exists())
        request, attempt = GatewayRequest.objects.get(), UpstreamAttempt.objects.get()
        assert (request.error_code, request.finished_at is not None) == ("", True)
        assert (attempt.outcome, attempt.error, attempt.output_token_count) == ("cancelled", "", 1)
        assert attempt.time_to_first_token_ns
        assert attempt.finished_at

    @pytest.mark.parametrize("is_streamed", [True, False], ids=["stream", "whole answer"])
    def test_before_the_first_byte_stops_the_model_too(
        self, open_endpoint: OpenEndpoint, address: str, is_streamed: bool
    ) -> None:
        endpoint = open_endpoint(Fault(FaultKind.HANG, model="small"))
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                address + CHAT,
                json=asked(stream=is_streamed),
                headers={"Authorization": f"Bearer {endpoint.secret}"},
                timeout=httpx.Timeout(PATIENCE_S, read=3.0),
            )
        assert eventually(lambda: endpoint.server.cancelled_count == 1)
        assert eventually(lambda: GatewayRequest.objects.filter(state="cancelled").exists())
        attempt = UpstreamAttempt.objects.get()
        assert (attempt.outcome, attempt.output_token_count, attempt.time_to_first_token_ns) == (
            "cancelled",
            None,
            None,
        )

    def test_while_the_route_is_decided_is_recorded(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(Fault(FaultKind.HANG, model="all-minilm"))
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                address + CHAT,
                json=asked(),
                headers={"Authorization": f"Bearer {endpoint.secret}"},
                timeout=httpx.Timeout(PATIENCE_S, read=3.0),
            )
        assert eventually(lambda: endpoint.server.cancelled_count == 1)  # the embedder has better things to do
        assert eventually(lambda: GatewayRequest.objects.filter(state="cancelled").exists())
        assert not UpstreamAttempt.objects.exists()

    def test_in_the_queue_of_a_server_gives_the_place_up(self, open_endpoint: OpenEndpoint, settings: Settings) -> None:
        settings.UPSTREAM_AT_ONCE, settings.UPSTREAM_WAITING = 1, 1
        endpoint = open_endpoint(Fault(FaultKind.STALL, model="small", times=1), answers={LIKE_MATH: THREE_WORDS})
        headers = {"Authorization": f"Bearer {endpoint.secret}"}
        with served() as address:
            with streaming(address, endpoint) as first:
                lines = first.iter_lines()
                while "It" not in next(lines):
                    pass
                with pytest.raises(httpx.ReadTimeout):
                    httpx.post(address + CHAT, json=asked(), headers=headers, timeout=httpx.Timeout(5.0, read=2.0))
                assert eventually(lambda: GatewayRequest.objects.filter(state="cancelled").exists())
            second = httpx.post(address + CHAT, json=asked(), headers=headers, timeout=PATIENCE_S)
        connections.close_all()
        assert second.status_code == 200
        assert UpstreamAttempt.objects.count() == 2  # the one that only waited asked nobody


@dataclass
class MadeConnections:
    """The database connections that this process made since they are noted, those of the test itself with them."""

    made: list[psycopg.Connection[Any]] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)

    @property
    def open_count(self) -> int:
        """Count those that this process has not closed."""
        return sum(not one.closed for one in list(self.made))

    def served_count(self) -> int:
        """Count those that Postgres still serves; what other tests and programs have open is not among them."""
        parameters = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}
        with psycopg.connect(**parameters) as own:
            row = own.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = ANY(%s)", [list(self.pids)]).fetchone()
            return row[0] if row else -1


def note_connections(monkeypatch: pytest.MonkeyPatch) -> MadeConnections:
    """Note every database connection that this process makes from now on."""
    noted = MadeConnections()
    connect = DatabaseWrapper.get_new_connection

    def noting(wrapper: DatabaseWrapper, parameters: dict[str, Any]) -> psycopg.Connection[Any]:
        found: psycopg.Connection[Any] = connect(wrapper, parameters)
        noted.pids.append(found.info.backend_pid)
        noted.made.append(found)
        return found

    monkeypatch.setattr(DatabaseWrapper, "get_new_connection", noting)
    return noted


class TestManyStreams:
    def test_need_a_handful_of_database_connections(
        self, open_endpoint: OpenEndpoint, address: str, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        endpoint = open_endpoint(answers=gated(gate))
        connection.close()  # the test's own
        counts, made = [], note_connections(monkeypatch)
        with ExitStack() as streams, ThreadPoolExecutor(30) as threads:

            def begin(_number: int) -> Iterator[str]:
                lines = streams.enter_context(streaming(address, endpoint)).iter_lines()
                while "It" not in next(lines):
                    pass
                return lines

            begun = [threads.submit(begin, number) for number in range(30)]
            while not all(one.done() for one in begun):
                counts.append(made.open_count)
            readers = [one.result() for one in begun]
            # while all are answered; a stream that takes its time is written down once meanwhile
            assert eventually(lambda: made.open_count == 0)
            assert eventually(lambda: made.served_count() == 0)  # Postgres takes a moment to end its processes
            gate.set()
            assert all("five" in text for text in threads.map("".join, readers))
        assert 0 < max(counts) <= PLACES
        assert GatewayRequest.objects.filter(state="answered").count() == 30


class TestCode:
    def test_goes_to_the_model_that_can(self, endpoint: Endpoint, address: str) -> None:
        assert post(address, endpoint, text=LIKE_CODE).headers["x-greenllm-model"] == "large"
