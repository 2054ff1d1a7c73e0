"""The client against a real Ollama server with a real, small model."""

from itertools import islice

import pytest

from benchmarks.inference.base import (
    ChatMessage,
    Generation,
    GenerationParameters,
    GenerationRequest,
    GenerationTimedOut,
    ModelMissing,
    PromptTooLong,
    RequestRefused,
    TextChunk,
)
from benchmarks.inference.ollama import OllamaClient
from tests.real_ollama import CHAT_MODEL, RealOllama

pytestmark = [pytest.mark.ollama, pytest.mark.slow]


def parameters(
    *, num_ctx: int = 512, num_predict: int = 16, seed: int = 1, temperature: float = 0.0
) -> GenerationParameters:
    """Leave the server one thread: two wait for each other as soon as anything else runs on two cores."""
    return GenerationParameters(
        seed=seed,
        temperature=temperature,
        num_ctx=num_ctx,
        num_predict=num_predict,
        extras={"num_thread": 1},
    )


GREEDY = parameters()
FRANCE = "What is the capital of France? Answer in one short sentence."


@pytest.fixture(scope="module")
def client(real_ollama: RealOllama, real_chat_model: str) -> OllamaClient:
    return OllamaClient(real_ollama.base_url, first_token_timeout_s=240.0, total_timeout_s=300.0, keep_alive_s=120.0)


def ask(text: str, how: GenerationParameters = GREEDY, *, model: str = CHAT_MODEL) -> GenerationRequest:
    return GenerationRequest(model, (ChatMessage("user", text),), how)


class TestRealOllama:
    def test_tells_its_version(self, client: OllamaClient) -> None:
        assert client.health().version.count(".") >= 2

    def test_describes_the_model_of_the_wheel(self, client: OllamaClient) -> None:
        described = client.describe(CHAT_MODEL)

        assert described.name == CHAT_MODEL
        assert len(described.digest) == 64
        assert described.size_bytes is not None
        assert 90_000_000 < described.size_bytes < 110_000_000
        assert (described.family, described.quantization) == ("llama", "Q4_1")
        assert (described.context_length, described.embedding_length) == (8192, 576)
        assert "completion" in described.capabilities

    def test_lists_the_model_with_the_same_digest(self, client: OllamaClient) -> None:
        listed = {model.name: model.digest for model in client.list_models()}

        assert listed[CHAT_MODEL] == client.describe(CHAT_MODEL).digest

    def test_answers_with_all_figures(self, client: OllamaClient) -> None:
        load = client.load(CHAT_MODEL, GREEDY)
        generation = client.generate(ask(FRANCE))

        assert "Paris" in generation.text
        assert load.duration_ns > 0
        assert generation.prompt_token_count is not None
        assert generation.prompt_token_count >= len(FRANCE.split())
        assert generation.output_token_count in range(1, 17)
        assert generation.time_to_first_token_ns is not None
        assert generation.total_duration_ns is not None
        assert 0 < generation.time_to_first_token_ns < generation.total_duration_ns + 1_000_000_000
        assert generation.eval_duration_ns
        assert generation.done_reason in {"stop", "length"}

    def test_repeats_itself_with_the_same_seed(self, client: OllamaClient) -> None:
        warm = parameters(seed=7, temperature=0.9)

        first, second = (client.generate(ask("Tell me a story.", warm)).text for _ in range(2))

        assert first == second

    def test_obeys_the_seed_it_is_given(self, client: OllamaClient) -> None:
        texts = {
            client.generate(
                ask(
                    "Tell me a story.",
                    parameters(seed=seed, temperature=1.2),
                )
            ).text
            for seed in (1, 2, 3)
        }

        assert len(texts) > 1

    def test_ends_at_num_predict(self, client: OllamaClient) -> None:
        generation = client.generate(ask("Count from one to one hundred.", parameters(num_predict=5)))

        assert (generation.output_token_count, generation.done_reason) == (5, "length")

    def test_streams_the_pieces_of_the_whole(self, client: OllamaClient) -> None:
        *chunks, generation = client.stream(ask(FRANCE))

        assert isinstance(generation, Generation)
        assert len(chunks) > 1
        assert "".join(chunk.text for chunk in chunks if isinstance(chunk, TextChunk)) == generation.text

    def test_stops_generating_when_the_stream_is_closed(self, client: OllamaClient) -> None:
        endless = parameters(num_ctx=2048, num_predict=1500)
        stream = client.stream(ask("Write a very long story about the sea.", endless))
        list(islice(stream, 3))

        stream.close()
        short = parameters(num_ctx=2048, num_predict=2)
        generation = client.generate(ask("Say hello.", short))

        # One request runs at a time, so the wait would be that of some 1,500 tokens if the first went on.
        assert generation.time_to_first_token_ns is not None
        assert generation.time_to_first_token_ns < 8_000_000_000

    def test_ends_an_answer_with_its_time_budget(self, real_ollama: RealOllama, client: OllamaClient) -> None:
        client.load(CHAT_MODEL, parameters(num_ctx=2048))
        impatient = OllamaClient(real_ollama.base_url, total_timeout_s=2.0, keep_alive_s=120.0)

        with pytest.raises(GenerationTimedOut) as caught:
            impatient.generate(ask("Write a very long story.", parameters(num_ctx=2048, num_predict=2000)))

        assert caught.value.partial_text

    def test_notices_a_prompt_that_was_cut(self, client: OllamaClient) -> None:
        unusual_words = "antidisestablishmentarianism " * 60

        with pytest.raises(PromptTooLong):
            client.generate(ask(unusual_words, parameters(num_ctx=64, num_predict=2)))

    def test_notices_a_conversation_that_lost_its_first_turns(self, client: OllamaClient) -> None:
        turns = tuple(ChatMessage("user", f"{number} " * 60) for number in ("one", "two", "three"))

        with pytest.raises(PromptTooLong):
            client.generate(GenerationRequest(CHAT_MODEL, turns, parameters(num_ctx=185, num_predict=2)))

    def test_names_a_missing_model(self, client: OllamaClient) -> None:
        with pytest.raises(ModelMissing, match="no-such-model"):
            client.generate(ask("Hello", model="no-such-model:1b"))

    def test_refuses_an_option_of_the_wrong_type_for_good(self, client: OllamaClient) -> None:
        with pytest.raises(RequestRefused) as caught:
            client.generate(ask("Hello", GenerationParameters(extras={"min_p": "much"})))

        assert not caught.value.is_retryable

    def test_embeds_each_text(self, client: OllamaClient) -> None:
        embeddings = client.embed(CHAT_MODEL, ["the sea", "a mountain"])

        assert (len(embeddings.vectors), embeddings.dimension) == (2, 576)
        assert sum(number**2 for number in embeddings.vectors[0]) == pytest.approx(1.0, abs=1e-3)
        assert embeddings.prompt_token_count
        assert embeddings.duration_ns

    def test_refuses_to_cut_a_text_to_embed(self, client: OllamaClient) -> None:
        with pytest.raises(PromptTooLong):
            client.embed(CHAT_MODEL, ["word " * 9000])

    def test_unloads(self, client: OllamaClient) -> None:
        client.load(CHAT_MODEL, GREEDY)

        client.unload(CHAT_MODEL)

        assert client.load(CHAT_MODEL, GREEDY).duration_ns > 0
