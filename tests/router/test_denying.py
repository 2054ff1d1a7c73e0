"""What is counted of requests that are not let in, and of those that generate nothing, on both wires."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from prometheus_client import generate_latest

from router import metrics
from router.denying import reason_of
from router.models import ApiKey, GatewayRequest, KeyDenial
from router.terms import Denial
from router.wires.fields import WireError
from tests.router.endpoint import COMMITTED, LIKE_MATH, Endpoint
from tests.router.standins import EMBEDDER_NAME
from tests.scraping import Counted

CHAT, ROUTE = "/v1/chat/completions", "/v1/greenllm/route"
EMBEDDINGS = ["/v1/embeddings", "/api/embed", "/api/embeddings"]
QUESTIONS: dict[str, dict[str, Any]] = {
    CHAT: {"messages": [{"role": "user", "content": LIKE_MATH}]},
    "/api/generate": {"prompt": LIKE_MATH, "stream": False},
    **{path: {"input": "a text"} for path in EMBEDDINGS[:2]},
    EMBEDDINGS[2]: {"prompt": "a text"},
    ROUTE: {"prompt": LIKE_MATH},
}


@pytest.fixture
def counted() -> Counted:
    return Counted(lambda: generate_latest(metrics.REGISTRY).decode())


def ask(endpoint: Endpoint, path: str, *, secret: str | None = "", model: str = "auto") -> int:
    raw = json.dumps({"model": model, **QUESTIONS[path]}).encode()
    return endpoint.send("POST", path, secret=secret, raw=raw).status_code


def give(endpoint: Endpoint, **terms: Any) -> None:
    ApiKey.objects.filter(pk=endpoint.key.pk).update(**terms)


def surface_of(path: str) -> str:
    return "openai" if path.startswith("/v1") else "ollama"


def test_an_error_of_another_kind_denies_nothing() -> None:
    assert reason_of(WireError("no such model", status=404, code="model_not_found")) is None
    assert reason_of(RuntimeError("a fault")) is None


@COMMITTED
@pytest.mark.slow
@pytest.mark.parametrize("path", QUESTIONS)
class TestDenied:
    def test_is_counted_by_its_reason_and_its_key(self, endpoint: Endpoint, counted: Counted, path: str) -> None:
        surface, key = surface_of(path), {"key": "test", "prefix": endpoint.key.prefix}
        assert [ask(endpoint, path, secret=secret) for secret in (None, "gllm-unknown")] == [401, 401]
        assert counted("greenllm_denied_total", surface=surface, reason="key") == 2
        assert counted("greenllm_key_denied_total") == 0  # nobody's
        give(endpoint, scopes=["nothing"])
        assert ask(endpoint, path) == 403
        give(endpoint, scopes=[], requests_per_minute=1)
        assert [ask(endpoint, path) for _ in range(2)] == [200, 429]
        grown = counted.now()
        for reason, status in ((Denial.SCOPE, "403"), (Denial.RATE, "429")):
            assert grown("greenllm_denied_total", surface=surface, reason=reason) == 1
            assert grown("greenllm_key_denied_total", **key, reason=reason) == 1
            assert grown("greenllm_error_replies_total", surface=surface, status=status) == 1
        denied = KeyDenial.objects.filter(api_key=endpoint.key).order_by("reason")
        assert list(denied.values_list("reason", "count")) == [("rate", 1), ("scope", 1)]

    def test_by_a_budget_is_counted_once(self, endpoint: Endpoint, counted: Counted, path: str) -> None:
        give(endpoint, hard_gco2e_per_day=1e-9)
        assert [ask(endpoint, CHAT), ask(endpoint, path)] == [200, 429]
        assert counted("greenllm_denied_total") == counted("greenllm_key_denied_total", reason="budget") == 1
        by_row = GatewayRequest.objects.filter(error_code="BudgetClosed").count()
        assert by_row + sum(KeyDenial.objects.values_list("count", flat=True)) == 1
        told = json.loads(endpoint.send("GET", "/v1/greenllm/key").content)["use"]["today"]
        assert told["denied"] == {"scope": 0, "model": 0, "rate": 0, "budget": 1}


@COMMITTED
@pytest.mark.slow
class TestWithoutAnAnswer:
    @pytest.mark.parametrize("path", EMBEDDINGS)
    def test_embedding_counts_as_a_request_with_its_tokens(
        self, endpoint: Endpoint, counted: Counted, path: str
    ) -> None:
        assert ask(endpoint, path) == 200
        grown = counted.now()
        assert grown.labels("greenllm_requests_total") == [
            {
                "scope": "embed", "surface": surface_of(path), "state": "answered", "model": EMBEDDER_NAME,
                "background": "",
            }
        ]  # fmt: skip
        assert grown("greenllm_key_requests_total", key="test", scope="embed", state="answered") == 1
        tokens = grown("greenllm_tokens_total", model=EMBEDDER_NAME, kind="prompt")
        assert tokens == grown("greenllm_key_tokens_total", key="test", kind="prompt") > 0
        assert grown("greenllm_predicted_gco2e_count") == grown("greenllm_decision_seconds_count") == 0

    def test_embedding_with_an_unknown_model_failed(self, endpoint: Endpoint, counted: Counted) -> None:
        assert ask(endpoint, "/api/embed", model="nobody-knows-this") == 404
        assert counted("greenllm_requests_total", scope="embed", state="failed", model="") == 1

    def test_route_counts_with_the_parts_of_its_decision(self, endpoint: Endpoint, counted: Counted) -> None:
        assert ask(endpoint, ROUTE) == 200
        grown = counted.now()
        assert grown.labels("greenllm_requests_total") == [
            {"scope": "route", "surface": "openai", "state": "answered", "model": "small", "background": ""}
        ]
        assert grown("greenllm_key_requests_total", key="test", scope="route", state="answered") == 1
        assert grown("greenllm_decision_seconds_count") == 3
        assert grown("greenllm_tokens_total") == grown("greenllm_predicted_gco2e_count") == 0


@COMMITTED
@pytest.mark.slow
class TestAtOnce:
    def test_all_who_come_with_one_wrong_key_are_counted(
        self, endpoint: Endpoint, address: str, counted: Counted
    ) -> None:
        async def ask_together() -> list[int]:
            async with httpx.AsyncClient(headers={"Authorization": "Bearer gllm-unknown"}, timeout=20) as client:
                asked = (client.post(address + CHAT, json={"model": "auto", **QUESTIONS[CHAT]}) for _ in range(8))
                return [response.status_code for response in await asyncio.gather(*asked)]

        assert asyncio.run(ask_together()) == [401] * 8
        assert counted("greenllm_denied_total", surface="openai", reason="key") == 8
