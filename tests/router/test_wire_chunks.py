import json
from typing import Any

import pytest

from benchmarks.inference.base import Generation, TextChunk
from router.wire import WireError
from router.wire_chunks import DONE, PING, ChunkWriter, failure

ID = "chatcmpl-0123"
HEAD = {"id": ID, "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "tiny"}
FIVE = Generation("Five.", None, 6, 2, 50, 10, 20, 15, 12, "stop")
CUT = Generation("Fi", None, 6, 1, 50, 10, 20, 15, 12, "length")
USAGE = {"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8}
OWN = {"model": "tiny", "predicted_sci_gco2e": 0.1}


def writer(*, is_usage_included: bool = False) -> ChunkWriter:
    return ChunkWriter("req_0123", 1_700_000_000, "tiny", is_usage_included, OWN)


def events_of(raw: bytes) -> list[Any]:
    """Return the events of a stream, which end with an empty line each, as their JSON or as they are."""
    assert raw.endswith(b"\n\n")
    events = raw.decode().removesuffix("\n\n").split("\n\n")
    assert all(event.startswith("data: ") and "\n" not in event for event in events)
    contents = [event.removeprefix("data: ") for event in events]
    return [content if content == "[DONE]" else json.loads(content) for content in contents]


def choice(delta: dict[str, str], finish_reason: str | None = None) -> list[dict[str, Any]]:
    return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}]


class TestChunkWriter:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            pytest.param(
                writer().first(), [{**HEAD, "choices": choice({"role": "assistant", "content": ""})}], id="role"
            ),
            pytest.param(writer().piece(TextChunk("Fi")), [{**HEAD, "choices": choice({"content": "Fi"})}], id="text"),
            pytest.param(
                writer().piece(TextChunk("Hm", is_thinking=True)),
                [{**HEAD, "choices": choice({"reasoning_content": "Hm"})}],
                id="thinking apart",
            ),
            pytest.param(
                writer(is_usage_included=True).piece(TextChunk("Fi")),
                [{**HEAD, "choices": choice({"content": "Fi"}), "usage": None}],
                id="text before a usage",
            ),
            pytest.param(
                writer().last(FIVE), [{**HEAD, "choices": choice({}, "stop"), "greenllm": OWN}, "[DONE]"], id="end"
            ),
            pytest.param(
                writer().last(CUT), [{**HEAD, "choices": choice({}, "length"), "greenllm": OWN}, "[DONE]"], id="cut"
            ),
            pytest.param(
                writer(is_usage_included=True).last(FIVE),
                [
                    {**HEAD, "choices": choice({}, "stop"), "usage": None},
                    {**HEAD, "choices": [], "usage": USAGE, "greenllm": OWN},
                    "[DONE]",
                ],
                id="end with a usage",
            ),
        ],
    )
    def test_writes_what_the_wire_says(self, raw: bytes, expected: list[Any]) -> None:
        assert events_of(raw) == expected

    @pytest.mark.parametrize("text", ["a\n\nb", "\r\ndata: x", "\u2028", "\N{SNOWMAN}\N{GRINNING FACE}", '"\\'])
    def test_keeps_any_text_in_one_event(self, text: str) -> None:
        [event] = events_of(writer().piece(TextChunk(text)))
        assert event["choices"][0]["delta"]["content"] == text

    def test_ends_as_clients_expect(self) -> None:
        assert DONE == b"data: [DONE]\n\n"
        assert PING == b": ping\n\n"


class TestFailure:
    def test_is_an_event_with_the_error(self) -> None:
        error = WireError("It broke off.", status=502, kind="server_error", code="upstream_error")
        assert events_of(failure(error)) == [error.as_json()]
