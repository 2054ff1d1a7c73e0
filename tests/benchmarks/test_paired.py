import subprocess
import sys

import pytest

from benchmarks.paired import compare_pairs, compare_verdicts, difference_interval, holm, mcnemar_p, wilcoxon_p

# Wilcoxon's own table of cross- and self-fertilised plants after Darwin, as scipy's documentation has it:
# wilcoxon(d) gives statistic 24.0 and p 0.041259765625
DARWIN = [6, 8, 14, 16, 23, 24, 28, 29, 41, -48, 49, 56, 60, -67, 75]


class TestWilcoxon:
    def test_equals_the_documented_result(self) -> None:
        assert wilcoxon_p(DARWIN) == (pytest.approx(0.041259765625, abs=1e-12), "")

    def test_of_six_pairs_on_one_side_is_two_of_two_to_the_sixth(self) -> None:
        assert wilcoxon_p([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])[0] == pytest.approx(2 / 2**6)

    def test_does_not_care_which_side_is_first(self) -> None:
        assert wilcoxon_p([-one for one in DARWIN])[0] == pytest.approx(0.041259765625)

    @pytest.mark.parametrize(
        ("differences", "count"), [([], 0), ([1.0, 2.0, 3.0, 4.0, 5.0], 5), ([0.0] * 40 + [1.0], 1)]
    )
    def test_of_too_few_pairs_says_so(self, differences: list[float], count: int) -> None:
        p, reason = wilcoxon_p(differences)
        assert p is None
        assert reason == f"only {count} pairs differ, 6 are needed for a test"


class TestMcNemar:
    @pytest.mark.parametrize(
        ("only_a", "only_b", "p"),
        [
            pytest.param(1, 9, 2 * (1 + 10) / 2**10, id="1 against 9"),
            pytest.param(9, 1, 2 * (1 + 10) / 2**10, id="9 against 1"),
            pytest.param(0, 6, 2 / 2**6, id="6 on one side"),
            pytest.param(5, 5, 1.0, id="even"),
            pytest.param(0, 0, 1.0, id="no difference"),
        ],
    )
    def test_equals_the_binomial_sum_by_hand(self, only_a: int, only_b: int, p: float) -> None:
        assert mcnemar_p(only_a=only_a, only_b=only_b, n=20)[0] == pytest.approx(p)

    def test_of_too_few_pairs_says_so(self) -> None:
        assert mcnemar_p(only_a=5, only_b=0, n=5) == (None, "only 5 pairs, 6 are needed for a test")


class TestHolm:
    def test_equals_the_steps_by_hand(self) -> None:
        # sorted 0.01 0.02 0.03 0.04: times 4, 3, 2, 1, never falling
        assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])

    def test_leaves_rows_without_a_test_out(self) -> None:
        assert holm([None, 0.02, None, 0.01]) == [None, 0.02, None, 0.02]

    def test_stays_at_most_one(self) -> None:
        assert holm([0.9, 0.8]) == [1.0, 1.0]

    def test_of_nothing_is_nothing(self) -> None:
        assert holm([]) == []


class TestComparePairs:
    def test_has_means_difference_and_ratio_by_hand(self) -> None:
        found = compare_pairs([(8.0, 10.0), (16.0, 20.0), (24.0, 30.0)])
        assert found is not None
        assert (found.n, found.mean_a, found.mean_b) == (3, 16.0, 20.0)
        assert found.difference.value == pytest.approx(-4.0)
        assert found.ratio is not None
        # the ratio is the same in every pair, so that no resample has another
        assert (found.ratio.value, found.ratio.low, found.ratio.high) == pytest.approx((0.8, 0.8, 0.8))
        assert (found.difference.low, found.difference.high) == pytest.approx((-6.0, -2.0))
        assert (found.p, found.reason) == (None, "only 3 pairs differ, 6 are needed for a test")

    def test_gives_the_same_interval_each_time(self) -> None:
        pairs = [(float(number), float(number % 7)) for number in range(40)]
        assert compare_pairs(pairs) == compare_pairs(pairs)
        assert compare_pairs(pairs, seed=1) != compare_pairs(pairs)

    def test_sees_what_pairing_shows(self) -> None:
        # prompts differ by a factor of 100, the pairs only by 10 %: unpaired nothing would show
        pairs = [(0.9 * size, float(size)) for size in range(1, 101)]
        found = compare_pairs(pairs)
        assert found is not None
        assert found.ratio is not None
        assert (found.ratio.low, found.ratio.high) == pytest.approx((0.9, 0.9))
        assert found.p is not None
        assert found.p < 1e-15

    def test_has_no_ratio_to_nothing(self) -> None:
        found = compare_pairs([(1.0, 0.0), (2.0, 0.0)])
        assert found is not None
        assert found.ratio is None

    def test_of_no_pair_is_none(self) -> None:
        assert compare_pairs([]) is None
        assert compare_verdicts([]) is None
        assert difference_interval([]) is None

    @pytest.mark.slow
    def test_covers_the_truth_as_often_as_it_says(self) -> None:
        import numpy as np

        generator = np.random.default_rng(7)
        hits = 0
        for _ in range(200):
            first = generator.lognormal(1.0, 0.5, 50)
            found = difference_interval(list(zip(first, first + generator.normal(0.3, 1.0, 50), strict=True)))
            assert found is not None
            hits += found.low <= -0.3 <= found.high
        assert 180 <= hits <= 199


class TestCompareVerdicts:
    def test_has_the_shares_and_their_difference(self) -> None:
        found = compare_verdicts([(True, True)] * 4 + [(True, False)] * 8 + [(False, False)] * 8)
        assert found is not None
        assert (found.n, found.mean_a, found.mean_b, found.difference.value) == (20, 0.6, 0.2, pytest.approx(0.4))
        assert (found.p, found.test) == (pytest.approx(2 / 2**8), "McNemar exact")
        assert found.ratio is None


class TestImport:
    @pytest.mark.slow
    def test_leaves_scipy_alone_until_a_test_is_made(self) -> None:
        code = "import sys, benchmarks.paired; sys.exit('scipy' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
