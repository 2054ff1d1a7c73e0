"""The calls that Open WebUI 0.12 makes, by its `routers/openai.py` and `routers/ollama.py`, with its headers."""

import json
from typing import Any

import httpx
import pytest

from tests.clients.served import CLIENTS
from tests.router.background_prompts import TITLE
from tests.router.endpoint import LIKE_MATH, Endpoint
from tests.router.standins import EMBEDDER_NAME
from tests.router.test_wire_chunks import events_of

pytestmark = CLIENTS
ASKED = [{"role": "user", "content": LIKE_MATH}]


@pytest.fixture
def headers(endpoint: Endpoint) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {endpoint.secret}",
        "X-OpenWebUI-User-Id": "7",
        "X-OpenWebUI-Chat-Id": "c0ffee",
    }


class TestStart:
    def test_verifies_and_lists_by_openai(self, address: str, headers: dict[str, str]) -> None:
        listed = httpx.get(f"{address}/v1/models", headers=headers)
        assert (listed.status_code, listed.json()["data"][0]["id"]) == (200, "auto")

    def test_verifies_and_lists_by_ollama(self, address: str, headers: dict[str, str]) -> None:
        assert httpx.get(f"{address}/api/version", headers=headers).json()["version"]
        tags = httpx.get(f"{address}/api/tags", headers=headers).json()["models"]
        assert {one["model"] for one in tags} >= {"auto", "large", "small", EMBEDDER_NAME}
        assert httpx.get(f"{address}/api/ps", headers=headers).json() == {"models": []}
        assert httpx.get(address, headers=headers).text == "Ollama is running"


class TestChat:
    def test_streams_by_openai(self, address: str, headers: dict[str, str]) -> None:
        asked = {"model": "auto", "messages": ASKED, "stream": True, "stream_options": {"include_usage": True}}
        answer = httpx.post(f"{address}/v1/chat/completions", headers=headers, json=asked)
        assert (answer.headers["content-type"], events_of(answer.content)[-1]) == ("text/event-stream", "[DONE]")

    def test_streams_by_ollama(self, address: str, headers: dict[str, str]) -> None:
        asked: dict[str, Any] = {"model": "auto", "messages": ASKED, "options": {"num_ctx": 2048}, "stream": True}
        answer = httpx.post(f"{address}/api/chat", headers=headers, json=asked)
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert ("".join(line["message"]["content"] for line in lines), lines[-1]["done"]) == ("Five.", True)

    def test_asks_for_a_title_without_a_stream(self, address: str, headers: dict[str, str]) -> None:
        messages = [{"role": "user", "content": TITLE}]
        asked = {"model": "auto:green", "messages": messages, "stream": False, "max_completion_tokens": 1000}
        answer = httpx.post(f"{address}/v1/chat/completions", headers=headers, json=asked)
        assert (answer.status_code, answer.headers["x-greenllm-background"]) == (200, "title")
        assert answer.headers["x-greenllm-model"] == "small"
