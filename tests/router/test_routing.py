import itertools

import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.federating import activate, retire
from benchmarks.inference.base import EmptyPrompt, ServerUnreachable
from benchmarks.models import Deployment
from router.deployment_facts import active_facts
from router.embedding import EmbedderMismatch
from router.indexing import NoIndex
from router.models import RoutingDecision
from router.policy import NoCandidate
from router.routing import Route, candidates_as_json, candidates_from_json, record_pinned, record_route, route
from router.vectors import DimensionMismatch
from tests import factories as make
from tests.router.standins import Federation, MemoryStore, WordClient, make_embedder, make_federation

pytestmark = pytest.mark.django_db

LIKE_MATH = "what is two plus three"
LIKE_CODE = "write a python program"


def ask(federation: Federation, text: str) -> Route:
    return route(prompt_text=text, embedder=federation.embedder, store=federation.store)


class TestRoute:
    def test_goes_to_the_cheapest_model_that_was_right_on_the_nearest_prompt(self) -> None:
        federation = make_federation()
        found = ask(federation, LIKE_MATH)
        assert (found.chosen, found.choice.reason) == (federation.small, "cheapest_correct")
        assert (found.nearest_prompt, found.nearest_prompt.category.name) == (federation.math, "math")

    def test_goes_to_the_dearer_model_where_the_cheap_one_was_wrong(self) -> None:
        federation = make_federation()
        found = ask(federation, LIKE_CODE)
        assert (found.chosen, found.nearest_prompt.category.name) == (federation.large, "code")

    def test_lists_the_neighbours_from_near_to_far(self) -> None:
        found = ask(make_federation(), LIKE_MATH)
        distances = [one.squared_distance for one in found.neighbours]
        assert len(distances) == 2
        assert distances == sorted(distances)

    def test_finds_a_known_prompt_at_distance_zero(self) -> None:
        federation = make_federation()
        assert ask(federation, federation.code.text).neighbours[0].squared_distance == 0.0

    def test_leaves_a_retired_model_out_at_once_without_embedding_again(self) -> None:
        federation = make_federation()
        retire(deployment=federation.small, now=make.NOW)
        embedded_before = list(federation.embedder.client.texts)  # type: ignore[attr-defined]
        found = ask(federation, LIKE_MATH)
        assert found.chosen == federation.large
        assert [one.evidence.model for one in found.choice.candidates] == ["large"]
        assert federation.embedder.client.texts == [*embedded_before, LIKE_MATH]  # type: ignore[attr-defined]

    def test_takes_a_model_back_that_is_active_again(self) -> None:
        federation = make_federation()
        retire(deployment=federation.small, now=make.NOW)
        activate(deployment=federation.small, now=make.NOW)
        assert ask(federation, LIKE_MATH).chosen == federation.small

    def test_takes_its_times_from_the_clock(self) -> None:
        federation = make_federation()
        moments = itertools.accumulate([0.0, 0.010, 0.002, 0.003])
        found = route(
            prompt_text=LIKE_MATH, embedder=federation.embedder, store=federation.store, clock=lambda: next(moments)
        )
        assert [found.embedding_ms, found.search_ms, found.choice_ms] == pytest.approx([10.0, 2.0, 3.0])

    def test_stores_nothing(self) -> None:
        ask(make_federation(), LIKE_MATH)
        assert not RoutingDecision.objects.exists()

    def test_needs_seven_queries(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        federation = make_federation()
        active_facts()  # read once, and again only where something has changed
        with django_assert_num_queries(
            7
        ):  # index, neighbours, the policy's version, three for the evidence, whether the facts stand
            ask(federation, LIKE_MATH)


class TestRefusal:
    @pytest.mark.parametrize("text", ["", "   ", "\n\t"])
    def test_of_an_empty_prompt(self, text: str) -> None:
        with pytest.raises(EmptyPrompt, match="the prompt is empty"):
            ask(make_federation(), text)

    def test_without_an_index(self) -> None:
        with pytest.raises(NoIndex):
            route(prompt_text="text", embedder=make_embedder(), store=MemoryStore())

    def test_with_an_embedder_of_other_weights(self) -> None:
        federation = make_federation()
        with pytest.raises(EmbedderMismatch):
            route(prompt_text="text", embedder=make_embedder(digest="other"), store=federation.store)

    def test_with_an_embedder_of_another_dimension(self) -> None:
        federation = make_federation()
        wider = make_embedder(WordClient(dimension=128))
        with pytest.raises(DimensionMismatch, match="has 128 numbers, the index 384"):
            route(prompt_text="text", embedder=wider, store=federation.store)

    def test_where_the_embedder_is_away(self) -> None:
        federation = make_federation()
        away = make_embedder(WordClient(failure=ServerUnreachable("http://gone", "refused")))
        with pytest.raises(ServerUnreachable):
            route(prompt_text="text", embedder=away, store=federation.store)

    def test_with_every_model_retired(self) -> None:
        federation = make_federation()
        for deployment in Deployment.objects.chat():
            retire(deployment=deployment, now=make.NOW)
        with pytest.raises(NoCandidate, match="no active model"):
            ask(federation, LIKE_MATH)


class TestDecision:
    def test_keeps_the_choice_its_reason_and_what_it_rests_on(self) -> None:
        federation = make_federation()
        found = ask(federation, LIKE_MATH)
        decision = record_route(route=found, now=make.NOW)
        decision.refresh_from_db()
        assert (decision.policy, decision.reason, decision.chosen) == ("nearest", "cheapest_correct", federation.small)
        assert (decision.category, decision.index) == (federation.math.category, federation.index)
        assert decision.explanation == found.choice.explanation
        assert decision.predicted_sci_gco2e == pytest.approx(found.choice.chosen.sci_gco2e)
        assert (decision.predicted_quality, decision.decided_at) == ("estimated", make.NOW)

    def test_keeps_every_neighbour_and_candidate(self) -> None:
        federation = make_federation()
        decision = record_route(route=ask(federation, federation.math.text), now=make.NOW)
        decision.refresh_from_db()
        assert decision.neighbours[0] == {
            "prompt_id": federation.math.pk,
            "external_id": federation.math.external_id,
            "category": "math",
            "squared_distance": 0.0,
        }
        assert [(one["model"], one["is_chosen"], one["is_correct"]) for one in decision.candidates] == [
            ("small", True, True),
            ("large", False, True),
        ]
        assert all(one["reason"] for one in decision.candidates)

    def test_survives_the_retirement_of_its_model(self) -> None:
        federation = make_federation()
        decision = record_route(route=ask(federation, LIKE_MATH), now=make.NOW)
        retire(deployment=federation.small, now=make.NOW)
        decision.refresh_from_db()
        assert decision.chosen == federation.small

    def test_says_that_the_caller_named_the_model(self) -> None:
        federation = make_federation()
        request = make.make_gateway_request()
        decision = record_pinned(deployment=federation.large, now=make.NOW, request_id=request.pk)
        assert (decision.policy, decision.reason, decision.index) == ("fixed", "pinned", None)
        assert decision.explanation == "The caller asked for large by name."


class TestStoredCandidates:
    def test_come_back_as_they_were(self) -> None:
        choice = ask(make_federation(), LIKE_MATH).choice
        assert candidates_from_json(candidates_as_json(choice)) == choice.candidates

    def test_of_the_first_days_have_no_sample_size(self) -> None:
        [row, *_] = candidates_as_json(ask(make_federation(), LIKE_MATH).choice)
        del row["sci_count"]
        assert candidates_from_json([row])[0].evidence.sci_count == 0
