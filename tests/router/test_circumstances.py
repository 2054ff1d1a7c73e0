"""A request that asks where it would go, and the same one answered: they are decided alike."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from router import wiring
from router.models import KeyDay, KeyHour, PolicyVersion, RoutingDecision
from tests import factories as make
from tests.benchmarks.inference.asking import eventually
from tests.router.background_prompts import TITLE
from tests.router.endpoint import EVERY_APP, LIKE_MATH, Endpoint, error_of
from tests.router.fits import make_fit
from tests.router.gateway.test_beyond_text import ABLE, TOOL
from tests.router.test_adjusted_routing import limit_context, use

pytestmark = [EVERY_APP, pytest.mark.slow]
ROUTE = "/v1/greenllm/route"
_COMPARED = (
    "policy", "version_id", "overrides", "chosen_id", "reason", "explanation", "candidates", "neighbours",
    "predicted_sci_gco2e", "baseline_id", "intensity", "plan",
)  # fmt: skip

Case = Callable[[Endpoint], dict[str, Any]]


def only_large(endpoint: Endpoint) -> dict[str, Any]:
    endpoint.key.allowed_models = ["large"]
    endpoint.key.save()
    return {}


def own_policy(endpoint: Endpoint) -> dict[str, Any]:
    endpoint.key.policy = "category"
    endpoint.key.save()
    return {}


def spent_budget(endpoint: Endpoint) -> dict[str, Any]:
    use("fixed", fallback=endpoint.federation.large)
    endpoint.key.budget_gco2e_per_hour = 1.0
    endpoint.key.save()
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    for hours in (0, 1):  # an hour that ends meanwhile is followed by one that is as spent
        KeyHour.objects.create(
            api_key=endpoint.key, began_at=now + timedelta(hours=hours), spent_gco2e=5.0, request_count=1
        )
    return {}


def dial(endpoint: Endpoint) -> dict[str, Any]:
    use("knn")
    return {"model": "auto:green"}


def own_wish(endpoint: Endpoint) -> dict[str, Any]:
    use("knn")
    return {"greenllm": {"policy": "floor", "accuracy_floor": 0.99}}


def long_answer(endpoint: Endpoint) -> dict[str, Any]:
    limit_context(endpoint.federation.small, 2048)
    return {"max_tokens": 4000}


def later_turn(endpoint: Endpoint) -> dict[str, Any]:
    said = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "x" * 40_000}]
    limit_context(endpoint.federation.small, 2048)
    return {"messages": [*said, {"role": "user", "content": LIKE_MATH}]}


def title(endpoint: Endpoint) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": TITLE}]}


def live_intensity(endpoint: Endpoint) -> dict[str, Any]:
    use("knn", is_intensity_live=True)
    make.make_feed("DE", live=770.0, told_at=timezone.now())
    return {}


def large_is_loaded(endpoint: Endpoint) -> dict[str, Any]:
    use("knn", sci_price=5.0, prompts_per_load=1)
    make_fit(endpoint.federation.small, load_energy_j=5000.0, load_duration_s=20.0, load_count=1)
    endpoint.chat(model="large")
    RoutingDecision.objects.all().delete()
    server = endpoint.federation.server
    assert eventually(lambda: wiring.loaded_models().of([server])[server.pk] is not None)
    return {}


# what is expected of each: the model, and a word of the decision that tells that the circumstance was counted
CASES: list[tuple[Case, str, str, str]] = [
    (only_large, "large", "candidates", "The key does not allow it."),
    (own_policy, "", "policy", "category"),
    (spent_budget, "small", "explanation", "is spent"),
    (dial, "", "overrides", "tolerance"),
    (own_wish, "", "overrides", "accuracy_floor"),
    (long_answer, "large", "candidates", "cannot hold"),
    (later_turn, "large", "candidates", "cannot hold"),
    (title, "small", "policy", "background"),
    (live_intensity, "", "intensity", "770"),
    (large_is_loaded, "large", "candidates", "It is not in memory"),
]


def routed(endpoint: Endpoint, fields: dict[str, Any]) -> RoutingDecision:
    body = {"messages": [{"role": "user", "content": LIKE_MATH}], **fields}
    response = endpoint.send("POST", ROUTE, raw=json.dumps(body).encode())
    assert response.status_code == 200, response.content
    return RoutingDecision.objects.get(pk=json.loads(response.content)["decision_id"])


def answered(endpoint: Endpoint, fields: dict[str, Any]) -> RoutingDecision:
    response = endpoint.chat(**fields)
    assert response.status_code == 200, response.content
    return RoutingDecision.objects.get(request__public_id=response["X-GreenLLM-Request-Id"])


def compared(decision: RoutingDecision) -> dict[str, Any]:
    return {name: getattr(decision, name) for name in _COMPARED}


class TestRoute:
    @pytest.mark.parametrize(("case", "model", "field", "word"), CASES, ids=[case.__name__ for case, _, _, _ in CASES])
    def test_is_that_of_the_same_request_answered(
        self, endpoint: Endpoint, case: Case, model: str, field: str, word: str
    ) -> None:
        fields = case(endpoint)
        told, done = routed(endpoint, fields), answered(endpoint, fields)
        assert compared(told) == compared(done)
        assert model in {told.chosen.language_model.name, ""}
        assert word in str(getattr(told, field))

    def test_leaves_out_models_that_cannot_call_tools(self, endpoint: Endpoint) -> None:
        with ScriptedOllama([ScriptedModel("clever", capabilities=ABLE)], answers={LIKE_MATH: "Five."}) as server:
            clever = make.make_deployment("clever", server=make.make_server(base_url=server.base_url))
            make.make_response(endpoint.federation.math, clever, energy_j=500.0, verdict="correct")
            assert eventually(lambda: bool(wiring.told_abilities().of([clever])[clever.pk]))
            told, done = routed(endpoint, {"tools": [TOOL]}), answered(endpoint, {"tools": [TOOL]})
        assert (told.chosen, compared(told)) == (clever, compared(done))

    def test_is_refused_where_nobody_can_call_tools(self, endpoint: Endpoint) -> None:
        body = {"messages": [{"role": "user", "content": LIKE_MATH}], "tools": [TOOL]}
        told = endpoint.send("POST", ROUTE, raw=json.dumps(body).encode())
        assert (told.status_code, error_of(told)) == (400, error_of(endpoint.chat(tools=[TOOL])))

    def test_books_nothing(self, endpoint: Endpoint) -> None:
        endpoint.key.budget_gco2e_per_hour = endpoint.key.soft_gco2e_per_day = 1.0
        endpoint.key.save()
        routed(endpoint, {})
        assert not KeyHour.objects.exists()
        assert not KeyDay.objects.exists()

    def test_knows_no_background_where_that_is_switched_off(self, endpoint: Endpoint, settings: Settings) -> None:
        settings.BACKGROUND_PROMPTS = "routed"
        assert routed(endpoint, title(endpoint)).policy == PolicyVersion.Policy.NEAREST
