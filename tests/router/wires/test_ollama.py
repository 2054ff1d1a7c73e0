import json
from typing import Any

import pytest

from benchmarks.inference.base import ChatMessage, Generation, GenerationParameters, TextChunk
from router.wires.fields import WireError
from router.wires.ollama import LOADED, OLLAMA_CHAT, OLLAMA_ERRORS, OLLAMA_GENERATE
from router.wires.ollama_requests import EmbedRequest, parse_embed, parse_embeddings, parse_name
from router.wires.surface import Opening

MOMENT = "2023-11-14T22:13:20.000000Z"
OPENING = Opening("req_0123", 1_700_000_000, MOMENT, "tiny:latest", {"model": "tiny"}, 0.25)
FIVE = Generation("Five.", "Two and three", 6, 2, 50, None, 20, 15, 12, "stop")
FIGURES = {
    "total_duration": 50, "prompt_eval_count": 6, "prompt_eval_duration": 20, "eval_count": 2, "eval_duration": 15,
}  # fmt: skip
HEAD = {"model": "tiny:latest", "created_at": MOMENT}
QUESTION = {"role": "user", "content": "2 + 3?"}


def chat(**fields: Any) -> bytes:
    return json.dumps({"model": "auto", "messages": [QUESTION], **fields}).encode()


def generate(**fields: Any) -> bytes:
    return json.dumps({"model": "auto", "prompt": "2 + 3?", **fields}).encode()


def lines_of(raw: bytes) -> list[Any]:
    """Return the records of a stream of lines, each of which ends with a line break."""
    assert raw.endswith(b"\n")
    return [json.loads(one) for one in raw.splitlines()]


class TestChatRequest:
    def test_streams_unless_told_otherwise(self) -> None:
        assert OLLAMA_CHAT.parse(chat()).is_streamed
        assert OLLAMA_CHAT.parse(chat(stream=True)).is_streamed
        assert not OLLAMA_CHAT.parse(chat(stream=False)).is_streamed

    def test_reads_options_and_ignores_those_of_the_machine(self) -> None:
        options = {
            "seed": 3, "temperature": 0, "num_ctx": 4096, "num_predict": 5, "top_p": 0.5, "top_k": 40, "stop": "x",
            "repeat_penalty": 1.1, "num_gpu": 99, "num_thread": 64, "of_tomorrow": {},
        }  # fmt: skip
        assert OLLAMA_CHAT.parse(chat(options=options, keep_alive="5m", tools=[])).parameters == GenerationParameters(
            seed=3, temperature=0.0, num_ctx=4096, num_predict=5, top_p=0.5, top_k=40, stop=("x",),
            extras={"repeat_penalty": 1.1},
        )  # fmt: skip

    def test_takes_a_limit_below_0_for_none(self) -> None:
        for limit in (-1, 0):
            assert OLLAMA_CHAT.parse(chat(options={"num_predict": limit})).parameters.num_predict is None

    @pytest.mark.parametrize("messages", [None, []], ids=["none", "empty"])
    def test_without_messages_is_to_load(self, messages: Any) -> None:
        asked = OLLAMA_CHAT.parse(chat(messages=messages))
        assert (asked.is_load_only, asked.is_unloading) == (True, False)
        assert OLLAMA_CHAT.parse(chat(messages=messages, keep_alive=0)).is_unloading

    @pytest.mark.parametrize(
        ("fields", "param", "code"),
        [
            pytest.param({"tools": [{"type": "function"}]}, "tools[0].function", None, id="tools"),
            pytest.param({"tools": {}}, "tools", None, id="no list of tools"),
            pytest.param({"format": "xml"}, "format", None, id="format"),
            pytest.param({"format": {"pattern": "\ud800"}}, "format", None, id="half a surrogate in a schema"),
            pytest.param({"format": {"maximum": float("inf")}}, "format", None, id="infinity in a schema"),
            pytest.param({"think": "high"}, "think", "unsupported_parameter", id="level of thought"),
            pytest.param({"logprobs": True}, "logprobs", "unsupported_parameter", id="logprobs"),
            pytest.param({"messages": [{**QUESTION, "images": ["aGk="]}]}, "messages[0].images[0]", None, id="image"),
            pytest.param({"messages": [{"role": "robot"}]}, "messages[0].role", None, id="role"),
            pytest.param({"messages": [{"role": []}]}, "messages[0].role", None, id="kind of role"),
            pytest.param({"messages": ["hi"]}, "messages[0]", None, id="no message"),
            pytest.param({"messages": "hi"}, "messages", None, id="no list"),
            pytest.param({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content", None, id="content"),
            pytest.param({"messages": [{"role": "system", "content": "Hi"}]}, "messages", None, id="no question"),
            pytest.param({"model": None}, "model", None, id="no model"),
            pytest.param({"stream": "yes"}, "stream", None, id="stream"),
            pytest.param({"options": []}, "options", None, id="options"),
            pytest.param({"options": {"num_predict": "many"}}, "options.num_predict", None, id="tokens"),
            pytest.param({"options": {"top_p": "high"}}, "options.top_p", None, id="option"),
        ],
    )
    def test_of_what_is_wrong_names_the_field(self, fields: dict[str, Any], param: str, code: str | None) -> None:
        with pytest.raises(WireError) as caught:
            OLLAMA_CHAT.parse(chat(**fields))
        assert (caught.value.status, caught.value.param, caught.value.code) == (400, param, code)


class TestGenerateRequest:
    def test_puts_the_system_prompt_first(self) -> None:
        asked = OLLAMA_GENERATE.parse(generate(system="Be short."))
        assert asked.messages == (ChatMessage("system", "Be short."), ChatMessage("user", "2 + 3?"))

    def test_without_a_prompt_is_to_load(self) -> None:
        assert OLLAMA_GENERATE.parse(generate(prompt="")).is_load_only

    @pytest.mark.parametrize("field", ["raw", "suffix", "template", "context"])
    def test_refuses_by_name_what_it_cannot_honour(self, field: str) -> None:
        value = {"raw": True, "context": [1, 2]}.get(field, "x")
        with pytest.raises(WireError, match=f"'{field}' is not supported"):
            OLLAMA_GENERATE.parse(generate(**{field: value}))


class TestAnswer:
    def test_of_a_chat_whole(self) -> None:
        message = {"role": "assistant", "content": "Five.", "thinking": "Two and three"}
        end = {"done": True, "done_reason": "stop", **FIGURES, "greenllm": {"model": "tiny"}}
        writer = OLLAMA_CHAT.writer(OPENING, OLLAMA_CHAT.parse(chat()))
        assert writer.whole(FIVE) == {**HEAD, "message": message, **end}

    def test_of_a_chat_in_lines(self) -> None:
        writer = OLLAMA_CHAT.writer(OPENING, OLLAMA_CHAT.parse(chat()))
        raw = (
            writer.first() + writer.piece(TextChunk("Two", is_thinking=True)) + writer.piece(TextChunk("Fi\nve"))
            + writer.ping() + writer.last(FIVE)
        )  # fmt: skip
        lines = lines_of(raw)
        assert [one["message"] for one in lines] == [
            {"role": "assistant", "content": "", "thinking": "Two"}, {"role": "assistant", "content": "Fi\nve"},
            {"role": "assistant", "content": ""}, {"role": "assistant", "content": ""},
        ]  # fmt: skip
        assert [one["done"] for one in lines] == [False, False, False, True]
        assert lines[-1].items() >= {**HEAD, **FIGURES, "done_reason": "stop", "greenllm": {"model": "tiny"}}.items()

    def test_of_generate_is_a_response(self) -> None:
        writer = OLLAMA_GENERATE.writer(OPENING, OLLAMA_GENERATE.parse(generate()))
        assert lines_of(writer.piece(TextChunk("Five."))) == [{**HEAD, "response": "Five.", "done": False}]
        assert writer.whole(FIVE)["response"] == "Five."

    def test_to_a_request_to_load_says_so(self) -> None:
        writer = OLLAMA_CHAT.writer(Opening("req_0", 0, MOMENT, "tiny", {}), OLLAMA_CHAT.parse(chat(messages=[])))
        loaded = Generation("", None, None, None, 7, 7, None, None, None, LOADED)
        assert writer.whole(loaded) == {
            "model": "tiny", "created_at": MOMENT, "message": {"role": "assistant", "content": ""}, "done": True,
            "done_reason": "load", "total_duration": 7, "load_duration": 7,
        }  # fmt: skip

    def test_that_is_cut_says_so(self) -> None:
        cut = Generation("Fi", None, 6, 1, 50, 10, 20, 15, 12, "length")
        writer = OLLAMA_CHAT.writer(OPENING, OLLAMA_CHAT.parse(chat()))
        assert writer.whole(cut)["done_reason"] == "length"


class TestError:
    def test_is_one_text(self) -> None:
        assert OLLAMA_ERRORS.error(WireError("Wrong.")) == {"error": "Wrong."}
        assert OLLAMA_CHAT.failure(WireError("Broken.")) == b'{"error": "Broken."}\n'

    def test_of_a_missing_model_has_ollamas_words(self) -> None:
        assert OLLAMA_ERRORS.error(WireError("Nobody.", about="x")) == {"error": "model 'x' not found"}


class TestEmbedRequest:
    @pytest.mark.parametrize(
        ("fields", "found"),
        [
            pytest.param({"input": "a"}, EmbedRequest("auto", ("a",), is_cut=True), id="text"),
            pytest.param({"input": ["a", "b"]}, EmbedRequest("auto", ("a", "b"), is_cut=True), id="texts"),
            pytest.param({"input": "a", "truncate": False}, EmbedRequest("auto", ("a",)), id="uncut"),
            pytest.param({"input": []}, EmbedRequest("auto", (), is_cut=True), id="nothing"),
        ],
    )
    def test_has_its_texts(self, fields: dict[str, Any], found: EmbedRequest) -> None:
        assert parse_embed(json.dumps({"model": "auto", **fields}).encode()) == found

    def test_of_the_older_address_has_one(self) -> None:
        assert parse_embeddings(b'{"model": "auto", "prompt": "a"}').texts == ("a",)

    def test_refuses_other_dimensions(self) -> None:
        with pytest.raises(WireError, match="'dimensions'"):
            parse_embed(b'{"model": "auto", "input": "a", "dimensions": 64}')

    def test_of_a_name_takes_both_fields(self) -> None:
        assert parse_name(b'{"model": "a"}') == parse_name(b'{"name": "a"}') == "a"
