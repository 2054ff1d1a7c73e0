"""Studies on OpenAI-compatible servers: which parameters they take, and what is kept of an answer."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from benchmarks.federating import Timeouts, connect
from benchmarks.inference.base import RequestRefused, UnsupportedParameter
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import ScriptedAnswer, ScriptedModel
from benchmarks.inference.scripted_openai import ScriptedOpenAI
from benchmarks.measuring import Lab, Outcome, measure_response
from benchmarks.models import Deployment, InferenceServer, ParameterSet, Response, Study
from benchmarks.recording import ChannelRecord
from benchmarks.studying import Parameters, create_study, start
from tests.factories import NOW, make_deployment, make_machine, make_prompt

pytestmark = pytest.mark.django_db

TINY = ScriptedModel("tiny")
AS_THE_SERVER_HAS_IT = Parameters(num_ctx=None)


class NoMeter:
    """A machine without any meter."""

    def ensure_running(self, *, period_ns: int) -> None:
        """Have nothing to sample."""

    def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
        return ()


def deployed(base_url: str = "http://127.0.0.1:1", kind: str = InferenceServer.Kind.OPENAI) -> Deployment:
    server = InferenceServer.objects.create(name=f"the-{kind}", kind=kind, base_url=base_url, machine=make_machine())
    return make_deployment("tiny" if kind == "openai" else "other", server=server)


def study_of(*deployments: Deployment, parameters: Parameters = AS_THE_SERVER_HAS_IT, version: str = "") -> Study:
    return create_study(
        name="trial",
        machine=make_machine(),
        deployments=deployments,
        prompts=[make_prompt("2 + 2?")],
        parameters=parameters,
        server_versions={deployment.server_id: version for deployment in deployments} if version else None,
    )


class TestCreateStudy:
    def test_leaves_the_context_to_the_server(self) -> None:
        study_of(deployed())

        assert ParameterSet.objects.get().num_ctx is None

    @pytest.mark.parametrize("version", ["", "vLLM 0.9.1", "llama.cpp b1"])
    def test_refuses_a_context_that_no_request_can_set(self, version: str) -> None:
        with pytest.raises(UnsupportedParameter, match="num_ctx"):
            study_of(deployed(), parameters=Parameters(), version=version)
        assert not Study.objects.exists()

    def test_refuses_what_this_server_would_ignore(self) -> None:
        parameters = Parameters(num_ctx=None, top_k=5)

        with pytest.raises(UnsupportedParameter, match="top_k"):
            study_of(deployed(), parameters=parameters, version="OpenAI-compatible server")

    def test_refuses_a_seed_that_this_server_would_replace(self) -> None:
        with pytest.raises(RequestRefused, match="seed -1"):
            study_of(deployed(), parameters=Parameters(seed=-1, num_ctx=None), version="llama.cpp b1")

    def test_asks_each_server_of_a_mixed_study(self) -> None:
        with pytest.raises(UnsupportedParameter, match="num_ctx"):
            study_of(deployed(), deployed("http://127.0.0.1:2", "ollama"), parameters=Parameters(num_ctx=2048))


class TestRunStudy:
    def test_chooses_the_context_by_the_kind_of_server(self) -> None:
        make_prompt("2 + 2?")
        with ScriptedOpenAI([TINY], flavour=Flavour.VLLM, answers={}) as server:
            deployed(server.base_url)
            options = ("--model", "tiny", "--dataset", "test", "--no-wait")
            call_command("run_study", "trial", *options, stdout=StringIO())
            with pytest.raises(CommandError, match="num_ctx"):
                call_command("run_study", "trial-2", *options, "--num-ctx", "512", stdout=StringIO())

        assert ParameterSet.objects.get().num_ctx is None


class TestMeasureResponse:
    @pytest.mark.parametrize("flavour", [Flavour.LLAMA_CPP, Flavour.VLLM])
    def test_keeps_text_thinking_and_what_the_server_counts(self, flavour: Flavour) -> None:
        def thoughtful(_model: str, _prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer("It is four.", thinking="Two and two")

        with ScriptedOpenAI([TINY], flavour=flavour, answers=thoughtful) as server:
            study = study_of(deployed(server.base_url))
            start(study=study, now=NOW)
            outcome = measure_response(response_id=study.responses.get().pk, lab=_lab())

        response = Response.objects.get()
        assert outcome is Outcome.FINISHED
        assert (response.text, response.thinking_text) == ("It is four.", "Two and two")
        assert (response.prompt_token_count, response.output_token_count) == (3, 3)
        assert response.eval_duration_ns == (3_000_000 if flavour is Flavour.LLAMA_CPP else None)
        assert response.load_duration_ns is None

    @pytest.mark.parametrize(("extras", "margin"), [({}, None), ({"top_logprobs": 2}, 3.0)])
    def test_keeps_how_sure_the_model_was_where_the_study_asks(
        self, extras: dict[str, object], margin: float | None
    ) -> None:
        def sure(_model: str, _prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer("It is four.", margin_nats=3.0)

        with ScriptedOpenAI([TINY], flavour=Flavour.LLAMA_CPP, answers=sure) as server:
            study = study_of(deployed(server.base_url), parameters=Parameters(num_ctx=None, extras=extras))
            start(study=study, now=NOW)
            measure_response(response_id=study.responses.get().pk, lab=_lab())

        assert Response.objects.get().mean_margin_nats == (margin if margin is None else pytest.approx(margin))

    def test_fails_for_good_where_the_model_is_gone(self) -> None:
        with ScriptedOpenAI([ScriptedModel("another")], flavour=Flavour.LLAMA_CPP, answers={}) as server:
            study = study_of(deployed(server.base_url))
            start(study=study, now=NOW)
            outcome = measure_response(response_id=study.responses.get().pk, lab=_lab())

        assert outcome is Outcome.FAILED
        assert "has no model 'tiny'" in Response.objects.get().error


def _lab() -> Lab:
    timeouts = Timeouts(1.0, 5.0, 5.0)
    return Lab(
        recorder=NoMeter(),
        connect=lambda response: connect(server=response.deployment.server, timeouts=timeouts),
        now=lambda: NOW,
    )
