"""The real server with the real models, spoken to by Ollama's own client."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

import httpx
import ollama
import pytest

from greenllm.embedded.probes import http_answers
from tests.greenllm.embedded.conftest import free_port

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[4]
CHAT = "smollm2:135m"
QUESTION = [{"role": "user", "content": "Write three sentences about the sea."}]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    models_dir = Path(os.environ.get("GREENLLM_TEST_MODELS_DIR") or PROJECT / "var" / "models")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    log_path = tmp_path_factory.mktemp("llm") / "llm.log"
    command = [sys.executable, "-m", "greenllm.embedded.llm_server", "--models", str(models_dir)]
    with log_path.open("wb") as log:
        server = subprocess.Popen([*command, "--port", str(port)], cwd=PROJECT, stdout=log, stderr=log)
    try:
        wait_for(lambda: http_answers(f"{url}/api/version"), 30.0)
        wait_for(lambda: len(httpx.get(f"{url}/api/tags").json()["models"]) >= 4, 180.0)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20.0)


def wait_for(is_true: Callable[[], bool], timeout_s: float) -> None:
    give_up_at_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < give_up_at_s, "the server was not ready in time"
        time.sleep(0.05)


@pytest.fixture
def client(address: str) -> Iterator[ollama.Client]:
    made = ollama.Client(host=address)
    yield made
    made._client.close()  # Ollama's client has no other way to close its connections


def test_lists_the_models_with_real_digests(client: ollama.Client) -> None:
    models = {model.model: model for model in client.list().models}

    assert set(models) >= {"all-minilm:latest", CHAT, f"{CHAT}-q8_0", f"{CHAT}-q3_k"}
    digests = {model.digest for model in models.values()}
    assert len(digests) == len(models)
    assert all(digest is not None and len(digest) == 64 for digest in digests)


def test_shows_context_and_capabilities(client: ollama.Client) -> None:
    chat, embedder = client.show(CHAT), client.show("all-minilm")

    assert chat.capabilities == ["completion"]
    assert chat.modelinfo is not None
    assert chat.modelinfo["llama.context_length"] == 8192
    assert chat.details is not None
    assert (chat.details.parameter_size, chat.details.quantization_level) == ("134.52M", "Q4_1")
    assert embedder.capabilities == ["embedding"]
    assert embedder.modelinfo is not None
    assert embedder.modelinfo["bert.embedding_length"] == 384


def test_a_stream_says_what_one_answer_says(client: ollama.Client) -> None:
    options = {"seed": 5, "temperature": 0.9, "num_predict": 24}

    whole = client.chat(CHAT, QUESTION, options=options)
    parts = list(client.chat(CHAT, QUESTION, options=options, stream=True))

    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert len(parts) > 10
    assert (parts[-1].eval_count, parts[-1].done_reason) == (24, "length")
    assert (parts[-1].prompt_eval_count, parts[-1].eval_count) == (whole.prompt_eval_count, whole.eval_count)
    assert whole.total_duration
    assert whole.eval_duration
    assert whole.total_duration > whole.eval_duration > 10**6


@pytest.mark.parametrize("is_streamed", [False, True])
def test_tells_how_likely_each_token_was(client: ollama.Client, is_streamed: bool) -> None:
    options = {"seed": 5, "temperature": 0.0, "num_predict": 8, "repeat_penalty": 1.0}
    asked = client.chat(CHAT, QUESTION, options=options, stream=is_streamed, logprobs=True, top_logprobs=2)  # type: ignore[call-overload]

    last = list(asked)[-1] if is_streamed else asked
    assert len(last.logprobs) == 8
    for told in last.logprobs:
        first, second = (one.logprob for one in told.top_logprobs)
        assert second <= first <= 0
        assert told.logprob == pytest.approx(first)  # nothing is drawn by lot


def test_tells_no_likelihoods_unless_asked(client: ollama.Client) -> None:
    assert client.chat(CHAT, QUESTION, options={"num_predict": 2}).logprobs is None


def test_the_seed_decides_the_text(client: ollama.Client) -> None:
    def answer(seed: int) -> str:
        options = {"seed": seed, "temperature": 1.0, "num_predict": 24}
        return client.chat(CHAT, QUESTION, options=options).message.content or ""

    first = answer(1)
    other = answer(2)

    assert answer(1) == first
    assert other != first


def test_the_seed_decides_the_text_after_loading_anew(client: ollama.Client) -> None:
    options = {"seed": 3, "temperature": 1.0, "num_predict": 16}
    first = client.generate(CHAT, "The sea", raw=True, options=options).response

    client.generate(CHAT, keep_alive=0)

    assert client.generate(CHAT, "The sea", raw=True, options=options).response == first


def test_continues_a_raw_prompt(client: ollama.Client) -> None:
    options = {"temperature": 0, "num_predict": 3}

    answer = client.generate(CHAT, "The capital of France is", raw=True, options=options)

    assert "Paris" in answer.response
    assert answer.prompt_eval_count == 5


def test_stops_at_the_given_text(client: ollama.Client) -> None:
    options = {"temperature": 0, "num_predict": 60, "stop": ["."]}

    answer = client.chat(CHAT, QUESTION, options=options)

    assert answer.done_reason == "stop"
    assert "." not in (answer.message.content or "")


@pytest.mark.parametrize("is_raw", [False, True])
def test_obeys_a_json_schema(client: ollama.Client, is_raw: bool) -> None:
    properties = {"n": {"enum": [1, 2]}}
    schema = {
        "type": "object",
        "properties": properties,
        "required": ["n"],
        "additionalProperties": False,
    }
    options = {"temperature": 0, "num_predict": 60}

    answer = client.generate(CHAT, "One or two?", raw=is_raw, format=schema, options=options)

    compact = "".join(answer.response.split())
    assert compact in {'{"n":1}', '{"n":2}'}


def test_embeds_with_unit_length_and_repeatably(client: ollama.Client) -> None:
    texts = ["What is the capital of France?", "Paris is the capital of France.", "def add(a, b): return a + b"]

    several = client.embed("all-minilm", texts).embeddings
    single = client.embed("all-minilm", texts[0]).embeddings[0]

    assert [len(one) for one in several] == [384] * 3
    assert all(sum(number * number for number in one) == pytest.approx(1.0, abs=1e-5) for one in several)
    assert list(single) == list(several[0])

    def likeness(one: int, other: int) -> float:
        return sum(a * b for a, b in zip(several[one], several[other], strict=True))

    assert likeness(0, 1) > likeness(0, 2)


def test_cuts_or_refuses_a_text_that_is_too_long(client: ollama.Client) -> None:
    text = "word " * 3000

    answer = client.embed("all-minilm", text)

    assert answer.prompt_eval_count is not None
    assert 400 < answer.prompt_eval_count <= 512
    with pytest.raises(ollama.ResponseError, match="3002 tokens and the context only 512"):
        client.embed("all-minilm", text, truncate=False)


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        ("word " * 3000, {}, r"30\d\d tokens and the context only 2048"),
        ("word", {"num_ctx": 9000}, "num_ctx 9000 is more than the 8192"),
        ("word", {"mirostat": 1}, "unsupported options: mirostat"),
    ],
    ids=["too long", "too large", "unknown"],
)
def test_refuses_what_it_cannot_do(client: ollama.Client, content: str, options: dict[str, int], reason: str) -> None:
    with pytest.raises(ollama.ResponseError, match=reason) as refused:
        client.chat(CHAT, [{"role": "user", "content": content}], options=options)

    assert refused.value.status_code == 400


def test_an_unknown_model_is_not_found(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError, match="model 'nope' not found") as refused:
        client.chat("nope", QUESTION)

    assert refused.value.status_code == 404


def test_loads_lists_and_unloads(client: ollama.Client) -> None:
    client.generate(CHAT, keep_alive="10m", options={"num_ctx": 1024})
    loaded = {model.model: model.context_length for model in client.ps().models}
    client.generate(CHAT, keep_alive=0)

    assert loaded[CHAT] == 1024
    assert CHAT not in {model.model for model in client.ps().models}


def ask_and_leave(url: str, body: dict[str, object]) -> None:
    """Close the connection after five lines, or when half a second brought nothing."""
    with httpx.Client(timeout=0.5) as client, suppress(httpx.ReadTimeout):
        with client.stream("POST", url, json=body) as answer:
            lines = list(islice(answer.iter_lines(), 5))
        assert '"done":true' not in lines[-1], "the answer must not be complete"


@pytest.mark.parametrize("is_streamed", [True, False])
@pytest.mark.parametrize("prompt", ["Once upon a time", "word " * 1900], ids=["writing", "reading"])
def test_a_client_that_leaves_frees_the_engine(
    client: ollama.Client, address: str, is_streamed: bool, prompt: str
) -> None:
    client.generate(CHAT)
    body = {"model": CHAT, "prompt": prompt, "raw": True, "stream": is_streamed}
    body["options"] = {"temperature": 0, "repeat_penalty": 1.0, "seed": 1}

    # Reading the long prompt takes 12 s, and so do 1000 tokens of output: more than a quarter must not be left to do.
    ask_and_leave(f"{address}/api/generate", body)
    waited_s = seconds_to_read("a", client)

    assert waited_s < 3.0 or waited_s < seconds_to_read("other " * 475, client)  # the same quarter on a busy machine


def seconds_to_read(prompt: str, client: ollama.Client) -> float:
    started_s = time.monotonic()
    client.generate(CHAT, prompt, raw=True, options={"num_predict": 1})
    return time.monotonic() - started_s
