"""The policy cascade over HTTP, with a scripted server behind the endpoint."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.inference.scripted import ScriptedAnswer, ScriptedModel
from router.models import CheckerMeasurement, PolicyVersion, RoutingDecision
from tests.router.endpoint import CHAT, COMMITTED, Endpoint, OpenEndpoint
from tests.router.judged import trust
from tests.router.standins import SCRIPTED_MODELS, judge_more
from tests.router.test_cascading import add_middle
from tests.router.test_streaming import post, text_of
from tests.router.test_wire_chunks import events_of

pytestmark = [COMMITTED, pytest.mark.slow]
ASKED = "what is two plus three, how many in all"
OpenCascade = Callable[..., Endpoint]


@pytest.fixture
def open_cascade(open_endpoint: OpenEndpoint) -> OpenCascade:
    def opening(said_by_small: str, **options: Any) -> Endpoint:
        def answering(model: str, _prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer(said_by_small if model == "small" else "In all it is 5.")

        endpoint = open_endpoint(answers=answering, **options)
        judge_more(endpoint.federation)
        PolicyVersion.objects.create(policy="cascade", novelty=4.0)
        trust("number_format", endpoint.federation.small, "math", accepted=80, right=80)
        return endpoint

    return opening


class TestWhole:
    def test_charges_what_was_discarded(self, open_cascade: OpenCascade) -> None:
        response = open_cascade("I cannot say.").chat(ASKED)
        body, decision = json.loads(response.content), RoutingDecision.objects.get()
        assert (body["model"], body["choices"][0]["message"]["content"]) == ("large", "In all it is 5.")
        assert response["X-GreenLLM-Model"] == "large"
        assert response["X-GreenLLM-Policy"] == "cascade"
        assert response["X-GreenLLM-Discarded-Runs"] == "1"
        assert response["X-GreenLLM-Discarded-GCO2e"] == f"{decision.discarded_sci_gco2e:.6g}"
        assert response["X-GreenLLM-Predicted-GCO2e"] == f"{decision.predicted_sci_gco2e:.6g}"
        [discarded] = body["greenllm"]["discarded"]
        assert (discarded["model"], discarded["checker"]) == ("small", "number_format")
        assert body["greenllm"]["discarded_sci_gco2e"] == decision.discarded_sci_gco2e
        assert [one["model"] for one in body["greenllm"]["candidates"] if one["is_chosen"]] == ["large"]

    def test_charges_nothing_where_the_first_answer_stands(self, open_cascade: OpenCascade) -> None:
        response = open_cascade("It is 5.").chat(ASKED)
        body = json.loads(response.content)
        assert (body["model"], body["greenllm"]["discarded"]) == ("small", [])
        assert "X-GreenLLM-Discarded-Runs" not in response

    def test_tells_the_same_by_the_protocol_of_ollama(self, open_cascade: OpenCascade) -> None:
        endpoint = open_cascade("I cannot say.")
        sent = {"model": "auto", "messages": [{"role": "user", "content": ASKED}], "stream": False}
        response = endpoint.send("POST", "/api/chat", raw=json.dumps(sent).encode())
        body, decision = json.loads(response.content), RoutingDecision.objects.get()
        assert (body["model"], body["message"]["content"]) == ("large", "In all it is 5.")
        assert response["X-GreenLLM-Discarded-Runs"] == "1"
        assert response["X-GreenLLM-Discarded-GCO2e"] == f"{decision.discarded_sci_gco2e:.6g}"
        assert body["greenllm"]["discarded"] == decision.steps
        assert body["greenllm"]["discarded_sci_gco2e"] == decision.discarded_sci_gco2e

    def test_counts_it_in_what_every_client_hands_on(self, open_cascade: OpenCascade) -> None:
        endpoint = open_cascade("I cannot say.")
        used, decision = json.loads(endpoint.chat(ASKED).content)["usage"], RoutingDecision.objects.get()
        in_all = decision.predicted_sci_gco2e + decision.discarded_sci_gco2e  # type: ignore[operator]
        assert used["gco2e"] == pytest.approx(in_all)
        key = json.loads(endpoint.send("GET", "/v1/greenllm/key").content)
        assert key["use"]["today"]["predicted_gco2e"] == pytest.approx(in_all)

    def test_tells_it_in_the_summary(self, open_cascade: OpenCascade) -> None:
        raw = json.dumps({"model": "auto", "messages": [{"role": "user", "content": ASKED}]}).encode()
        headers = {"X-GreenLLM-Metadata": "summary"}
        response = open_cascade("I cannot say.").send("POST", CHAT, raw=raw, headers=headers)
        told = json.loads(response.content)["greenllm"]
        assert told["discarded_sci_gco2e"] == RoutingDecision.objects.get().discarded_sci_gco2e > 0  # type: ignore[operator]


class TestLogMargin:
    @pytest.mark.parametrize(("margin", "model"), [(5.0, "small"), (1.0, "large"), (None, "large")])
    def test_is_asked_for_where_the_checker_goes_by_it(
        self, open_endpoint: OpenEndpoint, margin: float | None, model: str
    ) -> None:
        def answering(model: str, _prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer("In all it is 5.", margin_nats=margin)

        endpoint = open_endpoint(answers=answering)
        judge_more(endpoint.federation)
        PolicyVersion.objects.create(policy="cascade", novelty=4.0)
        trust("log_margin_4", endpoint.federation.small, "math", accepted=80, right=80)
        body = json.loads(endpoint.chat(ASKED).content)
        assert body["model"] == model
        asked = [one.body for one in endpoint.server.requests if one.path == "/api/chat"]
        assert [one["model"] for one in asked] == ["small", "large"][: 1 + (model == "large")]
        assert ["logprobs" in one for one in asked] == [True, False][: len(asked)]
        if margin is None:
            assert "gave no log probabilities" in body["greenllm"]["discarded"][0]["reason"]


class TestLookedUp:
    def test_is_what_the_answer_told(self, open_cascade: OpenCascade) -> None:
        """The latest attempt was for comparison; the answer is of the one before."""
        endpoint = open_cascade("It is 5.", models=(*SCRIPTED_MODELS, ScriptedModel("middle")))
        CheckerMeasurement.objects.all().delete()
        middle = add_middle(endpoint.federation)
        small = endpoint.federation.small
        trust("agreement", small, "math", accepted=90, right=90, second_model=middle.language_model)
        answered = endpoint.chat(ASKED)
        told = json.loads(answered.content)["greenllm"]
        found = json.loads(endpoint.send("GET", f"/v1/greenllm/requests/{told['request_id']}").content)
        assert [(one["model"], one["outcome"]) for one in found["attempts"]] == [
            ("small", "finished"), ("middle", "finished"),
        ]  # fmt: skip
        assert (found["greenllm"]["model"], answered["X-GreenLLM-Route"]) == ("small", "auto")
        assert found["greenllm"] == told


class TestStream:
    @pytest.mark.parametrize(
        ("said", "model", "text"), [("I cannot say.", "large", "In all it is 5."), ("It is 5.", "small", "It is 5.")]
    )
    def test_is_of_the_answer_that_stands_alone(
        self, open_cascade: OpenCascade, address: str, said: str, model: str, text: str
    ) -> None:
        response = post(address, open_cascade(said), text=ASKED)
        events = events_of(response.content)
        assert (response.status_code, response.headers["x-greenllm-model"]) == (200, model)
        assert {event["model"] for event in events[:-1]} == {model}
        assert text_of(events) == text
