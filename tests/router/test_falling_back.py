"""Without the embedder, or without the index, prompts go to the fallback model, and the decision says so."""

from typing import Any

import pytest

from benchmarks.inference.base import EmptyPrompt, ServerUnreachable
from benchmarks.inference.scripted import Fault, FaultKind
from greenllm.verification.routes import check_decisions
from router.adjusting import Conditions
from router.falling_back import route_or_fall_back
from router.index import IndexStoreError
from router.length import Asked
from router.models import Deployment, GatewayRequest, PolicyVersion, RoutingDecision
from router.policy import NoCandidate, NoLargerModel
from router.routing import Route
from tests.router.endpoint import COMMITTED, LIKE_MATH, OpenEndpoint
from tests.router.standins import EMBEDDER_NAME, Federation, MemoryStore, WordClient, make_embedder, make_federation


class AbsentStore(MemoryStore):
    """A Chroma that is away, with nothing kept of it."""

    def nearest(self, *_: Any, **__: Any) -> Any:
        raise IndexStoreError("Chroma at http://127.0.0.1:1 cannot be used")


def without_embedder(federation: Federation, **options: Any) -> Route:
    away = make_embedder(WordClient(failure=ServerUnreachable("http://gone", "x")))
    return route_or_fall_back(prompt_text=LIKE_MATH, embedder=away, store=federation.store, **options)


@pytest.mark.django_db
class TestFallingBack:
    def test_is_not_needed_where_all_is_there(self) -> None:
        federation = make_federation()
        found = route_or_fall_back(prompt_text=LIKE_MATH, embedder=federation.embedder, store=federation.store)
        assert (found.chosen, found.policy) == (federation.small, "nearest")

    def test_goes_to_the_most_accurate_model_without_the_embedder(self) -> None:
        federation = make_federation()
        found = without_embedder(federation)
        assert (found.chosen, found.policy, found.choice.reason) == (federation.large, "fallback", "degraded")
        assert found.choice.explanation == (
            "The embedder does not answer, so the prompt could not be compared with the known ones: it went to large, "
            "the model that is most often right on the known prompts (100 % of 2)."
        )
        evidence = [(one.evidence.model, one.evidence.p, one.is_chosen) for one in found.choice.candidates]
        assert evidence == [("large", 1.0, True), ("small", 0.5, False)]
        assert all(one.evidence.sci_gco2e is None for one in found.choice.candidates)

    def test_goes_there_without_the_index(self) -> None:
        federation = make_federation()
        found = route_or_fall_back(prompt_text=LIKE_MATH, embedder=federation.embedder, store=AbsentStore())
        assert found.chosen == federation.large
        assert found.choice.explanation.startswith("The index does not answer")
        assert "127.0.0.1" not in found.choice.explanation

    def test_goes_to_the_fallback_of_the_policy(self) -> None:
        federation = make_federation()
        PolicyVersion.objects.create(policy="guarded", fallback=federation.small)
        found = without_embedder(federation)
        assert found.chosen == federation.small
        assert "small, the fallback of the policy." in found.choice.explanation

    def test_leaves_a_conversation_where_it_is(self) -> None:
        federation = make_federation()
        assert without_embedder(federation, stay_on_id=federation.small.pk).chosen == federation.small

    def test_leaves_out_what_was_refused_or_is_not_allowed(self) -> None:
        federation = make_federation()
        assert without_embedder(federation, refused_ids=[federation.large.pk]).chosen == federation.small
        with pytest.raises(NoLargerModel):
            without_embedder(federation, refused_ids=[federation.large.pk, federation.small.pk])
        allowed = Conditions(Asked.of_prompt(LIKE_MATH), only_models=frozenset({"small"}))
        assert without_embedder(federation, conditions=allowed).chosen == federation.small

    def test_has_nobody_without_an_active_model(self) -> None:
        federation = make_federation()
        Deployment.objects.update(state="retired")
        with pytest.raises(NoCandidate, match="No active model"):
            without_embedder(federation)

    def test_is_no_way_for_an_empty_prompt(self) -> None:
        federation = make_federation()
        with pytest.raises(EmptyPrompt):
            route_or_fall_back(prompt_text=" ", embedder=federation.embedder, store=federation.store)


@pytest.mark.slow
class TestEndpoint:
    pytestmark = COMMITTED

    def test_answers_where_the_embedder_fails(self, open_endpoint: OpenEndpoint) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STATUS, model=EMBEDDER_NAME, status=500))
        response = endpoint.chat()
        assert response.status_code == 200
        decision = RoutingDecision.objects.get()
        assert (decision.chosen, decision.reason, decision.category) == (endpoint.federation.large, "degraded", None)
        assert GatewayRequest.objects.get().state == "answered"
        assert check_decisions().told == []
