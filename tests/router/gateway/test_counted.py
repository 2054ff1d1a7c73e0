"""What is counted for Prometheus of each request through the endpoint."""

import json
from collections.abc import Callable

import httpx
import pytest
from django.db import connections
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.models import Deployment, Response
from router.models import GatewayRequest
from tests import factories as make
from tests.benchmarks.inference.asking import eventually
from tests.browsing import served
from tests.router.background_prompts import TITLE
from tests.router.endpoint import CHAT, COMMITTED, LIKE_MATH, Endpoint, OpenEndpoint
from tests.router.gateway.test_surfaces import PATHS, ask
from tests.scraping import Counted, Grown

pytestmark = [COMMITTED, pytest.mark.slow]


def counting(endpoint: Endpoint) -> Counted:
    def read() -> str:
        return endpoint.send("GET", "/metrics", secret=None).content.decode()

    return Counted(read)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
class TestAnswered:
    def test_is_counted_with_all_that_it_was(self, endpoint: Endpoint, path: str, is_streamed: bool) -> None:
        counted = counting(endpoint)
        response = ask(endpoint, path, stream=is_streamed)
        assert response.status_code == 200
        grown = counted.now()
        check_once_by_surface_model_and_state(grown, "openai" if path.startswith("/v1") else "ollama")
        check_what_it_read_wrote_and_cost(grown, float(response["X-GreenLLM-Predicted-GCO2e"]))
        check_parts_of_its_time(grown)
        check_its_key_by_name_and_prefix(grown, endpoint)


def check_once_by_surface_model_and_state(grown: Grown, surface: str) -> None:
    assert grown.labels("greenllm_requests_total") == [
        {"scope": "generate", "surface": surface, "state": "answered", "model": "small", "background": ""}
    ]
    assert grown("greenllm_requests_total") == 1
    assert grown("greenllm_request_seconds_count", model="small", state="answered") == 1


def check_what_it_read_wrote_and_cost(grown: Grown, told_gco2e: float) -> None:
    attempt = GatewayRequest.objects.get().attempts.get()
    assert grown("greenllm_tokens_total", model="small", kind="prompt") == attempt.prompt_token_count > 0
    assert grown("greenllm_tokens_total", model="small", kind="output") == attempt.output_token_count > 0
    predicted = grown("greenllm_predicted_gco2e_sum", model="small", quality="estimated", background="")
    assert predicted == pytest.approx(told_gco2e, rel=1e-5)
    assert grown("greenllm_predicted_gco2e_count") == 1
    assert grown("greenllm_measured_gco2e_count") == 0


def check_parts_of_its_time(grown: Grown) -> None:
    for part in ("embedding", "search", "choice"):
        assert grown("greenllm_decision_seconds_count", part=part) == 1
    assert grown("greenllm_server_wait_seconds_count") == 1
    assert grown("greenllm_first_token_seconds_count", model="small") == 1
    first_token_s, whole_s = (
        grown(f"greenllm_{name}_seconds_sum", model="small") for name in ("first_token", "request")
    )
    assert 0 < first_token_s < whole_s


def check_its_key_by_name_and_prefix(grown: Grown, endpoint: Endpoint) -> None:
    key = {"key": "test", "prefix": endpoint.key.prefix}
    assert grown("greenllm_key_requests_total", **key, state="answered") == 1
    assert grown("greenllm_key_tokens_total", **key) == grown("greenllm_tokens_total")
    spent = grown("greenllm_key_predicted_gco2e_sum", **key)
    assert spent == pytest.approx(grown("greenllm_predicted_gco2e_sum"))
    assert endpoint.secret not in endpoint.send("GET", "/metrics", secret=None).content.decode()


class TestSaved:
    def test_is_what_the_answer_tells(self, endpoint: Endpoint) -> None:
        counted = counting(endpoint)
        told = json.loads(endpoint.chat().content)["greenllm"]["saved_gco2e"]
        grown = counted.now()
        assert told > 0
        assert grown("greenllm_saved_gco2e_sum", model="small", quality="estimated") == pytest.approx(told)
        assert (grown("greenllm_saved_gco2e_count"), grown("greenllm_extra_gco2e_count")) == (1, 0)

    def test_of_a_named_model_is_what_it_usually_costs_and_saves_nothing(self, endpoint: Endpoint) -> None:
        counted = counting(endpoint)
        told = json.loads(endpoint.chat(model="large").content)["greenllm"]["predicted_sci_gco2e"]
        grown = counted.now()
        assert grown("greenllm_requests_total", model="large", state="answered") == 1
        assert grown("greenllm_predicted_gco2e_sum", model="large", quality="estimated") == pytest.approx(told)
        for family in ("saved", "extra"):
            assert grown(f"greenllm_{family}_gco2e_count") == 0

    def test_of_a_model_that_nobody_measured_is_unknown_and_not_0(self, endpoint: Endpoint) -> None:
        Response.objects.update(measurement=None)
        counted = counting(endpoint)
        endpoint.chat(model="large")
        grown = counted.now()
        assert grown("greenllm_requests_total", model="large", state="answered") == 1
        for family in ("predicted", "saved", "extra"):
            assert grown(f"greenllm_{family}_gco2e_count") == 0


class TestNotAnswered:
    @pytest.mark.parametrize("path", PATHS)
    def test_counts_what_failed_and_how_it_was_told(self, endpoint: Endpoint, path: str) -> None:
        counted = counting(endpoint)
        assert ask(endpoint, path, model="nobody-knows-this").status_code == 404
        assert counted("greenllm_requests_total", state="failed", model="") == 1
        assert counted("greenllm_error_replies_total", status="404") == 1
        assert ask(endpoint, path, secret="wrong").status_code == 401
        assert counted("greenllm_error_replies_total", status="401") == 1
        assert counted("greenllm_requests_total") == 1  # without a key it is none
        assert "nobody-knows-this" not in endpoint.send("GET", "/metrics", secret=None).content.decode()

    def test_counts_a_failure_of_the_server_without_carbon(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint(Fault(FaultKind.CUT, model="small"))
        counted = counting(endpoint)
        assert endpoint.chat().status_code == 502
        grown = counted.now()
        assert grown("greenllm_requests_total", state="failed", model="small") == 1
        assert grown("greenllm_predicted_gco2e_count") == grown("greenllm_saved_gco2e_count") == 0
        assert grown("greenllm_key_requests_total", state="failed") == 1

    def test_counts_what_took_over(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model="small", status=503))
        with ScriptedOllama((ScriptedModel("large"),), answers={LIKE_MATH: "Five."}) as second:
            other = make.make_server(base_url=second.base_url)
            Deployment.objects.filter(language_model__name="large").update(server=other)
            counted = counting(endpoint)
            assert endpoint.chat().status_code == 200
        grown = counted.now()
        assert grown("greenllm_requests_total", state="answered", model="large") == 1
        assert grown("greenllm_tokens_total", model="small") == 0
        assert grown("greenllm_server_wait_seconds_count") == 2
        assert grown("greenllm_saved_gco2e_count") == 0  # the choice did not answer
        assert grown("greenllm_predicted_gco2e_count", model="large") == 1


class TestUnderWay:
    def test_shows_where_requests_wait_and_counts_those_that_are_left(
        self, open_endpoint: OpenEndpoint, settings: Settings
    ) -> None:
        settings.UPSTREAM_AT_ONCE = 1
        endpoint = open_endpoint(answers=slowly)
        headers = {"Authorization": f"Bearer {endpoint.secret}"}
        body = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": LIKE_MATH}]}
        with served() as address:
            counted = Counted(lambda: httpx.get(f"{address}/metrics").text)

            def standing(state: str) -> float:
                return counted("greenllm_server_requests", state=state)

            with httpx.stream("POST", address + CHAT, json=body, headers=headers, timeout=20) as response:
                assert response.status_code == 200, response.read()
                lines = response.iter_lines()  # without it the stream would be closed
                next(lines)
                assert (standing("asked"), standing("waiting")) == (1, 0)
                with httpx.Client(timeout=2.0) as hasty, pytest.raises(httpx.ReadTimeout):
                    hasty.post(address + CHAT, json=body, headers=headers)
            assert eventually(lambda: counted("greenllm_requests_total", state="cancelled") == 2)
            assert eventually(lambda: (standing("asked"), standing("waiting")) == (0, 0))
            assert counted("greenllm_predicted_gco2e_count") == 0
        connections.close_all()


def slowly(_model: str, _prompt: str) -> ScriptedAnswer:
    return ScriptedAnswer("one two three four " * 20, seconds_per_token=0.05)


class TestApart:
    def test_are_hits_of_the_cache(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.CACHE = "exact"
        counted = counting(endpoint)
        first, second = (json.loads(endpoint.chat(temperature=0).content) for _ in range(2))
        grown = counted.now()
        assert grown("greenllm_requests_total", state="answered", model="small") == 2
        assert grown("greenllm_cache_hits_total", kind="exact", model="small") == 1
        saved = grown("greenllm_cache_saved_gco2e_sum", kind="exact", quality="estimated")
        assert saved == pytest.approx(second["greenllm"]["cache"]["saved_gco2e"])
        assert grown("greenllm_predicted_gco2e_count") == grown("greenllm_saved_gco2e_count") == 1
        assert grown("greenllm_saved_gco2e_sum") == pytest.approx(first["greenllm"]["saved_gco2e"])
        assert grown("greenllm_tokens_total", kind="output") == first["usage"]["completion_tokens"]

    def test_are_prompts_that_clients_send_on_their_own(self, endpoint: Endpoint) -> None:
        counted = counting(endpoint)
        endpoint.chat(TITLE)
        endpoint.chat()
        grown = counted.now()
        for family in ("requests_total", "predicted_gco2e_count", "saved_gco2e_count"):
            assert grown(f"greenllm_{family}", background="title") == 1
            assert grown(f"greenllm_{family}", background="") == 1
        assert grown("greenllm_tokens_total", background="title", kind="output") > 0


class TestObserving:
    def test_does_not_stop_an_answer_where_it_fails(
        self, endpoint: Endpoint, caplog: pytest.LogCaptureFixture, tell_also: Callable[..., None]
    ) -> None:
        def fail(_ended: object) -> None:
            raise RuntimeError("nobody listens")

        tell_also(fail)
        assert endpoint.chat().status_code == 200
        assert "could not be counted or traced" in caplog.text
