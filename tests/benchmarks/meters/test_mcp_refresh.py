from itertools import pairwise
from random import Random

import pytest

from benchmarks.meters.mcp_refresh import RefreshTracker

MS = 1_000_000
WINDOW = 40 * MS


def observe(
    tracker: RefreshTracker, at_ms: float, *, refreshed_ms: float, window_ns: int = WINDOW, number: object = None
) -> int | None:
    """Poll for 4 ms at a moment, of a board that refreshed once at a moment and ever since."""
    at_ns, refreshed_ns = round(at_ms * MS), round(refreshed_ms * MS)
    shown = (at_ns + MS - refreshed_ns) // window_ns
    return tracker.observe(sent_ns=at_ns, received_ns=at_ns + 4 * MS, window_ns=window_ns, fingerprint=number or shown)


class TestRefreshTracker:
    def test_takes_the_middle_of_a_window_before_the_first_poll(self) -> None:
        tracker = RefreshTracker()

        assert tracker.uncertainty_ns is None
        assert observe(tracker, 100, refreshed_ms=90) == 82 * MS  # between 60 and 104
        assert tracker.uncertainty_ns == 44 * MS

    def test_learns_from_a_change(self) -> None:
        tracker = RefreshTracker()
        observe(tracker, 100, refreshed_ms=110)

        end_ns = observe(tracker, 112, refreshed_ms=110)

        assert end_ns is not None
        assert 100 * MS < end_ns < 116 * MS
        assert tracker.uncertainty_ns is not None
        assert tracker.uncertainty_ns <= 16 * MS

    def test_tells_an_accumulation_once(self) -> None:
        tracker = RefreshTracker()
        observe(tracker, 100, refreshed_ms=90)

        assert [observe(tracker, at_ms, refreshed_ms=90) for at_ms in (105, 110, 120)] == [None, None, None]

    @pytest.mark.parametrize("period_ms", [10, 20, 30, 37])
    def test_finds_every_refresh_to_a_few_milliseconds(self, period_ms: int) -> None:
        random, tracker, ends = Random(period_ms), RefreshTracker(), []
        at_ms = 100.0
        for _ in range(500):
            ends.append(observe(tracker, at_ms, refreshed_ms=90))
            at_ms += period_ms + random.uniform(0, 2)

        found = [end_ns for end_ns in ends[50:] if end_ns is not None]
        assert all(abs((end_ns - 90 * MS + 20 * MS) % WINDOW - 20 * MS) < 5 * MS for end_ns in found)
        assert all(later - earlier == pytest.approx(WINDOW, abs=6 * MS) for earlier, later in pairwise(found))

    def test_follows_mains_that_drift(self) -> None:
        tracker, refreshed_ns, shown, at_ns = RefreshTracker(), 90 * MS, 0, 100 * MS
        off_ns = []
        for number in range(5_000):
            window_ns = round(WINDOW * (1 + 0.0005 * ((number // 500) % 3 - 1)))
            while refreshed_ns + window_ns <= at_ns + MS:
                refreshed_ns, shown = refreshed_ns + window_ns, shown + 1
            end_ns = tracker.observe(sent_ns=at_ns, received_ns=at_ns + 4 * MS, window_ns=window_ns, fingerprint=shown)
            if end_ns is not None and number > 50:
                off_ns.append(abs(end_ns - refreshed_ns))
            at_ns += 30 * MS + number % 3 * MS

        assert max(off_ns) < 8 * MS

    def test_goes_on_where_the_numbers_stay_the_same(self) -> None:
        tracker = RefreshTracker()
        ends = [observe(tracker, 100 + 30 * number, refreshed_ms=90, number="same") for number in range(401)]

        found = [end_ns for end_ns in ends if end_ns is not None]
        assert len(found) == pytest.approx(300, abs=5)
        assert min(later - earlier for earlier, later in pairwise(found)) >= WINDOW // 2

    def test_starts_anew_when_the_refreshes_are_where_they_cannot_be(self) -> None:
        tracker = RefreshTracker()
        for number in range(50):
            observe(tracker, 100 + 13 * number, refreshed_ms=90)
        ends = [
            observe(tracker, 800 + 13 * number, refreshed_ms=790, number=str(number * 13 // 40)) for number in range(60)
        ]

        assert len([end_ns for end_ns in ends if end_ns is not None]) == pytest.approx(20, abs=2)

    def test_of_polls_rarer_than_refreshes_tells_each_poll_once(self) -> None:
        tracker = RefreshTracker()
        ends = [observe(tracker, 100 + 99 * number, refreshed_ms=90, window_ns=80 * MS) for number in range(100)]

        found = [end_ns for end_ns in ends if end_ns is not None]
        assert len(found) >= 99
        assert all(earlier < later for earlier, later in pairwise(found))
