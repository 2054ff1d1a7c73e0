"""The Ollama client against the simulated server: what works."""

from itertools import count

import pytest

from benchmarks.inference.base import (
    EmptyPrompt,
    Generation,
    GenerationParameters,
    GenerationTimedOut,
    ModelMissing,
    PromptTooLong,
    RefusedForNow,
    TextChunk,
)
from benchmarks.inference.ollama import OllamaClient
from benchmarks.inference.scripted import (
    SIMULATED_VERSION,
    Fault,
    FaultKind,
    ScriptedAnswer,
)
from tests.benchmarks.inference.asking import Start, ask, asked_paths, connect, eventually


class TestCatalog:
    def test_tells_the_version(self, start: Start) -> None:
        assert connect(start()).health().version == SIMULATED_VERSION

    def test_lists_models_by_name(self, start: Start) -> None:
        models = connect(start()).list_models()

        assert [model.name for model in models] == ["minilm:latest", "tiny:1b"]
        assert models[1].digest == "a" * 64
        assert models[1].context_length is None

    def test_describes_a_model(self, start: Start) -> None:
        described = connect(start()).describe("tiny:1b")

        assert (described.digest, described.size_bytes) == ("a" * 64, 98_000_000)
        assert (described.family, described.parameter_size, described.quantization) == (
            "llama",
            "135M",
            "Q4_1",
        )
        assert (described.context_length, described.embedding_length) == (64, 384)
        assert described.capabilities == ("completion",)

    def test_completes_a_name_without_a_tag(self, start: Start) -> None:
        described = connect(start()).describe("minilm")

        assert (described.name, described.size_bytes) == ("minilm:latest", 1_000_000)

    def test_names_a_missing_model(self, start: Start) -> None:
        with pytest.raises(ModelMissing, match="absent:7b"):
            connect(start()).describe("absent:7b")


class TestLoading:
    def test_brings_a_chat_model_into_memory_with_its_context(self, start: Start) -> None:
        server = start()

        result = connect(server).load("tiny:1b", GenerationParameters(num_ctx=32))

        assert server.loaded == {"tiny:1b"}
        assert server.requests[-1].body["options"] == {"num_ctx": 32}
        assert result.duration_ns > 0

    def test_brings_an_embedding_model_into_memory(self, start: Start) -> None:
        server = start()

        connect(server).load("minilm", GenerationParameters())

        assert server.loaded == {"minilm:latest"}

    def test_measures_the_wait_by_its_clock(self, start: Start) -> None:
        ticks = count(step=1_000)
        client = OllamaClient(start().base_url, clock_ns=lambda: next(ticks))

        assert client.load("tiny:1b", GenerationParameters()).duration_ns % 1_000 == 0

    def test_does_not_hide_a_refusal(self, start: Start) -> None:
        with pytest.raises(RefusedForNow, match="out of memory"):
            connect(start(Fault(FaultKind.STATUS, message="out of memory"))).load("tiny:1b", GenerationParameters())

    def test_frees_the_memory(self, start: Start) -> None:
        server = start()
        client = connect(server)
        client.load("tiny:1b", GenerationParameters())

        client.unload("tiny:1b")

        assert server.loaded == frozenset()

    def test_ends_with_the_time_budget(self, start: Start) -> None:
        client = connect(start(Fault(FaultKind.HANG)), total_s=0.1)

        with pytest.raises(GenerationTimedOut, match="Loading 'tiny:1b'"):
            client.load("tiny:1b", GenerationParameters())


class TestGenerating:
    def test_gives_the_text_and_the_figures_of_the_server(self, start: Start) -> None:
        client = connect(start())
        client.load("tiny:1b", GenerationParameters())

        generation = client.generate(ask())

        assert generation.text == "It is four."
        assert (generation.prompt_token_count, generation.output_token_count) == (3, 3)
        assert (generation.prompt_eval_duration_ns, generation.eval_duration_ns) == (3_000_000, 3_000_000)
        assert generation.total_duration_ns == 6_000_000
        assert generation.done_reason == "stop"

    def test_invents_nothing_the_server_does_not_report(self, start: Start) -> None:
        def silent(_model: str, _prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer("", reports_figures=False)

        generation = connect(start(answers=silent)).generate(ask())

        assert generation.prompt_token_count is None
        assert generation.output_token_count is None
        assert generation.total_duration_ns is None
        assert generation.load_duration_ns is None
        assert generation.time_to_first_token_ns is None
        assert generation.thinking is None

    def test_times_the_first_token_from_the_sending_on(self, start: Start) -> None:
        client = connect(start(Fault(FaultKind.DELAY, seconds=0.1)))

        first_token_ns = client.generate(ask()).time_to_first_token_ns

        assert first_token_ns is not None
        assert 100_000_000 <= first_token_ns < 5_000_000_000

    def test_sends_the_parameters_and_forbids_cutting(self, start: Start) -> None:
        server = start()

        connect(server).generate(ask(seed=7, temperature=0.0, stop=("\n",), extras={"min_p": 0.5}))

        body = server.requests[-1].body
        assert body["options"] == {"seed": 7, "temperature": 0.0, "stop": ["\n"], "min_p": 0.5}
        assert (body["truncate"], body["shift"]) == (False, False)
        assert "keep_alive" not in body

    def test_keeps_the_model_in_memory_as_long_as_told(self, start: Start) -> None:
        server = start()

        OllamaClient(server.base_url, keep_alive_s=-1.0).generate(ask())

        assert server.requests[-1].body["keep_alive"] == -1.0

    def test_separates_thinking_from_the_answer(self, start: Start) -> None:
        def thoughtful(_model: str, _prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer("Four.", thinking="Two and two")

        generation = connect(start(answers=thoughtful)).generate(ask())

        assert (generation.text, generation.thinking) == ("Four.", "Two and two")

    def test_asks_for_the_context_length_once(self, start: Start) -> None:
        server = start()
        client = connect(server)

        client.generate(ask())
        client.generate(ask())

        assert asked_paths(server).count("/api/show") == 1
        assert asked_paths(server).count("/api/chat") == 2


class TestStreaming:
    def test_yields_the_pieces_and_then_the_whole(self, start: Start) -> None:
        *chunks, generation = connect(start()).stream(ask())

        assert chunks == [TextChunk("It"), TextChunk(" is"), TextChunk(" four.")]
        assert isinstance(generation, Generation)
        assert generation.text == "It is four."

    def test_marks_thinking(self, start: Start) -> None:
        def thoughtful(_model: str, _prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer("Four.", thinking="Hm")

        first, second, _ = connect(start(answers=thoughtful)).stream(ask())

        assert (first, second) == (TextChunk("Hm", is_thinking=True), TextChunk("Four."))

    def test_refuses_a_wrong_request_before_the_first_piece(self, start: Start) -> None:
        with pytest.raises(EmptyPrompt):
            connect(start()).stream(ask(" "))

    def test_leaves_the_server_when_it_is_closed(self, start: Start) -> None:
        server = start(Fault(FaultKind.STALL))
        stream = connect(server).stream(ask())
        next(stream)

        stream.close()

        assert eventually(lambda: server.cancelled_count == 1)


class TestEmbedding:
    def test_gives_a_vector_for_each_text(self, start: Start) -> None:
        embeddings = connect(start()).embed("minilm", ["one text", "another longer text"])

        assert (len(embeddings.vectors), embeddings.dimension) == (2, 8)
        assert embeddings.prompt_token_count == 5
        assert embeddings.duration_ns is not None

    def test_forbids_cutting(self, start: Start) -> None:
        server = start()

        with pytest.raises(PromptTooLong):
            connect(server).embed("minilm", ["word " * 2049])
        assert server.requests[-1].body["truncate"] is False

    @pytest.mark.parametrize("texts", [[], ["a", " "]])
    def test_refuses_nothing(self, start: Start, texts: list[str]) -> None:
        with pytest.raises(EmptyPrompt):
            connect(start()).embed("minilm", texts)

    def test_names_a_missing_model(self, start: Start) -> None:
        with pytest.raises(ModelMissing):
            connect(start()).embed("absent", ["text"])

    def test_ends_with_the_time_budget(self, start: Start) -> None:
        with pytest.raises(GenerationTimedOut, match="Embedding"):
            connect(start(Fault(FaultKind.HANG)), total_s=0.1).embed("minilm", ["text"])
