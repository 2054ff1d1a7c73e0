"""Policies by hand on small tables, and what must hold on any."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.estimate import Estimator, Known, Shrinkage, UnusableOutcomes
from router.policies import ByCategory, Fixed, Floor, Guarded, Knn, Nearest, Policy

NAN = float("nan")


def known(scores: list[list[float]], costs: list[list[float]], *, categories: list[int] | None = None) -> Known:
    """Prompts a right angle apart in pairs: an even prompt and the next lie close together."""
    table = np.array(scores, dtype=np.float64)
    count = len(table)
    vectors = np.zeros((count, count), dtype=np.float32)
    for row in range(count):
        vectors[row, row - row % 2] = 0.8
        vectors[row, row] += 0.6 if row % 2 else 0.2
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Known(
        vectors=vectors,
        categories=np.array(categories or [0] * count),
        scores=table,
        label_counts=(~np.isnan(table)).astype(np.int64),
        sci_gco2e=np.array(costs, dtype=np.float64),
    )


def choose(policy: Policy, table: Known, row: int = 0) -> int:
    """Return the column that a prompt goes to that is the known one of this row once more."""
    estimator = Estimator(table, policy.shrinkage)
    return int(policy.choose(estimator, estimator.estimate(table.vectors[[row]]))[0])


class TestNearest:
    def test_takes_the_cheapest_that_was_right_there(self) -> None:
        assert choose(Nearest(), known([[0, 1, 1]], [[1, 3, 2]])) == 2

    def test_takes_the_cheapest_where_none_was_right(self) -> None:
        assert choose(Nearest(), known([[0, 0, 0]], [[2, 1, 3]])) == 1

    def test_holds_what_nobody_judged_for_not_known_to_be_right(self) -> None:
        assert choose(Nearest(), known([[NAN, 1]], [[1, 2]])) == 1

    def test_leaves_out_what_was_not_measured(self) -> None:
        assert choose(Nearest(), known([[1, 1], [1, 1]], [[NAN, 2], [1, 2]])) == 1

    def test_gives_ties_to_the_first_name(self) -> None:
        assert choose(Nearest(), known([[1, 1]], [[2, 2]])) == 0


class TestCategory:
    TABLE = known([[1, 0], [1, 0], [0, 1], [0, 1]], [[5, 1], [5, 1], [5, 1], [5, 1]], categories=[0, 0, 1, 1])

    def test_takes_the_best_of_the_category(self) -> None:
        assert choose(ByCategory(), self.TABLE) == 0
        assert choose(ByCategory(), self.TABLE, row=2) == 1

    def test_weighs_accuracy_against_sci(self) -> None:
        assert choose(ByCategory(sci_price=10.0), self.TABLE) == 1

    def test_believes_the_category_that_it_is_told(self) -> None:
        assert choose(ByCategory(categories=np.array([1])), self.TABLE) == 1


class TestKnn:
    TABLE = known([[1, 1], [1, 0]], [[4, 1], [4, 1]])

    def test_takes_the_most_probable_without_a_price(self) -> None:
        assert choose(Knn(), self.TABLE) == 0

    def test_takes_the_cheaper_at_a_high_price(self) -> None:
        assert choose(Knn(sci_price=1.0), self.TABLE) == 1

    def test_leaves_out_a_model_that_nobody_judged(self) -> None:
        assert choose(Knn(sci_price=1.0), known([[1, NAN], [1, NAN]], [[4, 1], [4, 1]])) == 0

    def test_goes_by_probability_alone_where_nothing_was_measured(self) -> None:
        assert choose(Knn(sci_price=1.0), known([[0, 1], [0, 1]], [[NAN, NAN], [NAN, NAN]])) == 1


class TestGuarded:
    @staticmethod
    def alike(right: list[list[float]], costs: list[float], count: int = 20) -> Known:
        """Return many prompts of one kind; the same outcomes on each in turn."""
        return known([right[row % len(right)] for row in range(count)], [costs] * count)

    def test_leaves_the_fallback_for_a_cheaper_model_that_is_as_good(self) -> None:
        table = self.alike([[1, 1]], [5, 1], count=60)
        assert choose(Guarded(fallback=0, tolerance=0.05), table) == 1

    def test_stays_where_a_few_pairs_only_look_alike(self) -> None:
        assert choose(Guarded(fallback=0), self.alike([[1, 1]], [5, 1])) == 0

    def test_leaves_for_one_that_is_better_and_cheaper(self) -> None:
        assert choose(Guarded(fallback=0), self.alike([[0, 1], [1, 1]], [5, 1])) == 1

    def test_never_leaves_for_a_dearer_model(self) -> None:
        assert choose(Guarded(fallback=0), self.alike([[0, 1]], [1, 5])) == 0

    def test_stays_on_too_few_pairs(self) -> None:
        table = self.alike([[0, 1]] * 4 + [[0, NAN]] * 16, [5, 1])
        assert choose(Guarded(fallback=0, least_pairs=8), table) == 0
        assert choose(Guarded(fallback=0, least_pairs=4), table) == 1

    def test_stays_where_the_prompt_is_new(self) -> None:
        table = self.alike([[0, 1], [1, 1]], [5, 1])
        estimator = Estimator(table, Guarded().shrinkage)
        far = -table.vectors[[0]]
        estimates = estimator.estimate(far)
        assert estimates.squared_distance[0] > 1.5
        assert Guarded(fallback=0, novelty=1.5).choose(estimator, estimates)[0] == 0
        assert Guarded(fallback=0).choose(estimator, estimates)[0] == 1

    def test_falls_back_on_the_most_accurate_model(self) -> None:
        assert choose(Guarded(), self.alike([[0, 1], [0, 1]], [1, 5])) == 1


class TestFloor:
    TABLE = known([[1, 1, 0], [1, 1, 0]], [[4, 2, 1], [4, 2, 1]])

    def test_takes_the_cheapest_above_it(self) -> None:
        assert choose(Floor(accuracy=0.9), self.TABLE) == 1

    def test_takes_the_most_probable_where_none_reaches_it(self) -> None:
        table = known([[0, 1], [1, 1], [0, 0], [0, 0]], [[1, 2]] * 4)
        assert choose(Floor(accuracy=0.99), table) == 1

    def test_must_be_a_probability(self) -> None:
        with pytest.raises(UnusableOutcomes, match="between 0 and 1"):
            Floor(accuracy=1.5)


def test_fixed_always_takes_its_model() -> None:
    assert choose(Fixed(model=1), known([[1, 0]], [[1, 9]])) == 1


cells = st.sampled_from([0.0, 1.0, NAN])


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    scores=st.lists(st.lists(cells, min_size=3, max_size=3), min_size=1, max_size=8),
    price=st.floats(0, 10),
    neighbours=st.integers(1, 9),
)
def test_every_policy_chooses_a_model_on_any_table(scores: list[list[float]], price: float, neighbours: int) -> None:
    table = known(scores, [[1.0, 2.0, NAN]] * len(scores))
    shrinkage = Shrinkage(neighbour_count=neighbours)
    for policy in (
        Nearest(),
        ByCategory(sci_price=price, shrinkage=shrinkage),
        Knn(sci_price=price, shrinkage=shrinkage),
        Guarded(shrinkage=shrinkage),
        Floor(accuracy=0.5, shrinkage=shrinkage),
    ):
        assert choose(policy, table) in (0, 1, 2)
