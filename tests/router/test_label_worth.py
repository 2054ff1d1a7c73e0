from dataclasses import replace

import numpy as np
import pytest

from router.estimate import UnusableOutcomes
from router.label_worth import EVEN_SHARE, Strata, label_worth, order_answers


def make_strata(
    labels: list[list[int]], right: list[list[int]], sci: list[list[float]], waiting: float = 100.0
) -> Strata:
    shape = np.shape(labels)
    return Strata(
        np.array(labels), np.array(right), np.array(sci), np.full(shape, waiting), np.full(shape[0], 1 / shape[0])
    )


class TestLabelWorth:
    def test_asks_most_where_the_best_is_undecided(self) -> None:
        # the first two are as good as each other and cheap; the third is known to be dear and bad
        strata = make_strata([[20, 20, 20]], [[12, 11, 1]], [[1.0, 1.1, 9.0]])
        worth = label_worth(strata, seed=1)
        assert worth.shares.sum() == pytest.approx(1.0)
        assert (worth.shares[0, :2] > 0.4).all()
        assert worth.shares[0, 2] == pytest.approx(EVEN_SHARE / 3, abs=0.01)
        assert worth.changes[0, 2] < 0.01

    def test_asks_less_where_much_is_known(self) -> None:
        strata = make_strata([[4, 4], [400, 400]], [[3, 2], [320, 120]], [[1.0, 1.0], [1.0, 1.0]])
        worth = label_worth(strata, seed=1)
        assert worth.shares[0].sum() > 0.9
        assert worth.changes[1].sum() == 0

    def test_follows_the_prompts(self) -> None:
        strata = make_strata([[9, 9], [9, 9]], [[5, 4], [5, 4]], [[1.0, 1.0], [1.0, 1.0]])
        worth = label_worth(replace(strata, prompt_shares=np.array([0.9, 0.1])), seed=1)
        assert worth.shares[0].sum() > 3 * worth.shares[1].sum()

    def test_leaves_out_what_cannot_be_routed_to(self) -> None:
        strata = make_strata([[9, 9, 9]], [[9, 5, 4]], [[float("nan"), 1.0, 1.0]])
        worth = label_worth(strata, seed=1)
        assert worth.leading[0] in {1, 2}
        assert worth.shares[0, 0] == pytest.approx(EVEN_SHARE / 3)

    def test_gives_nothing_to_what_is_all_judged(self) -> None:
        strata = make_strata([[9, 9]], [[5, 4]], [[1.0, 1.0]])
        some = label_worth(replace(strata, waiting_counts=np.array([[0.0, 5.0]])), seed=1)
        none = label_worth(replace(strata, waiting_counts=np.zeros((1, 2))), seed=1)
        assert list(some.shares[0]) == [0.0, 1.0]
        assert none.shares.sum() == 0

    def test_spreads_evenly_where_no_sci_is_known(self) -> None:
        strata = make_strata([[0, 0], [0, 0]], [[0, 0], [0, 0]], [[float("nan")] * 2] * 2)
        worth = label_worth(strata, seed=1)
        assert worth.shares == pytest.approx(np.full((2, 2), 0.25))
        assert worth.sci_price == 0

    def test_prices_sci_so_that_little_accuracy_is_lost(self) -> None:
        cheap_as_good = make_strata([[500, 500]], [[350, 351]], [[1.0, 10.0]])
        cheap_and_bad = make_strata([[500, 500]], [[100, 350]], [[1.0, 10.0]])
        assert label_worth(cheap_as_good, seed=1).leading[0] == 0
        assert label_worth(cheap_and_bad, seed=1).leading[0] == 1

    def test_is_the_same_for_the_same_seed(self) -> None:
        strata = make_strata([[3, 3, 3]], [[2, 1, 1]], [[1.0, 2.0, 3.0]])
        assert (label_worth(strata, seed=4).shares == label_worth(strata, seed=4).shares).all()

    @pytest.mark.parametrize(
        ("changed", "told"),
        [
            ({"right_counts": np.array([[3.0, 9.0]])}, "right_counts"),
            ({"sci_gco2e": np.ones((2, 2))}, "shape"),
            ({"prompt_shares": np.ones(3)}, "prompt_shares"),
        ],
    )
    def test_refuses_what_does_not_fit(self, changed: dict[str, np.ndarray], told: str) -> None:
        with pytest.raises(UnusableOutcomes, match=told):
            replace(make_strata([[3, 3]], [[2, 1]], [[1.0, 2.0]]), **changed)


class TestOrderAnswers:
    @staticmethod
    def order(shares: list[list[float]], weights: np.ndarray | None = None, seed: int = 1) -> np.ndarray:
        """Order the answers of two models to 200 prompts of one category: those of the first come first."""
        return order_answers(
            shares=np.array(shares),
            categories=np.zeros(400, dtype=np.int64),
            models=np.repeat([0, 1], 200),
            answer_ids=np.arange(400),
            prompt_weights=np.ones(400) if weights is None else weights,
            seed=seed,
        )

    def test_holds_every_answer_once(self) -> None:
        assert sorted(self.order([[0.9, 0.1]])) == list(range(400))

    def test_begins_with_what_is_worth_most(self) -> None:
        first = self.order([[0.9, 0.1]])[:100]
        assert 80 <= (first < 200).sum() <= 98

    def test_takes_other_prompts_for_each_model(self) -> None:
        first = self.order([[0.5, 0.5]])[:40]
        assert len(set(first % 200)) > 30

    def test_brings_prompts_near_live_traffic_forward(self) -> None:
        weights = np.where(np.tile(np.arange(200), 2) < 20, 20.0, 1.0)
        first = self.order([[0.5, 0.5]], weights)[:40]
        assert (first % 200 < 20).sum() > 15

    def test_takes_the_prompts_of_another_seed_in_another_order(self) -> None:
        assert (self.order([[0.5, 0.5]]) != self.order([[0.5, 0.5]], seed=2)).any()

    def test_leaves_what_is_worth_nothing_to_the_end(self) -> None:
        assert (self.order([[1.0, 0.0]])[:200] < 200).all()
