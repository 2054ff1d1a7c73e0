"""What the addresses that generate have in common: fallback, limits, the budget of a key, the length of a request."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.db import connections
from django.http import HttpResponse
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedModel, ScriptedOllama
from benchmarks.models import Deployment
from router.gateway.application import SURFACES
from router.models import GatewayRequest, KeyHour, PolicyVersion, RoutingDecision, UpstreamAttempt
from tests import factories as make
from tests.benchmarks.inference.asking import eventually
from tests.browsing import served
from tests.router.endpoint import COMMITTED, LIKE_MATH, Endpoint, OpenEndpoint

pytestmark = [COMMITTED, pytest.mark.slow]

PATHS = ["/v1/chat/completions", "/v1/completions", "/api/chat", "/api/generate"]
OF_ERRORS = {"/v1": "application/json", "/api": "application/json; charset=utf-8"}


def ask(
    endpoint: Endpoint,
    path: str,
    *,
    secret: str | None = "",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> HttpResponse:
    question = {"messages": [{"role": "user", "content": LIKE_MATH}]} if "chat" in path else {"prompt": LIKE_MATH}
    body = {"model": "auto", "stream": False, **question, **fields}
    return endpoint.send("POST", path, secret=secret, raw=json.dumps(body).encode(), headers=headers)


def error_type(path: str) -> str:
    return OF_ERRORS["/v1" if path.startswith("/v1") else "/api"]


@pytest.fixture
def second() -> Iterator[ScriptedOllama]:
    with ScriptedOllama((ScriptedModel("large"),), answers={LIKE_MATH: "Five, says the other."}) as server:
        yield server


def move_large(server: ScriptedOllama) -> None:
    Deployment.objects.filter(language_model__name="large").update(server=make.make_server(base_url=server.base_url))


def give_budget(endpoint: Endpoint, gco2e_per_hour: float) -> None:
    endpoint.key.budget_gco2e_per_hour = gco2e_per_hour
    endpoint.key.save()


def test_every_address_that_generates_has_a_surface() -> None:
    assert sorted(SURFACES) == sorted(PATHS)


@pytest.mark.parametrize("path", PATHS)
class TestEverySurface:
    @pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
    def test_falls_back_to_another_server(
        self, open_endpoint: OpenEndpoint, second: ScriptedOllama, path: str, is_streamed: bool
    ) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=503))
        move_large(second)
        response = ask(endpoint, path, stream=is_streamed)
        assert (response.status_code, response["X-GreenLLM-Route"]) == (200, "fallback")
        assert b"other" in response.content
        assert [one.outcome for one in UpstreamAttempt.objects.order_by("number")] == ["failed", "finished"]
        assert GatewayRequest.objects.get().surface == ("openai" if path.startswith("/v1") else "ollama")

    def test_tells_an_error_in_its_own_shape(self, endpoint: Endpoint, path: str) -> None:
        response = ask(endpoint, path, model="nobody")
        assert (response.status_code, response["Content-Type"]) == (404, error_type(path))
        assert GatewayRequest.objects.get().error_code == "UnknownModel"

    @pytest.mark.parametrize("model", ["small", "nobody"])
    def test_tells_clients_of_openai_how_long_it_took(self, endpoint: Endpoint, path: str, model: str) -> None:
        response = ask(endpoint, path, model=model)
        assert response.has_header("openai-processing-ms") == path.startswith("/v1")
        assert int(response.headers.get("openai-processing-ms", "0")) >= 0

    def test_refuses_too_many_requests(self, endpoint: Endpoint, settings: Settings, path: str) -> None:
        settings.UPSTREAM_AT_ONCE, settings.UPSTREAM_WAITING = 0, 0  # as if the server had all that it may have
        refused = ask(endpoint, path)
        assert (refused.status_code, refused["Retry-After"]) == (429, "2")
        assert refused["Content-Type"] == error_type(path)

    def test_leaves_our_part_out_where_the_caller_wants_none(self, endpoint: Endpoint, path: str) -> None:
        assert "greenllm" in json.loads(ask(endpoint, path).content)
        short = ask(endpoint, path, headers={"X-GreenLLM-Metadata": "off"})
        assert "greenllm" not in json.loads(short.content)
        wrong = ask(endpoint, path, headers={"X-GreenLLM-Metadata": "some"})
        assert (wrong.status_code, b"X-GreenLLM-Metadata" in wrong.content) == (400, True)

    @pytest.mark.parametrize("model", ["auto", "large"])
    def test_books_on_the_budget_of_the_key(self, endpoint: Endpoint, path: str, model: str) -> None:
        give_budget(endpoint, 1.0)
        response = ask(endpoint, path, model=model)
        hour = KeyHour.objects.get()
        assert (hour.request_count, hour.spent_gco2e > 0) == (1, True)
        assert response["X-GreenLLM-Budget"] == f"{hour.spent_gco2e:.6g}/1 gCO2e"
        assert json.loads(response.content)["greenllm"]["budget"]["spent_gco2e"] == pytest.approx(hour.spent_gco2e)


class TestKeptTexts:
    @pytest.mark.parametrize("is_kept", [False, True], ids=["not kept", "kept"])
    def test_of_an_answer_that_broke_off_are_what_came(
        self, open_endpoint: OpenEndpoint, settings: Settings, is_kept: bool
    ) -> None:
        settings.KEEP_PROMPT_TEXT = is_kept
        endpoint = open_endpoint(Fault(FaultKind.CUT, model="small"), answers={LIKE_MATH: "It is five."})
        assert ask(endpoint, "/api/chat").status_code == 502
        attempt, request = UpstreamAttempt.objects.get(), GatewayRequest.objects.get()
        assert (attempt.answer_text != "", attempt.outcome) == (is_kept, "failed")
        assert "It is five.".startswith(attempt.answer_text)
        assert request.prompt_text == (LIKE_MATH if is_kept else "")

    def test_of_a_whole_answer_are_all_of_it(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.KEEP_PROMPT_TEXT = True
        assert ask(endpoint, "/v1/completions", stream=True).status_code == 200
        assert UpstreamAttempt.objects.get().answer_text == "Five."


class TestSettling:
    def test_books_what_took_over_and_not_what_was_chosen(
        self, open_endpoint: OpenEndpoint, second: ScriptedOllama
    ) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=503))
        give_budget(endpoint, 1.0)
        move_large(second)
        greenllm = json.loads(ask(endpoint, "/api/chat").content)["greenllm"]
        [small, large] = sorted(greenllm["candidates"], key=lambda one: one["model"], reverse=True)
        hour = KeyHour.objects.get()
        assert small["sci_gco2e"] < large["sci_gco2e"]
        assert (hour.request_count, hour.spent_gco2e) == (1, pytest.approx(large["sci_gco2e"]))


class TestAnonymous:
    @pytest.mark.parametrize(
        ("path", "headers", "expected"),
        [
            pytest.param("/api/chat", {}, 200, id="an Ollama client"),
            pytest.param("/api/generate", {}, 200, id="an Ollama client that generates"),
            pytest.param("/v1/chat/completions", {}, 401, id="an OpenAI client"),
            pytest.param("/v1/completions", {}, 401, id="an OpenAI client that completes"),
            pytest.param("/api/chat", {"Origin": "http://elsewhere.test"}, 401, id="a page of another site"),
            pytest.param("/api/generate", {"sec-fetch-site": "cross-site"}, 401, id="a browser"),
            pytest.param("/api/chat", {"X-Forwarded-For": "192.0.2.1"}, 401, id="a proxy"),
        ],
    )
    def test_is_answered_on_this_machine_where_switched_on(
        self, endpoint: Endpoint, settings: Settings, path: str, headers: dict[str, str], expected: int
    ) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        assert ask(endpoint, path, secret=None, headers=headers).status_code == expected
        keys = list(GatewayRequest.objects.values_list("surface", "api_key"))
        assert keys == ([("ollama", None)] if expected == 200 else [])

    def test_is_refused_where_it_is_off(self, endpoint: Endpoint) -> None:
        assert ask(endpoint, "/api/chat", secret=None).status_code == 401


class TestBudget:
    def test_that_is_spent_chooses_the_cheapest(self, endpoint: Endpoint) -> None:
        PolicyVersion.objects.create(policy="fixed", fallback=endpoint.federation.large)
        give_budget(endpoint, 1e-9)
        chosen = [ask(endpoint, "/api/chat")["X-GreenLLM-Model"] for _ in range(2)]
        assert chosen == ["large", "small"]
        assert RoutingDecision.objects.order_by("-pk").values_list("reason", flat=True)[0] == "budget"


class TestLength:
    @pytest.fixture
    def limited(self, open_endpoint: OpenEndpoint, second: ScriptedOllama) -> Endpoint:
        """The small model is in trouble; the large one, on another server, has a context of 4,096 tokens."""
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=503))
        move_large(second)
        large = endpoint.federation.large.language_model
        large.context_length = 4096
        large.save()
        return endpoint

    def test_of_a_model_that_cannot_hold_the_request_lets_none_take_over(self, limited: Endpoint) -> None:
        assert ask(limited, "/v1/completions", max_tokens=5000).status_code == 502
        assert UpstreamAttempt.objects.count() == 1

    def test_of_one_that_can_lets_it_take_over(self, limited: Endpoint) -> None:
        assert ask(limited, "/v1/completions", max_tokens=50)["X-GreenLLM-Model"] == "large"

    @pytest.mark.parametrize("limit", [0, -1, -2])
    def test_takes_the_words_of_ollama_for_no_limit(self, endpoint: Endpoint, limit: int) -> None:
        assert ask(endpoint, "/api/chat", options={"num_predict": limit}).status_code == 200
        [asked] = [one.body for one in endpoint.server.requests if one.body.get("messages")]
        assert "num_predict" not in asked.get("options", {})

    def test_refuses_what_no_model_can_hold(self, endpoint: Endpoint) -> None:
        response = ask(endpoint, "/api/chat", options={"num_ctx": 10, "num_predict": 100})
        assert (response.status_code, b"no active model can hold it" in response.content) == (400, True)
        assert GatewayRequest.objects.get().error_code == "PromptTooLong"


class TestLoading:
    def test_of_a_server_that_fails_lets_it_rest(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=503))
        headers = {"Authorization": f"Bearer {endpoint.secret}"}
        with served() as address:
            statuses = [
                httpx.post(f"{address}/api/generate", json={"model": "small"}, headers=headers, timeout=10).status_code
                for _ in range(4)
            ]
        connections.close_all()
        assert statuses == [502, 502, 502, 503]
        assert not GatewayRequest.objects.exists()

    def test_ends_when_the_client_leaves(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint(Fault(FaultKind.HANG, model="small"))
        headers = {"Authorization": f"Bearer {endpoint.secret}"}
        with served() as address:
            with pytest.raises(httpx.ReadTimeout):
                httpx.post(f"{address}/api/generate", json={"model": "small"}, headers=headers, timeout=2.0)
            assert eventually(lambda: endpoint.server.cancelled_count == 1)
        connections.close_all()
