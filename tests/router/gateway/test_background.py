"""Prompts that chat clients send on their own, through the endpoint: the cheapest model, accounted apart."""

import json
from typing import Any

import pytest
from django.http import HttpResponse
from pytest_django.fixtures import Settings

from benchmarks.models import Response
from router.keys import agree_to_keeping
from router.models import GatewayRequest, RoutingDecision
from tests.router.background_prompts import TITLE
from tests.router.endpoint import COMMITTED, LIKE_CODE, Endpoint
from tests.router.gateway.test_surfaces import PATHS, ask, give_budget

pytestmark = [COMMITTED, pytest.mark.slow]


def ask_title(endpoint: Endpoint, path: str = PATHS[0], **fields: Any) -> HttpResponse:
    question = {"messages": [{"role": "user", "content": TITLE}]} if "chat" in path else {"prompt": TITLE}
    return ask(endpoint, path, **{**question, **fields})


@pytest.mark.parametrize("path", PATHS)
class TestEverySurface:
    @pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
    def test_sends_it_to_the_cheapest_and_says_so(self, endpoint: Endpoint, path: str, is_streamed: bool) -> None:
        response = ask_title(endpoint, path, stream=is_streamed)
        assert response.status_code == 200
        assert (response["X-GreenLLM-Model"], response["X-GreenLLM-Policy"]) == ("small", "background")
        assert (response["X-GreenLLM-Background"], response["X-GreenLLM-Route"]) == ("title", "auto")
        assert float(response["X-GreenLLM-Predicted-GCO2e"]) > 0
        assert "X-GreenLLM-Category" not in response
        request = GatewayRequest.objects.get()
        assert (request.background_task, request.state) == ("title", "answered")
        decision = request.decision
        assert (decision.reason, decision.neighbours, decision.category) == ("background", [], None)
        assert (decision.embedding_ms, decision.baseline) == (None, endpoint.federation.large)


class TestBackground:
    def test_is_told_in_the_body(self, endpoint: Endpoint) -> None:
        told = json.loads(ask_title(endpoint).content)["greenllm"]
        assert (told["background"], told["policy"]) == ("title", "background")
        assert told["reason"].startswith("A chat client sent this prompt on its own (title)")
        assert json.loads(endpoint.chat().content)["greenllm"]["background"] is None

    def test_leaves_a_person_alone(self, endpoint: Endpoint) -> None:
        response = endpoint.chat(LIKE_CODE)
        assert (response["X-GreenLLM-Model"], "X-GreenLLM-Background" in response) == ("large", False)
        assert GatewayRequest.objects.get().background_task == ""

    def test_of_a_named_model_stays_there_and_is_accounted_apart(self, endpoint: Endpoint) -> None:
        response = ask_title(endpoint, model="large")
        assert (response["X-GreenLLM-Model"], response["X-GreenLLM-Route"]) == ("large", "pinned")
        assert GatewayRequest.objects.get().background_task == "title"

    @pytest.mark.parametrize("model", ["auto:quality", "auto:green", "auto:latest"])
    def test_goes_to_the_cheapest_by_every_setting_of_the_dial(self, endpoint: Endpoint, model: str) -> None:
        assert ask_title(endpoint, model=model)["X-GreenLLM-Policy"] == "background"

    def test_follows_what_the_body_wants(self, endpoint: Endpoint) -> None:
        response = ask_title(endpoint, greenllm={"policy": "knn", "sci_price": 0})
        assert (response["X-GreenLLM-Policy"], response["X-GreenLLM-Background"]) == ("knn", "title")

    def test_follows_the_setting(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.BACKGROUND_PROMPTS = "routed"
        response = ask_title(endpoint)
        assert (response["X-GreenLLM-Policy"], response["X-GreenLLM-Background"]) == ("nearest", "title")

    def test_is_booked_on_the_budget_of_the_key(self, endpoint: Endpoint) -> None:
        give_budget(endpoint, 1.0)
        assert ask_title(endpoint)["X-GreenLLM-Budget"].startswith(ask_title(endpoint)["X-GreenLLM-Budget"][0])
        assert RoutingDecision.objects.count() == 2

    @pytest.mark.parametrize("setting", ["cheapest", "routed"])
    def test_is_never_kept_for_labels(self, endpoint: Endpoint, settings: Settings, setting: str) -> None:
        settings.KEEP_WITH_CONSENT, settings.BACKGROUND_PROMPTS = True, setting
        agree_to_keeping(key=endpoint.key, is_agreed=True)
        count = Response.objects.count()
        ask_title(endpoint, store=True)
        assert Response.objects.count() == count

    def test_is_counted_apart_on_the_key(self, endpoint: Endpoint) -> None:
        endpoint.chat()
        sent = [json.loads(ask_title(endpoint).content) for _ in range(2)]
        today = json.loads(endpoint.send("GET", "/v1/greenllm/key").content)["use"]["today"]
        assert (today["request_count"], today["background"]["request_count"]) == (1, 2)
        expected = sum(one["usage"]["gco2e"] for one in sent)
        assert today["background"]["predicted_gco2e"] == pytest.approx(expected)
