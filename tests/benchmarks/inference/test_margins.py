"""How sure a model was of its tokens, by the log probabilities that servers tell."""

import json
import math

import pytest

from benchmarks.inference.base import Generation, GenerationRequest
from benchmarks.inference.demands import Demands
from benchmarks.inference.errors import UnsupportedParameter
from benchmarks.inference.margins import Margins
from benchmarks.inference.ollama import OllamaClient
from benchmarks.inference.openai import OpenAIClient
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.options import gives_margins, require_supported
from benchmarks.inference.scripted import ScriptedAnswer
from tests.benchmarks.inference import asking, asking_openai
from tests.benchmarks.inference.asking import Start, ask
from tests.benchmarks.inference.asking_openai import StartOpenAI

INFINITE = -math.inf


class TestMargins:
    @pytest.mark.parametrize(
        ("told", "mean"),
        [
            ([[-0.1, -2.1]], 2.0),
            ([[-3.0, -0.5]], 2.5),  # a token that was drawn by lot need not be the likeliest
            ([[-0.1, -2.1, -9.0], [-0.5, -0.5]], 1.0),
            ([[0.0, INFINITE]], 10.0),
            ([[0.0, None]], 10.0),
            ([[0.0, -3.4e38]], 10.0),
            ([[-0.1, -2.1], [-0.1], []], 2.0),
            ([[INFINITE, INFINITE]], None),
            ([], None),
        ],
        ids=["two", "in any order", "mean", "impossible", "null", "lowest", "too few", "nothing likely", "none"],
    )
    def test_are_means_over_the_tokens(self, told: list[list[float | None]], mean: float | None) -> None:
        margins = Margins()
        for one in told:
            margins.take([one])
        assert margins.mean_nats == (mean if mean is None else pytest.approx(mean))


def sure(_model: str, _prompt: str) -> ScriptedAnswer:
    return ScriptedAnswer("It is four.", thinking="Two and two.", margin_nats=3.0)


def wanting(request: GenerationRequest, demands: Demands | None = None) -> GenerationRequest:
    return GenerationRequest(
        request.model, request.messages, request.parameters, demands or Demands(), is_margin_wanted=True
    )


def prepared(client: OllamaClient | OpenAIClient, request: GenerationRequest) -> dict[str, object]:
    return dict(client.prepare(request).body)


class TestOllama:
    def test_asks_only_where_it_is_wanted(self, start: Start) -> None:
        server = start(answers=sure)
        client = asking.connect(server)
        assert client.generate(ask()).mean_margin_nats is None
        assert "logprobs" not in server.requests[-1].body
        assert client.generate(wanting(ask())).mean_margin_nats == pytest.approx(3.0)
        assert (server.requests[-1].body["logprobs"], server.requests[-1].body["top_logprobs"]) == (True, 2)

    def test_reads_the_same_off_the_wire(self, start: Start) -> None:
        wire = asking.connect(start(answers=sure)).prepare(wanting(ask()))
        token = {"token": " four", "logprob": -0.5}
        lines = [
            {"message": {"role": "assistant", "content": "", "thinking": "So."}, "logprobs": [_place(9.0)]},
            {"message": {"role": "assistant", "content": "It is"}, "logprobs": [_place(1.0), _place(2.0)]},
            {"message": {"role": "assistant", "content": " four"}, "logprobs": [token]},
            {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", "eval_count": 3},
        ]
        pieces = [piece for line in lines for piece in wire.feed(json.dumps(line).encode() + b"\n")]
        assert isinstance(pieces[-1], Generation)
        assert pieces[-1].mean_margin_nats == pytest.approx(1.5)  # what it thought, and a lone token, tell nothing

    def test_takes_it_as_a_parameter_of_a_study(self, start: Start) -> None:
        server = start(answers=sure)
        found = asking.connect(server).generate(ask(seed=1, extras={"top_logprobs": 2}))
        assert found.mean_margin_nats == pytest.approx(3.0)
        assert server.requests[-1].body["options"] == {"seed": 1}

    @pytest.mark.parametrize(
        ("version", "gives"),
        [("0.12.10", False), ("0.12.11", True), ("0.17.4", True), ("0.6.5-greenllm", True), (None, True)],
    )
    def test_is_refused_by_servers_before_it(self, version: str | None, gives: bool) -> None:
        assert gives_margins(version) is gives
        if gives:
            require_supported({"top_logprobs": 2}, version)
        else:
            with pytest.raises(UnsupportedParameter, match="top_logprobs"):
                require_supported({"top_logprobs": 2}, version)

    def test_goes_without_where_the_server_is_older(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        client = asking.connect(start(answers=sure))
        monkeypatch.setattr("benchmarks.inference.scripted_http.SIMULATED_VERSION", "0.12.3")
        assert client.generate(wanting(ask())).mean_margin_nats is None

    def test_asks_once_for_the_version(self, start: Start) -> None:
        server = start(answers=sure)
        client = asking.connect(server)
        assert not client.is_ready_for(wanting(ask()))
        for _ in range(2):
            client.prepare(wanting(ask()))
        assert client.is_ready_for(wanting(ask()))
        assert asking.asked_paths(server).count("/api/version") == 1

    def test_goes_without_where_tools_are_offered(self, start: Start) -> None:
        tools = Demands(tools=({"type": "function", "function": {"name": "add"}},))
        assert "logprobs" not in prepared(asking.connect(start()), wanting(ask(), tools))


class TestOpenAI:
    @pytest.mark.parametrize("flavour", [Flavour.LLAMA_CPP, Flavour.VLLM, Flavour.OTHER])
    def test_asks_only_where_it_is_wanted(self, start_openai: StartOpenAI, flavour: Flavour) -> None:
        server = start_openai(flavour=flavour, answers=sure)
        client = asking_openai.connect(server)
        assert client.generate(ask()).mean_margin_nats is None
        assert "logprobs" not in server.requests[-1].body
        assert client.generate(wanting(ask())).mean_margin_nats == pytest.approx(3.0)
        assert (server.requests[-1].body["logprobs"], server.requests[-1].body["top_logprobs"]) == (True, 2)

    def test_goes_without_where_the_server_knows_none(self, start_openai: StartOpenAI) -> None:
        client = asking_openai.connect(start_openai(flavour=Flavour.LM_STUDIO, answers=sure))
        assert client.generate(wanting(ask())).mean_margin_nats is None
        with pytest.raises(UnsupportedParameter, match="top_logprobs"):
            client.generate(ask(extras={"top_logprobs": 2}))

    def test_takes_it_as_a_parameter_of_a_study(self, start_openai: StartOpenAI) -> None:
        client = asking_openai.connect(start_openai(answers=sure))
        assert client.generate(ask(extras={"top_logprobs": 2})).mean_margin_nats == pytest.approx(3.0)

    def test_reads_the_same_off_the_wire(self, start_openai: StartOpenAI) -> None:
        wire = asking_openai.connect(start_openai(answers=sure)).prepare(wanting(ask()))
        choices = [
            {"delta": {"reasoning_content": "So."}, "logprobs": {"content": [_place(9.0)]}},
            {"delta": {"content": "It is four."}, "logprobs": {"content": [_place(1.0), _place(2.0)]}},
            {"delta": {}, "finish_reason": "stop", "logprobs": None},
        ]
        events = b"".join(b"data: " + json.dumps({"choices": [one]}).encode() + b"\n\n" for one in choices)
        pieces = list(wire.feed(events + b"data: [DONE]\n\n"))
        assert isinstance(pieces[-1], Generation)
        assert pieces[-1].mean_margin_nats == pytest.approx(1.5)

    def test_goes_without_where_tools_are_offered(self, start_openai: StartOpenAI) -> None:
        tools = Demands(tools=({"type": "function", "function": {"name": "add"}},))
        assert "logprobs" not in prepared(asking_openai.connect(start_openai()), wanting(ask(), tools))


def _place(margin_nats: float) -> dict[str, object]:
    likely = [{"token": "a", "logprob": -0.25}, {"token": "b", "logprob": -0.25 - margin_nats}]
    return {"token": "a", "logprob": -0.25, "top_logprobs": likely}
