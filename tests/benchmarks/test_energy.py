from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.energy import Integration, integrate
from benchmarks.meters.base import Quantity, Reading

MS = 1_000_000
PERIOD = 100 * MS


def readings(*triples: tuple[int, int, int]) -> list[Reading]:
    """Make readings from (moment in ms, window in ms, value)."""
    return [Reading(at * MS, window * MS, value) for at, window, value in triples]


def integrate_ms(given_readings: list[Reading], start: float, stop: float, **options: Quantity) -> Integration:
    return integrate(given_readings, round(start * MS), round(stop * MS), PERIOD, **options)


@dataclass(frozen=True)
class Case:
    readings: list[Reading]
    start_ms: int
    stop_ms: int
    energy_j: float
    sample_count: int
    coverage: float


# 10 W idle, 60 W load: the load lasts from 1050 to 1350 ms, so two windows hold half of each.
STEP = readings((1000, 100, 10_000), (1100, 100, 35_000), (1200, 100, 60_000), (1300, 100, 60_000), (1400, 100, 35_000))

CASES = {
    "windows adjoin and fit exactly: 1 W and 2 W and 3 W for 0.1 s each": Case(
        readings((100, 100, 1_000), (200, 100, 2_000), (300, 100, 3_000)), 0, 300, 0.6, 3, 1.0
    ),
    "steps at start and stop: 60 W for 0.3 s, nothing of the idle 10 W": Case(STEP, 1050, 1350, 18.0, 2, 2 / 3),
    "edges are held from different readings: 0.15 s of 1 W, 0.15 s of 3 W": Case(
        readings((100, 100, 9_000), (200, 100, 1_000), (300, 100, 3_000), (400, 100, 9_000)),
        50,
        350,
        0.6,
        2,
        2 / 3,
    ),
    "40 ms seen of each 100 ms: the 60 ms between 2 W and 4 W are halved": Case(
        # 2 W until 140 + 30 = 170 ms, 4 W until the stop: 2 * 0.17 + 4 * 0.13
        readings((140, 40, 2_000), (240, 40, 4_000)),
        0,
        300,
        0.86,
        2,
        80 / 300,
    ),
    "160 ms windows each 100 ms: the 60 ms seen twice are halved": Case(
        # borders at (160 + 100) / 2 = 130 and (260 + 200) / 2 = 230 ms: 0.13 * 1 + 0.1 * 2 + 0.13 * 4
        readings((160, 160, 1_000), (260, 160, 2_000), (360, 160, 4_000)),
        0,
        360,
        0.85,
        3,
        1.0,
    ),
    "one failed read: the next window covers the lost time": Case(
        readings((100, 100, 1_000), (300, 200, 2_000), (400, 100, 1_000)), 0, 400, 0.6, 3, 1.0
    ),
    "short answer inside one window": Case(readings((100, 100, 5_000), (200, 100, 50_000)), 120, 180, 3.0, 1, 1.0),
    "short answer over one border: 30 ms of 10 W, 20 ms of 40 W": Case(
        readings((100, 100, 10_000), (200, 100, 40_000)), 70, 120, 1.1, 2, 1.0
    ),
    "short answer seen in part: 10 ms of 20 W stand for 50 ms": Case(
        readings((140, 40, 20_000), (240, 40, 1_000)), 60, 110, 1.0, 1, 0.2
    ),
}


class TestIntegrate:
    @pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
    def test_agrees_with_a_sum_by_hand(self, case: Case) -> None:
        result = integrate_ms(case.readings, case.start_ms, case.stop_ms)

        assert result.energy_j == pytest.approx(case.energy_j, rel=1e-12)
        assert result.mean_power_mw == pytest.approx(case.energy_j * 1e6 / (case.stop_ms - case.start_ms), rel=1e-12)
        assert result.sample_count == case.sample_count
        assert result.coverage == pytest.approx(case.coverage)
        assert (result.gap_count, result.longest_gap_ns, result.reason) == (0, 0, "")

    def test_takes_the_same_answer_with_and_without_the_readings_around_it(self) -> None:
        assert integrate_ms(STEP, 1100, 1300) == integrate_ms(STEP[1:4], 1100, 1300)

    def test_is_precise_from_ten_readings_on(self) -> None:
        ten = readings(*((100 * k, 100, 1_000) for k in range(1, 11)))

        assert not integrate_ms(ten, 0, 1000).is_low_precision
        assert integrate_ms(ten, 0, 999).is_low_precision

    def test_is_not_precise_with_windows_over_the_edges_only(self) -> None:
        many = readings(*((10 * k, 100, 1_000) for k in range(1, 31)))

        result = integrate_ms(many, 100, 199)

        assert result.sample_count > 10
        assert result.is_low_precision


class TestEnergyIncrements:
    def test_are_summed(self) -> None:
        # 0.1 J and 0.4 J and 0.2 J; the second read failed once, so its window is twice as long.
        increments = readings((100, 100, 100_000), (300, 200, 400_000), (400, 100, 200_000))

        assert integrate_ms(increments, 0, 400, quantity=Quantity.ENERGY_UJ).energy_j == pytest.approx(0.7)

    def test_are_held_at_the_edges(self) -> None:
        # Inside: 0.2 J in 0.1 s and 0.3 J in 0.1 s; half a window more on either side at 2 W and 3 W.
        increments = readings((100, 100, 1), (200, 100, 200_000), (300, 100, 300_000), (400, 100, 1))

        result = integrate_ms(increments, 50, 350, quantity=Quantity.ENERGY_UJ)

        assert result.energy_j == pytest.approx(0.75)
        assert result.mean_power_mw == pytest.approx(2_500)

    def test_of_a_short_answer_are_weighted_by_overlap(self) -> None:
        increments = readings((100, 100, 1_000_000), (200, 100, 4_000_000))

        result = integrate_ms(increments, 70, 120, quantity=Quantity.ENERGY_UJ)

        assert result.energy_j == pytest.approx(1.1)  # 30 ms of 10 W and 20 ms of 40 W
        assert result.is_low_precision

    def test_of_a_counter_that_is_renewed_slowly_are_no_gaps(self) -> None:
        # read every 20 ms, renewed every 100 ms: 1.6 J each, so 16 W
        increments = readings(*((100 * k, 100, 1_600_000) for k in range(1, 12)))

        result = integrate(increments, 50 * MS, 1050 * MS, 20 * MS, quantity=Quantity.ENERGY_UJ)

        assert result.energy_j == pytest.approx(16.0)
        assert result.is_low_precision  # nine intervals, however often it was asked

    def test_of_such_a_counter_that_fell_silent_are_missing(self) -> None:
        increments = readings(*((100 * k, 100, 1_600_000) for k in (1, 2, 3, 4, 5, 9, 10, 11)))

        result = integrate(increments, 50 * MS, 1050 * MS, 20 * MS, quantity=Quantity.ENERGY_UJ)

        assert (result.energy_j, result.longest_gap_ns) == (None, 400 * MS)

    def test_do_not_stretch_the_limit_beyond_what_counters_do(self) -> None:
        increments = readings((2_000, 2_000, 1), (4_000, 2_000, 1), (6_000, 2_000, 1))

        result = integrate(increments, 0, 6_000 * MS, 20 * MS, quantity=Quantity.ENERGY_UJ)

        assert result.reason == "no reading for 2 s (at most 0.75 s can be bridged)"


class TestRegularity:
    @pytest.mark.parametrize(
        ("late_ms", "late_count", "is_irregular"),
        [(20, 20, False), (21, 20, True), (-21, 20, True), (90, 1, False), (90, 2, True)],
        ids=["20 % off", "more than 20 % off", "too early", "one of 20 is late", "two of 20 are late"],
    )
    def test_is_told_by_the_95th_percentile(self, late_ms: int, late_count: int, is_irregular: bool) -> None:
        moments = [0]
        for number in range(20):
            moments.append(moments[-1] + 100 + (late_ms if number < late_count else 0))
        seen = readings(*((at, at - earlier, 1_000) for earlier, at in pairwise([-100, *moments])))

        result = integrate_ms(seen, 0, moments[-1])

        assert result.is_irregular is is_irregular
        assert result.energy_j == pytest.approx(moments[-1] / 1000)  # each counts for its own time
        assert not result.is_low_precision

    def test_is_unknown_of_two_readings(self) -> None:
        result = integrate_ms(readings((100, 100, 1_000), (400, 300, 1_000)), 0, 400)

        assert (result.interval_p95_ns, result.is_irregular) == (None, False)


class TestGap:
    @pytest.mark.parametrize(("stop_ms", "is_rough"), [(1_500, False), (1_400, True)])
    def test_that_is_bridged_for_more_than_a_tenth_of_the_time_makes_it_rough(
        self, stop_ms: int, is_rough: bool
    ) -> None:
        moments = [*range(0, 501, 10), *range(650, stop_ms + 1, 10)]

        result = integrate(readings(*((at, 10, 20_000) for at in moments)), 0, stop_ms * MS, 10 * MS)

        assert result.energy_j is not None
        assert result.is_low_precision is is_rough

    def test_of_three_periods_is_bridged(self) -> None:
        result = integrate_ms(readings((100, 100, 1_000), (400, 300, 1_000)), 0, 400)

        assert result.energy_j == pytest.approx(0.4)

    def test_of_more_makes_the_energy_missing(self) -> None:
        result = integrate_ms(readings((100, 100, 1_000), (401, 100, 1_000), (500, 99, 1_000)), 0, 500)

        assert (result.energy_j, result.mean_power_mw) == (None, None)
        assert (result.gap_count, result.longest_gap_ns) == (1, 301 * MS)
        assert result.reason == "no reading for 0.301 s (at most 0.3 s can be bridged)"
        assert result.sample_count == 3

    @pytest.mark.parametrize(
        ("start_ms", "stop_ms"), [(-201, 500), (0, 801)], ids=["after the start", "before the stop"]
    )
    def test_at_an_edge_makes_the_energy_missing(self, start_ms: int, stop_ms: int) -> None:
        result = integrate_ms(readings(*((at, 100, 1_000) for at in (100, 200, 300, 400, 500))), start_ms, stop_ms)

        assert result.energy_j is None
        assert (result.gap_count, result.longest_gap_ns) == (1, 301 * MS)

    @pytest.mark.parametrize(("gap_ms", "is_missing"), [(150, False), (151, True)])
    def test_of_a_meter_that_is_read_often_is_bridged_up_to_a_fixed_length(self, gap_ms: int, is_missing: bool) -> None:
        moments = [*range(10, 101, 10), *range(100 + gap_ms, 401, 10)]
        often = readings(*((at, 10, 20_000) for at in moments))

        result = integrate(often, 0, moments[-1] * MS, 10 * MS)

        assert (result.energy_j is None) is is_missing
        assert result.coverage == pytest.approx(1 - (gap_ms - 10) / moments[-1])

    def test_that_began_before_the_start_counts_only_from_there(self) -> None:
        late_start = readings((-900, 100, 1_000), (200, 100, 1_000), (300, 100, 1_000))

        assert integrate_ms(late_start, 0, 300).energy_j == pytest.approx(0.3)

    def test_that_is_held_behind_a_window_over_the_start_makes_the_energy_missing(self) -> None:
        # The reading at 290 ms reaches back over the start, so nothing inside is known before 560 ms.
        thin = readings((290, 300, 1_000), (580, 20, 1_000), (600, 20, 1_000))

        result = integrate_ms(thin, 0, 600)

        assert result.energy_j is None
        assert result.longest_gap_ns == 560 * MS

    def test_that_is_everything_makes_the_energy_missing(self) -> None:
        result = integrate_ms([], 0, 50)

        assert result.energy_j is None
        assert (result.sample_count, result.coverage, result.gap_count) == (0, 0.0, 1)

    def test_between_windows_that_see_nothing_of_a_short_answer_makes_it_missing(self) -> None:
        assert integrate_ms(readings((140, 40, 20_000), (240, 40, 1_000)), 145, 195).energy_j is None

    def test_covered_by_one_much_later_window_makes_a_short_answer_missing(self) -> None:
        assert integrate_ms(readings((100, 100, 1_000), (600, 500, 1_000)), 150, 200).energy_j is None


class TestArguments:
    @pytest.mark.parametrize(
        ("start_ns", "stop_ns", "period_ns"),
        [(5, 5, 1), (6, 5, 1), (0, 5, 0)],
        ids=["empty", "backwards", "no period"],
    )
    def test_that_make_no_sense_are_refused(self, start_ns: int, stop_ns: int, period_ns: int) -> None:
        with pytest.raises(ValueError, match="is"):
            integrate([], start_ns, stop_ns, period_ns)

    def test_out_of_order_are_refused(self) -> None:
        with pytest.raises(ValueError, match="follows"):
            integrate_ms(readings((200, 100, 1), (100, 100, 1)), 0, 200)


@st.composite
def adjoining(draw: st.DrawFn, *, min_size: int = 1) -> list[Reading]:
    """Readings whose windows adjoin, each at most three periods long."""
    at_ns = draw(st.integers(0, 10**15))
    made = []
    for _ in range(draw(st.integers(min_size, 40))):
        window_ns = draw(st.integers(1, 3 * PERIOD))
        at_ns += window_ns
        made.append(Reading(at_ns, window_ns, draw(st.integers(0, 10**6))))
    return made


class TestProperties:
    @given(
        power_mw=st.integers(0, 2**31 - 1),
        start_ns=st.integers(0, 10**15),
        duration_ns=st.integers(1, 600 * PERIOD),
        window_ns=st.integers(PERIOD // 2, 3 * PERIOD),
        phase_ns=st.integers(0, PERIOD - 1),
    )
    def test_constant_power_gives_power_times_time_exactly(
        self, power_mw: int, start_ns: int, duration_ns: int, window_ns: int, phase_ns: int
    ) -> None:
        count = duration_ns // PERIOD + 6
        series = [Reading(start_ns - phase_ns + k * PERIOD, window_ns, power_mw) for k in range(count)]

        result = integrate(series, start_ns, start_ns + duration_ns, PERIOD)

        if result.energy_j is None:  # so short that it fell between two windows
            assert duration_ns <= PERIOD - window_ns
        else:
            assert result.energy_j == float(Fraction(power_mw * duration_ns, 10**12))

    @pytest.mark.slow
    @given(series=adjoining(min_size=2), data=st.data())
    def test_the_energies_of_two_parts_add_up(self, series: list[Reading], data: st.DataObject) -> None:
        cut = data.draw(st.integers(1, len(series) - 1))
        start_ns, middle_ns, stop_ns = series[0].begins_at_ns, series[cut - 1].at_ns, series[-1].at_ns

        whole, first, second = (
            integrate(series, begin_ns, end_ns, PERIOD).energy_j
            for begin_ns, end_ns in ((start_ns, stop_ns), (start_ns, middle_ns), (middle_ns, stop_ns))
        )

        assert whole == pytest.approx((first or 0.0) + (second or 0.0), rel=1e-12)

    @pytest.mark.slow
    @given(series=adjoining(), factor=st.integers(0, 1000), quantity=st.sampled_from(Quantity))
    def test_the_energy_scales_with_the_values(self, series: list[Reading], factor: int, quantity: Quantity) -> None:
        start_ns, stop_ns = series[0].begins_at_ns + 1, series[-1].at_ns + 1
        scaled = [Reading(r.at_ns, r.window_ns, r.value * factor) for r in series]

        once = integrate(series, start_ns, stop_ns, PERIOD, quantity=quantity).energy_j
        many = integrate(scaled, start_ns, stop_ns, PERIOD, quantity=quantity).energy_j

        assert (once is None) == (many is None)
        if once is not None:
            assert many == pytest.approx(once * factor, rel=1e-12)

    @given(series=adjoining(), edge_ns=st.integers(0, PERIOD))
    def test_the_mean_power_lies_between_the_values(self, series: list[Reading], edge_ns: int) -> None:
        result = integrate(series, series[0].begins_at_ns - edge_ns, series[-1].at_ns + edge_ns, PERIOD)

        values = [reading.value for reading in series]
        if result.mean_power_mw is not None:
            assert min(values) * (1 - 1e-12) <= result.mean_power_mw <= max(values) * (1 + 1e-12)
        assert 0 <= result.coverage <= 1

    @pytest.mark.slow
    @given(series=adjoining())
    def test_increments_and_powers_of_the_same_windows_agree(self, series: list[Reading]) -> None:
        start_ns, stop_ns = series[0].begins_at_ns, series[-1].at_ns
        increments = [Reading(r.at_ns, r.window_ns, r.value * r.window_ns) for r in series]  # pJ, told as µJ

        power_j = integrate(series, start_ns, stop_ns, PERIOD).energy_j
        energy_j = integrate(increments, start_ns, stop_ns, PERIOD, quantity=Quantity.ENERGY_UJ).energy_j

        assert energy_j is not None
        assert power_j == pytest.approx(energy_j / 10**6, rel=1e-12)
