import json

import psycopg
import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from benchmarks.federating import retire
from benchmarks.inference.scripted import ScriptedAnswer
from benchmarks.models import Prompt
from router.models import ApiKey, GatewayRequest, PolicyVersion, RoutingDecision, UpstreamAttempt
from router.wire import MAX_BODY_BYTES
from tests import factories as make
from tests.router.endpoint import CHAT, COMMITTED, LIKE_CODE, LIKE_MATH, Endpoint, OpenEndpoint, error_of

pytestmark = [COMMITTED, pytest.mark.slow]
AUTO = ("auto", "auto:green", "auto:quality")


class TestChatCompletions:
    @pytest.mark.parametrize("model", ["auto", "auto:latest"])
    def test_of_auto_answers_by_the_model_that_the_decision_names(self, endpoint: Endpoint, model: str) -> None:
        response = endpoint.chat(model=model)
        body = json.loads(response.content)
        assert (response.status_code, body["model"]) == (200, "small")
        assert body["choices"][0]["message"]["content"] == "Five."
        assert RoutingDecision.objects.get().chosen == endpoint.federation.small

    def test_of_auto_takes_another_model_for_another_kind_of_prompt(self, endpoint: Endpoint) -> None:
        assert json.loads(endpoint.chat(LIKE_CODE).content)["model"] == "large"

    @pytest.mark.parametrize("model", ["large", "large:latest"])
    def test_of_a_name_answers_by_that_model(self, endpoint: Endpoint, model: str) -> None:
        response = endpoint.chat(model=model)
        assert (response.status_code, json.loads(response.content)["model"]) == (200, "large")
        assert response["X-GreenLLM-Route"] == "pinned"
        assert "X-GreenLLM-Distance" not in response

    def test_has_what_clients_read(self, endpoint: Endpoint) -> None:
        body = json.loads(endpoint.chat().content)
        request = GatewayRequest.objects.get()
        assert (body["id"], body["object"]) == (f"chatcmpl-{request.public_id.removeprefix('req_')}", "chat.completion")
        assert body["created"] == int(request.started_at.timestamp())
        assert body["choices"][0]["finish_reason"] == "stop"
        gco2e = body["greenllm"]["predicted_sci_gco2e"]
        assert body["usage"] == {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6, "gco2e": gco2e}

    def test_says_the_choice_in_headers(self, endpoint: Endpoint) -> None:
        response = endpoint.chat(endpoint.federation.math.text)
        request, decision = GatewayRequest.objects.get(), RoutingDecision.objects.get()
        assert {name: value for name, value in response.items() if name.startswith("X-GreenLLM")} == {
            "X-GreenLLM-Request-Id": request.public_id,
            "X-GreenLLM-Model": "small",
            "X-GreenLLM-Route": "auto",
            "X-GreenLLM-Policy": "nearest",
            "X-GreenLLM-Category": "math",
            "X-GreenLLM-Nearest-Prompt": endpoint.federation.math.external_id,
            "X-GreenLLM-Distance": "0.000000",
            "X-GreenLLM-Predicted-GCO2e": f"{decision.predicted_sci_gco2e:.6g}",
        }
        assert response["x-request-id"] == request.public_id

    def test_says_the_choice_in_the_body(self, endpoint: Endpoint) -> None:
        greenllm = json.loads(endpoint.chat(endpoint.federation.math.text).content)["greenllm"]
        assert greenllm["requested"] == "auto"
        assert (greenllm["model"], greenllm["category"], greenllm["policy"]) == ("small", "math", "nearest")
        assert (greenllm["quality"], greenllm["neighbours"][0]["squared_distance"]) == ("estimated", 0.0)
        assert [(one["model"], one["is_chosen"]) for one in greenllm["candidates"]] == [
            ("small", True),
            ("large", False),
        ]
        assert greenllm["predicted_sci_gco2e"] == pytest.approx(greenllm["candidates"][0]["sci_gco2e"])

    def test_of_a_name_has_no_candidates_in_the_body(self, endpoint: Endpoint) -> None:
        greenllm = json.loads(endpoint.chat(model="large").content)["greenllm"]
        assert (greenllm["candidates"], greenllm["neighbours"], greenllm["category"]) == ([], [], None)
        assert greenllm["quality"] == "estimated"

    def test_sends_the_parameters_on(self, endpoint: Endpoint) -> None:
        response = endpoint.chat(max_tokens=1, temperature=0, seed=3, top_p=0.5, stop="x")
        options = endpoint.server.requests[-1].body["options"]
        assert options == {"num_predict": 1, "temperature": 0.0, "seed": 3, "top_p": 0.5, "stop": ["x"]}
        assert json.loads(response.content)["choices"][0]["finish_reason"] == "stop"

    def test_says_that_the_limit_cut_the_answer(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint(answers={LIKE_MATH: "It is five."})
        choice = json.loads(endpoint.chat(max_tokens=2).content)["choices"][0]
        assert (choice["message"]["content"], choice["finish_reason"]) == ("It is", "length")

    def test_takes_a_body_larger_than_a_form_may_be(self, endpoint: Endpoint) -> None:
        assert endpoint.chat("x" * 3_000_000).status_code == 200

    def test_takes_a_body_as_large_as_the_wire_allows(self, settings: Settings) -> None:
        assert settings.DATA_UPLOAD_MAX_MEMORY_SIZE == MAX_BODY_BYTES

    @pytest.mark.parametrize("external_id", ["line\nbreak", "bell \a \N{SNOWMAN}"], ids=["break", "snow"])
    def test_answers_whatever_the_nearest_prompt_is_called(self, endpoint: Endpoint, external_id: str) -> None:
        Prompt.objects.filter(pk=endpoint.federation.math.pk).update(external_id=external_id)
        assert endpoint.chat().status_code == 200


class TestRecord:
    def test_has_the_request_the_attempt_and_the_decision(self, endpoint: Endpoint) -> None:
        endpoint.chat()
        request = GatewayRequest.objects.get()
        assert (request.state, request.surface, request.requested_model) == ("answered", "openai", "auto")
        assert (request.api_key, request.user) == (endpoint.key, endpoint.key.owner)
        attempt = UpstreamAttempt.objects.get(request=request)
        assert (attempt.outcome, attempt.deployment, attempt.output_token_count) == (
            "finished",
            endpoint.federation.small,
            1,
        )
        assert (request.decision.reason, request.decision.category) == (
            "cheapest_correct",
            endpoint.federation.math.category,
        )

    @pytest.mark.parametrize(("setting", "text"), [(False, ""), (True, LIKE_MATH)], ids=["by default", "where set"])
    def test_holds_the_prompt_only_where_set(
        self, endpoint: Endpoint, settings: Settings, setting: bool, text: str
    ) -> None:
        settings.KEEP_PROMPT_TEXT = setting
        endpoint.chat()
        assert GatewayRequest.objects.get().prompt_text == text

    def test_is_not_made_of_a_request_that_cannot_be_read(self, endpoint: Endpoint) -> None:
        assert endpoint.send("POST", CHAT, raw=b"{").status_code == 400
        assert not GatewayRequest.objects.exists()


class TestConnections:
    @pytest.mark.parametrize(
        ("is_released", "expected"), [(True, 0), (False, 1)], ids=["released", "kept, to prove the count"]
    )
    def test_are_not_held_while_a_model_generates(
        self, open_endpoint: OpenEndpoint, monkeypatch: pytest.MonkeyPatch, is_released: bool, expected: int
    ) -> None:
        counted: list[int] = []
        parameters = connection.get_connection_params()

        def answering(_model: str, _prompt: str) -> ScriptedAnswer:
            with psycopg.connect(**{**parameters, "cursor_factory": psycopg.Cursor}) as own:
                query = (
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
                row = own.execute(query).fetchone()
                counted.append(row[0] if row else -1)
            return ScriptedAnswer("Five.")

        endpoint = open_endpoint(answers=answering)
        if not is_released:
            monkeypatch.setattr("router.connections.connection.close", lambda: None)
        connection.close()  # the test's own
        assert endpoint.chat().status_code == 200
        assert counted == [expected]


class TestOverrides:
    @pytest.mark.parametrize(("model", "policy"), [("auto:green", "guarded"), ("auto:quality", "knn")])
    def test_by_the_name_of_the_model(self, endpoint: Endpoint, model: str, policy: str) -> None:
        response = endpoint.chat(model=model)
        assert (response.status_code, response["X-GreenLLM-Policy"], response["X-GreenLLM-Route"]) == (
            200, policy, "auto",
        )  # fmt: skip
        stored = RoutingDecision.objects.get()
        assert (stored.policy, stored.version) == (policy, PolicyVersion.objects.get())
        assert stored.overrides["policy"] == {"value": policy, "by": "model"}
        assert json.loads(response.content)["greenllm"]["overrides"] == stored.overrides

    def test_by_the_body(self, endpoint: Endpoint) -> None:
        dear = endpoint.chat(greenllm={"policy": "knn", "sci_price": 1e6})
        assert json.loads(dear.content)["model"] == "small"
        assert RoutingDecision.objects.get().overrides == {
            "policy": {"value": "knn", "by": "request"},
            "sci_price": {"value": 1e6, "by": "request"},
        }
        right = endpoint.chat(LIKE_MATH, greenllm={"policy": "knn", "sci_price": 0})
        assert json.loads(right.content)["model"] == "large"

    def test_by_what_an_admin_set_on_the_key(self, endpoint: Endpoint) -> None:
        ApiKey.objects.filter(pk=endpoint.key.pk).update(policy="knn", sci_price=0.0)
        assert json.loads(endpoint.chat().content)["model"] == "large"
        assert RoutingDecision.objects.get().overrides["policy"] == {"value": "knn", "by": "key"}

    def test_are_no_more_where_nobody_asks_for_any(self, endpoint: Endpoint) -> None:
        assert endpoint.chat(greenllm={}).status_code == 200
        assert endpoint.chat(greenllm=None).status_code == 200
        assert [one.overrides for one in RoutingDecision.objects.all()] == [{}, {}]

    @pytest.mark.parametrize("is_streamed", [False, True])
    def test_outside_the_limits_are_refused_by_name_and_range(self, endpoint: Endpoint, is_streamed: bool) -> None:
        PolicyVersion.objects.create(policy="floor", least_accuracy_floor=0.7)
        response = endpoint.chat(greenllm={"accuracy_floor": 0.5}, stream=is_streamed)
        error = error_of(response)
        assert (response.status_code, error["param"]) == (400, "greenllm.accuracy_floor")
        assert error["message"] == "'greenllm.accuracy_floor' must be from 0.7 to 1."
        assert GatewayRequest.objects.get().error_code == "WishRefused"

    def test_that_are_no_wish_are_refused_before_anything_is_routed(self, endpoint: Endpoint) -> None:
        response = endpoint.chat(greenllm={"price": 1})
        assert (response.status_code, error_of(response)["param"]) == (400, "greenllm.price")
        assert not GatewayRequest.objects.exists()

    def test_of_a_closed_version_are_refused(self, endpoint: Endpoint) -> None:
        PolicyVersion.objects.create(policy="nearest", is_open=False)
        response = endpoint.chat(model="auto:green")
        assert (response.status_code, error_of(response)["param"]) == (400, "model")
        assert endpoint.chat().status_code == 200

    def test_beside_a_named_model_are_refused(self, endpoint: Endpoint) -> None:
        response = endpoint.chat(model="large", greenllm={"caution": 1})
        assert (response.status_code, error_of(response)["param"]) == (400, "greenllm")


class TestModels:
    def test_lists_auto_first_then_the_active_models_by_name(self, endpoint: Endpoint) -> None:
        make.make_deployment("candidate", state="candidate", server=endpoint.federation.server)
        body = json.loads(endpoint.send("GET", "/v1/models").content)
        assert body["object"] == "list"
        assert [one["id"] for one in body["data"]] == [*AUTO, "large", "small"]
        assert all(isinstance(one["created"], int) and one["object"] == "model" for one in body["data"])

    def test_drops_a_retired_model_at_once(self, endpoint: Endpoint) -> None:
        retire(deployment=endpoint.federation.small, now=make.NOW)
        body = json.loads(endpoint.send("GET", "/v1/models").content)
        assert [one["id"] for one in body["data"]] == [*AUTO, "large"]

    def test_shows_one(self, endpoint: Endpoint) -> None:
        for name, listed in (
            ("auto", "auto"), ("auto:latest", "auto"), ("auto:green", "auto:green"), ("small", "small"),
        ):  # fmt: skip
            response = endpoint.send("GET", f"/v1/models/{name}")
            assert (response.status_code, json.loads(response.content)["id"]) == (200, listed)

    def test_names_a_deployment_of_several_servers_once(self, endpoint: Endpoint) -> None:
        make.make_deployment("small", server=make.make_server(base_url="http://other:1"))
        body = json.loads(endpoint.send("GET", "/v1/models").content)
        assert [one["id"] for one in body["data"]] == [*AUTO, "large", "small"]
