import json

import pytest

from router.models import UpstreamAttempt
from tests.router.endpoint import CHAT, COMMITTED, LIKE_MATH, Endpoint, error_of
from tests.router.standins import EMBEDDER_NAME

pytestmark = [COMMITTED, pytest.mark.slow]

ASKED = json.dumps({"model": "auto", "messages": [{"role": "user", "content": LIKE_MATH}]}).encode()


def greenllm_of(endpoint: Endpoint, detail: str) -> dict[str, object] | None:
    response = endpoint.send("POST", CHAT, raw=ASKED, headers={"X-GreenLLM-Metadata": detail})
    assert (response.status_code, response["X-GreenLLM-Model"]) == (200, "small")
    body = json.loads(response.content)
    assert ("gco2e" in body["usage"]) == ("greenllm" in body)
    found = body.get("greenllm")
    assert found is None or isinstance(found, dict)
    return found


class TestOurPart:
    def test_tells_nothing_as_measured_that_was_not(self, endpoint: Endpoint) -> None:
        told = greenllm_of(endpoint, "full")
        assert told is not None
        assert {told[name] for name in ("energy_j", "sci_gco2e", "embodied_emissions_gco2e")} == {None}
        assert told["quality"] == "estimated"

    def test_tells_what_the_choice_saves_against_the_strong_model(self, endpoint: Endpoint) -> None:
        told = json.loads(endpoint.chat().content)["greenllm"]
        by_model = {one["model"]: one["sci_gco2e"] for one in told["candidates"]}
        assert told["baseline"] == {"model": "large", "sci_gco2e": by_model["large"]}
        assert told["saved_gco2e"] == pytest.approx(by_model["large"] - by_model["small"])

    def test_is_short_or_left_out_where_asked(self, endpoint: Endpoint) -> None:
        short = greenllm_of(endpoint, "Summary")
        assert short is not None
        assert "candidates" not in short
        assert (short["model"], short["category"]) == ("small", "math")
        assert greenllm_of(endpoint, "off") is None

    def test_of_an_unknown_detail_is_refused(self, endpoint: Endpoint) -> None:
        response = endpoint.send("POST", CHAT, raw=ASKED, headers={"X-GreenLLM-Metadata": "much"})
        assert (response.status_code, error_of(response)["param"]) == (400, "X-GreenLLM-Metadata")


class TestCompletions:
    def test_are_routed_like_a_chat(self, endpoint: Endpoint) -> None:
        raw = json.dumps({"model": "auto", "prompt": LIKE_MATH}).encode()
        response = endpoint.send("POST", "/v1/completions", raw=raw)
        body = json.loads(response.content)
        assert (body["object"], body["choices"][0]["text"], body["model"]) == ("text_completion", "Five.", "small")
        assert response["X-GreenLLM-Request-Id"] == body["greenllm"]["request_id"]


class TestEmbeddings:
    def test_are_those_of_the_routers_own_embedder(self, endpoint: Endpoint) -> None:
        raw = json.dumps({"model": "auto", "input": [LIKE_MATH, "b"]}).encode()
        response = endpoint.send("POST", "/v1/embeddings", raw=raw)
        body = json.loads(response.content)
        assert (body["object"], body["model"]) == ("list", EMBEDDER_NAME)
        assert [(one["index"], len(one["embedding"])) for one in body["data"]] == [(0, 384), (1, 384)]
        [attempt] = UpstreamAttempt.objects.all()
        assert (attempt.request.public_id, attempt.outcome) == (response["X-GreenLLM-Request-Id"], "finished")

    def test_of_what_does_not_embed_are_refused(self, endpoint: Endpoint) -> None:
        response = endpoint.send("POST", "/v1/embeddings", raw=b'{"model": "small", "input": "a"}')
        assert (response.status_code, error_of(response)["code"]) == (404, "model_not_found")

    def test_of_a_text_too_long_are_refused(self, endpoint: Endpoint) -> None:
        raw = json.dumps({"model": "auto", "input": "word " * 3000}).encode()
        response = endpoint.send("POST", "/v1/embeddings", raw=raw)
        assert (response.status_code, error_of(response)["code"]) == (400, "context_length_exceeded")
