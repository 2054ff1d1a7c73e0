"""What a cascade's runs are expected to be worth. Three models: a cheap one, a middle one, and the last."""

import numpy as np
import pytest

from router.cascade import Cascade, Plan, Rates
from router.estimate import Estimator, Known, Shrinkage
from router.expecting import Choices, accepted_share, agreed_rates, choices_of, turns, worth_of
from router.policies import Fixed

NAN = float("nan")
COSTS = np.array([[1.0, 3.0, 10.0]])


def rates(column: int = 0, *, second: int | None = None, wrong_alike: float | None = None) -> Rates:
    """Return a checker that accepts three quarters of right answers and a quarter of wrong ones."""
    return Rates(
        "tests", column, 0, acceptance=0.5, precision=0.75, accepted_count=100, second=second, right_share=0.5,
        wrong_alike=wrong_alike,
    )  # fmt: skip


def worth(right: tuple[float, ...], *checked: Rates, costs: np.ndarray = COSTS, is_truth: bool = True) -> list[float]:
    plan = Plan(checked, 2, None, None)
    found = worth_of(Choices(np.array([0]), (plan,)), np.array([right]), costs, is_truth=is_truth)
    return [found.right[0], found.costs[0], *found.stands[0]]


def test_a_run_is_made_where_none_before_it_was_accepted() -> None:
    assert turns([0.5, 0.2]) == ([1.0, 0.5, pytest.approx(0.4)], [0.5, pytest.approx(0.1), pytest.approx(0.4)])
    assert turns([]) == ([1.0], [1.0])


@pytest.mark.parametrize(
    ("is_right", "right_share", "share"),
    [(1.0, 0.6, 0.75), (0.0, 0.6, 0.125), (None, 0.6, 0.5), (NAN, 0.6, 0.5), (1.0, None, 0.5), (1.0, 0.3, 1.0)],
    ids=["right", "wrong", "not known", "not judged", "share not known", "never above all"],
)
def test_what_a_checker_accepts_follows_from_its_precision(
    is_right: float | None, right_share: float | None, share: float
) -> None:
    found = accepted_share(acceptance=0.5, precision=0.9, right_share=right_share, is_right=is_right)
    assert found == pytest.approx(share)


class TestWorth:
    def test_is_that_of_every_run_and_of_the_answer_that_stands(self) -> None:
        right, cost, *stands = worth((1.0, 0.0, 0.0), rates())
        assert stands == [0.75, 0.0, 0.25]
        assert (right, cost) == (pytest.approx(0.75), pytest.approx(1 + 0.25 * 10))

    def test_lets_a_wrong_answer_stand_as_often_as_the_checker_does(self) -> None:
        right, cost, *stands = worth((0.0, 0.0, 1.0), rates())
        assert stands == [0.25, 0.0, 0.75]
        assert (right, cost) == (pytest.approx(0.75), pytest.approx(1 + 0.75 * 10))

    def test_goes_through_several_models(self) -> None:
        _, cost, *stands = worth((1.0, 1.0, 1.0), rates(0), rates(1))
        assert stands == pytest.approx([0.75, 0.25 * 0.75, 0.25 * 0.25])
        assert cost == pytest.approx(1 + 0.25 * (3 + 0.25 * 10))

    def test_charges_the_model_beside_it(self) -> None:
        assert worth((1.0, 1.0, 1.0), rates(second=1))[1] == pytest.approx(1 + 3 + 0.25 * 10)

    def test_goes_by_the_precision_where_only_a_probability_is_known(self) -> None:
        right, cost, *_ = worth((0.3, 0.4, 0.8), rates(), is_truth=False)
        assert (right, cost) == (pytest.approx(0.5 * 0.75 + 0.5 * 0.8), pytest.approx(1 + 0.5 * 10))

    def test_is_unknown_where_an_answer_that_may_stand_is_not_judged(self) -> None:
        right, cost, *_ = worth((NAN, 1.0, 1.0), rates())
        assert np.isnan(right)
        assert cost == pytest.approx(1 + 0.5 * 10)  # half of all its answers are accepted

    def test_needs_nothing_of_a_model_that_is_never_asked(self) -> None:
        sure = Rates("tests", 0, 0, acceptance=0.5, precision=1.0, accepted_count=100, right_share=0.5)
        found = worth((1.0, NAN, NAN), sure, costs=np.array([[1.0, NAN, NAN]]))
        assert found[:2] == [1.0, 1.0]

    def test_is_unknown_where_a_cost_is(self) -> None:
        assert np.isnan(worth((1.0, 1.0, 1.0), rates(), costs=np.array([[1.0, 3.0, NAN]]))[1])

    @pytest.mark.parametrize(
        ("right", "accepted"),
        [((1.0, 1.0, 1.0), 1.0), ((1.0, 0.0, 1.0), 0.0), ((0.0, 1.0, 1.0), 0.0), ((0.0, 0.0, 1.0), 0.3)],
        ids=["both right", "the other wrong", "it is wrong", "both wrong"],
    )
    def test_models_an_agreement_by_what_is_right(self, right: tuple[float, ...], accepted: float) -> None:
        assert worth(right, rates(second=1, wrong_alike=0.3))[2] == accepted

    def test_of_a_choice_without_a_cascade_is_that_of_the_model(self) -> None:
        found = worth_of(Choices(np.array([1])), np.array([[0.0, 1.0, NAN]]), COSTS)
        assert (found.right.tolist(), found.costs.tolist(), found.stands.tolist()) == ([1.0], [3.0], [[0.0, 1.0, 0.0]])


class TestAgreedRates:
    def test_are_counted_by_category_for_every_two_models(self) -> None:
        right = np.array([[1.0, 1.0]] * 30 + [[0.0, 0.0]] * 20 + [[1.0, 0.0]] * 10 + [[NAN, 1.0]] * 5)
        found = agreed_rates(right, np.zeros(len(right), dtype=np.int64), wrong_alike=0.5)
        assert [(one.column, one.second) for one in found] == [(0, 1), (1, 0)]
        assert found[0].acceptance == pytest.approx(40 / 60)
        assert found[0].precision == pytest.approx(30 / 40)
        assert found[0].right_share == pytest.approx(40 / 60)
        assert (found[0].accepted_count, found[1].right_share) == (40, pytest.approx(30 / 60))

    def test_want_as_many_answers_as_a_measured_checker(self) -> None:
        assert agreed_rates(np.ones((19, 2)), np.zeros(19, dtype=np.int64), wrong_alike=0.5) == []


class TestChoices:
    def test_of_a_cascade_are_its_plans(self) -> None:
        known = Known(
            vectors=np.eye(2, dtype=np.float32), categories=np.array([0, 1]), scores=np.full((2, 3), 0.5),
            label_counts=np.ones((2, 3), dtype=np.int64), sci_gco2e=np.tile(COSTS, (2, 1)),
        )  # fmt: skip
        policy = Cascade(rates=(rates(),), fallback=2, shrinkage=Shrinkage(neighbour_count=1))
        estimator = Estimator(known, policy.shrinkage)
        estimates = estimator.estimate(np.eye(2, dtype=np.float32))
        found = choices_of(policy, estimator, estimates)
        assert found.first.tolist() == [0, 2]  # nothing is measured in the second category
        assert [len(one.checked) for one in found.plans] == [1, 0]
        other = choices_of(
            Cascade(rates=(rates(second=1),), fallback=2, shrinkage=policy.shrinkage), estimator, estimates
        )
        assert found.same_as(other).tolist() == [False, True]
        fixed = choices_of(Fixed(1), estimator, estimates)
        assert (fixed.first.tolist(), fixed.plans) == ([1, 1], ())
