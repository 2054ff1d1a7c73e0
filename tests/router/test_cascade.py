"""Plans of a cascade: who is asked in turn, and when it is worth it. One prompt beside 4 known ones of one category."""

import numpy as np
import pytest

from router.cascade import Cascade, Plan, Rates
from router.estimate import Estimator, Known, Shrinkage

NAN = float("nan")
SURE = {"acceptance": 0.6, "precision": 0.95, "accepted_count": 100}


def estimator(costs: tuple[float, ...] = (1.0, 3.0, 10.0), right: tuple[float, ...] = (0.5, 0.6, 0.8)) -> Estimator:
    """A world in which each model is right with the same probability and costs the same everywhere."""
    n = 4
    return Estimator(
        Known(
            vectors=np.eye(n, dtype=np.float32),
            categories=np.zeros(n, dtype=np.int64),
            scores=np.tile(right, (n, 1)),
            label_counts=np.where(np.isnan(np.tile(right, (n, 1))), 0, 1).astype(np.int64),
            sci_gco2e=np.tile(costs, (n, 1)),
        ),
        Shrinkage(neighbour_count=4),
    )


def plan(*rates: Rates, world: Estimator | None = None, **options: float | int) -> Plan:
    world = world or estimator()
    estimates = world.estimate(np.eye(4, dtype=np.float32)[:1], ["a prompt"])
    return Cascade(rates=rates, shrinkage=Shrinkage(neighbour_count=4), **options).plan(world, estimates)  # type: ignore[arg-type]


def rates(column: int = 0, checker: str = "tests", **facts: float | int) -> Rates:
    return Rates(checker, column, **{"category": 0, **SURE, **facts})  # type: ignore[arg-type]


class TestPlan:
    def test_asks_a_cheap_model_first_where_its_checker_makes_that_cheaper(self) -> None:
        found = plan(rates())
        assert [(one.column, one.checker) for one in found.checked] == [(0, "tests")]
        assert found.last == 2
        assert found.expected_sci_gco2e == pytest.approx(1 + 0.4 * 10)
        assert found.direct_sci_gco2e == pytest.approx(10)

    def test_asks_several_in_turn_where_each_pays(self) -> None:
        found = plan(rates(0), rates(1))
        assert [one.column for one in found.checked] == [0, 1]
        assert found.expected_sci_gco2e == pytest.approx(1 + 0.4 * (3 + 0.4 * 10))

    def test_takes_the_checker_that_is_expected_to_cost_least(self) -> None:
        assert [one.checker for one in plan(rates(checker="a"), rates(checker="b", acceptance=0.8)).checked] == ["b"]

    @pytest.mark.parametrize(
        "refused",
        [
            rates(precision=0.7),
            rates(precision=0.81, accepted_count=20),
            rates(acceptance=0.05),
            rates(category=1),
            rates(column=2),
        ],
        ids=["less often right", "not surely", "too seldom", "another category", "the last one"],
    )
    def test_goes_to_the_last_one_directly_where_none_is_worth_it(self, refused: Rates) -> None:
        found = plan(refused)
        assert (found.checked, found.last) == ((), 2)
        assert found.expected_sci_gco2e == found.direct_sci_gco2e

    def test_lets_a_tolerated_loss_count(self) -> None:
        assert plan(rates(precision=0.78)).checked == ()
        assert plan(rates(precision=0.78), tolerance=0.1).checked

    def test_lets_saved_carbon_make_up_for_accuracy_at_a_price(self) -> None:
        assert plan(rates(precision=0.78), sci_price=0.001).checked == ()
        assert plan(rates(precision=0.78), sci_price=0.003).checked
        assert plan(rates(precision=0.78, second=1), sci_price=0.003).checked == ()  # it saves less

    def test_charges_the_second_model_of_a_comparison(self) -> None:
        found = plan(rates(second=1))
        assert found.expected_sci_gco2e == pytest.approx(1 + 3 + 0.4 * 10)
        assert plan(rates(second=1, acceptance=0.35)).checked == ()

    def test_never_asks_one_model_twice(self) -> None:
        found = plan(rates(0, second=1), rates(1))
        assert [one.column for one in found.checked] == [1]
        assert plan(rates(0, second=2)).checked == ()

    def test_begins_at_a_given_last_model(self) -> None:
        assert plan(rates(0), rates(1), fallback=1).last == 1

    def test_leaves_costs_out_that_are_not_ranked(self) -> None:
        assert plan(rates(0), world=estimator((NAN, 3.0, 10.0))).checked == ()
        assert plan(rates(0), world=estimator((1.0, 3.0, NAN))).direct_sci_gco2e is None
        assert plan(rates(0, second=1), world=estimator((1.0, NAN, 10.0))).checked == ()

    def test_asks_no_cheap_model_about_a_kind_that_nobody_has_judged(self) -> None:
        world = estimator()
        far = np.full((1, 4), -0.5, dtype=np.float32)
        estimates = world.estimate(far, ["a prompt"])
        assert Cascade(rates=(rates(),), novelty=1.0).plan(world, estimates).checked == ()
        assert Cascade(rates=(rates(),), novelty=4.0).plan(world, estimates).checked

    def test_reckons_by_the_last_model_where_nothing_can_be_checked(self) -> None:
        world = estimator()
        estimates = world.estimate(np.eye(4, dtype=np.float32), ["a prompt"] * 4)
        assert Cascade(rates=(rates(),)).choose(world, estimates).tolist() == [2, 2, 2, 2]


class TestRates:
    @pytest.mark.parametrize(
        ("precision", "n", "caution", "low"),
        [(0.75, 20, 1.959964, 0.5313), (1.0, 20, 1.959964, 0.8389), (0.75, 20, 0.0, 0.75)],
    )
    def test_lower_end_is_wilsons(self, precision: float, n: int, caution: float, low: float) -> None:
        one = rates(precision=precision, accepted_count=n)
        assert one.surely_right(caution) == pytest.approx(low, abs=1e-4)
