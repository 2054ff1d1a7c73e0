"""An index above the limit: the same decisions as from memory, from sums and the neighbours alone."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Deployment, Measurement, Prompt, Response
from labeling.models import Label
from router.large_keeping import LargeKeeper, known_of, large_keeper_of
from router.large_knowledge import LargeKnowledge, StillReading
from router.models import PolicyVersion, PromptIndex
from router.policy import NobodyJudged
from router.routing import Route, route
from tests import factories as make
from tests.router.standins import MemoryStore, make_embedder, make_index

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

WORDS = ("what", "is", "two", "plus", "write", "a", "python", "function", "translate", "seven")
COUNTS = frozenset({"response_count", "sci_count"})  # of answers in Postgres, of what was judged and known in the table
ASKED = ("what is two plus seven", "write a python function", "translate two", "is a plus")


@pytest.fixture
def held(tmp_path: Path) -> MemoryStore:
    """A store of thirty prompts of three kinds and three models, half measured and judged, some by several people."""
    chance = np.random.default_rng(5)
    server = make.make_server()
    models = [make.make_deployment(name, server=server) for name in ("large", "middle", "small")]
    twin = Deployment.objects.create(
        language_model=models[2].language_model,
        server=make.make_server(base_url="http://127.0.0.1:2"),
        state="active",
        state_changed_at=make.NOW,
    )
    prompts = make.make_known(
        *(
            (" ".join(chance.choice(WORDS, 4)) + f" item{number}", ("math", "code", "text")[number % 3], {})
            for number in range(30)
        )
    )
    answers = [
        (prompt, model, size)
        for prompt in prompts
        for size, model in enumerate((*models, twin))
        if chance.random() < 0.8
    ]
    responses = make.make_responses(
        (prompt, model, {"energy_j": float(chance.lognormal(4 - size)), "quality": "measured"})
        for prompt, model, size in answers
    )
    judged = [
        (response, "correct" if chance.random() < 0.8 - 0.1 * size else "incorrect")
        for response, (_, _, size) in zip(responses, answers, strict=True)
        for _ in range(chance.integers(0, 3))
    ]
    make.make_labels([response for response, _ in judged], [verdict for _, verdict in judged])
    store = MemoryStore(cache_dir=tmp_path)
    make_index(prompts, embedder=make_embedder(), store=store)
    return store


@pytest.fixture
def large(held: MemoryStore, tmp_path: Path) -> MemoryStore:
    """The same vectors, in a store that may hold none of them."""
    store = MemoryStore(cache_dir=tmp_path / "large", exact_limit=3)
    store.collections = held.collections
    return store


def elsewhere(store: MemoryStore) -> MemoryStore:
    """Return a store of the same vectors that keeps its files in a folder of its own."""
    other = MemoryStore(cache_dir=store.cache_dir / "elsewhere", exact_limit=3)
    other.collections = store.collections
    return other


def routed(store: MemoryStore, text: str = ASKED[0], *, is_patient: bool = True) -> Route:
    return route(prompt_text=text, embedder=make_embedder(), store=store, is_patient=is_patient)


def index_now() -> PromptIndex:
    return PromptIndex.objects.get(state="current")


def assert_same(one: Route, other: Route, *, but_for: frozenset[str] = frozenset()) -> None:
    assert (one.chosen, one.policy, one.neighbours) == (other.chosen, other.policy, other.neighbours)
    assert (one.choice.reason, one.choice.explanation) == (other.choice.reason, other.choice.explanation)
    for mine, theirs in zip(one.choice.candidates, other.choice.candidates, strict=True):
        assert (mine.reason, mine.is_chosen) == (theirs.reason, theirs.is_chosen)
        for name, value in vars(mine.evidence).items():
            if name in but_for:
                continue
            expected = vars(theirs.evidence)[name]
            assert value == (pytest.approx(expected, rel=1e-5) if isinstance(expected, float) else expected), name


class TestDecides:
    @pytest.mark.parametrize(
        "parameters",
        [
            {"policy": "guarded", "tolerance": 0.1},
            {"policy": "guarded", "novelty": 0.5},
            {"policy": "knn", "sci_price": 5.0},
            {"policy": "category", "sci_price": 5.0},
            {"policy": "floor", "accuracy_floor": 0.6},
        ],
        ids=lambda parameters: "-".join(str(value) for value in parameters.values()),
    )
    def test_as_from_memory(self, held: MemoryStore, large: MemoryStore, parameters: dict[str, object]) -> None:
        PolicyVersion.objects.create(**{"neighbour_count": 8, "novelty": 4.0, **parameters})
        for text in ASKED:
            assert_same(routed(large, text), routed(held, text))

    def test_as_from_memory_where_one_model_was_measured_otherwise(self, held: MemoryStore, large: MemoryStore) -> None:
        Measurement.objects.filter(response__deployment__language_model__name="middle").update(quality="simulated")
        for text in ASKED:
            assert_same(routed(large, text), routed(held, text))

    def test_by_the_nearest_as_from_memory(self, held: MemoryStore, large: MemoryStore) -> None:
        PolicyVersion.objects.create(policy="nearest")
        Measurement.objects.filter(response__deployment__language_model__name="middle").update(quality="simulated")
        routed_known = known_of(index_now(), large, is_patient=True)
        assert isinstance(routed_known, LargeKnowledge)
        for text in ASKED:
            assert routed_known.evidence(routed(large, text).neighbours[0].prompt_id) is not None
            assert_same(routed(large, text, is_patient=False), routed(held, text), but_for=COUNTS)

    def test_by_the_nearest_in_postgres_while_a_new_model_is_not_in_the_table(
        self, held: MemoryStore, large: MemoryStore
    ) -> None:
        routed(large)
        PolicyVersion.objects.create(policy="nearest")
        new = make.make_deployment("new", server=make.make_server(base_url="http://127.0.0.1:3"))
        nearest = routed(held).nearest_prompt
        make.make_label(make.make_response(nearest, new, energy_j=1e-6, quality="measured"), "correct")
        assert routed(large, is_patient=False).chosen == new

    @pytest.mark.parametrize("policy", ["guarded", "nearest"])
    def test_in_five_queries(
        self, large: MemoryStore, policy: str, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        routed(large)
        PolicyVersion.objects.create(policy=policy)
        embedder = make_embedder()
        with django_assert_num_queries(5):
            route(prompt_text=ASKED[0], embedder=embedder, store=large)

    def test_by_neighbours_where_a_regression_is_wanted_and_says_so(self, large: MemoryStore) -> None:
        PolicyVersion.objects.create(policy="knn", sci_price=5.0, estimator="regression")
        assert "too large for a regression" in routed(large).choice.explanation

    def test_of_a_strongest_model_as_from_memory(self, held: MemoryStore, large: MemoryStore) -> None:
        found = [known_of(index_now(), store, is_patient=True).strongest_id() for store in (held, large)]
        assert found[0] is not None
        assert found[0] == found[1]


class TestFollows:
    def test_a_label_on_a_neighbour_at_once(self, large: MemoryStore) -> None:
        before = routed(large).choice.candidates
        Label.objects.update(is_current=False, voided_at=make.NOW, void_reason="a mistake")
        after = routed(large).choice.candidates
        assert sum(one.evidence.label_count for one in before) > 0
        assert sum(one.evidence.label_count for one in after) == 0

    def test_a_retired_model_at_once(self, large: MemoryStore) -> None:
        assert {one.evidence.model for one in routed(large).choice.candidates} == {"large", "middle", "small"}
        Deployment.objects.filter(language_model__name="small").update(state="retired")
        assert {one.evidence.model for one in routed(large).choice.candidates} == {"large", "middle"}


class TestSums:
    def keeper(self, store: MemoryStore, moments: list[float]) -> tuple[LargeKeeper, list[Callable[[], None]]]:
        begun: list[Callable[[], None]] = []
        return LargeKeeper(store=store, start=begun.append, clock=lambda: moments[0]), begun

    def test_are_made_beside_and_nearest_stands_in_until_then(self, large: MemoryStore) -> None:
        keeper, begun = self.keeper(large, [0.0])
        with pytest.raises(StillReading, match="still being read; try again"):
            keeper.current(index_now())
        begun[0]()
        assert keeper.current(index_now()).totals.score_count.sum() > 0

    def test_are_made_anew_after_an_hour_with_changes(self, large: MemoryStore) -> None:
        moments = [0.0]
        keeper, begun = self.keeper(large, moments)
        keeper.current(index_now(), is_patient=True)
        for moment, expected in ((3599.0, 0), (3601.0, 1)):
            moments[0] = moment
            keeper.current(index_now())
            assert len(begun) == 0 or expected
            make.make_label(Response.objects.order_by("pk")[0], "correct")
            keeper.current(index_now())
            assert len(begun) == expected

    def test_are_made_anew_for_a_new_model_at_most_a_tenth_of_the_time(self, large: MemoryStore) -> None:
        moments = [0.0]
        keeper, begun = self.keeper(large, moments)
        keeper.current(index_now(), is_patient=True)
        assert keeper._kept is not None
        keeper._kept.spent_s = 10.0
        make.make_deployment("new", server=make.make_server(base_url="http://127.0.0.1:3"))
        for moment, expected in ((89.0, 0), (91.0, 1)):
            moments[0] = moment
            keeper.current(index_now())
            assert len(begun) == expected
        begun[0]()
        assert [one.model for one in keeper.current(index_now()).columns] == [
            "large",
            "middle",
            "new",
            "small",
            "small",
        ]

    def test_follow_each_change_as_if_made_anew(self, large: MemoryStore) -> None:
        keeper, begun = self.keeper(large, [0.0])
        keeper.current(index_now(), is_patient=True)
        label = Label.objects.order_by("pk")[3]
        Label.objects.filter(pk=label.pk).update(is_current=False, voided_at=make.NOW, void_reason="a mistake")
        keeper.current(index_now())
        prompt, deployment = Prompt.objects.order_by("pk")[4], Deployment.objects.active()[1]
        make.make_label(make.make_response(prompt, deployment, energy_j=5.0, quality="measured"), "correct")
        followed = keeper.current(index_now())
        anew = LargeKeeper(store=elsewhere(large)).current(index_now(), is_patient=True)
        for name, value in vars(followed.totals).items():
            np.testing.assert_allclose(value, vars(anew.totals)[name], err_msg=name)
        np.testing.assert_allclose(followed.table.sci, anew.table.sci)
        assert not begun

    def test_are_there_at_the_next_start(self, large: MemoryStore) -> None:
        first = large_keeper_of(large).current(index_now(), is_patient=True)
        make.make_label(Response.objects.order_by("pk")[0], "correct")
        first = large_keeper_of(large).current(index_now())
        keeper, begun = self.keeper(large, [0.0])
        again = keeper.current(index_now())
        np.testing.assert_allclose(again.totals.score_total, first.totals.score_total)
        assert (again.novelty, len(begun)) == (first.novelty, 0)

    def test_of_another_index_are_not_taken(self, large: MemoryStore) -> None:
        large_keeper_of(large).current(index_now(), is_patient=True)
        PromptIndex.objects.update(built_at=make.NOW.replace(year=2020))
        keeper, _ = self.keeper(large, [0.0])
        with pytest.raises(NobodyJudged):
            keeper.current(index_now())


def test_stands_in_for_a_version_while_the_sums_are_made(large: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    PolicyVersion.objects.create(policy="guarded")
    monkeypatch.setattr(large_keeper_of(large), "_start", lambda work: None)
    found = routed(large, is_patient=False)
    assert found.policy == "nearest"
    assert "still being read, so that nearest stands in for guarded" in found.choice.explanation
