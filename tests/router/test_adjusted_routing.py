"""Live decisions that count the place, the length, what is in memory and the key's budget."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.inference.base import PromptTooLong
from benchmarks.models import Deployment, InferenceServer
from router.adjusting import Conditions
from router.budget import HourSpent
from router.large_keeping import large_keeper_of
from router.length import Asked
from router.models import KeyHour, PolicyVersion, PromptIndex, RoutingDecision
from router.policy import Candidate, PlannedRun
from router.routing import Route, record_route, route
from tests import factories as make
from tests.router.endpoint import COMMITTED, Endpoint, error_of
from tests.router.fits import make_fit
from tests.router.judged import trust
from tests.router.standins import Federation, MemoryStore, make_federation, make_index

pytestmark = pytest.mark.django_db
MATH = "what is two plus seven"


@pytest.fixture
def federation() -> Federation:
    """A federation with twenty more prompts, which both models answer right; large costs nine times as much."""
    made = make_federation()
    both = {made.small: (10.0, "correct"), made.large: (90.0, "correct")}
    more = make.make_known(*((f"what is two plus item{number}", "math", both) for number in range(20)))
    prompts = [made.math, *more]
    make_index(prompts, embedder=made.embedder, store=made.store)
    return made


@pytest.fixture
def large_index(federation: Federation, tmp_path: Path) -> Federation:
    """The same federation, whose store may not hold the vectors; what is known is read."""
    store = MemoryStore(cache_dir=tmp_path, exact_limit=3)
    store.collections = federation.store.collections
    large_keeper_of(store).current(PromptIndex.objects.get(state="current"), is_patient=True)
    return replace(federation, store=store)


def use(policy: str, **parameters: object) -> PolicyVersion:
    return PolicyVersion.objects.create(**{"policy": policy, "neighbour_count": 10, **parameters})


def routed(
    federation: Federation,
    conditions: Conditions | None = None,
    *,
    stay_on: Deployment | None = None,
    refused: Deployment | None = None,
) -> Route:
    return route(
        prompt_text=MATH,
        embedder=federation.embedder,
        store=federation.store,
        conditions=conditions,
        stay_on_id=stay_on.pk if stay_on else None,
        refused_ids=[refused.pk] if refused else [],
    )


def candidate(found: Route, deployment: Deployment) -> Candidate:
    return next(one for one in found.choice.candidates if one.evidence.deployment_id == deployment.pk)


def limit_context(deployment: Deployment, tokens: int) -> None:
    deployment.language_model.context_length = tokens
    deployment.language_model.save()


def asked(characters: int, **limits: int) -> Conditions:
    return Conditions(Asked(characters, **limits))


class TestPlace:
    def make_twin(self, federation: Federation, *, energy_j: float, quality: str = "estimated") -> Deployment:
        """Put small on another machine too, where its answers cost something else; nobody has judged those."""
        server = make.make_server(make.make_machine("other"), "http://127.0.0.1:2")
        twin = make.make_deployment("small", server=server)
        for response in federation.small.responses.all():
            make.make_response(response.prompt, twin, energy_j=energy_j, quality=quality)
        return twin

    @pytest.mark.slow
    def test_shares_verdicts_and_not_sci(self, federation: Federation) -> None:
        use("knn", sci_price=50.0)
        twin = self.make_twin(federation, energy_j=2.0)
        found = routed(federation)
        mine, other = candidate(found, federation.small).evidence, candidate(found, twin).evidence
        assert mine.p == other.p
        assert mine.sci_gco2e is not None
        assert other.sci_gco2e is not None
        assert other.sci_gco2e < mine.sci_gco2e
        assert found.chosen == twin

    @pytest.mark.slow
    @pytest.mark.parametrize("policy", ["knn", "guarded", "category", "nearest"])
    def test_does_not_rank_energy_of_another_quality(self, federation: Federation, policy: str) -> None:
        use(policy)
        twin = self.make_twin(federation, energy_j=0.1, quality="measured")
        found = routed(federation)
        assert found.chosen != twin
        assert "not ranked together" in candidate(found, twin).reason

    @pytest.mark.slow
    def test_keeps_the_intensity_with_the_decision(self, federation: Federation) -> None:
        use("knn", sci_price=50.0, is_intensity_live=True)
        make.make_feed("DE", live=770.0, told_at=make.NOW)
        now = Conditions(Asked.of_prompt(MATH), now=make.NOW + timedelta(minutes=1))
        before, found = routed(federation), routed(federation, now)
        decision = record_route(route=found, now=make.NOW)
        assert (decision.intensity["gco2e_per_kwh"], decision.intensity["is_stale"]) == (770.0, False)
        assert record_route(route=before, now=make.NOW).intensity["gco2e_per_kwh"] == 385
        assert found.choice.chosen.sci_gco2e is not None
        assert before.choice.chosen.sci_gco2e is not None
        assert found.choice.chosen.sci_gco2e > 1.1 * before.choice.chosen.sci_gco2e
        assert "At 770 gCO2e/kWh in DE." in candidate(found, found.chosen).reason


class TestLength:
    @pytest.mark.slow
    def test_scales_what_each_model_is_expected_to_cost(self, federation: Federation) -> None:
        use("knn", sci_price=5.0)
        for deployment, j_per_prompt_token in ((federation.small, 0.5), (federation.large, 0.001)):
            make_fit(deployment, j_per_prompt_token=j_per_prompt_token)
            deployment.responses.update(prompt_token_count=30, output_token_count=50)
        short, long = routed(federation), routed(federation, asked(9540))
        assert (short.chosen, long.chosen) == (federation.small, federation.large)
        assert "Scaled for about 3,200 prompt tokens (estimated), known up to 30." in (
            candidate(long, federation.small).reason
        )


class TestContext:
    @pytest.mark.slow
    @pytest.mark.parametrize("policy", ["knn", "guarded", "category", "nearest", "floor"])
    def test_leaves_out_what_cannot_hold_the_request(self, federation: Federation, policy: str) -> None:
        use(policy, sci_price=50.0)
        limit_context(federation.small, 2048)
        found = routed(federation, asked(12_000))
        assert found.chosen == federation.large
        lost = candidate(found, federation.small)
        assert "Its context of 2,048 tokens cannot hold about 3,000 prompt tokens (estimated)" in lost.reason
        assert not lost.is_chosen

    @pytest.mark.slow
    def test_counts_the_answer(self, federation: Federation) -> None:
        use("knn", sci_price=50.0)
        limit_context(federation.small, 2048)
        assert routed(federation, asked(4000, num_predict=1000)).chosen == federation.small
        assert routed(federation, asked(4000, num_predict=1100)).chosen == federation.large

    @pytest.mark.slow
    def test_finds_another_fallback(self, federation: Federation) -> None:
        use("guarded", fallback=federation.large, novelty=0.0)
        limit_context(federation.large, 2048)
        assert routed(federation, asked(12_000)).chosen == federation.small

    @pytest.mark.slow
    def test_does_not_keep_a_conversation_on_what_it_has_outgrown(self, federation: Federation) -> None:
        use("knn", sci_price=50.0)
        limit_context(federation.small, 2048)
        assert routed(federation, stay_on=federation.small).chosen == federation.small
        assert routed(federation, asked(12_000), stay_on=federation.small).chosen == federation.large

    @pytest.mark.slow
    @pytest.mark.parametrize("policy", ["knn", "guarded", "nearest", "fixed"])
    def test_that_fits_nowhere_is_refused(self, federation: Federation, policy: str) -> None:
        use(policy, fallback=federation.large)
        for deployment in (federation.small, federation.large):
            limit_context(deployment, 2048)
        with pytest.raises(PromptTooLong, match="no active model can hold it"):
            routed(federation, asked(12_000))

    def test_of_a_fixed_model_is_that_of_the_model(self, federation: Federation) -> None:
        use("fixed", fallback=federation.large)
        limit_context(federation.large, 2048)
        with pytest.raises(PromptTooLong, match="Of large: Its context"):
            routed(federation, asked(12_000))


def in_memory(*names: str) -> Conditions:
    def loaded(servers: Iterable[InferenceServer]) -> dict[int, frozenset[str]]:
        return {server.pk: frozenset(names) for server in servers}

    return Conditions(Asked.of_prompt(MATH), loaded=loaded)


class TestLoad:
    @pytest.mark.slow
    def test_keeps_a_loaded_model_where_loading_would_eat_the_saving(self, federation: Federation) -> None:
        use("knn", sci_price=5.0, prompts_per_load=10)
        make_fit(federation.small, load_energy_j=5000.0, load_duration_s=20.0, load_count=1)
        found = routed(federation, in_memory("large"))
        assert found.chosen == federation.large
        assert "It is not in memory: 1/10 of loading it" in candidate(found, federation.small).reason
        assert routed(federation, in_memory("large", "small")).chosen == federation.small

    def test_loads_another_where_that_pays(self, federation: Federation) -> None:
        use("knn", sci_price=5.0, prompts_per_load=1000)
        make_fit(federation.small, load_energy_j=5000.0, load_duration_s=20.0, load_count=1)
        assert routed(federation, in_memory("large")).chosen == federation.small


class TestBudget:
    def with_hour(self, **facts: float) -> Conditions:
        return Conditions(Asked.of_prompt(MATH), hour=HourSpent(1.0, **facts))

    def make_large_better(self, federation: Federation) -> None:
        for response in list(federation.small.responses.order_by("pk"))[::3]:
            for _ in range(2):
                make.make_label(response, "incorrect")

    @pytest.mark.slow
    @pytest.mark.parametrize("policy", ["knn", "guarded"])
    def test_moves_along_the_dial_while_spending_runs_ahead(self, federation: Federation, policy: str) -> None:
        use(policy)
        self.make_large_better(federation)
        assert routed(federation).chosen == federation.large
        found = routed(federation, self.with_hour(price=1000.0))
        assert found.chosen == federation.small
        assert "runs ahead of the hour" in found.choice.explanation

    def test_once_spent_takes_nothing_that_cannot_hold_the_request(self, federation: Federation) -> None:
        use("nearest")
        limit_context(federation.small, 2048)
        spent = Conditions(Asked(12_000), hour=HourSpent(1.0, spent_gco2e=1.0))
        found = routed(federation, spent)
        assert found.chosen == federation.large
        assert "is spent" in found.choice.explanation

    @pytest.mark.slow
    @pytest.mark.parametrize("policy", ["knn", "guarded"])
    def test_once_spent_still_goes_to_a_larger_model_for_a_refused_answer(
        self, federation: Federation, policy: str
    ) -> None:
        use(policy, sci_price=50.0)
        spent = self.with_hour(spent_gco2e=1.0)
        found = routed(federation, spent, refused=federation.small)
        assert (found.chosen, found.choice.reason) == (federation.large, "refused")

    @pytest.mark.slow
    @pytest.mark.parametrize("policy", ["knn", "guarded", "fixed"])
    def test_once_spent_takes_the_cheapest_plausible_and_says_so(self, federation: Federation, policy: str) -> None:
        use(policy, fallback=federation.large)
        self.make_large_better(federation)
        found = routed(federation, self.with_hour(spent_gco2e=1.0))
        assert (found.chosen, found.choice.reason) == (federation.small, RoutingDecision.Reason.BUDGET)
        assert found.choice.explanation.startswith("The key's carbon budget is spent")


@pytest.mark.slow
class TestIndexTooLargeForTheMemory:
    @pytest.mark.parametrize("policy", ["knn", "guarded", "category", "floor"])
    def test_leaves_out_what_cannot_hold_the_request(self, large_index: Federation, policy: str) -> None:
        use(policy, sci_price=50.0)
        limit_context(large_index.small, 2048)
        found = routed(large_index, asked(12_000))
        assert (found.policy, found.chosen) == (policy, large_index.large)
        lost = candidate(found, large_index.small)
        assert "Its context of 2,048 tokens cannot hold about 3,000 prompt tokens (estimated)" in lost.reason

    def test_finds_another_fallback(self, large_index: Federation) -> None:
        use("guarded", fallback=large_index.large, novelty=0.0)
        limit_context(large_index.large, 2048)
        found = routed(large_index, asked(12_000))
        assert (found.policy, found.chosen) == ("guarded", large_index.small)

    def test_refuses_what_fits_nowhere(self, large_index: Federation) -> None:
        use("knn")
        for deployment in (large_index.small, large_index.large):
            limit_context(deployment, 2048)
        with pytest.raises(PromptTooLong, match="no active model can hold it"):
            routed(large_index, asked(12_000))

    def test_scales_by_the_lengths_of_the_neighbours(self, federation: Federation, large_index: Federation) -> None:
        use("knn", sci_price=5.0)
        for deployment, j_per_prompt_token in ((federation.small, 0.5), (federation.large, 0.001)):
            make_fit(deployment, j_per_prompt_token=j_per_prompt_token)
            for number, response in enumerate(deployment.responses.order_by("prompt")):
                response.prompt_token_count, response.output_token_count = 30 + number, 50
                response.save()
        held, found = routed(federation, asked(9540)), routed(large_index, asked(9540))
        assert found.chosen == federation.large
        assert candidate(found, federation.small).reason == candidate(held, federation.small).reason
        assert "Scaled for about 3,200 prompt tokens" in candidate(found, federation.small).reason

    def test_counts_the_place_and_the_load(self, large_index: Federation) -> None:
        use("knn", sci_price=5.0, prompts_per_load=10, is_intensity_live=True)
        make.make_feed("DE", live=770.0, told_at=make.NOW)
        make_fit(large_index.small, load_energy_j=5000.0, load_duration_s=20.0, load_count=1)
        found = routed(large_index, replace(in_memory("large"), now=make.NOW + timedelta(minutes=1)))
        assert found.chosen == large_index.large
        reason = candidate(found, large_index.small).reason
        assert "At 770 gCO2e/kWh in DE. It is not in memory: 1/10 of loading it" in reason

    def test_plans_the_same_cascade(self, large_index: Federation, federation: Federation) -> None:
        use("cascade", novelty=4.0)
        trust("number_format", federation.small, "math", accepted=80, right=80)
        small, large = federation.small.pk, federation.large.pk
        assert routed(large_index).choice.plan == (PlannedRun(small, "number_format"), PlannedRun(large))
        assert routed(large_index).choice.plan == routed(federation).choice.plan

    def test_counts_a_spent_budget(self, large_index: Federation) -> None:
        use("fixed", fallback=large_index.large)
        spent = Conditions(Asked.of_prompt(MATH), hour=HourSpent(1.0, spent_gco2e=1.0))
        found = routed(large_index, spent)
        assert (found.chosen, found.choice.reason) == (large_index.small, RoutingDecision.Reason.BUDGET)


@pytest.mark.slow
@COMMITTED
class TestEndpoint:
    def test_answers_with_the_state_of_the_budget(self, endpoint: Endpoint) -> None:
        endpoint.key.budget_gco2e_per_hour = 1e-9
        endpoint.key.save()
        first, second = endpoint.chat(), endpoint.chat()
        assert first["X-GreenLLM-Budget"].endswith("; spent")
        body = json.loads(second.content)["greenllm"]
        assert body["budget"]["is_spent"]
        assert "is spent" in body["reason"]
        assert KeyHour.objects.get().request_count == 2

    def test_without_a_budget_says_nothing_of_one(self, endpoint: Endpoint) -> None:
        answered = endpoint.chat()
        assert "X-GreenLLM-Budget" not in answered
        assert json.loads(answered.content)["greenllm"]["budget"] is None
        assert not KeyHour.objects.exists()

    def test_books_a_named_model_too(self, endpoint: Endpoint) -> None:
        endpoint.key.budget_gco2e_per_hour = 1.0
        endpoint.key.save()
        answered = endpoint.chat(model="large")
        assert json.loads(answered.content)["model"] == "large"
        assert KeyHour.objects.get().spent_gco2e > 0

    def test_refuses_what_fits_nowhere(self, endpoint: Endpoint) -> None:
        for deployment in (endpoint.federation.small, endpoint.federation.large):
            limit_context(deployment, 2048)
        response = endpoint.chat(max_tokens=4000)
        error = error_of(response)
        assert (response.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", "messages")
        assert "no active model can hold it" in error["message"]
