"""Tokens, contexts and scaled SCI of long prompts."""

from dataclasses import dataclass

import pytest

from benchmarks.inference.base import ChatMessage, GenerationParameters
from router.length import Asked, KnownLengths, estimated_tokens, is_far_longer, scaled_for_length, why_too_long


@dataclass
class LineFit:
    """Costs 2 J, 0.01 J per prompt token and 0.1 J per output token."""

    j_per_prompt_token: float | None = 0.01
    characters_per_token: float = 3.0
    template_tokens: float = 20.0

    def energy_j(self, prompt_tokens: float, output_tokens: float) -> float:
        return 2 + (self.j_per_prompt_token or 0) * prompt_tokens + 0.1 * output_tokens


KNOWN = KnownLengths(mean_prompt_tokens=100, most_prompt_tokens=400, mean_output_tokens=70)


class TestEstimatedTokens:
    def test_are_those_of_the_models_own_tokenizer(self) -> None:
        assert estimated_tokens(300, LineFit()) == 120

    def test_are_a_quarter_of_the_characters_where_nothing_is_known(self) -> None:
        assert estimated_tokens(300, None) == 75

    def test_are_at_least_one(self) -> None:
        assert estimated_tokens(1, None) == 1


class TestFarLonger:
    @pytest.mark.parametrize(("characters", "expected"), [(150, False), (151, True)])
    def test_begins_at_half_more_than_the_longest(self, characters: int, expected: bool) -> None:
        assert is_far_longer(Asked(characters), 100) is expected

    def test_counts_the_whole_conversation(self) -> None:
        messages = [ChatMessage("user", "x" * 100), ChatMessage("assistant", "y" * 50), ChatMessage("user", "z")]
        asked = Asked.of(messages, GenerationParameters(num_predict=7, num_ctx=9))
        assert asked == Asked(151, num_predict=7, num_ctx=9)
        assert is_far_longer(asked, 100)


class TestScaledForLength:
    def test_grows_as_the_fit_says(self) -> None:
        scaled = scaled_for_length(Asked(9540), LineFit(), KNOWN)
        assert scaled.factor == pytest.approx((2 + 32 + 7) / (2 + 1 + 7))
        assert scaled.note == "Scaled for about 3,200 prompt tokens (estimated), known up to 400."

    def test_keeps_to_what_was_seen_up_to_the_longest(self) -> None:
        assert scaled_for_length(Asked(900), LineFit(), KNOWN).factor == 1.0

    def test_says_where_no_fit_or_no_neighbour_tells(self) -> None:
        for fit, known in ((None, KNOWN), (LineFit(), None)):
            scaled = scaled_for_length(Asked(9540), fit, known)
            assert (scaled.factor, "not known" in scaled.note) == (1.0, True)

    def test_says_where_the_fit_saw_one_length_only(self) -> None:
        scaled = scaled_for_length(Asked(9540), LineFit(j_per_prompt_token=None), KNOWN)
        assert (scaled.factor, "of about one length" in scaled.note) == (1.0, True)


class TestWhyTooLong:
    @pytest.mark.parametrize(
        ("asked", "context", "is_too_long"),
        [
            pytest.param(Asked(300), 121, False, id="fits to the last token"),
            pytest.param(Asked(300), 120, True, id="leaves no token for an answer"),
            pytest.param(Asked(300, num_predict=80), 200, False, id="fits with the answer"),
            pytest.param(Asked(300, num_predict=81), 200, True, id="the answer does not fit"),
            pytest.param(Asked(300, num_predict=-1), 200, False, id="an answer without a limit takes what is left"),
            pytest.param(Asked(300), 100, True, id="the conversation does not fit"),
            pytest.param(Asked(300, num_ctx=100), 4096, True, id="the caller's context is shorter"),
            pytest.param(Asked(300, num_ctx=4096), 100, True, id="the caller cannot lengthen it"),
            pytest.param(Asked(300), None, False, id="nobody knows the context"),
        ],
    )
    def test_by_context(self, asked: Asked, context: int | None, is_too_long: bool) -> None:
        assert bool(why_too_long(asked, LineFit(), context)) is is_too_long

    def test_names_the_numbers(self) -> None:
        words = why_too_long(Asked(9540, num_predict=256), LineFit(), 2048)
        assert words == (
            "Its context of 2,048 tokens cannot hold about 3,200 prompt tokens (estimated) and 256 of answer."
        )
