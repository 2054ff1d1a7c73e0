"""What a key may be used for, as clients of both wires meet it."""

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from django.db import connections
from django.http import HttpResponse
from pytest_django.fixtures import Settings

from router.models import ApiKey, GatewayRequest, KeyDay, PolicyVersion, RoutingDecision
from tests.browsing import served
from tests.router.endpoint import EVERY_APP, LIKE_MATH, Endpoint, error_of
from tests.router.gateway.test_surfaces import PATHS, ask
from tests.router.standins import EMBEDDER_NAME

pytestmark = [EVERY_APP, pytest.mark.slow]
USER: Any = {"role": "user", "content": LIKE_MATH}


def give(endpoint: Endpoint, **terms: Any) -> None:
    ApiKey.objects.filter(pk=endpoint.key.pk).update(**terms)


def message_of(response: HttpResponse) -> str:
    error = json.loads(response.content)["error"]
    return str(error["message"] if isinstance(error, dict) else error)


def embed(endpoint: Endpoint, model: str = "auto") -> HttpResponse:
    return endpoint.send("POST", "/v1/embeddings", raw=json.dumps({"model": model, "input": "a text"}).encode())


def explain(endpoint: Endpoint) -> HttpResponse:
    return endpoint.send("POST", "/v1/greenllm/route", raw=json.dumps({"prompt": LIKE_MATH}).encode())


class TestRates:
    @pytest.mark.parametrize("path", PATHS)
    def test_refuse_on_every_surface_in_its_own_shape(self, endpoint: Endpoint, path: str) -> None:
        give(endpoint, requests_per_minute=1, tokens_per_minute=1000)
        answered, refused = ask(endpoint, path), ask(endpoint, path)
        assert (answered.status_code, refused.status_code) == (200, 429)
        assert answered["x-ratelimit-remaining-requests"] == refused["x-ratelimit-remaining-requests"] == "0"
        assert answered["x-ratelimit-limit-tokens"] == "1000"
        assert (refused["x-should-retry"], 58 <= int(refused["Retry-After"]) <= 60) == ("true", True)
        assert "1 requests a minute" in message_of(refused)
        assert "raise the limit" in message_of(refused)
        if path.startswith("/v1"):
            assert (error_of(refused)["type"], error_of(refused)["code"]) == ("rate_limit_error", "rate_limit_exceeded")
        else:
            assert set(json.loads(refused.content)) == {"error"}
        assert GatewayRequest.objects.count() == 1

    def test_are_told_with_a_stream_and_with_an_error(self, endpoint: Endpoint) -> None:
        give(endpoint, requests_per_minute=10)
        assert ask(endpoint, PATHS[0], stream=True)["x-ratelimit-remaining-requests"] == "9"
        failed = ask(endpoint, PATHS[0], model="nobody")
        assert (failed.status_code, failed["x-ratelimit-remaining-requests"]) == (404, "8")

    def test_count_what_the_answer_used(self, endpoint: Endpoint) -> None:
        give(endpoint, tokens_per_minute=1000)
        answer = ask(endpoint, PATHS[0], max_tokens=900)
        used = json.loads(answer.content)["usage"]["total_tokens"]
        told = json.loads(endpoint.send("GET", "/v1/greenllm/key").content)["limits"]
        assert int(answer["x-ratelimit-remaining-tokens"]) < 100  # what it might have used
        assert told["remaining_tokens"] >= 1000 - used
        assert told["remaining_requests"] is None

    def test_hold_for_embeddings_and_routes_too(self, endpoint: Endpoint) -> None:
        give(endpoint, requests_per_minute=2)
        assert [embed(endpoint)["x-ratelimit-remaining-requests"] for _ in range(2)] == ["1", "0"]
        assert (embed(endpoint).status_code, explain(endpoint).status_code) == (429, 429)

    def test_do_not_hold_for_what_only_reads(self, endpoint: Endpoint) -> None:
        give(endpoint, requests_per_minute=1)
        assert [endpoint.send("GET", "/v1/models").status_code for _ in range(3)] == [200] * 3

    def test_let_all_pass_while_valkey_is_away(self, endpoint: Endpoint, settings: Settings) -> None:
        give(endpoint, requests_per_minute=1)
        settings.REDIS_URL = "unix:///nowhere/valkey.sock"
        answers = [ask(endpoint, PATHS[0]) for _ in range(2)]
        assert [one.status_code for one in answers] == [200, 200]
        assert "x-ratelimit-limit-requests" not in answers[0]
        assert [embed(endpoint).status_code for _ in range(2)] == [200, 200]


class TestScopes:
    @pytest.mark.parametrize("path", PATHS)
    def test_close_what_they_do_not_open(self, endpoint: Endpoint, path: str) -> None:
        give(endpoint, scopes=["embed"])
        refused = ask(endpoint, path)
        assert (refused.status_code, "scopes embed" in message_of(refused)) == (403, True)
        assert (embed(endpoint).status_code, explain(endpoint).status_code) == (200, 403)
        give(endpoint, scopes=["generate", "route"])
        assert (ask(endpoint, path).status_code, embed(endpoint).status_code) == (200, 403)


class TestModels:
    def test_are_all_that_a_key_may_name(self, endpoint: Endpoint) -> None:
        give(endpoint, allowed_models=["small"])
        refused = ask(endpoint, PATHS[0], model="large")
        assert (refused.status_code, error_of(refused)["code"]) == (403, "model_not_allowed")
        assert ask(endpoint, PATHS[0], model="small").status_code == 200
        assert embed(endpoint, EMBEDDER_NAME).status_code == 403

    @pytest.mark.parametrize(
        ("policy", "first", "other"),
        [("nearest", "small", "large"), ("knn", "large", "small"), ("guarded", "large", "small")],
    )
    def test_are_all_that_auto_chooses_from(self, endpoint: Endpoint, policy: str, first: str, other: str) -> None:
        PolicyVersion.objects.create(policy=policy)
        assert ask(endpoint, PATHS[0])["X-GreenLLM-Model"] == first
        give(endpoint, allowed_models=[other, "nobody"])
        answer = ask(endpoint, "/api/chat")
        assert answer["X-GreenLLM-Model"] == other
        reasons = {one["model"]: one["reason"] for one in json.loads(answer.content)["greenllm"]["candidates"]}
        assert reasons[first] == "The key does not allow it."

    def test_that_are_not_active_leave_none(self, endpoint: Endpoint) -> None:
        give(endpoint, allowed_models=["nobody"])
        refused = ask(endpoint, PATHS[0])
        assert (refused.status_code, error_of(refused)["code"]) == (503, "no_model_available")
        assert "none of these is active" in message_of(refused)

    def test_are_all_that_is_listed(self, endpoint: Endpoint) -> None:
        give(endpoint, allowed_models=["small"])
        ids = [one["id"] for one in json.loads(endpoint.send("GET", "/v1/models").content)["data"]]
        assert ids == ["auto", "auto:green", "auto:quality", "small"]
        assert endpoint.send("GET", "/v1/models/large").status_code == 404
        names = [one["name"] for one in json.loads(endpoint.send("GET", "/api/tags").content)["models"]]
        assert "small" in " ".join(names)
        assert not any("large" in name for name in names)


class TestBudgets:
    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("model", ["auto", "large"])
    def test_spent_refuse_until_they_open_again(self, endpoint: Endpoint, path: str, model: str) -> None:
        give(endpoint, hard_gco2e_per_day=1e-9)
        answered, refused = ask(endpoint, path, model=model), ask(endpoint, path, model=model)
        assert answered["X-GreenLLM-Budget-Day"].endswith("00:00:00Z")
        assert (refused.status_code, refused["x-should-retry"]) == (429, "false")
        assert 0 < int(refused["Retry-After"]) <= 86_400
        assert "budget of the day is spent" in message_of(refused)
        assert "opens again at" in message_of(refused)
        if path.startswith("/v1"):
            assert (error_of(refused)["type"], error_of(refused)["code"]) == ("insufficient_quota",) * 2
        codes = list(GatewayRequest.objects.order_by("pk").values_list("state", "error_code"))
        assert codes == [("answered", ""), ("failed", "BudgetClosed")]
        assert (embed(endpoint).status_code, explain(endpoint).status_code) == (429, 429)

    def test_past_the_soft_limit_go_greener_and_say_so(self, endpoint: Endpoint) -> None:
        PolicyVersion.objects.create(policy="fixed", fallback=endpoint.federation.large)
        give(endpoint, soft_gco2e_per_month=1e-9, hard_gco2e_per_month=50.0)
        first, second = ask(endpoint, PATHS[0]), ask(endpoint, PATHS[0])
        assert [one["X-GreenLLM-Model"] for one in (first, second)] == ["large", "small"]
        assert "soft limit of 1e-09 passed" in second["X-GreenLLM-Budget-Month"]
        budget = json.loads(second.content)["greenllm"]["budget"]
        assert (budget["month"]["is_soft_limit_passed"], budget["limit_gco2e_per_hour"]) == (True, None)
        assert RoutingDecision.objects.order_by("-pk").values_list("reason", flat=True)[0] == "budget"
        assert KeyDay.objects.get().request_count == 2

    def test_are_told_by_the_key(self, endpoint: Endpoint) -> None:
        give(endpoint, hard_gco2e_per_day=50.0, scopes=["generate"], allowed_models=["small"], requests_per_minute=5)
        answer = ask(endpoint, PATHS[0])
        told = json.loads(endpoint.send("GET", "/v1/greenllm/key").content)
        expected = float(answer["X-GreenLLM-Predicted-GCO2e"])
        assert told["budget"]["day"]["spent_gco2e"] == pytest.approx(expected, rel=1e-5)
        assert (told["scopes"], told["models"]) == (["generate"], ["small"])
        assert told["limits"] == {
            "requests_per_minute": 5, "tokens_per_minute": None, "remaining_requests": 4, "remaining_tokens": None,
        }  # fmt: skip


class TestOpenAIPackage:
    @pytest.fixture
    def client(self, endpoint: Endpoint) -> Iterator[openai.OpenAI]:
        with (
            served() as address,
            openai.OpenAI(base_url=f"{address}/v1", api_key=endpoint.secret, timeout=20) as client,
        ):
            yield client
        connections.close_all()

    def test_raises_its_error_of_rates_with_the_headers(self, endpoint: Endpoint, client: openai.OpenAI) -> None:
        give(endpoint, requests_per_minute=1)
        raw = client.chat.completions.with_raw_response.create(model="auto", messages=[USER])
        assert raw.headers["x-ratelimit-limit-requests"] == "1"
        with pytest.raises(openai.RateLimitError) as refused:
            client.with_options(max_retries=0).chat.completions.create(model="auto", messages=[USER])
        assert refused.value.code == "rate_limit_exceeded"
        assert int(refused.value.response.headers["retry-after-ms"]) > 50_000
        assert refused.value.response.headers["x-ratelimit-reset-requests"].endswith(("s", "m0s"))

    def test_asks_again_once_the_rate_allows_it(self, endpoint: Endpoint, client: openai.OpenAI) -> None:
        give(endpoint, requests_per_minute=600)
        answers = [client.chat.completions.create(model="auto", messages=[USER]) for _ in range(3)]
        assert [one.choices[0].message.content for one in answers] == ["Five."] * 3

    def test_does_not_ask_again_where_a_budget_is_spent(self, endpoint: Endpoint, client: openai.OpenAI) -> None:
        give(endpoint, hard_gco2e_per_day=1e-9)
        client.chat.completions.create(model="auto", messages=[USER])
        with pytest.raises(openai.RateLimitError, match="opens again") as refused:
            client.chat.completions.create(model="auto", messages=[USER])
        assert refused.value.type == "insufficient_quota"
        assert GatewayRequest.objects.count() == 2  # its two retries were not spent
