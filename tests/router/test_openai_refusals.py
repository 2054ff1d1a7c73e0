import json
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from benchmarks.federating import retire
from benchmarks.inference.scripted import Fault, FaultKind
from benchmarks.models import Deployment, LanguageModel
from router.keys import revoke_key
from router.models import GatewayRequest, PromptIndex, UpstreamAttempt
from router.wire import MAX_BODY_BYTES
from tests import factories as make
from tests.router.endpoint import CHAT, COMMITTED, Endpoint, OpenEndpoint, error_of
from tests.router.standins import EMBEDDER_NAME

pytestmark = [COMMITTED, pytest.mark.slow]

LONG = "word " * 3000


class TestKey:
    @pytest.mark.parametrize(
        ("secret", "said"),
        [
            pytest.param(None, "An API key is needed", id="none"),
            pytest.param("gllm-wrong", "unknown or was revoked", id="wrong"),
            pytest.param(" ", "An API key is needed", id="blank"),
        ],
    )
    def test_is_needed_everywhere(self, endpoint: Endpoint, secret: str | None, said: str) -> None:
        for method, path in (("POST", CHAT), ("GET", "/v1/models"), ("GET", "/v1/models/auto"), ("GET", "/v1/nothing")):
            response = endpoint.send(method, path, secret=secret, raw=b"{}")
            error = error_of(response)
            assert (path, response.status_code, error["code"]) == (path, 401, "invalid_api_key")
            assert said in error["message"]

    def test_opens_nothing_once_revoked(self, endpoint: Endpoint) -> None:
        assert endpoint.send("GET", "/v1/models").status_code == 200
        revoke_key(key=endpoint.key, now=make.NOW)
        assert endpoint.send("GET", "/v1/models").status_code == 401

    def test_must_come_as_a_bearer(self, endpoint: Endpoint) -> None:
        basic = endpoint.send("GET", "/v1/models", secret=None, headers={"Authorization": f"Basic {endpoint.secret}"})
        lower = endpoint.send("GET", "/v1/models", secret=None, headers={"Authorization": f"bearer {endpoint.secret}"})
        assert (basic.status_code, lower.status_code) == (401, 200)

    def test_is_asked_for_before_the_body_is_read(self, endpoint: Endpoint) -> None:
        assert endpoint.send("POST", CHAT, secret=None, raw=b"{").status_code == 401


class TestAnonymousAccess:
    def test_is_for_reading_only_and_only_where_switched_on(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        assert endpoint.send("GET", "/v1/models", secret=None).status_code == 200
        assert endpoint.send("POST", CHAT, secret=None, raw=b"{}").status_code == 401
        settings.ANONYMOUS_ACCESS = "off"
        assert endpoint.send("GET", "/v1/models", secret=None).status_code == 401

    def test_is_never_for_a_forwarded_caller(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
            response = endpoint.send("GET", "/v1/models", secret=None, headers={name: "127.0.0.1"})
            assert (name, response.status_code) == (name, 401)

    def test_does_not_save_a_wrong_key(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        assert endpoint.send("GET", "/v1/models", secret="gllm-wrong").status_code == 401


class TestRefusal:
    def test_of_a_url_has_openais_shape(self, endpoint: Endpoint) -> None:
        for method, path, status, code in (
            ("GET", CHAT, 405, None),
            ("POST", "/v1/models", 405, None),
            ("GET", "/v1/nothing", 404, "unknown_url"),
            ("POST", "/v1/responses", 404, "unknown_url"),
            ("DELETE", "/v1/", 404, "unknown_url"),
            ("GET", "/v1/models/nobody", 404, "model_not_found"),
        ):
            response = endpoint.send(method, path)
            error = error_of(response)
            found = (method, path, response.status_code, error["code"], error["type"])
            assert found == (method, path, status, code, "invalid_request_error")

    def test_of_a_method_names_the_right_one(self, endpoint: Endpoint) -> None:
        assert endpoint.send("GET", CHAT).headers["Allow"] == "POST"

    @pytest.mark.parametrize(
        ("fields", "param", "code"),
        [
            pytest.param({"text": " "}, "messages", None, id="empty prompt"),
            pytest.param({"model": "a\x00"}, "model", None, id="NUL in the model"),
            pytest.param({"stream": "yes"}, "stream", None, id="stream"),
            pytest.param({"text": LONG}, "messages", "context_length_exceeded", id="too long to embed"),
            pytest.param(
                {"text": LONG, "model": "large"},
                "messages",
                "context_length_exceeded",
                id="too long to answer",
            ),
        ],
    )
    def test_of_a_request_names_the_field(
        self, endpoint: Endpoint, fields: dict[str, Any], param: str, code: str | None
    ) -> None:
        response = endpoint.chat(**fields)
        error = error_of(response)
        assert (response.status_code, error["param"], error["code"]) == (400, param, code)

    @pytest.mark.parametrize(
        ("path", "fields", "param"),
        [
            pytest.param("/v1/completions", {"model": "large", "prompt": LONG}, "prompt", id="completion"),
            pytest.param("/v1/completions", {"model": "auto", "prompt": LONG}, "prompt", id="completion to route"),
            pytest.param("/v1/embeddings", {"model": "auto", "input": LONG}, "input", id="embedding"),
            pytest.param("/v1/greenllm/route", {"prompt": LONG}, "prompt", id="route of a prompt"),
            pytest.param(
                "/v1/greenllm/route",
                {"messages": [{"role": "user", "content": LONG}]},
                "messages",
                id="route of a chat",
            ),
        ],
    )
    def test_of_a_long_prompt_names_the_field_of_its_address(
        self, endpoint: Endpoint, path: str, fields: dict[str, Any], param: str
    ) -> None:
        LanguageModel.objects.filter(purpose="chat").update(context_length=100)  # else no route is too long
        response = endpoint.send("POST", path, raw=json.dumps(fields).encode())
        error = error_of(response)
        assert (response.status_code, error["param"], error["code"]) == (400, param, "context_length_exceeded")

    def test_of_a_body_that_is_too_large(self, endpoint: Endpoint) -> None:
        response = endpoint.send("POST", CHAT, raw=b" " * (MAX_BODY_BYTES + 1))
        assert response.status_code == 413
        assert str(MAX_BODY_BYTES) in error_of(response)["message"]

    def test_of_an_unknown_model_lists_what_there_is(self, endpoint: Endpoint) -> None:
        response = endpoint.chat(model="nobody")
        error = error_of(response)
        assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
        assert "It has: large, small." in error["message"]

    def test_of_a_retired_model_says_so(self, endpoint: Endpoint) -> None:
        retire(deployment=endpoint.federation.small, now=make.NOW)
        response = endpoint.chat(model="small")
        assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")
        assert "'small' was retired" in error_of(response)["message"]

    def test_without_an_index_tells_the_remedy(self, endpoint: Endpoint) -> None:
        PromptIndex.objects.update(state=PromptIndex.State.REPLACED)
        response = endpoint.chat()
        error = error_of(response)
        assert (response.status_code, error["type"], error["code"]) == (503, "server_error", "no_model_available")
        assert "manage.py build_index" in error["message"]
        assert endpoint.chat(model="large").status_code == 200

    def test_without_an_embedder_is_not_the_named_models_fault(self, endpoint: Endpoint) -> None:
        Deployment.objects.filter(language_model__name=EMBEDDER_NAME).update(state="retired")
        response = endpoint.chat()
        error = error_of(response)
        assert (response.status_code, error["code"]) == (503, "no_model_available")
        assert f"manage.py add_model {EMBEDDER_NAME}" in error["message"]
        assert endpoint.chat(model="large").status_code == 200

    def test_with_every_model_retired(self, endpoint: Endpoint) -> None:
        for deployment in (endpoint.federation.small, endpoint.federation.large):
            retire(deployment=deployment, now=make.NOW)
        response = endpoint.chat()
        assert (response.status_code, error_of(response)["code"]) == (503, "no_model_available")


class TestUpstreamFailure:
    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(Fault(FaultKind.GARBAGE, model="small"), id="garbage"),
            pytest.param(Fault(FaultKind.CUT, model="small"), id="cut"),
            pytest.param(Fault(FaultKind.NO_FINAL_LINE, model="small"), id="no end"),
            pytest.param(Fault(FaultKind.ERROR_LINE, model="small", message="out of memory"), id="error line"),
            pytest.param(Fault(FaultKind.STATUS, model="small", status=500, message="broken \x00"), id="500"),
        ],
    )
    def test_is_a_502_and_kept_on_the_row(self, open_endpoint: OpenEndpoint, fault: Fault) -> None:
        response = open_endpoint(fault).chat()
        error = error_of(response)
        assert (response.status_code, error["type"], error["code"]) == (502, "server_error", "upstream_error")
        request = GatewayRequest.objects.get()
        assert request.state == "failed"
        assert request.error
        assert all(attempt.outcome == "failed" and attempt.error for attempt in request.attempts.all())
        assert request.attempts.count() == 1

    def test_of_a_server_that_is_away(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint()
        endpoint.federation.server.base_url = "http://127.0.0.1:1"
        endpoint.federation.server.save()
        response = endpoint.chat(model="large")
        assert (response.status_code, error_of(response)["code"]) == (502, "upstream_error")
        assert "x-should-retry" not in response
        assert UpstreamAttempt.objects.get().error_kind == "ServerUnreachable"

    def test_of_a_model_that_is_gone_is_not_worth_a_retry(self, endpoint: Endpoint) -> None:
        model = endpoint.federation.large.language_model
        model.name = "vanished"
        model.save()
        response = endpoint.chat(model="vanished")
        assert (response.status_code, response["x-should-retry"]) == (502, "false")

    def test_that_stays_is_the_callers_400(self, open_endpoint: OpenEndpoint) -> None:
        response = open_endpoint(Fault(FaultKind.STATUS, model="small", status=400, message="no such thing")).chat()
        assert (response.status_code, error_of(response)["code"]) == (400, "request_refused")

    def test_to_think_of_something_tells_nothing_of_the_inside(
        self, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def stumble(_body: bytes) -> None:
            raise RuntimeError("a secret of the inside")

        monkeypatch.setattr("router.wires.openai.parse_chat_request", stumble)
        response = endpoint.chat()
        assert (response.status_code, error_of(response)["code"]) == (500, "internal")
        assert b"secret" not in response.content
        assert "a secret of the inside" in caplog.text
