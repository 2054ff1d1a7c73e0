import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.inference.base import ChatMessage, Generation
from router.wire import (
    MAX_BODY_BYTES,
    ChatRequest,
    WireError,
    chat_completion,
    model_entry,
    model_list,
    parse_chat_request,
    parse_route_request,
)

USER = {"role": "user", "content": "What is 2 + 2?"}
PART = {"type": "text", "text": "part"}


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "auto", "messages": [USER], **fields}).encode()


def parsed(**fields: Any) -> ChatRequest:
    return parse_chat_request(body(**fields))


def refusal(raw: bytes) -> WireError:
    with pytest.raises(WireError) as caught:
        parse_chat_request(raw)
    return caught.value


TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}


def tool(**schema: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "count", "parameters": schema}}


def nested(depth: int) -> Any:
    value: Any = {}
    for _ in range(depth):
        value = {"items": value}
    return value


def calling(arguments: str) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


class TestChatRequest:
    def test_of_the_fewest_fields_leaves_the_choices_to_the_server(self) -> None:
        asked = parsed()
        assert (asked.model, asked.messages) == ("auto", (ChatMessage("user", "What is 2 + 2?"),))
        sent = asked.parameters
        assert (sent.seed, sent.temperature, sent.num_predict, sent.top_p, sent.stop) == (None, None, None, None, ())

    def test_of_every_supported_field(self) -> None:
        sent = parsed(seed=7, temperature=0, max_tokens=5, top_p=0.5, stop=["a", "b"]).parameters
        assert (sent.seed, sent.temperature, sent.num_predict, sent.top_p, sent.stop) == (7, 0.0, 5, 0.5, ("a", "b"))

    def test_carries_penalties_but_for_those_that_ask_for_nothing(self) -> None:
        sent = parsed(presence_penalty=0.5, frequency_penalty=-1).parameters
        assert sent.extras == {"presence_penalty": 0.5, "frequency_penalty": -1.0}
        assert parsed(presence_penalty=0, frequency_penalty=None).parameters == parsed().parameters

    @pytest.mark.parametrize(
        ("fields", "limit"),
        [
            pytest.param({"max_completion_tokens": 3}, 3, id="new name"),
            pytest.param({"max_tokens": 4}, 4, id="old name"),
            pytest.param({"max_completion_tokens": 3, "max_tokens": 4}, 3, id="both"),
            pytest.param({"max_completion_tokens": None, "max_tokens": 4}, 4, id="new name is null"),
            pytest.param({"max_completion_tokens": None, "max_tokens": None}, None, id="both null"),
        ],
    )
    def test_takes_the_limit_under_either_name(self, fields: dict[str, Any], limit: int | None) -> None:
        assert parsed(**fields).parameters.num_predict == limit

    @pytest.mark.parametrize(
        ("content", "text"),
        [
            pytest.param([PART], "part", id="one part"),
            pytest.param([PART, {"type": "text", "text": "s"}], "parts", id="two parts"),
            pytest.param("plain \N{SNOWMAN} \U0001f600", "plain \N{SNOWMAN} \U0001f600", id="any script"),
        ],
    )
    def test_takes_text_whole_or_in_parts(self, content: object, text: str) -> None:
        assert parsed(messages=[{"role": "user", "content": content}]).messages[0].content == text

    @pytest.mark.parametrize(
        ("given", "role"),
        [("system", "system"), ("developer", "system"), ("user", "user"), ("assistant", "assistant"), ("tool", "tool")],
    )
    def test_knows_every_role(self, given: str, role: str) -> None:
        assert parsed(messages=[{"role": given, "content": "x"}, USER]).messages[0].role == role

    def test_takes_an_assistant_that_only_called_tools(self) -> None:
        messages = [{"role": "assistant", "content": None, "tool_calls": []}, USER]
        assert parsed(messages=messages).messages[0] == ChatMessage("assistant", "")

    @pytest.mark.parametrize(
        "given",
        [
            pytest.param({"content": [{"type": "refusal", "refusal": "I cannot."}]}, id="part"),
            pytest.param({"content": None, "refusal": "I cannot."}, id="beside"),
        ],
    )
    def test_takes_the_refusal_of_an_assistant(self, given: dict[str, Any]) -> None:
        messages = [{"role": "assistant", **given}, USER]
        assert parsed(messages=messages).messages[0] == ChatMessage("assistant", "I cannot.")

    def test_refuses_a_refusal_of_anybody_else(self) -> None:
        content = [{"type": "refusal", "refusal": "I cannot."}]
        with pytest.raises(WireError, match="neither text nor image") as caught:
            parsed(messages=[USER, {"role": "user", "content": [{"type": "text", "text": "a"}, *content]}])
        assert caught.value.param == "messages[1].content[1]"

    @pytest.mark.parametrize("stop", ["one", ["one"]])
    def test_takes_a_stop_as_text_or_list(self, stop: object) -> None:
        assert parsed(stop=stop).parameters.stop == ("one",)

    @pytest.mark.parametrize(
        "fields",
        [
            pytest.param({"user": "me", "metadata": {"a": 1}, "store": False, "service_tier": "auto"}, id="of OpenAI"),
            pytest.param({"stream_options": {"include_usage": True, "continuous_usage_stats": True}}, id="of guidellm"),
            pytest.param({"ignore_eos": True, "foo": [None]}, id="of nobody"),
            pytest.param(
                {"n": 1, "stream": False, "tools": [], "tool_choice": "auto", "logprobs": False}, id="harmless"
            ),
            pytest.param({"response_format": {"type": "text"}, "modalities": ["text"], "logit_bias": {}}, id="as ever"),
            pytest.param(dict.fromkeys(["n", "stream", "tools", "stop", "seed", "top_p", "temperature"]), id="null"),
        ],
    )
    def test_ignores_what_changes_nothing(self, fields: dict[str, Any]) -> None:
        assert parsed(**fields) == parsed()

    def test_takes_store_for_the_consent_to_keep(self) -> None:
        assert parsed(store=True) == replace(parsed(), is_keeping_allowed=True)
        assert not parsed(store=None).is_keeping_allowed

    @pytest.mark.parametrize(
        ("fields", "expected"),
        [
            pytest.param({"stream": True}, (True, False), id="a stream"),
            pytest.param({"stream": True, "stream_options": None}, (True, False), id="options are null"),
            pytest.param({"stream": True, "stream_options": {"include_usage": True}}, (True, True), id="with usage"),
            pytest.param({"stream": True, "stream_options": {"include_usage": False}}, (True, False), id="without"),
            pytest.param({"stream_options": {"include_usage": True}}, (False, False), id="no stream"),
        ],
    )
    def test_reads_whether_to_stream(self, fields: dict[str, Any], expected: tuple[bool, bool]) -> None:
        asked = parsed(**fields)
        assert (asked.is_streamed, asked.is_usage_included) == expected


class TestRefusal:
    @pytest.mark.parametrize(
        ("raw", "param"),
        [
            pytest.param(b"", None, id="no body"),
            pytest.param(b"{", None, id="broken"),
            pytest.param(b"[]", None, id="a list"),
            pytest.param(b'"text"', None, id="a text"),
            pytest.param(b"\xff\xfe\x00", None, id="bytes"),
            pytest.param(b"[" * 200_000, None, id="deep nesting"),
            pytest.param(b'{"seed": ' + b"9" * 5000 + b"}", None, id="endless digits"),
            pytest.param(b"{}", "model", id="nothing in it"),
            pytest.param(body(model=None), "model", id="model is null"),
            pytest.param(body(model=7), "model", id="model is a number"),
            pytest.param(body(model="  "), "model", id="model is blank"),
            pytest.param(body(model="a\x00b"), "model", id="model with NUL"),
            pytest.param(body(model="a\ud800"), "model", id="model with half a surrogate"),
            pytest.param(body(messages=None), "messages", id="messages are null"),
            pytest.param(body(messages=[]), "messages", id="no messages"),
            pytest.param(body(messages="hello"), "messages", id="messages are text"),
            pytest.param(body(messages={"role": "user"}), "messages", id="messages are an object"),
            pytest.param(body(messages=["hello"]), "messages[0]", id="message is text"),
            pytest.param(body(messages=[USER, None]), "messages[1]", id="message is null"),
            pytest.param(body(messages=[{"content": "x"}]), "messages[0].role", id="no role"),
            pytest.param(body(messages=[{"role": "robot", "content": "x"}]), "messages[0].role", id="unknown role"),
            pytest.param(body(messages=[{"role": ["user"], "content": "x"}]), "messages[0].role", id="role is a list"),
            pytest.param(
                body(messages=[{"role": "user", "content": 5}]), "messages[0].content", id="content is a number"
            ),
            pytest.param(
                body(messages=[{"role": "user", "content": {}}]), "messages[0].content", id="content is an object"
            ),
            pytest.param(
                body(messages=[{"role": "user", "content": ["x"]}]), "messages[0].content[0]", id="part is text"
            ),
            pytest.param(
                body(messages=[{"role": "user", "content": [{"type": "text", "text": 5}]}]),
                "messages[0].content[0]",
                id="part's text is a number",
            ),
            pytest.param(
                body(messages=[{"role": "user", "content": [PART, {"type": "input_audio"}]}]),
                "messages[0].content[1]",
                id="sound",
            ),
            pytest.param(body(messages=[{"role": "user", "content": "a\x00b"}]), "messages[0].content", id="NUL"),
            pytest.param(
                body(messages=[{"role": "user", "content": "\ud83d"}]), "messages[0].content", id="half a surrogate"
            ),
            pytest.param(
                body(messages=[{"role": "user", "content": [{"type": "text", "text": "\udc00"}]}]),
                "messages[0].content[0].text",
                id="half a surrogate in a part",
            ),
            pytest.param(body(messages=[{"role": "user", "content": None}]), "messages", id="user said null"),
            pytest.param(body(messages=[{"role": "user", "content": []}]), "messages", id="user said nothing"),
            pytest.param(body(messages=[{"role": "user", "content": " \n"}]), "messages", id="user said blanks"),
            pytest.param(body(messages=[{"role": "system", "content": "x"}]), "messages", id="no user"),
            pytest.param(
                body(messages=[USER, {"role": "user", "content": ""}]), "messages", id="user's latest is empty"
            ),
            pytest.param(body(seed=1.5), "seed", id="seed is a fraction"),
            pytest.param(body(seed="1"), "seed", id="seed is text"),
            pytest.param(body(seed=True), "seed", id="seed is a truth"),
            pytest.param(body(seed=2**63), "seed", id="seed is too large"),
            pytest.param(body(temperature=-0.1), "temperature", id="temperature below"),
            pytest.param(body(temperature=2.1), "temperature", id="temperature above"),
            pytest.param(body(temperature=float("nan")), "temperature", id="temperature is NaN"),
            pytest.param(body(temperature=10**400), "temperature", id="temperature is huge"),
            pytest.param(body(temperature="hot"), "temperature", id="temperature is text"),
            pytest.param(body(temperature=False), "temperature", id="temperature is a truth"),
            pytest.param(body(top_p=1.01), "top_p", id="top_p above"),
            pytest.param(body(top_p=[]), "top_p", id="top_p is a list"),
            pytest.param(body(presence_penalty=2.5), "presence_penalty", id="penalty above"),
            pytest.param(body(frequency_penalty="much"), "frequency_penalty", id="penalty is text"),
            pytest.param(body(max_tokens=0), "max_tokens", id="no tokens"),
            pytest.param(body(max_tokens=1e3), "max_tokens", id="tokens are a fraction"),
            pytest.param(body(max_completion_tokens=-1), "max_completion_tokens", id="tokens below, new name"),
            pytest.param(body(stop=5), "stop", id="stop is a number"),
            pytest.param(body(stop=["a"] * 5), "stop", id="five stops"),
            pytest.param(body(stop=["a", ""]), "stop", id="empty stop"),
            pytest.param(body(stream="yes"), "stream", id="stream is text"),
            pytest.param(body(stream_options=[]), "stream_options", id="stream options are a list"),
            pytest.param(
                body(stream_options={"include_usage": 1}), "stream_options.include_usage", id="include_usage is 1"
            ),
            pytest.param(body(stop=[None]), "stop", id="stop is null"),
            pytest.param(body(stop=["\ud800"]), "stop", id="stop is half a surrogate"),
            pytest.param(body(stop="\x00"), "stop", id="stop is NUL"),
            pytest.param(body(tools=[tool(enum="\ud800")]), "tools[0]", id="half a surrogate in a tool"),
            pytest.param(body(tools=[TOOL, tool(enum="\x00")]), "tools[1]", id="NUL in a tool"),
            pytest.param(body(tools=[tool(maximum=float("nan"))]), "tools[0]", id="NaN in a tool"),
            pytest.param(body(tools=[tool(items=nested(101))]), "tools[0]", id="a deep tool"),
            pytest.param(
                body(tools=[TOOL], tool_choice={**TOOL, "strict": float("inf")}), "tool_choice", id="infinite choice"
            ),
            pytest.param(
                body(response_format={"type": "json_schema", "json_schema": {"schema": {"maximum": float("inf")}}}),
                "response_format.json_schema",
                id="infinity in a schema",
            ),
            pytest.param(
                body(messages=[USER, calling('{"a": 1e999}')]),
                "messages[1].tool_calls[0].function.arguments",
                id="infinity in arguments",
            ),
            pytest.param(
                body(messages=[USER, calling('{"a": "\\ud800"}')]),
                "messages[1].tool_calls[0].function.arguments",
                id="half a surrogate in arguments",
            ),
        ],
    )
    def test_names_the_field(self, raw: bytes, param: str | None) -> None:
        error = refusal(raw)
        assert (error.status, error.kind, error.param) == (400, "invalid_request_error", param)
        assert str(error)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("n", 2),
            ("functions", [{"name": "f"}]),
            ("logprobs", True),
            ("top_logprobs", 3),
            ("logit_bias", {"50256": -100}),
            ("audio", {"voice": "alloy"}),
            ("modalities", ["text", "audio"]),
        ],
    )
    def test_names_what_is_not_supported(self, field: str, value: object) -> None:
        error = refusal(body(**{field: value}))
        assert (error.status, error.code, error.param) == (400, "unsupported_parameter", field)
        assert f"'{field}'" in str(error)

    def test_tells_a_body_that_is_too_large(self) -> None:
        error = refusal(b" " * (MAX_BODY_BYTES + 1))
        assert error.status == 413
        assert str(MAX_BODY_BYTES) in str(error)

    def test_has_all_four_keys(self) -> None:
        assert WireError("no", status=404, code="model_not_found", param="model").as_json() == {
            "error": {"message": "no", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
        }
        assert WireError("no").as_json()["error"] == {
            "message": "no",
            "type": "invalid_request_error",
            "param": None,
            "code": None,
        }


ANY_TEXT = st.text() | st.sampled_from(["a", "\x00", "a\ud800", "\udfff", " "])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.sampled_from(
    [
        "stop",
        "seed",
        "temperature",
        "top_p",
        "max_tokens",
        "max_completion_tokens",
        "n",
        "tools",
        "tool_choice",
        "response_format",
    ]
)
MESSAGE = st.fixed_dictionaries(
    {
        "role": st.just("user"),
        "tool_calls": JSON,
        "content": ANY_TEXT | st.lists(st.just(PART) | JSON, max_size=3) | JSON,
    }
)


class TestAnyInput:
    @pytest.mark.slow
    @given(st.dictionaries(st.just("messages") | FIELDS | st.text(max_size=5), JSON))
    def test_is_parsed_or_refused(self, record: dict[str, Any]) -> None:
        self.parse(json.dumps(record).encode())

    @pytest.mark.slow
    @given(ANY_TEXT, st.lists(MESSAGE, min_size=1, max_size=2), st.dictionaries(FIELDS, ANY_TEXT | JSON, max_size=2))
    def test_of_nearly_the_right_shape_is_parsed_or_refused(
        self, model: object, messages: list[Any], fields: dict[str, Any]
    ) -> None:
        self.parse(body(model=model, messages=messages, **fields))

    @given(st.binary(max_size=200))
    def test_of_bytes_is_parsed_or_refused(self, raw: bytes) -> None:
        self.parse(raw)

    def parse(self, raw: bytes) -> None:
        """Parse, and check that what came out can be stored and sent on."""
        try:
            asked = parse_chat_request(raw)
        except WireError as error:
            json.dumps(error.as_json()).encode()
            return
        texts = [asked.model, *(message.content for message in asked.messages), *asked.parameters.stop]
        assert "\x00" not in "".join(texts).encode().decode()


def generation(**fields: Any) -> Generation:
    values: dict[str, Any] = dict.fromkeys(Generation.__dataclass_fields__)
    return Generation(**{**values, "text": "Four.", "done_reason": "stop", **fields})


def completion(**fields: Any) -> dict[str, Any]:
    return chat_completion(
        request_id="req_abc",
        created=1_700_000_000,
        model="tiny",
        generation=generation(**fields),
        greenllm={"policy": "x"},
    )


class TestChatCompletion:
    def test_has_the_shape_that_clients_read(self) -> None:
        assert completion(prompt_token_count=3, output_token_count=1) == {
            "id": "chatcmpl-abc",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "tiny",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "Four.", "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
            "greenllm": {"policy": "x"},
        }

    @pytest.mark.parametrize(
        ("done_reason", "finish_reason"), [("stop", "stop"), ("length", "length"), (None, "stop"), ("load", "stop")]
    )
    def test_ends_for_a_reason_that_clients_know(self, done_reason: str | None, finish_reason: str) -> None:
        assert completion(done_reason=done_reason)["choices"][0]["finish_reason"] == finish_reason

    def test_has_whole_numbers_where_the_server_counts_nothing(self) -> None:
        assert completion()["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


class TestModelList:
    def test_keeps_the_order(self) -> None:
        assert model_list([("auto", 2), ("a", 1)]) == {
            "object": "list",
            "data": [model_entry("auto", 2), model_entry("a", 1)],
        }

    def test_has_the_fields_that_clients_read(self) -> None:
        assert model_entry("tiny", 5) == {"id": "tiny", "object": "model", "created": 5, "owned_by": "greenllm"}


class TestRouteRequest:
    @pytest.mark.parametrize(
        "record",
        [
            {"prompt": "What is 2 + 2?"},
            {"messages": [USER]},
            {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}, USER]},
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "What is 2 + 2?"}]}], "prompt": None},
            {"prompt": "What is 2 + 2?", "model": "auto", "temperature": "unknown to this address"},
        ],
    )
    def test_reads_the_prompt(self, record: dict[str, Any]) -> None:
        asked = parse_route_request(json.dumps(record).encode())
        assert (asked.prompt_text, asked.model) == ("What is 2 + 2?", "auto")

    @pytest.mark.parametrize(
        ("record", "param", "said"),
        [
            ({}, "prompt", "'prompt' is missing"),
            ({"prompt": ""}, "prompt", "empty"),
            ({"prompt": " \n"}, "prompt", "empty"),
            ({"prompt": 3}, "prompt", "must be a text"),
            ({"prompt": ["a"]}, "prompt", "must be a text"),
            ({"prompt": "a\x00b"}, "prompt", "NUL"),
            ({"prompt": "\ud800"}, "prompt", "surrogate"),
            ({"prompt": "a", "messages": [USER]}, "prompt", "send one of them"),
            ({"messages": []}, "messages", "at least one"),
            ({"messages": "a"}, "messages", "must be a list"),
            ({"messages": [{"role": "user", "content": ""}]}, "messages", "empty"),
            ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content", "must be text"),
            ({"prompt": "a", "model": 3}, "model", "'auto'"),
        ],
    )
    def test_is_refused_by_field(self, record: dict[str, Any], param: str, said: str) -> None:
        with pytest.raises(WireError, match=re.escape(said)) as caught:
            parse_route_request(json.dumps(record).encode())
        assert (caught.value.param, caught.value.status) == (param, 400)

    @pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'"a"'])
    def test_must_be_an_object(self, raw: bytes) -> None:
        with pytest.raises(WireError, match="JSON"):
            parse_route_request(raw)
