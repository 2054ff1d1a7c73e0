"""What was chosen for a prompt is kept with what is known: it must be what would be chosen anew, whatever is asked."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest

from benchmarks.models import Deployment, InferenceServer, LanguageModel, Machine
from router.adjusting import Adjusting, Conditions
from router.deployment_facts import Facts, IntensityUsed, Scored
from router.estimate import Estimator, Known
from router.index import Loaded
from router.knowledge import Column, Knowledge
from router.length import Asked
from router.models import PolicyVersion
from router.policy import Choice
from router.recent import Recent
from router.vectors import cosines_of, nearest
from router.weighing import Readable, weigh

MODELS = 3
READABLE = (Readable.ALONE, Readable.NOT)


def unit_vectors(chance: np.random.Generator, count: int) -> np.ndarray:
    vectors = chance.normal(size=(count, 16)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def knowledge_of(seed: int) -> Knowledge:
    """Make up what is known of 80 prompts in three categories; the same for the same seed."""
    chance = np.random.default_rng(seed)
    shape = (80, MODELS)
    scores = np.where(chance.random(shape) < 0.2, np.nan, chance.integers(0, 2, shape).astype(float))
    known = Known(
        vectors=unit_vectors(chance, 80),
        categories=np.arange(80) % 3,
        scores=scores,
        label_counts=(~np.isnan(scores)).astype(np.int64),
        sci_gco2e=np.where(chance.random(shape) < 0.1, np.nan, chance.uniform(0.001, 0.1, shape)),
    )
    columns = tuple(Column(number + 1, f"model{number}", "measured", is_ranked=True) for number in range(MODELS))
    return Knowledge((seed,), np.arange(1, 81), ("a", "b", "c"), columns, Estimator(known), 1.9)


def facts_of(*, factor: float) -> dict[int, Facts]:
    machine = Machine(pk=1, name="machine", zone="DE")
    server = InferenceServer(pk=1, name="server", machine=machine)
    energy_j = 3.6e6 * factor / 385  # at 385 gCO2e/kWh the known SCI of 1 g becomes that many
    found = {}
    for key in range(1, MODELS + 1):
        model = LanguageModel(pk=key, name=f"model{key - 1}")
        deployment = Deployment(pk=key, language_model=model, server=server)
        used = IntensityUsed("DE", 385.0, "average", "test")
        found[key] = Facts(deployment, None, Scored(energy_j, 0.0, 1.0) if key == 1 else None, used)
    return found


CONDITIONS = [
    Adjusting(facts_of(factor=factor), Conditions(Asked.of_prompt("asked")), too_long)
    for factor, too_long in product((1.0, 40.0), ({}, {2: "It is too long."}, {2: "It is not able."}))
]


def weighed(knowledge: Knowledge, vector: np.ndarray, text: str, **given: Any) -> Choice:
    neighbours = nearest(knowledge.estimator().known.vectors, knowledge.prompt_ids, vector, 50)
    around = knowledge.estimator().around(knowledge.rows_of(neighbours), cosines_of(neighbours))
    return weigh(knowledge=knowledge, estimator=around, vector=vector, text=text, **given)


class TestKeptChoices:
    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(3))
    def test_are_those_that_are_made_anew_whatever_is_asked(self, seed: int) -> None:
        kept = knowledge_of(seed)
        versions = [
            PolicyVersion(policy="guarded", tolerance=0.3),
            PolicyVersion(policy="guarded", tolerance=0.3, neighbour_count=10),
            PolicyVersion(policy="knn", sci_price=5.0),
            PolicyVersion(policy="floor", accuracy_floor=0.6),
            PolicyVersion(policy="category", sci_price=5.0),
        ]
        asked = list(product(unit_vectors(np.random.default_rng(seed + 100), 2), versions, CONDITIONS, "xy", READABLE))
        for _ in range(2):  # the second time all of them are kept
            for vector, version, adjusting, text, readable in asked:
                given = {"version": version, "adjusting": adjusting, "readable": readable}
                found = weighed(kept, vector, text, **given)
                assert found == weighed(replace(kept), vector, text, **given)  # a copy has kept nothing
        choices = {str(weighed(kept, vector, "x", version=one, adjusting=to)) for vector, one, to, _, _ in asked}
        assert len(choices) > 30  # of 60 asked alike

    def test_are_made_anew_by_another_estimator(self) -> None:
        kept, other = knowledge_of(1), knowledge_of(2)
        [vector] = unit_vectors(np.random.default_rng(0), 1)
        given = {"version": PolicyVersion(policy="knn"), "adjusting": CONDITIONS[0]}
        first = weigh(knowledge=kept, estimator=kept.estimator(), vector=vector, text="x", **given)
        second = weigh(knowledge=kept, estimator=other.estimator(), vector=vector, text="x", **given)
        assert first != second
        assert second == weigh(knowledge=replace(kept), estimator=other.estimator(), vector=vector, text="x", **given)


class TestKeptSearches:
    def test_find_what_is_searched_anew(self) -> None:
        chance = np.random.default_rng(3)
        loaded = Loaded(np.arange(100, 180), unit_vectors(chance, 80))
        asked = unit_vectors(chance, 10)
        for _ in range(2):
            for vector, count in product(asked, (1, 5, 50)):
                assert loaded.nearest(vector, count) == nearest(loaded.matrix, loaded.prompt_ids, vector, count)

    def test_are_nobody_elses_to_change(self) -> None:
        loaded = Loaded(np.arange(80), unit_vectors(np.random.default_rng(3), 80))
        vector = loaded.matrix[0]
        loaded.nearest(vector, 5).clear()
        assert len(loaded.nearest(vector, 5)) == 5


class TestRecent:
    def test_keeps_what_was_asked_for_latest(self) -> None:
        kept: Recent[str, int] = Recent(2)
        kept.keep("a", 1)
        kept.keep("b", 2)
        assert kept.get("a") == 1
        kept.keep("c", 3)
        assert [kept.get(key) for key in "abc"] == [1, None, 3]
