"""The OpenAI client against the simulated servers: what works."""

import logging
from itertools import count

import pytest

from benchmarks.inference.base import (
    ApiKey,
    EmptyPrompt,
    Generation,
    GenerationParameters,
    GenerationTimedOut,
    ModelMissing,
    PromptTooLong,
    RefusedForNow,
    TextChunk,
)
from benchmarks.inference.openai import OpenAIClient
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import SIMULATED_VERSION, Fault, FaultKind, ScriptedAnswer, ScriptedModel
from tests.benchmarks.inference.asking import EMBEDDING, ask, asked_paths, eventually
from tests.benchmarks.inference.asking_openai import StartOpenAI, connect


def thoughtful(_model: str, _prompt: str) -> ScriptedAnswer:
    return ScriptedAnswer("Four.", thinking="Two and two")


class TestCatalog:
    @pytest.mark.parametrize(
        ("flavour", "version"),
        [
            (Flavour.LLAMA_CPP, f"llama.cpp {SIMULATED_VERSION}"),
            (Flavour.VLLM, f"vLLM {SIMULATED_VERSION}"),
            (Flavour.LM_STUDIO, "LM Studio"),
            (Flavour.OTHER, "OpenAI-compatible server"),
        ],
    )
    def test_tells_which_server_it_is(self, start_openai: StartOpenAI, flavour: Flavour, version: str) -> None:
        assert connect(start_openai(flavour=flavour)).health().version == version

    def test_knows_llama_cpp_that_lists_nothing_by_its_header(self, start_openai: StartOpenAI) -> None:
        client = connect(start_openai(flavour=Flavour.LLAMA_CPP, is_router=True, models=()))

        assert client.list_models() == []

    @pytest.mark.parametrize("flavour", Flavour)
    def test_lists_models_by_name(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        models = connect(start_openai(flavour=flavour)).list_models()

        assert [model.name for model in models] == ["minilm:latest", "tiny:1b"]

    @pytest.mark.parametrize(
        ("flavour", "context_length"),
        [(Flavour.LLAMA_CPP, 64), (Flavour.VLLM, 64), (Flavour.LM_STUDIO, 128), (Flavour.OTHER, None)],
    )
    def test_describes_a_chat_model(
        self, start_openai: StartOpenAI, flavour: Flavour, context_length: int | None
    ) -> None:
        described = connect(start_openai(flavour=flavour)).describe("tiny:1b")

        assert (described.context_length, described.capabilities) == (context_length, ("completion",))

    def test_describes_what_llama_cpp_alone_tells(self, start_openai: StartOpenAI) -> None:
        described = connect(start_openai(flavour=Flavour.LLAMA_CPP)).describe("tiny:1b")

        assert (described.size_bytes, described.parameter_size) == (98_000_000, "134.52M")
        assert (described.quantization, described.embedding_length, described.digest) == ("Q4_1", 384, "")

    @pytest.mark.parametrize("flavour", [Flavour.VLLM, Flavour.LM_STUDIO, Flavour.OTHER])
    def test_finds_out_that_a_model_embeds(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        assert connect(start_openai(flavour=flavour)).describe("minilm:latest").capabilities == ("embedding",)

    def test_takes_the_context_in_memory_over_the_greatest(self, start_openai: StartOpenAI) -> None:
        client = connect(start_openai(flavour=Flavour.LM_STUDIO))
        client.load("tiny:1b", GenerationParameters())

        assert {model.name: model.context_length for model in client.list_models()}["tiny:1b"] == 64

    def test_asks_no_router_for_more_than_its_list(self, start_openai: StartOpenAI) -> None:
        server = start_openai(flavour=Flavour.LLAMA_CPP, is_router=True)

        assert connect(server).describe("tiny:1b").context_length is None
        assert asked_paths(server) == ["/v1/models"]

    @pytest.mark.parametrize("flavour", Flavour)
    def test_names_a_missing_model(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        with pytest.raises(ModelMissing, match="absent:7b"):
            connect(start_openai(flavour=flavour)).describe("absent:7b")

    def test_takes_an_address_with_and_without_its_v1(self, start_openai: StartOpenAI) -> None:
        server = start_openai()

        assert OpenAIClient(f"{server.base_url}/v1/").list_models() == OpenAIClient(server.base_url).list_models()


class TestKey:
    def test_is_shown(self, start_openai: StartOpenAI) -> None:
        server = start_openai(api_key="sesame")

        assert connect(server, api_key=ApiKey("LAB_KEY", "sesame")).generate(ask()).text == "It is four."

    def test_of_the_environment_is_not_given_to_strangers(
        self, start_openai: StartOpenAI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "secret of another place")
        monkeypatch.setenv("OPENAI_ORG_ID", "organisation")
        server = start_openai()

        connect(server).generate(ask())

        sent = {name for request in server.requests for name in request.headers}
        assert "user-agent" in sent
        assert not sent & {"authorization", "openai-organization", "openai-project"}

    def test_stays_out_of_sight(self) -> None:
        assert "sesame" not in repr(ApiKey("LAB_KEY", "sesame"))


class TestLoading:
    @pytest.mark.parametrize("flavour", Flavour)
    def test_generates_one_token(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        server = start_openai(flavour=flavour)

        result = connect(server).load("tiny:1b", GenerationParameters(seed=1))

        assert server.loaded == {"tiny:1b"}
        assert server.requests[-1].body["max_tokens"] == 1
        assert result.duration_ns > 0

    @pytest.mark.parametrize("flavour", Flavour)
    def test_embeds_with_a_model_that_does_not_generate(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        server = start_openai(flavour=flavour, models=[EMBEDDING])

        connect(server).load("minilm:latest", GenerationParameters())

        assert server.loaded == {"minilm:latest"}

    def test_lets_a_router_load_by_itself(self, start_openai: StartOpenAI) -> None:
        server = start_openai(flavour=Flavour.LLAMA_CPP, is_router=True)

        connect(server).load("tiny:1b", GenerationParameters())

        assert asked_paths(server)[-1] == "/v1/chat/completions?autoload=true"

    def test_measures_the_wait_by_its_clock(self, start_openai: StartOpenAI) -> None:
        ticks = count(step=1_000)
        client = OpenAIClient(start_openai().base_url, clock_ns=lambda: next(ticks))

        assert client.load("tiny:1b", GenerationParameters()).duration_ns % 1_000 == 0

    def test_does_not_hide_a_refusal(self, start_openai: StartOpenAI) -> None:
        server = start_openai(Fault(FaultKind.STATUS, message="out of memory"))

        with pytest.raises(RefusedForNow, match="out of memory"):
            connect(server).load("tiny:1b", GenerationParameters())

    @pytest.mark.slow
    def test_ends_with_the_time_budget(self, start_openai: StartOpenAI) -> None:
        with pytest.raises(GenerationTimedOut, match="Loading 'tiny:1b'"):
            connect(start_openai(Fault(FaultKind.HANG)), total_s=0.2).load("tiny:1b", GenerationParameters())


class TestUnloading:
    @pytest.mark.parametrize(("flavour", "is_router"), [(Flavour.LLAMA_CPP, True), (Flavour.LM_STUDIO, False)])
    def test_frees_the_memory_where_the_server_can(
        self, start_openai: StartOpenAI, flavour: Flavour, is_router: bool
    ) -> None:
        server = start_openai(flavour=flavour, is_router=is_router)
        client = connect(server)
        client.load("tiny:1b", GenerationParameters())

        client.unload("tiny:1b")

        assert server.loaded == frozenset()

    @pytest.mark.parametrize("flavour", [Flavour.LLAMA_CPP, Flavour.VLLM, Flavour.OTHER, Flavour.LM_STUDIO])
    def test_says_where_the_model_stays(
        self, start_openai: StartOpenAI, flavour: Flavour, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO):
            connect(start_openai(flavour=flavour)).unload("tiny:1b")

        assert "'tiny:1b'" in caplog.text
        assert "stays in memory" in caplog.text


class TestGenerating:
    @pytest.mark.parametrize("flavour", Flavour)
    def test_gives_the_text_and_the_counts(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        generation = connect(start_openai(flavour=flavour)).generate(ask())

        assert generation.text == "It is four."
        assert (generation.prompt_token_count, generation.output_token_count) == (3, 3)
        assert generation.done_reason == "stop"
        assert generation.time_to_first_token_ns is not None

    @pytest.mark.parametrize(
        ("flavour", "durations"), [(Flavour.LLAMA_CPP, (3_000_000, 3_000_000)), (Flavour.VLLM, (None, None))]
    )
    def test_gives_durations_where_the_server_does(
        self, start_openai: StartOpenAI, flavour: Flavour, durations: tuple[int | None, int | None]
    ) -> None:
        generation = connect(start_openai(flavour=flavour)).generate(ask())

        assert (generation.prompt_eval_duration_ns, generation.eval_duration_ns) == durations
        assert (generation.total_duration_ns, generation.load_duration_ns) == (None, None)

    def test_invents_nothing_the_server_does_not_report(self, start_openai: StartOpenAI) -> None:
        def silent(_model: str, _prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer("", reports_figures=False)

        generation = connect(start_openai(answers=silent, flavour=Flavour.LLAMA_CPP)).generate(ask())

        assert (generation.prompt_token_count, generation.output_token_count) == (None, None)
        assert (generation.prompt_eval_duration_ns, generation.eval_duration_ns) == (None, None)
        assert (generation.time_to_first_token_ns, generation.thinking) == (None, None)

    def test_times_the_first_token_from_the_sending_on(self, start_openai: StartOpenAI) -> None:
        server = start_openai(Fault(FaultKind.DELAY, seconds=0.1))

        first_token_ns = connect(server).generate(ask()).time_to_first_token_ns

        assert first_token_ns is not None
        assert 100_000_000 <= first_token_ns < 5_000_000_000

    def test_sends_the_parameters_by_their_names(self, start_openai: StartOpenAI) -> None:
        server = start_openai(flavour=Flavour.LLAMA_CPP)

        connect(server).generate(
            ask(seed=7, temperature=0.0, num_predict=2, top_k=5, stop=("\n",), extras={"min_p": 0.5})
        )

        body = server.requests[-1].body
        assert body["stream_options"] == {"include_usage": True}
        assert body.items() >= {"seed": 7, "temperature": 0.0, "max_tokens": 2, "top_k": 5, "min_p": 0.5}.items()
        assert body["stop"] == ["\n"]

    def test_says_that_an_answer_was_cut(self, start_openai: StartOpenAI) -> None:
        generation = connect(start_openai()).generate(ask(num_predict=2))

        assert (generation.text, generation.output_token_count, generation.done_reason) == ("It is", 2, "length")

    @pytest.mark.parametrize("flavour", [Flavour.LLAMA_CPP, Flavour.VLLM])
    def test_separates_thinking_by_either_name_of_the_field(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        generation = connect(start_openai(flavour=flavour, answers=thoughtful)).generate(ask())

        assert (generation.text, generation.thinking) == ("Four.", "Two and two")

    def test_separates_thinking_by_its_tags(self, start_openai: StartOpenAI) -> None:
        server = start_openai(answers={"2 + 2?": "<think>Two and two</think> Four."})

        generation = connect(server).generate(ask())

        assert (generation.text, generation.thinking) == ("Four.", "Two and two")

    def test_asks_for_the_models_once(self, start_openai: StartOpenAI) -> None:
        server = start_openai()
        client = connect(server)

        client.generate(ask())
        client.generate(ask())

        assert asked_paths(server) == ["/v1/models", "/v1/chat/completions", "/v1/chat/completions"]


class TestStreaming:
    def test_yields_the_pieces_and_then_the_whole(self, start_openai: StartOpenAI) -> None:
        *chunks, generation = connect(start_openai()).stream(ask())

        assert chunks == [TextChunk("It"), TextChunk(" is"), TextChunk(" four.")]
        assert isinstance(generation, Generation)
        assert generation.text == "It is four."

    def test_marks_thinking(self, start_openai: StartOpenAI) -> None:
        *thoughts, text, _ = connect(start_openai(answers=thoughtful)).stream(ask())

        assert [thought.is_thinking for thought in thoughts if isinstance(thought, TextChunk)] == [True] * 3
        assert text == TextChunk("Four.")

    def test_refuses_a_wrong_request_before_the_first_piece(self, start_openai: StartOpenAI) -> None:
        with pytest.raises(EmptyPrompt):
            connect(start_openai()).stream(ask(" "))

    def test_leaves_the_server_when_it_is_closed(self, start_openai: StartOpenAI) -> None:
        server = start_openai(Fault(FaultKind.STALL))
        stream = connect(server).stream(ask())
        next(stream)

        stream.close()

        assert eventually(lambda: server.cancelled_count == 1)


class TestEmbedding:
    @pytest.mark.parametrize("flavour", [Flavour.VLLM, Flavour.LM_STUDIO], ids=["base64", "numbers"])
    def test_gives_a_vector_for_each_text(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        server = start_openai(flavour=flavour)

        embeddings = connect(server).embed("minilm:latest", ["one text", "another longer text"])

        assert (len(embeddings.vectors), embeddings.dimension) == (2, 8)
        assert sum(number**2 for number in embeddings.vectors[0]) == pytest.approx(1.0, abs=1e-6)
        assert (embeddings.prompt_token_count, embeddings.duration_ns) == (5, None)
        assert server.requests[-1].body["encoding_format"] == "base64"

    def test_refuses_more_words_than_the_context_holds(self, start_openai: StartOpenAI) -> None:
        model = ScriptedModel("short", context_length=4, capabilities=("embedding",))

        with pytest.raises(PromptTooLong):
            connect(start_openai(models=[model])).embed("short", ["one two three four five"])

    @pytest.mark.parametrize("texts", [[], ["a", " "]])
    def test_refuses_nothing(self, start_openai: StartOpenAI, texts: list[str]) -> None:
        with pytest.raises(EmptyPrompt):
            connect(start_openai()).embed("minilm:latest", texts)

    @pytest.mark.slow
    def test_ends_with_the_time_budget(self, start_openai: StartOpenAI) -> None:
        with pytest.raises(GenerationTimedOut, match="Embedding"):
            connect(start_openai(Fault(FaultKind.HANG)), total_s=0.2).embed("minilm:latest", ["text"])
