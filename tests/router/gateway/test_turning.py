"""A cascade on the event loop: who waits for it, who does not, and what becomes of it when somebody fails or leaves."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.models import Deployment, Study
from router.checking import Check, Checked, Finding
from router.models import CheckerMeasurement, GatewayRequest, KeyHour, PolicyVersion, RoutingDecision, UpstreamAttempt
from tests import factories as make
from tests.benchmarks.inference.asking import eventually
from tests.browsing import served
from tests.router.endpoint import CHAT, COMMITTED, Endpoint, OpenEndpoint
from tests.router.judged import trust
from tests.router.standins import SCRIPTED_MODELS, judge_more
from tests.router.test_cascading import add_middle
from tests.router.test_streaming import note_connections, post, streaming, text_of
from tests.router.test_wire_chunks import events_of

pytestmark = [COMMITTED, pytest.mark.slow]
ASKED = "what is two plus three, how many in all"
UNSURE = "I cannot say."
OpenCascade = Callable[..., Endpoint]


@pytest.fixture
def open_cascade(open_endpoint: OpenEndpoint) -> OpenCascade:
    def opening(*faults: Fault, small: ScriptedAnswer | str = "It is 5.", **options: Any) -> Endpoint:
        said = small if isinstance(small, ScriptedAnswer) else ScriptedAnswer(small)
        answers = {"small": said, "large": ScriptedAnswer("In all it is 5.")}
        endpoint = open_endpoint(*faults, answers=lambda model, _prompt: answers[model], **options)
        judge_more(endpoint.federation)
        PolicyVersion.objects.create(policy="cascade", novelty=4.0)
        trust("number_format", endpoint.federation.small, "math", accepted=80, right=80)
        return endpoint

    return opening


@pytest.fixture
def frequent_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.gateway.replying.PING_INTERVAL_S", 0.02)


class Waiting:
    """Accepts once it may; says when it has begun."""

    def __init__(self, gate: threading.Event) -> None:
        self._gate, self.has_begun = gate, threading.Event()

    def check(self, checked: Checked) -> Check:
        self.has_begun.set()
        assert self._gate.wait(10)
        return Check(Finding.ACCEPT, "It may stand.")


@pytest.fixture
def waiting(gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Waiting:
    waiting = Waiting(gate)
    monkeypatch.setattr("router.wiring.checkers", lambda: {"number_format": waiting})
    return waiting


@pytest.mark.usefixtures("frequent_pings")
class TestWhileItIsNotSettled:
    def test_a_stream_of_events_gets_comments(
        self, open_cascade: OpenCascade, address: str, gate: threading.Event
    ) -> None:
        endpoint = open_cascade(small=ScriptedAnswer("It is 5.", gate=gate))
        with streaming(address, endpoint, text=ASKED) as response:
            lines = response.iter_lines()
            seen = [next(lines) for _ in range(4)]
            gate.set()
            rest = list(lines)
        assert seen == [": ping", "", ": ping", ""]
        events = [json.loads(line[6:]) for line in rest if line.startswith("data: {")]
        assert (text_of(events), events[0]["model"]) == ("It is 5.", "small")
        assert response.headers["x-greenllm-policy"] == "cascade"
        assert response.headers["x-greenllm-request-id"] == GatewayRequest.objects.get().public_id
        assert "x-greenllm-model" not in response.headers

    def test_a_stream_that_is_measured_begins_with_the_role(
        self, open_cascade: OpenCascade, settings: Settings, gate: threading.Event
    ) -> None:
        settings.MEASURE_EVERY, settings.MACHINE_NAME = 1, "test"
        meter = {"kind": "replay", "options": {"steps": [[3600, 40.0]]}, "period_ms": 20}
        make.make_machine("test", meters=[meter])
        endpoint = open_cascade(small=ScriptedAnswer("It is 5.", gate=gate))
        Study.objects.update(state=Study.State.FINISHED)
        body = {"model": "auto", "messages": [{"role": "user", "content": ASKED}], "stream": True}
        headers = {"Authorization": f"Bearer {endpoint.secret}", "X-GreenLLM-Measure": "yes"}
        with served() as address, httpx.stream("POST", address + CHAT, json=body, headers=headers) as response:
            lines = response.iter_lines()
            assert next(lines) == ": ping"
            gate.set()
            events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
        assert events[-1]["greenllm"]["quality"] == "simulated"
        assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        assert text_of(events) == "It is 5."

    def test_a_stream_of_lines_waits(self, open_cascade: OpenCascade, address: str, gate: threading.Event) -> None:
        endpoint = open_cascade(small=ScriptedAnswer("It is 5.", gate=gate))
        body = {"model": "auto", "messages": [{"role": "user", "content": ASKED}]}
        headers = {"Authorization": f"Bearer {endpoint.secret}"}
        threading.Timer(0.2, gate.set).start()  # ten intervals
        response = httpx.post(f"{address}/api/chat", json=body, headers=headers)
        lines = [json.loads(line) for line in response.text.splitlines()]
        assert "".join(line["message"]["content"] for line in lines) == "It is 5."
        assert {line["model"] for line in lines} == {response.headers["x-greenllm-model"]} == {"small"}

    def test_a_failure_of_the_last_server_is_an_event(
        self, open_cascade: OpenCascade, address: str, gate: threading.Event
    ) -> None:
        away = Fault(FaultKind.STATUS, model="large", status=500)
        endpoint = open_cascade(away, small=ScriptedAnswer(UNSURE, gate=gate))
        with streaming(address, endpoint, text=ASKED) as response:
            lines = response.iter_lines()
            assert next(lines) == ": ping"
            gate.set()
            rest = [line for line in lines if line not in ("", ": ping")]
        assert (response.status_code, len(rest)) == (200, 1)
        assert "error" in json.loads(rest[0].removeprefix("data: "))
        assert GatewayRequest.objects.get().state == "failed"
        assert RoutingDecision.objects.get().discarded_sci_gco2e


class TestChecking:
    def test_keeps_nobody_else_waiting_and_no_connection(
        self,
        open_cascade: OpenCascade,
        address: str,
        gate: threading.Event,
        waiting: Waiting,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        endpoint, made = open_cascade(), note_connections(monkeypatch)
        with ThreadPoolExecutor(1) as threads:
            checked = threads.submit(post, address, endpoint, text=ASKED)
            assert waiting.has_begun.wait(10)
            assert made.pids
            assert eventually(lambda: made.open_count == 0)
            assert post(address, endpoint, model="large").status_code == 200
            assert not checked.done()
            gate.set()
            assert text_of(events_of(checked.result().content)) == "It is 5."

    def test_ends_for_a_client_that_leaves(
        self, open_cascade: OpenCascade, address: str, gate: threading.Event, waiting: Waiting
    ) -> None:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{address}/v1/chat/completions",
                json={"model": "auto", "messages": [{"role": "user", "content": ASKED}]},
                headers={"Authorization": f"Bearer {open_cascade().secret}"},
                timeout=httpx.Timeout(10, read=3.0),
            )
        assert waiting.has_begun.is_set()
        assert eventually(lambda: GatewayRequest.objects.filter(state="cancelled").exists())
        attempt = UpstreamAttempt.objects.get()
        assert (attempt.outcome, attempt.deployment.language_model.name) == ("finished", "small")

    def test_is_left_by_a_client_while_the_model_answers(self, open_cascade: OpenCascade, address: str) -> None:
        endpoint = open_cascade(Fault(FaultKind.HANG, model="small"))
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{address}/v1/chat/completions",
                json={"model": "auto", "messages": [{"role": "user", "content": ASKED}], "stream": True},
                headers={"Authorization": f"Bearer {endpoint.secret}"},
                timeout=httpx.Timeout(10, read=3.0),
            )
        assert eventually(lambda: endpoint.server.cancelled_count == 1)
        assert eventually(lambda: GatewayRequest.objects.filter(state="cancelled").exists())
        assert UpstreamAttempt.objects.get().outcome == "cancelled"


class TestTrouble:
    def test_of_the_first_server_is_charged_and_passed_over(self, open_cascade: OpenCascade) -> None:
        endpoint = open_cascade(Fault(FaultKind.STATUS, model="small", status=500))
        body = json.loads(endpoint.chat(ASKED).content)
        assert body["model"] == "large"
        assert "Its server failed: " in body["greenllm"]["discarded"][0]["reason"]
        attempts = UpstreamAttempt.objects.order_by("number").values_list("number", "outcome")
        assert list(attempts) == [(1, "failed"), (2, "finished")]

    def test_of_a_server_that_rests_is_passed_over_for_nothing(self, open_cascade: OpenCascade, address: str) -> None:
        endpoint = open_cascade(Fault(FaultKind.STATUS, model="small", status=503))
        with ScriptedOllama((ScriptedModel("large"),), answers={ASKED: "In all it is 5."}) as other:
            away = make.make_server(base_url=other.base_url)
            Deployment.objects.filter(language_model__name="large").update(server=away)
            answers = [post(address, endpoint, text=ASKED, stream=False).json() for _ in range(4)]
        assert [one["model"] for one in answers] == ["large"] * 4
        assert [len(one["greenllm"]["discarded"]) for one in answers] == [1, 1, 1, 0]
        assert "Passed over: small (Its server failed: The inference server " in answers[3]["greenllm"]["reason"]
        last = GatewayRequest.objects.latest("pk").attempts.get()
        assert (last.number, last.deployment.language_model.name) == (1, "large")

    def test_of_the_last_server_is_not_taken_over_by_what_was_discarded(self, open_cascade: OpenCascade) -> None:
        endpoint = open_cascade(small=UNSURE)
        with ScriptedOllama((ScriptedModel("large"),), answers={}, faults=[Fault(FaultKind.STATUS)]) as other:
            away = make.make_server(base_url=other.base_url)
            Deployment.objects.filter(language_model__name="large").update(server=away)
            assert endpoint.chat(ASKED).status_code == 502
        outcomes = UpstreamAttempt.objects.order_by("number").values_list("deployment__language_model__name", "outcome")
        assert list(outcomes) == [("small", "finished"), ("large", "failed")]


class TestBudget:
    @pytest.mark.parametrize("said", ["It is 5.", UNSURE], ids=["accepted", "discarded"])
    def test_books_each_run(self, open_cascade: OpenCascade, said: str) -> None:
        endpoint = open_cascade(small=said)
        endpoint.key.budget_gco2e_per_hour = 1.0
        endpoint.key.save()
        response, decision = endpoint.chat(ASKED), RoutingDecision.objects.get()
        spent = (decision.predicted_sci_gco2e or 0.0) + (decision.discarded_sci_gco2e or 0.0)
        hour = KeyHour.objects.get()
        assert (hour.spent_gco2e, hour.request_count) == (pytest.approx(spent), 1)
        assert response["X-GreenLLM-Budget"].startswith(f"{spent:.6g}/1 ")


class TestWhatIsNotPlain:
    @pytest.mark.parametrize("field", ["tools", "response_format"])
    def test_goes_to_the_last_model_at_once(self, open_cascade: OpenCascade, field: str) -> None:
        """Checkers read texts: they would take a call of a tool for an empty answer."""
        tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
        asked: dict[str, Any] = {"tools": [tool], "response_format": {"type": "json_object"}}
        able = tuple(ScriptedModel(name, capabilities=("completion", "tools")) for name in ("small", "large"))
        open_cascade(models=(*able, SCRIPTED_MODELS[-1])).chat(ASKED, **{field: asked[field]})
        decision = RoutingDecision.objects.get()
        assert (decision.chosen.language_model.name, decision.steps) == ("large", [])
        assert "Answers are not checked here." in decision.explanation


class TestJudge:
    @pytest.mark.parametrize(("word", "model"), [("Yes.", "small"), ("No.", "large")])
    def test_is_asked_about_the_answer_and_charged(self, open_endpoint: OpenEndpoint, word: str, model: str) -> None:
        said = {"small": "It is 5.", "large": "In all it is 5.", "middle": word}
        models = (*SCRIPTED_MODELS, ScriptedModel("middle"))
        endpoint = open_endpoint(answers=lambda model, _prompt: ScriptedAnswer(said[model]), models=models)
        judge_more(endpoint.federation)
        PolicyVersion.objects.create(policy="cascade", novelty=4.0)
        middle = add_middle(endpoint.federation)
        small = endpoint.federation.small
        trust("llm_judge", small, "math", accepted=90, right=90, second_model=middle.language_model)
        body = json.loads(endpoint.chat(ASKED, temperature=0.7).content)
        told, judged = body["greenllm"]["reason"], body["greenllm"]["discarded"][0]
        assert body["model"] == model
        assert "small is asked and judged by middle, and its answer stands where llm_judge accepts it" in told
        assert (judged["model"], judged["attempt_number"]) == ("middle", 2)
        assert judged["reason"] == "It was asked to judge the answer."
        bodies = [one.body for one in endpoint.server.requests]
        [asked] = [one for one in bodies if one.get("model") == "middle" and one.get("messages")]
        assert f"{ASKED}\n\nThis answer was given:\n\nIt is 5." in asked["messages"][0]["content"]
        assert asked["options"] == {"temperature": 0.0, "num_predict": 8}


class TestConversation:
    def messages(self, text: str) -> list[Any]:
        return [
            {"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": text},
        ]  # fmt: skip

    def test_is_checked_by_what_can_read_it(self, open_cascade: OpenCascade) -> None:
        response = open_cascade().chat(messages=self.messages(ASKED))
        assert response["X-GreenLLM-Model"] == "small"
        assert "number_format accepted the answer of small" in RoutingDecision.objects.get().explanation

    def test_goes_to_the_last_model_at_once_where_nothing_can(self, open_cascade: OpenCascade) -> None:
        endpoint = open_cascade()
        CheckerMeasurement.objects.all().delete()
        trust("unit_tests", endpoint.federation.small, "math", accepted=90, right=90)
        response = endpoint.chat(messages=self.messages(ASKED))
        assert response["X-GreenLLM-Model"] == "large"
        assert "Of later turns, agreement, llm_judge, log_margin_2" in RoutingDecision.objects.get().explanation
