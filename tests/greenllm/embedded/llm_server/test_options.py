from datetime import timedelta

import pytest

from greenllm.embedded.llm_server.options import LoadOptions, Sampling, parse_options
from greenllm.embedded.llm_server.orders import (
    Message,
    parse_chat,
    parse_embed,
    parse_generate,
    parse_keep_alive,
    parse_legacy_embedding,
)
from greenllm.embedded.llm_server.refusals import RequestRefusedError

HELLO = [{"role": "user", "content": "Hello"}]


class TestParseOptions:
    def test_defaults_are_ollamas(self) -> None:
        load, sampling = parse_options(None)

        assert load == LoadOptions(context=None, threads=None)
        assert (sampling.temperature, sampling.top_k, sampling.top_p) == (0.8, 40, 0.9)
        assert (sampling.min_p, sampling.repeat_penalty, sampling.repeat_window) == (0.0, 1.1, 64)

    def test_reads_what_the_engine_honours(self) -> None:
        load, sampling = parse_options(
            {"num_ctx": 512, "num_thread": 1, "seed": 7, "temperature": 0, "stop": "END", "num_predict": 9.0}
        )

        assert load == LoadOptions(context=512, threads=1)
        assert sampling == Sampling(seed=7, temperature=0.0, stop=("END",), max_tokens=9)

    @pytest.mark.parametrize("num_predict", [0, -1, -2])
    def test_no_positive_number_of_tokens_means_no_limit(self, num_predict: int) -> None:
        assert parse_options({"num_predict": num_predict})[1].max_tokens == -1

    def test_names_every_unknown_option(self) -> None:
        with pytest.raises(RequestRefusedError, match="unsupported options: mirostat, tfs_z;"):
            parse_options({"tfs_z": 1, "mirostat": 2, "seed": 1})

    @pytest.mark.parametrize(
        "options",
        [
            {"seed": "1"},
            {"seed": 2**32},
            {"seed": True},
            {"temperature": "hot"},
            {"temperature": -1},
            {"temperature": float("nan")},
            {"top_k": 2.5},
            {"top_p": 1.5},
            {"num_ctx": 0},
            {"num_thread": 10_000},
            {"stop": [1]},
            {"stop": [""]},
            {"repeat_last_n": -2},
        ],
        ids=str,
    )
    def test_names_the_option_that_is_wrong(self, options: dict[str, object]) -> None:
        with pytest.raises(RequestRefusedError, match=f"option {next(iter(options))} must"):
            parse_options(options)

    def test_refuses_options_that_are_no_object(self) -> None:
        with pytest.raises(RequestRefusedError, match="options must be an object"):
            parse_options([1])


class TestParseKeepAlive:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            (None, timedelta(minutes=5)),
            (0, timedelta(0)),
            ("0", timedelta(0)),
            ("0s", timedelta(0)),
            (90, timedelta(seconds=90)),
            ("1h30m", timedelta(minutes=90)),
            ("1.5m", timedelta(seconds=90)),
            ("250ms", timedelta(milliseconds=250)),
            (-1, None),
            ("-1m", None),
        ],
        ids=str,
    )
    def test_reads_seconds_and_durations(self, raw: object, expected: timedelta | None) -> None:
        assert parse_keep_alive(raw) == expected

    @pytest.mark.parametrize("raw", ["5", "5 minutes", "m", "", True, [5], float("inf")], ids=str)
    def test_refuses_anything_else(self, raw: object) -> None:
        with pytest.raises(RequestRefusedError, match="keep_alive"):
            parse_keep_alive(raw)


class TestParseChat:
    def test_streams_unless_told_otherwise(self) -> None:
        assert parse_chat({"model": "m", "messages": HELLO}).is_streamed
        assert not parse_chat({"model": "m", "messages": HELLO, "stream": False}).is_streamed

    def test_an_order_without_messages_is_empty(self) -> None:
        assert parse_chat({"model": "m"}).is_empty
        assert not parse_chat({"model": "m", "messages": HELLO, "tools": []}).is_empty

    def test_json_format_becomes_a_schema(self) -> None:
        assert parse_chat({"model": "m", "messages": HELLO, "format": "json"}).schema == {"type": "object"}
        assert parse_chat({"model": "m", "messages": HELLO, "format": ""}).schema is None

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ({"messages": HELLO}, "model is required"),
            ({"model": "m", "messages": "Hello"}, "messages must be a list"),
            ({"model": "m", "messages": ["Hello"]}, "each message must be an object"),
            ({"model": "m", "messages": [{"role": "robot", "content": ""}]}, "role"),
            ({"model": "m", "messages": [{"role": "user", "content": [1]}]}, "content"),
            ({"model": "m", "messages": [{**HELLO[0], "images": ["x"]}]}, "images"),
            ({"model": "m", "messages": HELLO, "tools": [{}]}, "does not support tools"),
            ({"model": "m", "messages": HELLO, "think": True}, "does not support thinking"),
            ({"model": "m", "messages": HELLO, "format": "xml"}, "format must be"),
            ({"model": "m", "messages": HELLO, "stream": "yes"}, "stream must be true or false"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_refuses_what_it_cannot_do(self, body: dict[str, object], reason: str) -> None:
        with pytest.raises(RequestRefusedError, match=reason):
            parse_chat(body)


class TestParseGenerate:
    def test_a_prompt_becomes_a_turn_after_the_system_text(self) -> None:
        order = parse_generate({"model": "m", "prompt": "Hello", "system": "Be brief."})

        assert order.messages == (Message("system", "Be brief."), Message("user", "Hello"))
        assert order.raw_prompt is None

    def test_a_raw_prompt_stays_as_it_is(self) -> None:
        order = parse_generate({"model": "m", "prompt": "Q: Hello\nA:", "raw": True})

        assert (order.messages, order.raw_prompt) == ((), "Q: Hello\nA:")

    @pytest.mark.parametrize("body", [{}, {"raw": True}, {"system": "Be brief."}], ids=str)
    def test_an_order_without_a_prompt_is_empty(self, body: dict[str, object]) -> None:
        assert parse_generate({"model": "m", **body}).is_empty

    @pytest.mark.parametrize(
        "body",
        [{"raw": True, "system": "x"}, {"suffix": "x"}, {"template": "x"}, {"context": [1]}, {"images": ["x"]}],
        ids=str,
    )
    def test_refuses_what_it_cannot_do(self, body: dict[str, object]) -> None:
        with pytest.raises(RequestRefusedError, match=r"support"):
            parse_generate({"model": "m", "prompt": "Hello", **body})


class TestParseEmbed:
    def test_reads_one_text_or_several(self) -> None:
        assert parse_embed({"model": "m", "input": "a"}).texts == ("a",)
        assert parse_embed({"model": "m", "input": ["a", "b"]}).texts == ("a", "b")
        assert parse_legacy_embedding({"model": "m", "prompt": "a"}).texts == ("a",)

    @pytest.mark.parametrize("given", [3, [3], {"a": 1}], ids=str)
    def test_refuses_anything_else(self, given: object) -> None:
        with pytest.raises(RequestRefusedError, match="input must be"):
            parse_embed({"model": "m", "input": given})
