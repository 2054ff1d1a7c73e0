"""The live router by a version of a policy: what it chooses, what it says, and how soon it follows a change."""

import re

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Deployment, Measurement, Prompt, Response
from labeling.models import Label
from router.index import IndexStoreError, VectorStore
from router.knowledge import KnowledgeKeeper, keeper_of, knowledge_with
from router.models import PolicyVersion, PromptIndex, RoutingDecision
from router.policy import NoCandidate, difference_in_words
from router.routing import Route, candidates_from_json, record_route, route
from tests import factories as make
from tests.router.standins import Federation, make_federation, make_index

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("points", "words"),
    [
        (0.4, "as well as"), (-0.4, "as well as"), (-1.2, "1 point worse than"), (-2.0, "2 points worse than"),
        (3.3, "3 points better than"),
    ],
)  # fmt: skip
def test_a_difference_of_accuracy_is_told_in_words(points: float, words: str) -> None:
    assert difference_in_words(points) == words


@pytest.fixture
def federation() -> Federation:
    """A federation with twenty more prompts of each kind; small is right in math, large in all."""
    made = make_federation(policy=None)
    more = make.make_known(
        *(
            (text, category, {made.small: (10.0, verdict), made.large: (90.0, "correct")})
            for number in range(20)
            for text, category, verdict in (
                (f"what is two plus item{number}", "math", "correct"),
                (f"write a python function item{number}", "code", "incorrect"),
            )
        )
    )
    prompts = [made.math, made.code, *more]
    make_index(prompts, embedder=made.embedder, store=made.store)
    return made


class Clock:
    """A clock that goes on by a step at each look."""

    def __init__(self, *, step_s: float) -> None:
        self.now_s, self._step_s = 0.0, step_s

    def __call__(self) -> float:
        self.now_s += self._step_s
        return self.now_s


def routed(federation: Federation, text: str = "what is two plus seven") -> Route:
    return route(prompt_text=text, embedder=federation.embedder, store=federation.store)


def use(policy: str, **parameters: object) -> PolicyVersion:
    return PolicyVersion.objects.create(**{"policy": policy, "neighbour_count": 10, "novelty": 4.0, **parameters})


class TestUntuned:
    """What the router goes by where nobody has made a version."""

    @pytest.mark.slow
    def test_is_guarded(self, federation: Federation) -> None:
        found = routed(federation)
        assert (found.policy, found.version) == ("guarded", None)
        assert (found.chosen, found.choice.reason) == (federation.large, "fallback")

    @pytest.mark.slow
    def test_leaves_the_fallback_for_a_cheaper_model_that_is_better_here(self, federation: Federation) -> None:
        small, large = federation.small, federation.large
        make.make_known(
            *(
                (text, category, judged)
                for number, sometimes in enumerate(("incorrect", "correct") * 30)
                for text, category, judged in (
                    (f"what is two plus ten{number}", "math", {small: (10.0, "correct"), large: (90.0, sometimes)}),
                    (
                        f"write a python function ten{number}",
                        "code",
                        {small: (10.0, "incorrect"), large: (90.0, "correct")},
                    ),
                )
            )
        )
        make_index(list(Prompt.objects.order_by("pk")), embedder=federation.embedder, store=federation.store)
        found = routed(federation, "what is two plus ten7")
        assert (found.chosen, found.choice.reason) == (federation.small, "as_good")

    @pytest.mark.slow
    def test_says_that_it_does_not_know_a_kind_of_prompt(self, federation: Federation) -> None:
        found = routed(federation, "translate mountains quickly")
        assert (found.chosen, found.choice.reason) == (federation.large, "novel")
        assert re.search(
            r"does not know this kind of prompt \(squared distance 2\.00 to the nearest known one, limit 1\.00\), so "
            r"it goes to the fallback",
            found.choice.explanation,
        )

    @pytest.mark.slow
    def test_goes_by_nearest_where_nobody_has_judged_and_says_so(self, federation: Federation) -> None:
        Label.objects.all().delete()
        found = routed(federation)
        assert (found.policy, found.version, found.chosen) == ("nearest", None, federation.small)
        assert found.choice.reason == "cheapest_none_correct"
        assert found.choice.explanation.startswith(
            "Nobody has judged an answer of an active model to a known prompt yet, so that nearest stands in for "
            "guarded. No model with an SCI on the nearest known prompt is known to have answered it right"
        )

    @pytest.mark.slow
    def test_says_what_to_do_where_nothing_was_measured_either(self, federation: Federation) -> None:
        Label.objects.all().delete()
        Response.objects.update(measurement=None)
        with pytest.raises(NoCandidate, match="No active model has an SCI on the nearest known prompt"):
            routed(federation)

    @pytest.mark.slow
    def test_keeps_a_decision_without_a_version(self, federation: Federation) -> None:
        stored = record_route(route=routed(federation), now=timezone.now())
        assert (stored.policy, stored.version) == ("guarded", None)

    @pytest.mark.slow
    def test_needs_five_queries_once_the_rest_is_known(
        self, federation: Federation, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        routed(federation)
        with django_assert_num_queries(5):  # index, neighbours, the policy's version, two stamps
            routed(federation)

    @pytest.mark.slow
    def test_reads_what_is_known_in_five_queries_more(
        self, federation: Federation, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        # categories by prompt, their names, models, answers, verdicts; then deployments, fits, sums of SCI, intensity
        with django_assert_num_queries(5 + 5 + 4):
            routed(federation)


class TestPolicies:
    def test_guarded_leaves_the_fallback_where_a_cheaper_model_is_as_good(self, federation: Federation) -> None:
        use("guarded", tolerance=0.3)
        math, code = routed(federation), routed(federation, "write a python function for me")
        assert (math.chosen, math.choice.reason) == (federation.small, "as_good")
        assert (code.chosen, code.choice.reason) == (federation.large, "fallback")
        assert "did as well as large on" in math.choice.explanation

    @pytest.mark.slow
    def test_guarded_sends_what_is_new_to_the_fallback(self, federation: Federation) -> None:
        use("guarded", tolerance=0.3, novelty=0.5)
        assert routed(federation).chosen == federation.small
        new = routed(federation, "translate mountains quickly")
        assert (new.chosen, new.choice.reason) == (federation.large, "novel")

    @pytest.mark.slow
    def test_guarded_keeps_to_the_fallback_that_an_admin_chose(self, federation: Federation) -> None:
        use("guarded", fallback=federation.small)
        assert routed(federation, "write a python function for me").chosen == federation.small

    @pytest.mark.slow
    def test_knn_weighs_probability_against_sci(self, federation: Federation) -> None:
        use("knn", sci_price=0.0)
        assert routed(federation, "write a python function for me").chosen == federation.large
        use("knn", sci_price=1e6)
        found = routed(federation, "write a python function for me")
        assert (found.chosen, found.choice.reason) == (federation.small, "dial")

    @pytest.mark.slow
    def test_category_goes_by_the_kind_of_task(self, federation: Federation) -> None:
        use("category", sci_price=50.0)
        assert (routed(federation).chosen, routed(federation).choice.reason) == (federation.small, "category")
        assert routed(federation, "write a python function for me").chosen == federation.large

    @pytest.mark.slow
    def test_floor_takes_the_cheapest_that_reaches_it(self, federation: Federation) -> None:
        use("floor", accuracy_floor=0.7)
        found = routed(federation)
        assert (found.chosen, found.choice.reason) == (federation.small, "floor")
        use("floor", accuracy_floor=1.0)
        make.make_label(federation.large.responses.first(), "incorrect")
        assert routed(federation).choice.reason == "below_floor"

    @pytest.mark.slow
    def test_fixed_always_takes_its_model(self, federation: Federation) -> None:
        use("fixed", fallback=federation.large)
        assert (routed(federation).chosen, routed(federation).choice.reason) == (federation.large, "fixed")


class TestHistory:
    @pytest.mark.slow
    def test_the_latest_version_counts_at_once_and_an_old_one_can_come_back(self, federation: Federation) -> None:
        use("fixed", fallback=federation.large)
        use("fixed", fallback=federation.small)
        assert routed(federation).chosen == federation.small
        use("fixed", fallback=federation.large, note="Back to version 1.")
        assert routed(federation).chosen == federation.large
        assert PolicyVersion.objects.count() == 3

    def test_fixed_without_a_model_is_refused_by_name(self) -> None:
        with pytest.raises(ValidationError, match="The policy fixed needs a model"):
            PolicyVersion(policy="fixed").full_clean()

    @pytest.mark.slow
    def test_a_decision_keeps_its_version_and_what_was_known(self, federation: Federation) -> None:
        version = use("guarded", tolerance=0.3)
        record_route(route=routed(federation), now=timezone.now())
        stored = RoutingDecision.objects.get()
        assert (stored.policy, stored.version) == ("guarded", version)
        candidates = {one.evidence.model: one for one in candidates_from_json(stored.candidates)}
        small = candidates["small"].evidence
        assert small.p is not None
        assert small.p_low is not None
        assert small.p_high is not None
        assert small.p_low < small.p < small.p_high
        assert small.label_count == 10
        assert candidates["large"].reason.startswith("It is the fallback; it costs")


@pytest.mark.slow
class TestFollows:
    def test_a_label_at_once(self, federation: Federation) -> None:
        use("guarded", tolerance=0.3)
        assert routed(federation).chosen == federation.small
        for response in Label.objects.filter(response__deployment=federation.small).values_list("response", flat=True):
            make.make_label(federation.small.responses.get(pk=response), "incorrect")
        assert routed(federation).chosen == federation.large

    def test_a_voided_label_at_once(self, federation: Federation) -> None:
        use("knn", sci_price=1e6)
        assert routed(federation).chosen == federation.small
        Label.objects.filter(response__deployment=federation.small).update(
            voided_at=timezone.now(), is_current=False, void_reason="a mistake"
        )
        assert routed(federation).chosen == federation.large

    def test_a_retired_model_at_once(self, federation: Federation) -> None:
        use("knn", sci_price=1e6)
        assert routed(federation).chosen == federation.small
        Deployment.objects.filter(pk=federation.small.pk).update(state=Deployment.State.RETIRED)
        assert routed(federation).chosen == federation.large

    def test_what_takes_long_to_read_beside_the_decision(self, federation: Federation) -> None:
        use("knn", sci_price=1e6)
        keeper = keeper_of(federation.store)
        kept = keeper.current(federation.index.__class__.objects.get(state="current"))
        keeper._spent_s = 60.0  # as if it had been a large federation
        read: list[object] = []
        keeper._read_beside = lambda index, stamp: read.append(stamp)  # type: ignore[method-assign]
        make.make_response(federation.math, federation.small, verdict="incorrect")
        assert routed(federation).chosen == federation.small
        assert keeper._latest is not None
        assert keeper._latest[1] is kept
        assert len(read) == 1

    def test_many_changes_as_often_as_the_share_of_time_allows(self, federation: Federation) -> None:
        use("guarded")
        index = federation.index.__class__.objects.get(state="current")
        clock = Clock(step_s=0.5)  # each look at it takes half a second
        keeper = KnowledgeKeeper(store=federation.store, clock=clock)
        kept = keeper.current(index)
        reads = 0
        for _ in range(20):
            make.make_response(federation.math, federation.small, verdict="incorrect")
            before, kept = kept, keeper.current(index)
            reads += kept is not before
        assert reads == 5  # of half a second each; the last one takes what has come to the two seconds meanwhile
        clock.now_s += 60.0
        assert keeper.current(index) is not kept

    def test_another_index_at_once_with_the_whole_share_of_time(self, federation: Federation) -> None:
        use("guarded")
        index = federation.index.__class__.objects.get(state="current")
        keeper = KnowledgeKeeper(store=federation.store, clock=Clock(step_s=0.1))
        keeper.current(index)
        keeper._allowance.spend(100.0)
        assert not keeper._allowance.has_time()
        other = make_index([federation.math], embedder=federation.embedder, store=federation.store)
        assert keeper.current(other).prompt_ids.tolist() == [federation.math.pk]
        assert keeper._allowance.has_time()

    def test_another_federation_at_once_however_much_changed_before(self, federation: Federation) -> None:
        use("guarded")
        index = federation.index.__class__.objects.get(state="current")
        keeper = KnowledgeKeeper(store=federation.store, clock=Clock(step_s=0.1))
        keeper.current(index)
        keeper._allowance.spend(100.0)
        assert not keeper._allowance.has_time()
        Deployment.objects.filter(pk=federation.small.pk).update(state=Deployment.State.RETIRED)
        assert [column.model for column in keeper.current(index).columns] == ["large"]

    def test_nothing_is_read_anew_where_nothing_changed(self, federation: Federation) -> None:
        use("guarded")
        first = keeper_of(federation.store).current(federation.index.__class__.objects.get(state="current"))
        routed(federation)
        again = keeper_of(federation.store).current(federation.index.__class__.objects.get(state="current"))
        assert again is first

    def test_what_was_chosen_stays_where_other_prompts_were_judged_and_measured(self, federation: Federation) -> None:
        use("guarded")
        index = federation.index.__class__.objects.get(state="current")
        first = keeper_of(federation.store).current(index)
        routed(federation)
        [other] = make.make_known(("one that the index lacks", "math", {federation.small: (10.0, "incorrect")}))
        assert Label.objects.filter(response__prompt=other).exists()
        kept = keeper_of(federation.store).current(index)
        assert kept is first
        assert routed(federation).choice is routed(federation).choice
        make.make_response(federation.math, federation.small, verdict="incorrect")
        assert keeper_of(federation.store).current(index) is not first


class TestAnotherFederation:
    @pytest.mark.slow
    def test_is_known_with_a_model_that_is_not_active_and_without_one_that_is(self, federation: Federation) -> None:
        candidate = make.make_deployment("candidate", state="candidate", server=federation.server)
        make.make_response(federation.math, candidate, energy_j=5.0, verdict="correct")
        known = knowledge_with(
            PromptIndex.objects.get(state="current"), federation.store, [federation.small.pk, candidate.pk]
        )
        assert [column.model for column in known.columns] == ["candidate", "small"]
        assert known.known is not None
        assert known.known.label_counts.sum(axis=0).tolist() == [1, 42]
        assert routed(federation).choice.candidates[0].evidence.model == "small"
        assert known.novelty == keeper_of(federation.store).current(PromptIndex.objects.get(state="current")).novelty


class TestRefuses:
    @pytest.mark.slow
    def test_without_a_judged_answer_says_what_to_do(self, federation: Federation) -> None:
        use("guarded")
        Label.objects.all().delete()
        with pytest.raises(NoCandidate, match="Nobody has judged .* label some, or choose"):
            routed(federation)

    @pytest.mark.slow
    def test_without_an_active_model_says_what_to_do(self, federation: Federation) -> None:
        use("guarded")
        Deployment.objects.chat().update(state=Deployment.State.RETIRED)
        with pytest.raises(NoCandidate, match="no active model; add one"):
            routed(federation)

    @pytest.mark.slow
    def test_a_fallback_that_was_retired(self, federation: Federation) -> None:
        use("guarded", fallback=federation.large)
        Deployment.objects.filter(pk=federation.large.pk).update(state=Deployment.State.RETIRED)
        with pytest.raises(NoCandidate, match="fallback of policy version .* is not active"):
            routed(federation)

    def test_an_index_that_is_too_large_for_the_memory(self, federation: Federation) -> None:
        store = VectorStore(chroma_url="http://127.0.0.1:1", cache_dir=federation.store.cache_dir, exact_limit=5)
        with pytest.raises(IndexStoreError, match="more than the 5 that are kept in memory"):
            store.whole("any", 6)

    @pytest.mark.slow
    def test_to_rank_energy_of_unlike_quality_together(self, federation: Federation) -> None:
        use("guarded", tolerance=0.3)
        Measurement.objects.filter(response__deployment=federation.small).update(quality="simulated")
        found = routed(federation)
        assert found.chosen == federation.large
        reasons = {one.evidence.model: one.reason for one in found.choice.candidates}
        assert reasons["small"] == "Its energy is simulated, that of most others is not: they are not ranked together."
