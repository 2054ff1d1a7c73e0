import krippendorff
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labeling.agreement import (
    NO_SPREAD,
    NO_VARIATION,
    TOO_FEW,
    Figure,
    agreement,
    gwets_ac1,
    krippendorffs_alpha,
    raw_agreement,
)

# Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), example C: 4 observers, 12 units, missing values.
# The coefficients and alpha's interval of the same table: Gwet's R package irrCAC, data set cac.raw4raters.
PUBLISHED = (
    [1, 1, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4], [4, 4, 4, 4], [1, 1, 2, 1],
    [2, 2, 2, 2], [5, 5, 5], [1, 1], [3],
)  # fmt: skip
# Gwet's irrCAC, data set cont3x3abstractors: two abstractors, 100 records, three diagnoses.
ABSTRACTORS = [
    (row, column)
    for row, counts in enumerate(([13, 0, 0], [0, 20, 7], [0, 4, 56]))
    for column, count in enumerate(counts)
    for _ in range(count)
]
BOTH = ("correct", "incorrect")
ITEMS = st.lists(st.lists(st.sampled_from(BOTH), max_size=4), max_size=25)


def ends(figure: Figure) -> tuple[float | None, float | None]:
    return figure.low, figure.high


class TestPublishedExamples:
    def test_of_raw_agreement(self) -> None:
        assert raw_agreement(PUBLISHED).value == pytest.approx(0.81818, abs=1e-5)
        found = raw_agreement(ABSTRACTORS)
        assert found.value == pytest.approx(0.89)
        assert ends(found) == pytest.approx((0.828, 0.952), abs=5e-4)

    def test_of_ac1(self) -> None:
        assert gwets_ac1(PUBLISHED, categories=range(1, 6)).value == pytest.approx(0.77544, abs=1e-5)
        found = gwets_ac1(ABSTRACTORS, categories=range(3))
        assert found.value == pytest.approx(0.8493305, abs=1e-6)
        assert ends(found) == pytest.approx((0.76315, 0.93552), abs=1e-5)  # irrCAC 0.4.4, of the raw ratings

    def test_of_alpha(self) -> None:
        found = krippendorffs_alpha(PUBLISHED)
        assert found.value == pytest.approx(0.743, abs=5e-4)
        assert ends(found) == pytest.approx((0.419, 1.0), abs=5e-4)
        assert found.n == 11

    def test_where_alpha_misleads_and_ac1_does_not(self) -> None:
        items = [BOTH[:1] * 2] * 90 + [BOTH] * 8 + [BOTH[1:] * 2] * 2
        found = agreement(items, categories=BOTH)
        assert found.raw.value == pytest.approx(0.92)
        assert found.alpha.value < 0.35
        assert found.ac1.value > 0.9


@pytest.mark.slow
class TestProperties:
    @settings(deadline=None)  # a slow machine is no fault
    @given(ITEMS)
    def test_alpha_is_that_of_the_package_krippendorff(self, items: list[list[str]]) -> None:
        found = krippendorffs_alpha(items)
        if found.value is None:
            return
        table = np.array(
            [[BOTH.index(item[judge]) if judge < len(item) else np.nan for item in items] for judge in range(4)]
        )
        assert found.value == pytest.approx(krippendorff.alpha(table, level_of_measurement="nominal"), abs=1e-9)

    @settings(deadline=None)  # a slow machine is no fault
    @given(ITEMS, st.randoms(use_true_random=False))
    def test_neither_the_order_of_answers_nor_of_judges_matters(self, items: list[list[str]], chance: object) -> None:
        shuffled = [chance.sample(item, len(item)) for item in chance.sample(items, len(items))]  # type: ignore[attr-defined]
        for one, other in zip(_figures(items), _figures(shuffled), strict=True):
            assert (one.value, one.n, one.reason) == (pytest.approx(other.value, abs=1e-9), other.n, other.reason)

    @settings(deadline=None)  # a slow machine is no fault
    @given(ITEMS)
    def test_intervals_hold_their_figure_and_a_missing_figure_has_a_reason(self, items: list[list[str]]) -> None:
        for figure in _figures(items):
            if figure.value is None:
                assert figure.reason
                assert figure.low is figure.high is None
            elif figure.low is None:
                assert figure.reason == NO_SPREAD
            else:
                assert -1 <= figure.low <= figure.value + 1e-9 <= figure.high + 2e-9 <= 1 + 2e-9

    @settings(deadline=None)  # a slow machine is no fault
    @given(ITEMS)
    def test_swapping_right_and_wrong_changes_nothing(self, items: list[list[str]]) -> None:
        swapped = [[BOTH[1 - BOTH.index(verdict)] for verdict in item] for item in items]
        for one, other in zip(_figures(items), _figures(swapped), strict=True):
            assert one.value == pytest.approx(other.value, abs=1e-9)


def _figures(items: list[list[str]]) -> tuple[Figure, Figure, Figure]:
    found = agreement(items, categories=BOTH)
    return found.raw, found.ac1, found.alpha


class TestDegenerateCases:
    @pytest.mark.parametrize("items", [[], [["correct"]] * 5, [["correct", "correct"]]], ids=["none", "alone", "one"])
    def test_of_too_few_answers_give_no_figure_but_a_reason(self, items: list[list[str]]) -> None:
        for figure in _figures(items):
            assert (figure.value, figure.reason) == (None, TOO_FEW)

    def test_where_all_say_the_same_of_everything(self) -> None:
        raw, ac1, alpha = _figures([["correct", "correct"]] * 30)
        assert (raw.value, raw.high) == (1.0, 1.0)
        assert raw.low == pytest.approx(0.8865, abs=1e-4)  # Wilson's interval of 30 of 30
        assert (ac1.value, ac1.low, ac1.reason) == (1.0, None, NO_SPREAD)
        assert (alpha.value, alpha.reason) == (None, NO_VARIATION)

    def test_where_all_agree_on_right_and_wrong_answers(self) -> None:
        _, ac1, alpha = _figures([["correct"] * 2, ["incorrect"] * 2, ["correct"] * 2])
        assert (ac1.value, alpha.value, alpha.low, alpha.reason) == (1.0, 1.0, None, NO_SPREAD)

    def test_refuses_a_verdict_that_is_none(self) -> None:
        with pytest.raises(ValueError, match="no category: {'perhaps'}"):
            gwets_ac1([["perhaps", "correct"]], categories=BOTH)

    def test_refuses_a_single_category(self) -> None:
        with pytest.raises(ValueError, match="at least two"):
            gwets_ac1([], categories=BOTH[:1])


class TestTallies:
    @pytest.mark.slow
    @settings(deadline=None)  # a slow machine is no fault
    @given(ITEMS)
    def test_give_the_same_figures_as_the_items(self, items: list[list[str]]) -> None:
        tally = {item: sum(tuple(one) == item for one in items) for item in {tuple(one) for one in items}}
        assert agreement(tally, categories=BOTH) == agreement(items, categories=BOTH)
