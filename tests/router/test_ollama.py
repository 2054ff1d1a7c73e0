import json
from typing import Any

import pytest
from django.http import HttpResponse
from pytest_django.fixtures import Settings

from benchmarks.federating import retire
from benchmarks.inference.scripted import Fault, FaultKind
from router.models import GatewayRequest, PromptIndex
from tests import factories as make
from tests.router.endpoint import COMMITTED, LIKE_CODE, LIKE_MATH, Endpoint, OpenEndpoint
from tests.router.standins import EMBEDDER_NAME

pytestmark = [COMMITTED, pytest.mark.slow]
AUTO = ["auto", "auto:green", "auto:quality"]


def post(endpoint: Endpoint, path: str, secret: str | None = "", **record: Any) -> HttpResponse:
    return endpoint.send("POST", f"/api/{path}", secret=secret, raw=json.dumps(record).encode())


def chat(endpoint: Endpoint, text: str = LIKE_MATH, *, model: str = "auto", **fields: Any) -> HttpResponse:
    messages = [{"role": "user", "content": text}]
    return post(endpoint, "chat", model=model, messages=messages, **{"stream": False, **fields})


def told(response: HttpResponse) -> tuple[int, Any]:
    assert response["Content-Type"] == "application/json; charset=utf-8"
    return response.status_code, json.loads(response.content)


def error_of(response: HttpResponse) -> tuple[int, str]:
    status, body = told(response)
    assert list(body) == ["error"]
    return status, body["error"]


class TestChat:
    @pytest.mark.parametrize("model", ["auto", "auto:latest"])
    def test_of_auto_is_routed(self, endpoint: Endpoint, model: str) -> None:
        response = chat(endpoint, model=model)
        status, body = told(response)
        assert (status, body["model"], body["message"]) == (200, "small", {"role": "assistant", "content": "Five."})
        assert (body["done"], body["done_reason"], body["prompt_eval_count"], body["eval_count"]) == (
            True,
            "stop",
            5,
            1,
        )
        assert (response["X-GreenLLM-Model"], response["X-GreenLLM-Route"]) == ("small", "auto")
        assert body["greenllm"]["predicted_sci_gco2e"] == pytest.approx(float(response["X-GreenLLM-Predicted-GCO2e"]))
        assert GatewayRequest.objects.get().surface == GatewayRequest.Surface.OLLAMA

    @pytest.mark.parametrize("model", ["large", "large:latest"])
    def test_of_a_name_is_answered_by_that_model(self, endpoint: Endpoint, model: str) -> None:
        assert told(chat(endpoint, model=model))[1]["model"] == "large"

    def test_hands_options_on(self, endpoint: Endpoint) -> None:
        chat(endpoint, LIKE_CODE, options={"seed": 3, "top_k": 5, "repeat_penalty": 1.5, "num_thread": 64})
        assert endpoint.server.requests[-1].body["options"] == {"seed": 3, "top_k": 5, "repeat_penalty": 1.5}

    def test_of_generate_is_a_response(self, endpoint: Endpoint) -> None:
        status, body = told(post(endpoint, "generate", model="auto", prompt=LIKE_MATH, stream=False))
        assert (status, body["model"], body["response"], body["done"]) == (200, "small", "Five.", True)

    def test_without_messages_loads_a_named_model(self, endpoint: Endpoint) -> None:
        status, body = told(post(endpoint, "chat", model="large", messages=[], stream=False))
        assert (status, body["done_reason"], body["message"]["content"]) == (200, "load", "")
        assert body["load_duration"] > 0
        assert [one["model"] for one in told(endpoint.send("GET", "/api/ps"))[1]["models"]] == ["large"]
        assert not GatewayRequest.objects.exists()

    def test_without_a_prompt_loads_nothing_for_auto(self, endpoint: Endpoint) -> None:
        response = post(endpoint, "generate", model="auto")
        assert response["Content-Type"] == "application/x-ndjson"
        assert json.loads(response.content)["done_reason"] == "load"
        assert told(endpoint.send("GET", "/api/ps"))[1] == {"models": []}

    def test_unloads_nothing(self, endpoint: Endpoint) -> None:
        status, error = error_of(post(endpoint, "generate", model="large", keep_alive=0, stream=False))
        assert (status, "keep_alive" in error) == (403, True)


class TestRefusal:
    def test_of_an_unknown_model_has_ollamas_words(self, endpoint: Endpoint) -> None:
        expected = (404, "model 'nobody' not found")
        assert error_of(chat(endpoint, model="nobody")) == expected
        assert error_of(post(endpoint, "show", model="nobody")) == expected
        assert error_of(post(endpoint, "embed", model="nobody", input="a")) == expected
        assert error_of(post(endpoint, "chat", model="nobody", messages=[], stream=False)) == expected

    def test_of_a_retired_model(self, endpoint: Endpoint) -> None:
        retire(deployment=endpoint.federation.small, now=make.NOW)
        assert error_of(chat(endpoint, model="small"))[0] == 404

    def test_names_the_field(self, endpoint: Endpoint) -> None:
        status, error = error_of(chat(endpoint, tools=[{"type": "function", "function": {"name": "f"}}]))
        assert (status, "'tools'" in error) == (400, True)
        assert error_of(endpoint.send("POST", "/api/chat", raw=b"{"))[0] == 400

    def test_of_an_option_that_the_server_lacks_names_it(self, endpoint: Endpoint) -> None:
        status, error = error_of(chat(endpoint, options={"tfs_z": 0.5}))
        assert (status, "tfs_z" in error) == (400, True)

    def test_without_an_index(self, endpoint: Endpoint) -> None:
        PromptIndex.objects.update(state=PromptIndex.State.REPLACED)
        assert error_of(chat(endpoint))[0] == 503

    def test_of_a_server_in_trouble(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=500, message="out of memory"))
        assert error_of(chat(endpoint))[0] == 502

    @pytest.mark.parametrize(
        ("method", "path"),
        [("POST", "pull"), ("POST", "push"), ("POST", "create"), ("POST", "copy"), ("DELETE", "delete"),
         ("POST", "blobs/sha256:00")],
    )  # fmt: skip
    def test_of_what_changes_the_models(self, endpoint: Endpoint, method: str, path: str) -> None:
        status, error = error_of(endpoint.send(method, f"/api/{path}", raw=b"{}"))
        assert (status, "by an admin" in error) == (403, True)

    def test_of_an_unknown_address_and_method(self, endpoint: Endpoint) -> None:
        assert error_of(endpoint.send("GET", "/api/nothing"))[0] == 404
        response = endpoint.send("GET", "/api/chat")
        assert (error_of(response)[0], response["Allow"]) == (405, "POST")


class TestAccess:
    def test_needs_a_key(self, endpoint: Endpoint) -> None:
        for method, path in (
            ("GET", "tags"),
            ("GET", "version"),
            ("POST", "chat"),
            ("POST", "embed"),
            ("POST", "pull"),
        ):
            assert error_of(endpoint.send(method, f"/api/{path}", secret=None, raw=b"{}"))[0] == 401

    def test_needs_none_on_this_machine_where_switched_on(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        assert post(endpoint, "chat", None, model="auto", messages=[], stream=False).status_code == 200
        assert endpoint.send("POST", "/api/chat", secret="gllm-wrong", raw=b"{}").status_code == 401

    @pytest.mark.parametrize("header", ["Origin", "Sec-Fetch-Site", "X-Forwarded-For"])
    def test_of_a_page_of_another_site_or_a_proxy_needs_one(
        self, endpoint: Endpoint, settings: Settings, header: str
    ) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        sent = endpoint.send("POST", "/api/chat", secret=None, raw=b"{}", headers={header: "http://elsewhere.test"})
        assert sent.status_code == 401


class TestModels:
    def test_list_begins_with_auto(self, endpoint: Endpoint) -> None:
        status, body = told(endpoint.send("GET", "/api/tags"))
        names = [one["name"] for one in body["models"]]
        assert (status, names) == (200, [*AUTO, "large", "small", EMBEDDER_NAME])
        assert [one["model"] for one in body["models"]] == names
        assert all(
            set(one) == {"name", "model", "modified_at", "size", "digest", "details", "capabilities"}
            for one in body["models"]
        )
        assert [one["capabilities"][0] for one in body["models"]] == ["completion"] * 5 + ["embedding"]

    def test_list_costs_two_questions_after_the_key(
        self, endpoint: Endpoint, django_assert_max_num_queries: Any
    ) -> None:
        from router.offering import offered_models

        with django_assert_max_num_queries(3):
            assert len(offered_models(lambda _: {})) == 6

    @pytest.mark.parametrize("name", ["auto", "auto:latest", "auto:green", "large", "large:latest", EMBEDDER_NAME])
    def test_are_shown_by_name(self, endpoint: Endpoint, name: str) -> None:
        status, body = told(post(endpoint, "show", model=name))
        assert (status, "routing" in body["capabilities"]) == (200, True)
        assert body["model_info"]["general.architecture"]
        assert set(body["details"]) >= {"family", "families", "parameter_size", "quantization_level", "format"}

    def test_in_memory_of_a_server_that_is_away_are_none(self, endpoint: Endpoint) -> None:
        endpoint.federation.server.base_url = "http://127.0.0.1:1"
        endpoint.federation.server.save()
        assert told(endpoint.send("GET", "/api/ps")) == (200, {"models": []})

    def test_version_is_a_release(self, endpoint: Endpoint) -> None:
        status, body = told(endpoint.send("GET", "/api/version"))
        assert (status, len(body["version"].split("."))) == (200, 3)
        for path in ("/", "/api/version", "/api/tags"):
            head = endpoint.send("HEAD", path)
            assert (path, head.status_code, head.content) == (path, 200, b"")


class TestEmbed:
    @pytest.mark.parametrize("model", ["auto", EMBEDDER_NAME, f"{EMBEDDER_NAME}:latest"])
    def test_gives_a_vector_for_each_text(self, endpoint: Endpoint, model: str) -> None:
        response = post(endpoint, "embed", model=model, input=[LIKE_MATH, LIKE_CODE])
        status, body = told(response)
        assert (status, body["model"], [len(one) for one in body["embeddings"]]) == (200, EMBEDDER_NAME, [384, 384])
        assert response["X-GreenLLM-Request-Id"] == GatewayRequest.objects.get().public_id

    def test_by_the_older_address_gives_one(self, endpoint: Endpoint) -> None:
        one = told(post(endpoint, "embeddings", model="auto", prompt=LIKE_MATH))[1]["embedding"]
        assert [one] == told(post(endpoint, "embed", model="auto", input=LIKE_MATH))[1]["embeddings"]

    def test_without_a_text_gives_none(self, endpoint: Endpoint) -> None:
        assert told(post(endpoint, "embed", model="auto", input=[])) == (
            200,
            {"model": EMBEDDER_NAME, "embeddings": []},
        )
        assert told(post(endpoint, "embeddings", model="auto")) == (200, {"embedding": []})

    def test_cuts_a_long_text_unless_told_otherwise(self, endpoint: Endpoint) -> None:
        long = "word " * 3000
        status, body = told(post(endpoint, "embed", model="auto", input=[long, "short"]))
        assert (status, len(body["embeddings"])) == (200, 2)
        assert error_of(post(endpoint, "embed", model="auto", input=long, truncate=False))[0] == 400
        assert [one.state for one in GatewayRequest.objects.order_by("pk")] == ["answered", "failed"]
