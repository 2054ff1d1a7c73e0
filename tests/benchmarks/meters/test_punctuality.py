import pytest

from benchmarks.meters.punctuality import punctuality_of, quantile
from benchmarks.meters.ring import Record, Status

MS = 1_000_000


def records(*late_ms: float, period_ms: int = 100) -> list[Record]:
    return [
        Record(number, number * period_ms * MS, period_ms * MS, 1, Status.READING, round(late * 100))
        for number, late in enumerate(late_ms)
    ]


class TestPunctuality:
    def test_tells_middle_edge_and_worst(self) -> None:
        found = punctuality_of(records(*[1.0] * 98, 5.0, 9.0), period_ns=100 * MS)
        assert found is not None
        assert (found.n, found.p50_ms, found.p99_ms, found.largest_ms) == (100, 1.0, 5.0, 9.0)

    def test_counts_the_deadlines_that_were_left_out(self) -> None:
        some = records(*[0.0] * 10)
        found = punctuality_of([*some[:4], *some[6:]], period_ns=100 * MS)
        assert found is not None
        assert found.missed_count == 2

    def test_counts_none_where_reads_leave_no_record(self) -> None:
        found = punctuality_of(records(0.0, 0.0), period_ns=10 * MS, has_all_reads=False)
        assert found is not None
        assert found.missed_count is None

    def test_sees_a_drift(self) -> None:
        found = punctuality_of(records(*[0.0] * 10, *[50.0] * 10), period_ns=100 * MS)
        assert found is not None
        assert found.drift_samples == pytest.approx(0.5)

    def test_is_none_without_a_record(self) -> None:
        assert punctuality_of([], period_ns=1) is None


class TestQuantile:
    @pytest.mark.parametrize(("share", "value"), [(0.5, 2), (0.75, 3), (0.99, 4), (1.0, 4), (0.0, 1)])
    def test_is_one_of_the_values(self, share: float, value: int) -> None:
        assert quantile([1, 2, 3, 4], share) == value

    def test_needs_a_value(self) -> None:
        with pytest.raises(ValueError, match="no values"):
            quantile([], 0.5)
