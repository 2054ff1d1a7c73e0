"""The simulated server as other clients than ours see it."""

import json
import math
import threading
from collections.abc import Iterator

import httpx
import ollama
import pytest

from benchmarks.inference.scripted import (
    SIMULATED_VERSION,
    Fault,
    FaultKind,
    ScriptedAnswer,
    ScriptedModel,
    ScriptedOllama,
)


@pytest.fixture
def server() -> Iterator[ScriptedOllama]:
    models = [
        ScriptedModel("tiny:1b", context_length=16),
        ScriptedModel("minilm:latest", embedding_length=64),
    ]
    with ScriptedOllama(models, answers={"Hello": "Good day to you"}) as running:
        yield running


@pytest.fixture
def http(server: ScriptedOllama) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.base_url, trust_env=False) as client:
        yield client


class TestScriptedOllama:
    def test_says_that_it_is_simulated(self, http: httpx.Client) -> None:
        assert "simulated" in SIMULATED_VERSION
        assert http.get("/api/version").json() == {"version": SIMULATED_VERSION}

    def test_greets_like_the_real_one(self, http: httpx.Client) -> None:
        assert http.get("/").text == "Ollama is running"
        assert http.head("/").content == b""

    def test_answers_the_official_client(self, server: ScriptedOllama) -> None:
        with ollama.Client(server.base_url) as client:
            answer = client.generate("tiny:1b", "Hello")

        assert (answer.response, answer.eval_count, answer.done_reason) == ("Good day to you", 4, "stop")

    def test_streams_one_line_a_token(self, http: httpx.Client) -> None:
        body = {"model": "tiny:1b", "messages": [{"role": "user", "content": "Hello"}]}

        lines = [json.loads(line) for line in http.post("/api/chat", json=body).iter_lines()]

        assert [line["message"]["content"] for line in lines] == ["Good", " day", " to", " you", ""]
        assert [line["done"] for line in lines] == [False] * 4 + [True]

    def test_holds_back_what_follows_the_first_token_until_its_gate_opens(self) -> None:
        gate = threading.Event()
        body = {"model": "tiny:1b", "messages": [{"role": "user", "content": "Hello"}]}
        with (
            ScriptedOllama(
                [ScriptedModel("tiny:1b")], answers=lambda *_: ScriptedAnswer("Good day", gate=gate)
            ) as held,
            httpx.stream("POST", f"{held.base_url}/api/chat", json=body) as response,
        ):
            lines = response.iter_lines()
            assert "Good" in next(lines)
            gate.set()
            assert "day" in next(lines)

    @pytest.mark.parametrize("is_streamed", [True, False])
    def test_obeys_num_predict(self, http: httpx.Client, is_streamed: bool) -> None:
        body = {"model": "tiny:1b", "prompt": "Hello", "options": {"num_predict": 2}, "stream": is_streamed}

        lines = [json.loads(line) for line in http.post("/api/generate", json=body).iter_lines()]

        assert "".join(line["response"] for line in lines) == "Good day"
        assert (lines[-1]["eval_count"], lines[-1]["done_reason"]) == (2, "length")

    def test_takes_a_negative_num_predict_as_no_limit(self, http: httpx.Client) -> None:
        body = {"model": "tiny:1b", "prompt": "Hello", "options": {"num_predict": -1}, "stream": False}

        assert http.post("/api/generate", json=body).json()["response"] == "Good day to you"

    def test_refuses_a_prompt_beyond_the_context(self, http: httpx.Client) -> None:
        refused = http.post("/api/generate", json={"model": "tiny:1b", "prompt": "word " * 17})

        assert refused.status_code == 400
        assert "exceeds the context" in refused.json()["error"]

    def test_names_a_missing_model(self, http: httpx.Client) -> None:
        refused = http.post("/api/show", json={"model": "absent"})

        assert (refused.status_code, refused.json()) == (404, {"error": "model 'absent' not found"})

    @pytest.mark.parametrize(("path", "status"), [("/api/push", 404), ("/v1/models", 404)])
    def test_has_no_other_routes(self, http: httpx.Client, path: str, status: int) -> None:
        assert http.post(path, json={"model": "tiny:1b"}).status_code == status
        assert http.get(path).status_code == status

    def test_refuses_a_body_that_is_no_json(self, http: httpx.Client) -> None:
        assert http.post("/api/chat", content=b"{").status_code == 400

    def test_lists_what_is_loaded(self, http: httpx.Client) -> None:
        http.post("/api/generate", json={"model": "tiny:1b"})

        assert [model["name"] for model in http.get("/api/ps").json()["models"]] == ["tiny:1b"]

    def test_embeds_texts_near_each_other_that_share_words(self, http: httpx.Client) -> None:
        texts = ["the blue sea", "the blue sky", "42"]

        sea, sky, number = http.post("/api/embed", json={"model": "minilm", "input": texts}).json()["embeddings"]

        assert math.hypot(*sea) == pytest.approx(1.0)
        assert math.dist(sea, sky) < math.dist(sea, number)

    def test_cuts_a_prompt_like_the_real_one_where_scripted(self) -> None:
        fault = Fault(FaultKind.SILENT_TRUNCATION)
        body = {"model": "tiny:1b", "prompt": "word " * 17, "stream": False}

        with ScriptedOllama([ScriptedModel("tiny:1b", context_length=16)], answers={}, faults=[fault]) as server:
            answer = httpx.post(f"{server.base_url}/api/generate", json=body).json()

        assert answer["prompt_eval_count"] == 16

    def test_strikes_only_the_model_of_the_fault(self) -> None:
        models = [ScriptedModel("sound:1b"), ScriptedModel("ill:1b")]

        with ScriptedOllama(models, answers={}, faults=[Fault(FaultKind.STATUS, model="ill:1b")]) as server:
            statuses = [
                httpx.post(f"{server.base_url}/api/generate", json={"model": model, "prompt": "Hi"}).status_code
                for model in ("sound:1b", "ill:1b")
            ]

        assert statuses == [200, 500]
