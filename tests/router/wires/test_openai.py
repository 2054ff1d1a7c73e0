import json
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.inference.base import ChatMessage, Generation, GenerationParameters, TextChunk
from router.wires.fields import WireError
from router.wires.openai import CHAT, COMPLETION, OPENAI_ERRORS
from router.wires.surface import Opening, Surface
from tests.router.test_wire_chunks import events_of

OPENING = Opening("req_0123", 1_700_000_000, "2023-11-14T22:13:20.000000Z", "tiny", {"model": "tiny"}, 0.25)
FIVE = Generation("Five.", "Two and three", 6, 2, 50, 10, 20, 15, 12, "stop")
HEAD = {"id": "cmpl-0123", "object": "text_completion", "created": 1_700_000_000, "model": "tiny"}
USAGE = {"prompt_tokens": 6, "completion_tokens": 2, "total_tokens": 8, "gco2e": 0.25}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "auto", "prompt": "2 + 3?", **fields}).encode()


class TestCompletionRequest:
    @pytest.mark.parametrize("prompt", ["2 + 3?", ["2 + 3?"]], ids=["text", "list"])
    def test_is_one_message_of_a_user(self, prompt: Any) -> None:
        asked = COMPLETION.parse(body(prompt=prompt, max_tokens=4, stop=["\n"], user="somebody"))
        assert (asked.model, asked.messages) == ("auto", (ChatMessage("user", "2 + 3?"),))
        assert asked.parameters == GenerationParameters(num_predict=4, stop=("\n",))

    @pytest.mark.parametrize(
        ("fields", "param", "code"),
        [
            pytest.param({"prompt": None}, "prompt", None, id="none"),
            pytest.param({"prompt": ["a", 1.5]}, "prompt", None, id="number"),
            pytest.param({"prompt": "  "}, "prompt", None, id="blank"),
            pytest.param({"prompt": [1, 2]}, "prompt", "unsupported_parameter", id="tokens"),
            pytest.param({"prompt": [[1, 2]]}, "prompt", "unsupported_parameter", id="lists of tokens"),
            pytest.param({"prompt": ["a", "b"]}, "prompt", "unsupported_parameter", id="several"),
            pytest.param({"echo": True}, "echo", "unsupported_parameter", id="echo"),
            pytest.param({"logprobs": 1}, "logprobs", "unsupported_parameter", id="logprobs"),
            pytest.param({"suffix": "end"}, "suffix", "unsupported_parameter", id="suffix"),
            pytest.param({"model": ""}, "model", None, id="no model"),
        ],
    )
    def test_of_what_is_wrong_names_the_field(self, fields: dict[str, Any], param: str, code: str | None) -> None:
        with pytest.raises(WireError) as caught:
            COMPLETION.parse(body(**fields))
        assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)


class TestCompletion:
    def test_whole_has_the_text_and_our_part(self) -> None:
        writer = COMPLETION.writer(OPENING, COMPLETION.parse(body()))
        choice = {"index": 0, "text": "Five.", "logprobs": None, "finish_reason": "stop"}
        assert writer.whole(FIVE) == {**HEAD, "choices": [choice], "usage": USAGE, "greenllm": {"model": "tiny"}}

    def test_streamed_ends_with_the_usage_where_asked(self) -> None:
        asked = COMPLETION.parse(body(stream=True, stream_options={"include_usage": True}))
        writer = COMPLETION.writer(OPENING, asked)
        events = events_of(writer.first() + writer.piece(TextChunk("Five.")) + writer.last(FIVE))
        text = {"index": 0, "text": "Five.", "logprobs": None, "finish_reason": None}
        end = {"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"}
        assert events == [
            {**HEAD, "choices": [text], "usage": None},
            {**HEAD, "choices": [end], "usage": None},
            {**HEAD, "choices": [], "usage": USAGE, "greenllm": {"model": "tiny"}},
            "[DONE]",
        ]

    def test_keeps_reasoning_out_of_the_text(self) -> None:
        writer = COMPLETION.writer(OPENING, COMPLETION.parse(body(stream=True)))
        assert writer.piece(TextChunk("Two", is_thinking=True)) == writer.ping() == b": ping\n\n"


class TestChat:
    def test_whole_and_streamed_tell_the_same(self) -> None:
        raw = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "2 + 3?"}], "stream": True})
        writer = CHAT.writer(OPENING, CHAT.parse(raw.encode()))
        whole, events = writer.whole(FIVE), events_of(writer.first() + writer.last(FIVE))
        assert (whole["usage"], whole["greenllm"]) == (USAGE, events[-2]["greenllm"])
        assert (whole["id"], whole["choices"][0]["message"]["content"]) == (events[0]["id"], "Five.")

    def test_without_our_part_has_none(self) -> None:
        raw = json.dumps({"model": "auto", "messages": [{"role": "user", "content": "2 + 3?"}]})
        opening = Opening("req_0123", 1_700_000_000, "2023-11-14T22:13:20.000000Z", "tiny", {})
        whole = CHAT.writer(opening, CHAT.parse(raw.encode())).whole(FIVE)
        assert "greenllm" not in whole
        assert "gco2e" not in whole["usage"]

    @pytest.mark.parametrize("surface", [CHAT, COMPLETION], ids=["chat", "completion"])
    def test_tells_what_the_model_runs_with_everywhere(self, surface: Surface) -> None:
        asked = {"model": "auto", "prompt": "a", "messages": [{"role": "user", "content": "a"}], "stream": True}
        opening = replace(OPENING, fingerprint="fp_0123")
        writer = surface.writer(opening, surface.parse(json.dumps(asked).encode()))
        events = events_of(writer.first() + writer.piece(TextChunk("Five.")) + writer.last(FIVE))
        told = [one["system_fingerprint"] for one in (writer.whole(FIVE), *events[:-1])]
        assert told == ["fp_0123"] * len(told)

    def test_tells_errors_with_four_fields(self) -> None:
        error = WireError("Wrong.", param="n", code="unsupported_parameter")
        fields = {"message": "Wrong.", "type": "invalid_request_error", "param": "n", "code": "unsupported_parameter"}
        assert OPENAI_ERRORS.error(error) == {"error": fields}
        assert events_of(CHAT.failure(error)) == events_of(COMPLETION.failure(error)) == [{"error": fields}]
