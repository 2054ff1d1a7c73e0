"""Answers that are given again: to whom, for what, how long, and what is told of them."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.http import HttpResponse
from django.utils import timezone
from pytest_django.fixtures import Settings

from benchmarks.federating import retire
from benchmarks.inference.scripted import Fault, FaultKind
from router.erasing import erase_old_texts, erase_texts
from router.keys import create_key
from router.models import CachedAnswer, GatewayRequest, RoutingDecision, UpstreamAttempt
from tests import factories as make
from tests.router.background_prompts import TITLE
from tests.router.endpoint import CHAT, COMMITTED, LIKE_MATH, Endpoint, OpenEndpoint
from tests.router.gateway.test_surfaces import PATHS, ask
from tests.router.test_wire_chunks import events_of

pytestmark = [COMMITTED, pytest.mark.slow]
ALIKE = "what is two plus three please"  # by its words near LIKE_MATH


@pytest.fixture(autouse=True)
def cache(settings: Settings) -> None:
    settings.CACHE = "exact"


def cold(endpoint: Endpoint, path: str = CHAT, **fields: Any) -> HttpResponse:
    of_ollama = {"options": {"temperature": 0}} if path.startswith("/api") else {"temperature": 0}
    return ask(endpoint, path, **{**of_ollama, **fields})


def is_hit(response: HttpResponse) -> bool:
    assert response.status_code == 200, response.content
    return "X-GreenLLM-Cache" in response


def asked_of(endpoint: Endpoint, text: str, **fields: Any) -> HttpResponse:
    return endpoint.chat(text, temperature=0, **fields)


@pytest.mark.parametrize("path", PATHS)
class TestEverySurface:
    def test_gives_the_same_answer_again_whole(self, endpoint: Endpoint, path: str) -> None:
        first, second = cold(endpoint, path), cold(endpoint, path)
        assert (is_hit(first), second["X-GreenLLM-Cache"], second["X-GreenLLM-Model"]) == (False, "exact", "small")
        assert b"Five." in second.content
        assert second["X-GreenLLM-Request-Id"] != first["X-GreenLLM-Request-Id"]
        assert UpstreamAttempt.objects.count() == 1

    def test_gives_it_in_the_chunks_of_a_stream(self, endpoint: Endpoint, path: str) -> None:
        first, second = (cold(endpoint, path, stream=True) for _ in range(2))
        assert (is_hit(second), second["Content-Type"]) == (True, first["Content-Type"])
        assert second.content.count(b"\n") == first.content.count(b"\n")
        assert b"Five." in second.content
        assert is_hit(cold(endpoint, path))


class TestHit:
    def test_tells_what_it_saved_apart_from_routing(self, endpoint: Endpoint) -> None:
        first, second = (json.loads(cold(endpoint).content) for _ in range(2))
        told = second["greenllm"]
        assert (told["saved_gco2e"], told["predicted_sci_gco2e"], "gco2e" in second["usage"]) == (None, None, False)
        assert told["cache"]["saved_gco2e"] == first["usage"]["gco2e"]
        assert (told["cache"]["hit"], told["cache"]["distance"]) == ("exact", 0.0)
        assert told["cache"]["quality"] == first["greenllm"]["quality"]
        assert told["cache"]["answered_by_request"] == first["greenllm"]["request_id"]
        assert second["usage"]["total_tokens"] == first["usage"]["total_tokens"]

    def test_goes_by_what_was_measured_where_it_was(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        measured = make.make_measurement(12.5, quality="measured")
        UpstreamAttempt.objects.update(measurement=measured)
        told = json.loads(cold(endpoint).content)["greenllm"]["cache"]
        assert (told["saved_gco2e"], told["quality"]) == (measured.sci_gco2e, "measured")

    def test_is_a_row_without_decision_or_attempt(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        response = cold(endpoint)
        row = GatewayRequest.objects.get(public_id=response["X-GreenLLM-Request-Id"])
        assert (row.state, row.cache_hit, row.attempts.count()) == ("answered", "exact", 0)
        assert row.cache_saved_gco2e == pytest.approx(float(response["X-GreenLLM-Cache-Saved-GCO2e"]), rel=1e-5)
        assert RoutingDecision.objects.filter(request=row).count() == 0

    def test_can_be_looked_up_and_counts_apart_on_the_key(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        public_id = cold(endpoint)["X-GreenLLM-Request-Id"]
        found = json.loads(endpoint.send("GET", f"/v1/greenllm/requests/{public_id}").content)
        assert (found["cache"]["hit"], found["greenllm"]) == ("exact", None)
        today = json.loads(endpoint.send("GET", "/v1/greenllm/key").content)["use"]["today"]
        assert (today["request_count"], today["predicted_count"]) == (2, 1)
        [saved] = today["cache"]
        assert (saved["hit_count"], saved["saved_gco2e"]) == (1, found["cache"]["saved_gco2e"])

    def test_leaves_out_our_part_where_it_is_not_wanted(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        response = cold(endpoint, headers={"X-GreenLLM-Metadata": "off"})
        assert (is_hit(response), "greenllm" in json.loads(response.content)) == (True, False)

    def test_of_a_stream_tells_on_its_last_chunk(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        events = events_of(cold(endpoint, stream=True, stream_options={"include_usage": True}).content)
        assert events[-1] == "[DONE]"
        assert events[-2]["greenllm"]["cache"]["hit"] == "exact"
        assert events[0]["choices"][0]["delta"]["role"] == "assistant"


class TestNoHit:
    def test_is_where_the_cache_is_off(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.CACHE = "off"
        assert not any(is_hit(cold(endpoint)) for _ in range(2))
        assert not CachedAnswer.objects.exists()

    def test_is_at_a_temperature_unless_the_setting_says_so(self, endpoint: Endpoint, settings: Settings) -> None:
        assert not any(is_hit(ask(endpoint, CHAT)) for _ in range(2))
        settings.CACHE_ANY_TEMPERATURE = True
        assert [is_hit(ask(endpoint, CHAT)) for _ in range(2)] == [False, True]

    @pytest.mark.parametrize("way", [{"headers": {"Cache-Control": "no-cache"}}, {"cache": {"no-cache": True}}])
    def test_is_where_the_caller_wants_a_new_answer(self, endpoint: Endpoint, way: dict[str, Any]) -> None:
        cold(endpoint)
        assert not is_hit(cold(endpoint, **way))
        assert is_hit(cold(endpoint))

    @pytest.mark.parametrize("way", [{"headers": {"Cache-Control": "no-store"}}, {"cache": {"no-store": True}}])
    def test_is_where_the_caller_wants_nothing_kept(self, endpoint: Endpoint, way: dict[str, Any]) -> None:
        cold(endpoint, **way)
        assert not CachedAnswer.objects.exists()

    def test_is_for_a_key_that_may_not(self, endpoint: Endpoint) -> None:
        endpoint.key.is_cache_allowed = False
        endpoint.key.save()
        assert not any(is_hit(cold(endpoint)) for _ in range(2))

    def test_is_for_another_key_unless_it_is_shared(self, endpoint: Endpoint, settings: Settings) -> None:
        other = create_key(owner_id=endpoint.key.owner_id, name="other").secret
        cold(endpoint)
        assert not is_hit(cold(endpoint, secret=other))
        settings.CACHE_SHARED = True
        assert [is_hit(cold(endpoint)), is_hit(cold(endpoint, secret=other))] == [False, True]

    def test_is_of_a_model_that_the_key_may_not_ask(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        endpoint.key.allowed_models = ["large"]
        endpoint.key.save()
        response = cold(endpoint)
        assert (is_hit(response), response["X-GreenLLM-Model"]) == (False, "large")

    def test_is_for_another_prompt_model_or_parameter(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        assert not is_hit(asked_of(endpoint, ALIKE))
        assert not is_hit(cold(endpoint, model="small"))
        assert not is_hit(cold(endpoint, max_tokens=5))

    def test_is_once_its_time_is_over(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        CachedAnswer.objects.update(expires_at=make.NOW - timedelta(days=900))
        assert not is_hit(cold(endpoint))
        assert CachedAnswer.objects.count() == 1

    def test_is_of_a_model_that_was_retired(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        retire(deployment=endpoint.federation.small, now=make.NOW)
        response = cold(endpoint)
        assert (is_hit(response), response["X-GreenLLM-Model"]) == (False, "large")

    def test_is_of_an_answer_that_failed(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint(Fault(FaultKind.GARBAGE, model="small"))
        assert cold(endpoint).status_code == 502
        assert not CachedAnswer.objects.exists()

    def test_is_of_background_prompts(self, endpoint: Endpoint) -> None:
        assert not any(is_hit(asked_of(endpoint, TITLE)) for _ in range(2))
        assert not CachedAnswer.objects.exists()


class TestLikePrompts:
    @pytest.fixture(autouse=True)
    def semantic(self, settings: Settings) -> None:
        settings.CACHE, settings.CACHE_DISTANCE = "semantic", 0.2

    def test_have_one_answer_within_the_distance(self, endpoint: Endpoint) -> None:
        asked_of(endpoint, LIKE_MATH)
        response = asked_of(endpoint, ALIKE)
        assert (response["X-GreenLLM-Cache"], response["X-GreenLLM-Category"]) == ("semantic", "math")
        assert 0 < json.loads(response.content)["greenllm"]["cache"]["distance"] <= 0.2
        assert asked_of(endpoint, LIKE_MATH)["X-GreenLLM-Cache"] == "exact"

    def test_have_none_beyond_it(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.CACHE_DISTANCE = 0.01
        asked_of(endpoint, LIKE_MATH)
        assert not is_hit(asked_of(endpoint, ALIKE))

    def test_have_none_with_other_numbers(self, endpoint: Endpoint) -> None:
        asked_of(endpoint, f"{LIKE_MATH} 17")
        assert not is_hit(asked_of(endpoint, f"{ALIKE} 18"))
        assert is_hit(asked_of(endpoint, f"{ALIKE} 17"))

    def test_have_none_in_another_category(self, endpoint: Endpoint) -> None:
        asked_of(endpoint, LIKE_MATH)
        CachedAnswer.objects.update(category=endpoint.federation.code.category)
        assert not is_hit(asked_of(endpoint, ALIKE))

    def test_have_none_in_a_conversation(self, endpoint: Endpoint) -> None:
        def later(text: str) -> HttpResponse:
            said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hi"}]
            return cold(endpoint, messages=[*said, {"role": "user", "content": text}])

        later(LIKE_MATH)
        assert not is_hit(later(ALIKE))
        assert is_hit(later(LIKE_MATH))

    def test_are_looked_for_among_a_named_models_answers_too(self, endpoint: Endpoint) -> None:
        asked_of(endpoint, LIKE_MATH, model="large")
        response = asked_of(endpoint, ALIKE, model="large")
        assert (response["X-GreenLLM-Cache"], response["X-GreenLLM-Route"]) == ("semantic", "pinned")

    def test_do_not_stop_a_named_model_where_nothing_can_be_placed(self, endpoint: Endpoint) -> None:
        endpoint.federation.index.delete()
        assert not is_hit(asked_of(endpoint, LIKE_MATH, model="large"))
        assert is_hit(asked_of(endpoint, LIKE_MATH, model="large"))


class TestKeeping:
    def test_is_bounded(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.CACHE_ENTRIES = 2
        for number in range(4):
            asked_of(endpoint, f"{LIKE_MATH} {number}")
        assert CachedAnswer.objects.count() == 2
        assert is_hit(asked_of(endpoint, f"{LIKE_MATH} 3"))
        assert not is_hit(asked_of(endpoint, f"{LIKE_MATH} 0"))

    def test_ends_with_the_request_and_with_the_key(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        GatewayRequest.objects.all().delete()
        assert not CachedAnswer.objects.exists()
        cold(endpoint)
        endpoint.key.delete()
        assert not CachedAnswer.objects.exists()

    def test_ends_with_the_texts_of_the_request(self, endpoint: Endpoint) -> None:
        cold(endpoint)
        erase_old_texts(before=timezone.now() - timedelta(days=1))
        assert CachedAnswer.objects.count() == 1
        erase_old_texts(before=timezone.now())
        assert not CachedAnswer.objects.exists()
        cold(endpoint)
        erase_texts(requests=GatewayRequest.objects.all())
        assert not CachedAnswer.objects.exists()

    def test_ends_with_the_command(self, endpoint: Endpoint, capsys: pytest.CaptureFixture[str]) -> None:
        cold(endpoint)
        call_command("purge_cache", expired=True)
        assert CachedAnswer.objects.count() == 1
        call_command("purge_cache", key=endpoint.key.prefix)
        assert "Deleted 1 answer of the cache." in capsys.readouterr().out
        call_command("purge_cache")
        assert "Deleted 0 answers of the cache." in capsys.readouterr().out
        with pytest.raises(CommandError, match="No key begins with 'nobody'"):
            call_command("purge_cache", key="nobody")
