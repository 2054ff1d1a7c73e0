import pytest

from benchmarks.inference.base import ChatMessage, PromptTooLong
from benchmarks.inference.prompt_length import (
    fewest_tokens,
    require_whole_prompt_read,
    require_words_fit,
    too_long_by_message,
    usable_context,
)

FIVE_WORDS = (ChatMessage("system", "Be  brief."), ChatMessage("user", "What is\nlove?"))


def test_counts_words_of_all_messages() -> None:
    assert fewest_tokens(FIVE_WORDS) == 5


@pytest.mark.parametrize(
    ("num_ctx", "context_length", "usable"),
    [(2048, 8192, 2048), (8192, 2048, 2048), (None, 2048, 2048), (512, None, 512), (None, None, None)],
)
def test_usable_context_is_the_lower_limit(num_ctx: int | None, context_length: int | None, usable: int | None) -> None:
    assert usable_context(num_ctx, context_length) == usable


class TestRequireWordsFit:
    @pytest.mark.parametrize("context", [5, 6, None])
    def test_lets_pass_what_may_fit(self, context: int | None) -> None:
        require_words_fit(FIVE_WORDS, context)

    def test_refuses_more_words_than_tokens(self) -> None:
        with pytest.raises(PromptTooLong) as caught:
            require_words_fit(FIVE_WORDS, 4)

        assert (caught.value.prompt_token_count, caught.value.context_length) == (5, 4)


class TestRequireWholePromptRead:
    @pytest.mark.parametrize(
        ("prompt_token_count", "context"),
        [
            pytest.param(5, 6, id="a word is a token"),
            pytest.param(9, 10, id="one token of room"),
            pytest.param(9, None, id="unknown context"),
            pytest.param(None, 4, id="the server does not tell"),
        ],
    )
    def test_lets_pass(self, prompt_token_count: int | None, context: int | None) -> None:
        require_whole_prompt_read(FIVE_WORDS, prompt_token_count, context)

    @pytest.mark.parametrize(
        ("prompt_token_count", "context"),
        [
            pytest.param(10, 10, id="filled to the last token"),
            pytest.param(4, 100, id="fewer tokens than words"),
            pytest.param(4, None, id="fewer tokens than words, unknown context"),
        ],
    )
    def test_refuses(self, prompt_token_count: int, context: int | None) -> None:
        with pytest.raises(PromptTooLong) as caught:
            require_whole_prompt_read(FIVE_WORDS, prompt_token_count, context)

        assert caught.value.prompt_token_count == prompt_token_count


@pytest.mark.parametrize(
    ("message", "prompt_token_count"),
    [
        ("the input length exceeds the context length", None),
        ("input length exceeds maximum context length", None),
        ("request (310 tokens) exceeds the available context size (64 tokens), try increasing it", 310),
        ("input (310 tokens) is too large to process. increase the physical batch size", 310),
    ],
)
def test_recognises_the_words_of_servers(message: str, prompt_token_count: int | None) -> None:
    error = too_long_by_message(message, context=64, status=400)

    assert error is not None
    assert (error.prompt_token_count, error.context_length, error.status) == (prompt_token_count, 64, 400)


@pytest.mark.parametrize(
    ("message", "prompt_token_count"),
    [
        ("This model's maximum context length is 99 tokens. Please reduce the length of the prompt.", None),
        ("This model's maximum context length is 99 tokens. However, your request has 310 input tokens.", 310),
        ("This model's maximum context length is 99 tokens. However, you requested 410 tokens (310 in the messages, "
         "100 in the completion).", 310),
        ("Trying to keep the first 310 tokens when context the overflows. However, the model is loaded with context "
         "length of only 99 tokens, which is not enough.", 310),
        ("the prompt has 310 tokens and the context only 99; shorten it or set a larger num_ctx", 310),
    ],
    ids=["vLLM without a count", "vLLM", "vLLM with a total", "LM Studio", "the server that comes with GreenLLM"],
)  # fmt: skip
def test_takes_the_context_that_the_server_names(message: str, prompt_token_count: int | None) -> None:
    error = too_long_by_message(message, context=None, status=400)

    assert error is not None
    assert (error.prompt_token_count, error.context_length) == (prompt_token_count, 99)


@pytest.mark.parametrize("message", ["context deadline exceeded", "maximum pending requests exceeded", "no"])
def test_takes_no_other_refusal_for_a_long_prompt(message: str) -> None:
    assert too_long_by_message(message, context=64, status=500) is None
