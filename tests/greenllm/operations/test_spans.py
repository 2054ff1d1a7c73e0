import math
from datetime import UTC, datetime, timedelta

import pytest

from greenllm.operations.latencies import Bucket, Latency, latency_of, percentile_ms
from greenllm.operations.spans import Span, UnusableSpan, asked_in

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


class TestAskedIn:
    def test_takes_the_latest_week_up_to_the_end_of_the_hour(self) -> None:
        span = asked_in({}, now=NOW).span
        assert (span.begins_at, span.ends_at) == (
            datetime(2026, 2, 25, 6, tzinfo=UTC), datetime(2026, 3, 4, 6, tzinfo=UTC),
        )  # fmt: skip
        assert span.step == timedelta(days=1)
        assert span.origin == datetime(2026, 2, 25, tzinfo=UTC)
        assert span.before.ends_at == span.begins_at

    def test_includes_the_last_day(self) -> None:
        span = asked_in({"from": "2026-01-31", "to": "2026-01-31"}, now=NOW).span
        assert span.ends_at - span.begins_at == timedelta(days=1)
        assert span.step == timedelta(hours=1)

    @pytest.mark.parametrize(
        ("query", "told"),
        [
            ({"from": "2026-02-30", "to": "2026-03-01"}, "From: write a day"),
            ({"from": "2026-03-01"}, "both days"),
            ({"from": "2026-03-02", "to": "2026-03-01"}, "To must not be before From"),
            ({"from": "2020-01-01", "to": "2026-03-01"}, "400 days"),
            ({"span": "3y"}, "Choose a time"),
            ({"group": "key"}, "Group by one of"),
            ({"baseline": "1; drop"}, "baseline from the list"),
            ({"baseline": "9" * 4301}, "baseline from the list"),
            ({"from": "9999-12-01", "to": "9999-12-31"}, "From: choose a year from 1971 to 9998"),
            ({"from": "0001-01-01", "to": "0001-01-02", "compare": "before"}, "From: choose a year"),
        ],
    )
    def test_names_what_is_wrong(self, query: dict[str, str], told: str) -> None:
        with pytest.raises(UnusableSpan, match=told):
            asked_in(query, now=NOW)


class TestWholeDays:
    @pytest.mark.parametrize(
        ("begins", "ends", "days"),
        [
            ((1, 6), (4, 6), (2, 4)),
            ((1, 0), (4, 0), (1, 4)),
            ((1, 1), (2, 23), None),
            ((1, 0), (2, 0), (1, 2)),
            ((1, 5), (1, 7), None),
        ],
    )
    def test_begin_and_end_at_midnight(
        self, begins: tuple[int, int], ends: tuple[int, int], days: tuple[int, int] | None
    ) -> None:
        found = Span(*(datetime(2026, 3, *one, tzinfo=UTC) for one in (begins, ends))).whole_days
        assert found == (days and Span(*(datetime(2026, 3, one, tzinfo=UTC) for one in days)))


def of_durations(durations: list[float]) -> Latency:
    """Return the figures of durations (ms) as the rollups hold them."""
    buckets: dict[int, Bucket] = {}
    for ms in durations:
        bucket = math.floor(4 * math.log2(ms))
        buckets[bucket] = buckets.get(bucket, Bucket(0, 0.0)) + Bucket(1, ms)
    return latency_of("total", buckets)


class TestLatencyOf:
    def test_is_within_a_tenth_of_the_true_percentiles_wherever_they_lie_in_their_bucket(self) -> None:
        low, high = 2**2.5, 2**2.75 * 0.999
        spreads = [[1.07**k for k in range(1, 101)], [low] * 99 + [high], [low] + [high] * 99, [low, high] * 50, [high]]
        for durations in spreads:
            found, ordered = of_durations(durations), sorted(durations)
            assert (found.n, found.mean_ms) == (len(ordered), pytest.approx(sum(ordered) / len(ordered)))
            assert found.median_ms == pytest.approx(ordered[(len(ordered) - 1) // 2], rel=2**0.125 - 1)
            assert found.p95_ms == pytest.approx(ordered[math.ceil(0.95 * len(ordered)) - 1], rel=2**0.125 - 1)

    def test_of_a_single_duration_is_that(self) -> None:
        assert of_durations([3.21]).p95_ms == pytest.approx(3.21)

    def test_of_no_duration_at_all_is_next_to_nothing(self) -> None:
        assert latency_of("total", {-40: Bucket(3, 0.0)}).p95_ms == pytest.approx(2**-10)

    def test_knows_nothing_of_nothing(self) -> None:
        assert latency_of("total", {}).median_ms is None
        assert percentile_ms({}, 0.5) is None
