"""The router as the target of a study, played by a twin on the loopback interface."""

from collections.abc import Iterator
from dataclasses import dataclass
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from benchmarks.federating import (
    RouterIsNoModel,
    Timeouts,
    UnknownModel,
    activate,
    add_model,
    connect,
    find_deployment,
    identify_server,
)
from benchmarks.inference.base import AccessRefused
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.inference.scripted_openai import ScriptedOpenAI
from benchmarks.launching import launch
from benchmarks.measuring import Lab, Outcome, measure_response
from benchmarks.meters.base import Boundary, Channel, Quality, Quantity, Reading
from benchmarks.models import Deployment, InferenceServer, Measurement, Response, Study
from benchmarks.recording import ChannelRecord
from benchmarks.studying import StudyError
from benchmarks.targeting import NoRouter, ensure_router
from tests import factories as make

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

SECOND = 1_000_000_000
PLUG = Channel("machine", Boundary.MACHINE, Quality.MEASURED, Quantity.POWER_MW)
QUESTION = "What is 17 times 23?"
KEY = "glm-test-key"
MODELS = [ScriptedModel("auto"), ScriptedModel("small"), ScriptedModel("large")]
TIMEOUTS = Timeouts(5, 5, 5)


@dataclass
class SteadyPlug:
    """A wall meter that reads 100 W all the time."""

    period_ns: int = 0

    def ensure_running(self, *, period_ns: int) -> None:
        self.period_ns = period_ns

    def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
        moments = range(start_ns - self.period_ns, stop_ns + 2 * self.period_ns, self.period_ns)
        readings = tuple(Reading(at_ns, self.period_ns, 100_000) for at_ns in moments)
        return (ChannelRecord("plug", PLUG, self.period_ns, readings),)


@pytest.fixture
def router() -> Iterator[ScriptedOpenAI]:
    with ScriptedOpenAI(
        MODELS, flavour=Flavour.OTHER, answers={QUESTION: "17 times 23 is 391."}, api_key=KEY, chosen="small"
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLLM_ROUTER_KEY", KEY)


def run_study(*arguments: str) -> str:
    out = StringIO()
    call_command("run_study", *arguments, "--no-wait", stdout=out)
    return out.getvalue()


def router_study(router: ScriptedOpenAI, *arguments: str) -> Study:
    """Make a study of the router by the command, on the one prompt of the data set."""
    prompt = make.make_prompt(QUESTION)
    url = f"{router.base_url}/v1"
    run_study("through-the-router", "--router", "--router-url", url, "--dataset", prompt.dataset.name, *arguments)
    return Study.objects.get(name="through-the-router")


def measure(study: Study) -> tuple[Outcome, Response]:
    moments = iter(second * SECOND for _ in range(5) for second in (10, 12))
    lab = Lab(
        SteadyPlug(),
        lambda response: connect(server=response.deployment.server, timeouts=TIMEOUTS),
        now=lambda: make.NOW,
        monotonic_ns=lambda: next(moments),
    )
    response = study.responses.get()
    outcome = measure_response(response_id=response.pk, lab=lab)
    return outcome, Response.objects.select_related("measurement").get(pk=response.pk)


class TestRunStudy:
    def test_makes_a_study_of_the_router(self, router: ScriptedOpenAI) -> None:
        study = router_study(router)
        deployment = study.deployments.select_related("server", "language_model").get()
        assert (study.kind, study.state) == ("router", "running")
        assert (deployment.language_model.name, deployment.state) == ("auto", "candidate")
        assert (deployment.server.kind, deployment.server.is_router) == ("openai", True)
        assert deployment.server.api_key_variable == "GREENLLM_ROUTER_KEY"

    def test_asks_its_own_installation_unless_told_otherwise(self, router: ScriptedOpenAI, settings: Settings) -> None:
        settings.WEB_PORT = int(router.base_url.rpartition(":")[2])
        run_study("own", "--router", "--dataset", make.make_prompt(QUESTION).dataset.name)
        assert InferenceServer.objects.get().base_url == router.base_url

    def test_tells_which_variable_lacks_the_key(self, router: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("GREENLLM_ROUTER_KEY")
        with pytest.raises(CommandError, match="GREENLLM_ROUTER_KEY"):
            router_study(router)
        assert not Study.objects.exists()

    def test_takes_no_models_beside_the_router(self, router: ScriptedOpenAI) -> None:
        with pytest.raises(CommandError, match="not both"):
            router_study(router, "--model", "small")

    def test_refuses_a_negative_network(self, router: ScriptedOpenAI) -> None:
        with pytest.raises(CommandError, match="--network-kwh-per-gb must be 0 or more"):
            router_study(router, "--network-kwh-per-gb", "-1")

    def test_keeps_the_figure_of_the_network_with_the_server(self, router: ScriptedOpenAI) -> None:
        router_study(router, "--network-kwh-per-gb", "0.06")
        assert InferenceServer.objects.get().network_kwh_per_gb == 0.06

    def test_refuses_another_server_with_a_model_of_that_name(self) -> None:
        prompt = make.make_prompt(QUESTION)
        with (
            ScriptedOpenAI([ScriptedModel("auto")], flavour=Flavour.OTHER, answers={}) as other,
            pytest.raises(CommandError, match="is no GreenLLM router"),
        ):
            run_study("other", "--router", "--router-url", other.base_url, "--dataset", prompt.dataset.name)
        assert not Deployment.objects.exists()

    def test_refuses_a_server_of_another_kind(self) -> None:
        server = make.make_server()
        prompt = make.make_prompt(QUESTION)
        with pytest.raises(CommandError, match="of the kind 'ollama', not 'openai'"):
            run_study("other", "--router", "--router-url", server.base_url, "--dataset", prompt.dataset.name)


class TestMeasuredAnswer:
    def test_is_measured_once_with_the_machines_meter(self, router: ScriptedOpenAI) -> None:
        outcome, response = measure(router_study(router))
        assert outcome is Outcome.FINISHED
        assert response.text == "17 times 23 is 391."
        assert response.output_token_count == 5
        assert response.measurement is not None
        assert response.measurement.energy_j == pytest.approx(200.0)
        assert response.measurement.quality == "measured"
        assert response.measurement.boundary == (
            "router: classifier + network + chosen model; whole machine, by plug (machine)"
        )
        assert Measurement.objects.count() == 1

    def test_keeps_who_answered_and_the_id_of_the_request(self, router: ScriptedOpenAI) -> None:
        _, response = measure(router_study(router))
        assert response.answered_by == "small"
        assert response.gateway_request_public_id == "simulated-request"

    def test_is_rehearsed_so_that_the_chosen_model_is_loaded_before_the_mark(self, router: ScriptedOpenAI) -> None:
        study = router_study(router)
        before = len(router.requests)
        measure(study)
        asked = [one.body for one in router.requests[before:] if one.path.startswith("/v1/chat/completions")]
        assert [(body["model"], body["max_tokens"]) for body in asked] == [("auto", 1), ("small", 1), ("auto", 256)]
        assert [body["messages"][0]["content"] for body in asked] == [QUESTION, "Hello", QUESTION]

    def test_has_no_energy_where_the_chosen_model_is_on_another_machine(self, router: ScriptedOpenAI) -> None:
        far = make.make_server(make.make_machine("far"), base_url="http://127.0.0.1:2")
        make.make_deployment("small", server=far)
        _, response = measure(router_study(router))
        assert response.state == "finished"
        assert response.measurement is not None
        assert (response.measurement.energy_j, response.measurement.sci_gco2e) == (None, None)
        assert "The router chose small, which runs on far" in response.measurement.missing_reason

    def test_beyond_a_network_is_missing_without_a_figure_and_estimated_with_one(self, router: ScriptedOpenAI) -> None:
        study = router_study(router)
        port = router.base_url.rpartition(":")[2]
        InferenceServer.objects.update(base_url=f"http://beyond.example:{port}")

        def measure_beyond() -> Measurement:
            Response.objects.update(state="pending")
            Study.objects.update(state="running")
            near = InferenceServer(base_url=router.base_url, kind="openai", api_key_variable="GREENLLM_ROUTER_KEY")
            moments = iter([10 * SECOND, 12 * SECOND])
            lab = Lab(
                SteadyPlug(),
                lambda response: connect(server=near, timeouts=TIMEOUTS),
                now=lambda: make.NOW,
                monotonic_ns=lambda: next(moments),
            )
            assert measure_response(response_id=study.responses.get().pk, lab=lab) is Outcome.FINISHED
            measurement = study.responses.get().measurement
            assert measurement is not None
            return measurement

        without = measure_beyond()
        assert (without.energy_j, "kWh per GB" in without.missing_reason) == (None, True)
        InferenceServer.objects.update(network_kwh_per_gb=1000.0)
        added = measure_beyond()
        assert added.energy_j is not None
        assert added.quality == "estimated"
        # at 1000 kWh/GB a byte is 3.6 J; the streamed answer and its request are some kilobytes
        byte_count = (added.energy_j - 200.0) / 3.6
        assert 1000 < byte_count < 10_000
        assert f"({round(byte_count)} bytes at 1000 kWh/GB)" in added.boundary


class TestGuard:
    def test_lets_no_router_become_a_model(self, router: ScriptedOpenAI) -> None:
        deployment = router_study(router).deployments.get()
        with pytest.raises(RouterIsNoModel, match="nothing is routed to it"):
            activate(deployment=deployment, now=make.NOW)
        deployment.refresh_from_db()
        assert deployment.state == "candidate"

    def test_knows_a_router_by_what_it_says_of_its_models(self, router: ScriptedOpenAI) -> None:
        """Add this installation's own `small` by its own endpoint: the router would ask itself for ever."""
        server = identify_server(
            base_url=router.base_url,
            machine=make.make_machine(),
            kind="openai",
            api_key_variable="GREENLLM_ROUTER_KEY",
        )
        client = connect(server=server, timeouts=TIMEOUTS)
        deployment = add_model(name="small", server=server, client=client, now=make.NOW)
        with pytest.raises(RouterIsNoModel):
            activate(deployment=deployment, now=make.NOW)
        with pytest.raises(UnknownModel):
            find_deployment(name="small")

    def test_does_not_choose_one_that_was_made_active_by_hand(self, router: ScriptedOpenAI) -> None:
        router_study(router)
        Deployment.objects.update(state="active")
        assert not Deployment.objects.active().exists()

    def test_tells_the_command_that_would_activate_it(self, router: ScriptedOpenAI) -> None:
        make.make_machine()
        with pytest.raises(CommandError, match="a request could come back to itself"):
            call_command(
                "add_model", "auto", "--server", router.base_url, "--kind", "openai",
                "--api-key-variable", "GREENLLM_ROUTER_KEY", "--activate",
            )  # fmt: skip

    def test_lets_no_study_mix_a_router_with_models(self, router: ScriptedOpenAI) -> None:
        from benchmarks.studying import Parameters, create_study

        deployment = router_study(router).deployments.get()
        model = make.make_deployment("small", server=make.make_server(deployment.server.machine))
        with pytest.raises(StudyError, match="asks the router alone"):
            create_study(
                name="mixed", machine=deployment.server.machine, deployments=[deployment, model],
                prompts=[make.make_prompt()], parameters=Parameters(num_ctx=None),
            )  # fmt: skip

    def test_leaves_the_router_a_candidate_while_its_study_runs(self, router: ScriptedOpenAI) -> None:
        study = router_study(router)
        launch(study=study, now=make.NOW)
        assert study.deployments.get().state == "candidate"


class TestEnsureRouter:
    def test_refuses_what_is_no_router(self) -> None:
        with ScriptedOllama([ScriptedModel("auto")], answers={}) as other:
            server = identify_server(base_url=other.base_url, machine=make.make_machine())
            with pytest.raises(NoRouter):
                ensure_router(server=server, client=connect(server=server, timeouts=TIMEOUTS), now=make.NOW)

    def test_refuses_a_wrong_key(self, router: ScriptedOpenAI, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GREENLLM_ROUTER_KEY", "wrong")
        server = identify_server(
            base_url=router.base_url, machine=make.make_machine(), kind="openai", api_key_variable="GREENLLM_ROUTER_KEY"
        )
        with pytest.raises(AccessRefused):
            ensure_router(server=server, client=connect(server=server, timeouts=TIMEOUTS), now=make.NOW)
