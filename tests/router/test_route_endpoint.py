"""POST /v1/greenllm/route, from outside."""

import json
from typing import Any

import pytest
from django.http import HttpResponse

from benchmarks.inference.scripted import Fault, FaultKind
from greenllm.roles import Role, grant_role
from router.keys import revoke_key
from router.models import GatewayRequest, PromptIndex, RoutingDecision
from tests import factories as make
from tests.router.endpoint import LIKE_CODE, LIKE_MATH, Endpoint, OpenEndpoint, error_of

# permissions need every app, so that every table is emptied after a test
pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
ROUTE = "/v1/greenllm/route"


def ask(endpoint: Endpoint, *, secret: str | None = "", **record: Any) -> HttpResponse:
    return endpoint.send("POST", ROUTE, secret=secret, raw=json.dumps(record).encode())


class TestRoute:
    def test_explains_and_generates_nothing(self, endpoint: Endpoint) -> None:
        response = ask(endpoint, prompt=LIKE_MATH, model="auto")
        said = json.loads(response.content)
        assert (response.status_code, said["choice"], said["category"]) == (200, "small", "math")
        assert [one["model"] for one in said["candidates"] if not one["is_chosen"]] == ["large"]
        assert all(one["reason"] for one in said["candidates"])
        assert said["baseline"]["model"] == "large"
        strong, cheap = said["baseline"]["sci_gco2e"], said["predicted_sci_gco2e"]
        assert said["baseline"]["saved_gco2e"] == pytest.approx(strong - cheap)
        assert said["baseline"]["saved_percent"] == pytest.approx(100 * (1 - cheap / strong), abs=0.01)
        assert [one["is_correct"] for one in said["neighbours"][1]["answers"]] == [True, False]
        # the list tells, once a minute, whether the weights are the same
        assert [sent.path for sent in endpoint.server.requests if sent.path != "/api/tags"] == ["/api/embed"]

    def test_keeps_the_decision_and_the_use_of_the_key_but_no_request(self, endpoint: Endpoint) -> None:
        said = json.loads(ask(endpoint, prompt=LIKE_MATH).content)
        decision = RoutingDecision.objects.get()
        assert (decision.pk, decision.request, decision.baseline) == (
            said["decision_id"], None, endpoint.federation.large,
        )  # fmt: skip
        assert not GatewayRequest.objects.exists()
        endpoint.key.refresh_from_db()
        assert endpoint.key.latest_used_at is not None

    def test_takes_the_last_message_of_the_user(self, endpoint: Endpoint) -> None:
        messages = [{"role": "user", "content": LIKE_MATH}, {"role": "user", "content": LIKE_CODE}]
        said = json.loads(ask(endpoint, messages=messages, model="auto:latest").content)
        assert (said["choice"], said["category"]) == ("large", "code")

    def test_of_the_key_of_one_who_judges_blind_tells_no_results(self, endpoint: Endpoint) -> None:
        grant_role(user=endpoint.key.owner, role=Role.ANNOTATOR)
        said = json.loads(ask(endpoint, prompt=LIKE_MATH).content)
        assert (said["is_withheld"], said["candidates"], said["neighbours"], said["baseline"]) == (True, [], [], None)
        assert said["choice"] == "small"
        grant_role(user=endpoint.key.owner, role=Role.RESEARCHER)
        assert not json.loads(ask(endpoint, prompt=LIKE_MATH).content)["is_withheld"]


class TestRefusals:
    @pytest.mark.parametrize("secret", [None, "gllm-unknown"])
    def test_of_a_stranger(self, endpoint: Endpoint, secret: str | None) -> None:
        response = ask(endpoint, secret=secret, prompt=LIKE_MATH)
        assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")
        assert not RoutingDecision.objects.exists()

    def test_of_a_revoked_key(self, endpoint: Endpoint) -> None:
        revoke_key(key=endpoint.key, now=make.NOW)
        response = ask(endpoint, prompt=LIKE_MATH)
        assert (response.status_code, error_of(response)["code"]) == (401, "invalid_api_key")

    @pytest.mark.parametrize(
        ("record", "param"),
        [
            ({}, "prompt"),
            ({"prompt": "  "}, "prompt"),
            ({"prompt": 3}, "prompt"),
            ({"prompt": "a", "messages": []}, "prompt"),
            ({"messages": []}, "messages"),
            ({"messages": [{"role": "judge", "content": "a"}]}, "messages[0].role"),
            ({"prompt": "a", "model": "large"}, "model"),
            ({"prompt": "a", "model": ""}, "model"),
        ],
    )
    def test_name_the_field(self, endpoint: Endpoint, record: dict[str, Any], param: str) -> None:
        response = ask(endpoint, **record)
        error = error_of(response)
        assert (response.status_code, error["param"], error["type"]) == (400, param, "invalid_request_error")
        assert not RoutingDecision.objects.exists()

    @pytest.mark.parametrize("raw", [b"", b"not json", b"[]"])
    def test_of_a_body_that_is_no_object(self, endpoint: Endpoint, raw: bytes) -> None:
        response = endpoint.send("POST", ROUTE, raw=raw)
        assert (response.status_code, error_of(response)["param"]) == (400, None)

    def test_of_another_method(self, endpoint: Endpoint) -> None:
        response = endpoint.send("GET", ROUTE)
        assert (response.status_code, response["Allow"]) == (405, "POST")
        error_of(response)

    def test_without_an_index(self, endpoint: Endpoint) -> None:
        PromptIndex.objects.update(state=PromptIndex.State.REPLACED)
        response = ask(endpoint, prompt=LIKE_MATH)
        assert (response.status_code, error_of(response)["code"]) == (503, "no_model_available")

    def test_where_the_embedder_fails(self, open_endpoint: OpenEndpoint) -> None:
        response = ask(open_endpoint(Fault(FaultKind.STATUS, model="all-minilm")), prompt=LIKE_MATH)
        assert (response.status_code, json.loads(response.content)["choice"]) == (200, "large")
        assert RoutingDecision.objects.get().reason == "degraded"
