"""The HTTP side over a scripted engine; test_server.py has the real one."""

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from greenllm.embedded.llm_server.app import make_app
from greenllm.embedded.llm_server.engine import CANCELLED, Completion, PromptTooLongError
from greenllm.embedded.llm_server.facts import ModelFacts
from greenllm.embedded.llm_server.library import Library
from greenllm.embedded.llm_server.orders import GenerationOrder
from greenllm.embedded.llm_server.refusals import GenerationFailedError
from greenllm.embedded.llm_server.residents import Residents
from tests.greenllm.embedded.llm_server.gguf_files import write_gguf

HELLO = [{"role": "user", "content": "Hello"}]


class ScriptedEngine:
    """Answers "one two" and can be told to fail, or to go on until it is cancelled."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.fails_late = False
        self.never_ends = False
        self.running_count = 0
        self.was_cancelled = threading.Event()
        self.has_begun = threading.Event()
        self.meeting = threading.Event()
        self.meeting_s = 0.0

    def generate(
        self, order: GenerationOrder, on_text: Callable[[str], None], is_cancelled: Callable[[], bool]
    ) -> Completion:
        self.running_count += 1
        self.has_begun.set()
        if self.running_count > 1:
            self.meeting.set()
        try:
            if self.failure and not self.fails_late:
                raise self.failure
            on_text("one")
            self.meeting.wait(self.meeting_s)
            while self.never_ends:
                if is_cancelled():
                    self.was_cancelled.set()
                    return Completion(CANCELLED, 0, 0, 0, 0)
            if self.failure:
                raise self.failure
            on_text(" two")
            return Completion("stop", prompt_tokens=3, prompt_ns=30, output_tokens=2, output_ns=20)
        finally:
            self.running_count -= 1

    def embed(self, text: str, *, truncates: bool) -> tuple[list[float], int]:
        return [float(len(text)), 0.0], 2


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def app(tmp_path: Path, engine: ScriptedEngine) -> Starlette:
    write_gguf(tmp_path / "chat.gguf")
    write_gguf(tmp_path / "embed.gguf", architecture="bert", pools=True)

    def load(path: Path, facts: ModelFacts, *, context: int, threads: int) -> ScriptedEngine:
        return engine

    library = Library(tmp_path, is_preparing=lambda: False)
    return make_app(library, Residents(lambda: datetime.now(UTC), load))


@pytest.fixture
def client(app: Starlette) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


async def test_streams_lines_and_ends_with_the_figures(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/chat", json={"model": "chat", "messages": HELLO})

    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [line["message"] for line in lines] == [
        {"role": "assistant", "content": text} for text in ("one", " two", "")
    ]
    assert [line["done"] for line in lines] == [False, False, True]
    assert {line["model"] for line in lines} == {"chat"}
    last = lines[-1]
    assert last["done_reason"] == "stop"
    assert (last["prompt_eval_count"], last["prompt_eval_duration"]) == (3, 30)
    assert (last["eval_count"], last["eval_duration"]) == (2, 20)
    assert last["total_duration"] >= last["load_duration"] > 0


async def test_answers_at_once_when_asked_to(client: httpx.AsyncClient) -> None:
    body = {"model": "chat", "prompt": "Hello", "stream": False}

    answer = await client.post("/api/generate", json=body)

    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    said = answer.json()
    assert (said["response"], said["done"], said["eval_count"]) == ("one two", True, 2)


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_refusal_of_the_engine_is_a_status(
    client: httpx.AsyncClient, engine: ScriptedEngine, is_streamed: bool
) -> None:
    engine.failure = PromptTooLongError(5000, 2048)
    body = {"model": "chat", "messages": HELLO, "stream": is_streamed}

    answer = await client.post("/api/chat", json=body)

    assert answer.status_code == 400
    assert "5000" in answer.json()["error"]
    assert "2048" in answer.json()["error"]


async def test_trouble_after_the_first_token_is_a_last_line(client: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    engine.failure, engine.fails_late = GenerationFailedError("it broke"), True

    answer = await client.post("/api/chat", json={"model": "chat", "messages": HELLO})

    assert answer.status_code == 200
    assert json.loads(answer.text.splitlines()[-1]) == {"error": "it broke"}


async def test_an_empty_order_loads_and_unloads(client: httpx.AsyncClient) -> None:
    loaded = (await client.post("/api/generate", json={"model": "chat"})).json()
    listed = (await client.get("/api/ps")).json()["models"]
    unloaded = (await client.post("/api/chat", json={"model": "chat", "keep_alive": 0})).json()

    assert (loaded["done_reason"], unloaded["done_reason"]) == ("load", "unload")
    assert [(one["name"], one["context_length"]) for one in listed] == [("chat:latest", 2048)]
    assert (await client.get("/api/ps")).json() == {"models": []}


async def test_embeds_one_text_or_several(client: httpx.AsyncClient) -> None:
    several = await client.post("/api/embed", json={"model": "embed", "input": ["a", "bb"]})
    one = await client.post("/api/embeddings", json={"model": "embed", "prompt": "ccc"})

    assert several.json()["embeddings"] == [[1.0, 0.0], [2.0, 0.0]]
    assert several.json()["prompt_eval_count"] == 4
    assert one.json() == {"embedding": [3.0, 0.0]}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("chat", {"model": "nope", "messages": HELLO}, 404),
        ("chat", {"model": "smollm2:135m", "messages": HELLO}, 500),
        ("chat", {"messages": HELLO}, 400),
        ("chat", {"model": "embed", "messages": HELLO}, 400),
        ("embed", {"model": "chat", "input": "a"}, 400),
        ("show", {"model": "nope"}, 404),
        ("pull", {"model": "x"}, 501),
        ("create", {"model": "x"}, 501),
        ("nothing", {}, 404),
    ],
)
async def test_errors_have_a_status_and_a_text(
    client: httpx.AsyncClient, path: str, body: dict[str, object], status: int
) -> None:
    answer = await client.post(f"/api/{path}", json=body)

    assert answer.status_code == status
    assert set(answer.json()) == {"error"}


async def test_bodies_that_are_no_object_are_refused(client: httpx.AsyncClient) -> None:
    for content in (b"{oops", b"[]", b""):
        answer = await client.post("/api/chat", content=content)
        assert answer.status_code == 400
        assert "body" in answer.json()["error"]


async def test_probes_answer_get_and_head(client: httpx.AsyncClient) -> None:
    assert (await client.get("/")).text == "Ollama is running"
    for path in ("/", "/api/version", "/api/tags"):
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


async def test_strange_host_names_are_refused(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/tags", headers={"host": "evil.example"})

    assert answer.status_code == 400


async def test_show_describes_the_model(client: httpx.AsyncClient) -> None:
    shown = (await client.post("/api/show", json={"model": "embed"})).json()

    assert shown["capabilities"] == ["embedding"]
    assert shown["model_info"]["bert.context_length"] == 4096
    assert shown["details"]["quantization_level"] == "Q8_0"


@pytest.mark.slow
async def test_generations_never_run_side_by_side(client: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    engine.meeting_s = 0.1  # how long each generation waits for the other to appear
    body = {"model": "chat", "messages": HELLO, "stream": False}

    answers = await asyncio.gather(*(client.post("/api/chat", json=body) for _client in range(3)))

    assert [answer.status_code for answer in answers] == [200] * 3, [answer.text for answer in answers]
    assert not engine.meeting.is_set()


class Caller:
    """A client that sends one chat and leaves when the test says so."""

    def __init__(self, app: Starlette) -> None:
        self.has_left = asyncio.Event()
        self._app = app
        self._has_asked = False

    async def run(self) -> None:
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/api/chat",
            "query_string": b"",
            "headers": [(b"host", b"127.0.0.1")],
        }
        await self._app(scope, self._receive, self._send)

    async def _receive(self) -> dict[str, object]:
        if not self._has_asked:
            self._has_asked = True
            return {"type": "http.request", "body": json.dumps({"model": "chat", "messages": HELLO}).encode()}
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: object) -> None:
        """Take what a client that has left would not read."""


async def test_a_client_that_leaves_cancels_its_generation(app: Starlette, engine: ScriptedEngine) -> None:
    engine.never_ends = True
    caller = Caller(app)
    running = asyncio.create_task(caller.run())
    await asyncio.to_thread(engine.has_begun.wait)

    caller.has_left.set()
    await running

    assert engine.was_cancelled.is_set()
    assert engine.running_count == 0


async def test_a_client_that_leaves_while_it_waits_gives_up_its_turn(app: Starlette, engine: ScriptedEngine) -> None:
    engine.never_ends = True
    first, second = Caller(app), Caller(app)
    running = asyncio.create_task(first.run())
    await asyncio.to_thread(engine.has_begun.wait)

    second.has_left.set()
    await second.run()
    assert not running.done()
    first.has_left.set()
    await running

    assert engine.running_count == 0
