"""What the gateway does beyond one server that answers: fallback, limits, freshness, and what it leaves to Django."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from benchmarks.federating import retire
from benchmarks.inference.scripted import Fault, FaultKind, ScriptedModel, ScriptedOllama
from benchmarks.models import Deployment
from router.keys import revoke_key
from router.models import GatewayRequest, UpstreamAttempt
from tests import factories as make
from tests.benchmarks.inference.asking import eventually
from tests.browsing import served
from tests.router.endpoint import CHAT, COMMITTED, LIKE_MATH, Endpoint, OpenEndpoint, error_of

pytestmark = [COMMITTED, pytest.mark.slow]


def post(address: str, endpoint: Endpoint, **fields: Any) -> httpx.Response:
    body = {"model": "auto", "messages": [{"role": "user", "content": LIKE_MATH}], **fields}
    return httpx.post(address + CHAT, json=body, headers={"Authorization": f"Bearer {endpoint.secret}"}, timeout=10)


@pytest.fixture
def second() -> Iterator[ScriptedOllama]:
    with ScriptedOllama((ScriptedModel("large"),), answers={LIKE_MATH: "Five, says the other."}) as server:
        yield server


def move_large(server: ScriptedOllama) -> None:
    other = make.make_server(base_url=server.base_url)
    Deployment.objects.filter(language_model__name="large").update(server=other)


class TestFallback:
    @pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
    @pytest.mark.parametrize("status", [503, 429, 401])
    def test_asks_a_model_on_another_server(
        self, open_endpoint: OpenEndpoint, second: ScriptedOllama, is_streamed: bool, status: int
    ) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=status))
        move_large(second)
        response = endpoint.chat(stream=is_streamed)
        assert (response.status_code, response["X-GreenLLM-Model"]) == (200, "large")
        assert response["X-GreenLLM-Route"] == "fallback"
        assert b"other" in response.content
        attempts = list(UpstreamAttempt.objects.order_by("number").values_list("number", "outcome", "error_kind"))
        assert [(number, outcome) for number, outcome, _ in attempts] == [(1, "failed"), (2, "finished")]
        assert attempts[0][2]
        assert GatewayRequest.objects.get().state == "answered"

    def test_tells_what_the_model_that_answers_costs(self, open_endpoint: OpenEndpoint, second: ScriptedOllama) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=503))
        move_large(second)
        greenllm = json.loads(endpoint.chat().content)["greenllm"]
        [large] = [one for one in greenllm["candidates"] if one["model"] == "large"]
        assert (greenllm["model"], greenllm["predicted_sci_gco2e"]) == ("large", large["sci_gco2e"])

    def test_of_a_named_model_is_its_other_server(self, open_endpoint: OpenEndpoint, second: ScriptedOllama) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="large", status=503))
        large = endpoint.federation.large
        other = make.make_server(base_url=second.base_url)
        make.make_deployment("large", server=other, digest=large.language_model.digest)
        response = endpoint.chat(model="large")
        assert (response.status_code, response["X-GreenLLM-Route"]) == (200, "fallback")

    def test_is_none_once_an_answer_broke(self, open_endpoint: OpenEndpoint, second: ScriptedOllama) -> None:
        endpoint = open_endpoint(Fault(FaultKind.GARBAGE, model="small"))
        move_large(second)
        assert endpoint.chat().status_code == 502
        assert UpstreamAttempt.objects.count() == 1

    def test_ends_when_nobody_is_left(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=503))
        with ScriptedOllama((ScriptedModel("large"),), answers={}, faults=[Fault(FaultKind.STATUS)]) as away:
            move_large(away)
            assert endpoint.chat().status_code == 502
        assert UpstreamAttempt.objects.count() == 2
        assert GatewayRequest.objects.get().state == "failed"


class TestLimit:
    def test_of_a_server_is_429_with_a_time_to_come_again(
        self, open_endpoint: OpenEndpoint, settings: Settings
    ) -> None:
        settings.UPSTREAM_AT_ONCE, settings.UPSTREAM_WAITING = 1, 0
        endpoint = open_endpoint(Fault(FaultKind.STALL, model="small"))
        headers = {"Authorization": f"Bearer {endpoint.secret}"}
        body = {"model": "small", "stream": True, "messages": [{"role": "user", "content": LIKE_MATH}]}
        with ExitStack() as streams:
            address = streams.enter_context(served())
            lines = streams.enter_context(httpx.stream("POST", address + CHAT, json=body, headers=headers)).iter_lines()
            while "It" not in (line := next(lines)) and "Five" not in line:
                pass
            response = post(address, endpoint, model="small")
        connections.close_all()
        assert (response.status_code, response.headers["retry-after"]) == (429, "2")
        assert response.json()["error"]["code"] == "rate_limit_exceeded"

    def test_lets_a_failing_server_rest(self, open_endpoint: OpenEndpoint, address: str) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=503))
        answers = [post(address, endpoint, model="small") for _ in range(4)]
        assert [one.status_code for one in answers] == [502, 502, 502, 503]
        assert int(answers[3].headers["retry-after"]) >= 1
        assert UpstreamAttempt.objects.count() == 3


class TestFreshness:
    def test_of_a_key_is_under_a_second(self, endpoint: Endpoint, address: str) -> None:
        assert post(address, endpoint).status_code == 200
        revoke_key(key=endpoint.key, now=make.NOW)
        assert eventually(lambda: post(address, endpoint).status_code == 401, within_s=1.0)

    @pytest.mark.parametrize(("model", "expected"), [("small", 404), ("auto", 200)])
    def test_of_a_retirement_is_under_a_second(
        self, endpoint: Endpoint, address: str, model: str, expected: int
    ) -> None:
        assert post(address, endpoint, model=model).headers["x-greenllm-model"] == "small"
        retire(deployment=endpoint.federation.small, now=make.NOW)

        def is_known() -> bool:
            response = post(address, endpoint, model=model)
            return response.status_code == expected and response.headers.get("x-greenllm-model") != "small"

        assert eventually(is_known, within_s=1.0)


class TestHttp:
    def test_has_the_headers_that_guard_a_page(self, endpoint: Endpoint) -> None:
        for response in (endpoint.chat(), endpoint.chat(model="nobody")):
            assert response["X-Content-Type-Options"] == "nosniff"
            assert response["X-Frame-Options"] == "DENY"
            assert response["Referrer-Policy"] == "same-origin"
            assert "default-src 'none'" in response["Content-Security-Policy"]

    def test_refuses_a_host_that_is_not_ours(self, endpoint: Endpoint) -> None:
        response = endpoint.send("POST", CHAT, raw=b"{}", headers={"Host": "elsewhere.example"})
        assert response.status_code == 400
        assert "ALLOWED_HOSTS" in error_of(response)["message"]

    def test_sends_a_caller_without_https_there(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.SECURE_SSL_REDIRECT = True
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        plain = endpoint.send("POST", CHAT, raw=b"{}")
        assert (plain.status_code, plain["Location"]) == (301, f"https://127.0.0.1{CHAT}")
        secure = endpoint.send("POST", CHAT, raw=b"{}", headers={"X-Forwarded-Proto": "https"})
        assert secure.status_code == 400
        elsewhere = endpoint.send("POST", CHAT, raw=b"{}", headers={"Host": "elsewhere.example"})
        assert (elsewhere.status_code, "Location" in elsewhere) == (400, False)

    def test_leaves_every_other_address_to_django(self, endpoint: Endpoint) -> None:
        assert endpoint.send("GET", "/health").status_code == 200
        assert endpoint.send("GET", "/v1/models").status_code == 200
