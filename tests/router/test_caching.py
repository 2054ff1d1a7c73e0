"""When the cache may be asked, and what counts as the same request."""

from dataclasses import replace

import pytest

from benchmarks.inference.base import ChatMessage, Generation, GenerationParameters
from benchmarks.inference.demands import Demands, Image
from router.caching import CacheRules, is_repeatable, keys_of, pieces_of
from router.wire import ChatRequest
from router.wires.fields import CacheWish, WireError, read_cache

ASKED = ChatRequest("auto", (ChatMessage("user", "What is 2 plus 3?"),), GenerationParameters(temperature=0))


def keys(asked: ChatRequest = ASKED, scope: str = "key 1", wishes: str = "") -> tuple[str, str]:
    found = keys_of(asked, scope=scope, wishes=wishes)
    return found.exact, found.kind


def said(text: str) -> ChatRequest:
    return replace(ASKED, messages=(ChatMessage("user", text),))


def generation(text: str = "Five.", reason: str | None = "stop", thinking: str | None = None) -> Generation:
    return Generation(text, thinking, 5, 1, None, None, None, None, None, reason)


class TestRules:
    @pytest.mark.parametrize(
        ("rules", "temperature", "expected"),
        [
            (CacheRules(), 0.0, False),
            (CacheRules(is_on=True), 0.0, True),
            (CacheRules(is_on=True), 0.1, False),
            (CacheRules(is_on=True), None, False),
            (CacheRules(is_on=True, takes_any_temperature=True), None, True),
        ],
        ids=["off", "on", "warm", "the server's own temperature", "any"],
    )
    def test_take_what_comes_out_the_same(self, rules: CacheRules, temperature: float | None, expected: bool) -> None:
        asked = replace(ASKED, parameters=GenerationParameters(temperature=temperature))
        assert rules.takes(asked) is expected

    def test_take_text_alone(self) -> None:
        image = ChatMessage("user", "What is this?", images=(Image("image/png", "AAAA"),))
        tool = Demands(tools=({"type": "function", "function": {"name": "add"}},))
        for asked in (replace(ASKED, messages=(image,)), replace(ASKED, demands=tool)):
            assert not CacheRules(is_on=True).takes(asked)

    def test_take_nothing_that_wants_neither(self) -> None:
        assert not CacheRules(is_on=True).takes(replace(ASKED, cache=CacheWish(is_read=False, is_kept=False)))

    def test_keep_keys_apart_unless_shared(self) -> None:
        assert CacheRules().scope(1) != CacheRules().scope(2)
        assert CacheRules().scope(None) == ""
        assert CacheRules(is_shared=True).scope(None) == CacheRules(is_shared=True).scope(1)


class TestKeys:
    def test_are_one_however_it_is_delivered(self) -> None:
        streamed = replace(ASKED, is_streamed=True, is_usage_included=True, cache=CacheWish(is_read=False))
        assert keys(streamed) == keys()

    @pytest.mark.parametrize(
        "other",
        [
            replace(ASKED, model="auto:green"),
            replace(ASKED, parameters=GenerationParameters(temperature=0, seed=1)),
            replace(ASKED, parameters=GenerationParameters(temperature=0, num_predict=5)),
            replace(ASKED, parameters=GenerationParameters(temperature=0, stop=("\n",))),
            said("What is 2 plus 4?"),
        ],
        ids=["model", "seed", "length", "stop", "a number of the prompt"],
    )
    def test_are_others_for_what_matters(self, other: ChatRequest) -> None:
        assert not set(keys(other)) & set(keys())

    def test_are_others_in_another_scope_and_by_other_wishes(self) -> None:
        assert len({keys()[0], keys(scope="key 2")[0], keys(wishes="knn")[0]}) == 3

    def test_are_of_one_kind_for_prompts_with_the_same_numbers(self) -> None:
        alike = keys(said("How much is 3 and 2?"))
        assert (alike[0] == keys()[0], alike[1] == keys()[1]) == (False, True)

    def test_have_no_kind_in_a_conversation(self) -> None:
        for before in (ChatMessage("system", "Be brief."), ChatMessage("assistant", "Hello")):
            assert keys(replace(ASKED, messages=(before, *ASKED.messages)))[1] == ""


class TestAnswers:
    @pytest.mark.parametrize(
        ("one", "expected"),
        [
            (generation(), True),
            (generation(reason="length"), True),
            (generation(reason=None), False),
            (generation(reason="tool_calls"), False),
            (generation(" "), False),
        ],
        ids=["whole", "cut", "unknown", "a call of a tool", "empty"],
    )
    def test_are_given_again_where_they_are_whole(self, one: Generation, expected: bool) -> None:
        assert is_repeatable(one) is expected

    def test_come_in_pieces_that_make_them_whole(self) -> None:
        one = generation("  It is five, of course:\n\n" + "word " * 40 + "end", thinking="Two and three are five. " * 3)
        pieces = list(pieces_of(one))
        assert "".join(piece.text for piece in pieces if piece.is_thinking) == one.thinking
        assert "".join(piece.text for piece in pieces if not piece.is_thinking) == one.text
        assert [piece.is_thinking for piece in pieces] == sorted((piece.is_thinking for piece in pieces), reverse=True)
        assert len(pieces) > 6
        assert list(pieces_of(generation(""))) == []


class TestWish:
    def test_is_read_as_litellm_has_it(self) -> None:
        assert read_cache(None) == CacheWish()
        assert read_cache({"no-cache": True, "ttl": 5}) == CacheWish(is_read=False)
        assert read_cache({"no-store": True}) == CacheWish(is_kept=False)

    @pytest.mark.parametrize(("raw", "param"), [(True, "cache"), ({"no-cache": "yes"}, "cache.no-cache")])
    def test_that_makes_no_sense_is_named(self, raw: object, param: str) -> None:
        with pytest.raises(WireError) as caught:
            read_cache(raw)
        assert caught.value.param == param

    def test_goes_by_the_header_too(self) -> None:
        assert CacheWish().within("") == CacheWish()
        assert CacheWish().within("No-Cache, max-age=0") == CacheWish(is_read=False)
        assert CacheWish(is_read=False).within("no-store") == CacheWish(is_read=False, is_kept=False)
