"""When did the board finish the accumulation that it shows? Pure.

The board shows the averages of its latest complete accumulation until the next one is complete, and does not
say when that was. A reader that takes the moment of its poll for the end of the window is wrong by up to a
window, and one that polls faster than the board refreshes counts accumulations twice.

Each poll says something about the moment of the latest refresh. It was before the reply, and not more than a
window before the request. If the numbers are new, it was after the request before; if they are the same, no
refresh lies between the two polls. Refreshes are one window apart, so all of it adds up: what is kept is the
earliest and the latest moment at which the refresh may have been.
"""

from dataclasses import dataclass

DRIFT_PER_NS = 1e-4  # the frequency is told to 1 mHz of 50 Hz and wanders a little within a window


@dataclass(frozen=True, slots=True)
class Bounds:
    """The earliest and the latest moment (ns) at which something happened."""

    earliest_ns: int
    latest_ns: int

    @property
    def width_ns(self) -> int:
        """Return how uncertain the moment is."""
        return self.latest_ns - self.earliest_ns

    @property
    def middle_ns(self) -> int:
        """Return the likeliest moment."""
        return (self.earliest_ns + self.latest_ns) // 2

    def moved(self, distance_ns: int) -> "Bounds":
        """Return the bounds of what happened that much later, when the distance is known to `DRIFT_PER_NS`."""
        drift_ns = round(abs(distance_ns) * DRIFT_PER_NS)
        return Bounds(self.earliest_ns + distance_ns - drift_ns, self.latest_ns + distance_ns + drift_ns)

    def meeting(self, other: "Bounds") -> "Bounds | None":
        """Return what both allow, None when they contradict each other."""
        earliest_ns, latest_ns = max(self.earliest_ns, other.earliest_ns), min(self.latest_ns, other.latest_ns)
        return Bounds(earliest_ns, latest_ns) if earliest_ns <= latest_ns else None


class RefreshTracker:
    """Follow the refreshes of a board from what its polls show."""

    def __init__(self) -> None:
        self._refresh: Bounds | None = None
        self._fingerprint: object = None
        self._previous_poll = Bounds(0, 0)
        self._latest_end_ns: int | None = None

    @property
    def uncertainty_ns(self) -> int | None:
        """Return how wide the bounds of the latest refresh are, None before the first poll."""
        return None if self._refresh is None else self._refresh.width_ns

    def observe(self, *, sent_ns: int, received_ns: int, window_ns: int, fingerprint: object) -> int | None:
        """Take a poll in; return the end of the accumulation that it shows, None when it was told before.

        `sent_ns` and `received_ns` are the moments before the request and after the reply, `window_ns` is how
        long the board accumulates now, and `fingerprint` is what differs from one accumulation to the next.
        """
        poll = Bounds(sent_ns, received_ns)
        previous_poll, is_changed = self._previous_poll, fingerprint != self._fingerprint
        self._previous_poll, self._fingerprint = poll, fingerprint
        shown = Bounds(sent_ns - window_ns, received_ns)
        if self._refresh is None:
            self._refresh = shown
        elif is_changed:
            seen = Bounds(max(previous_poll.earliest_ns, shown.earliest_ns), received_ns)
            self._refresh = _agreeing(self._refresh, seen, window_ns, poll) or seen
        else:
            certain = _certain(self._refresh, window_ns, poll)
            if certain is None:
                same = Bounds(shown.earliest_ns, previous_poll.latest_ns)
                self._refresh = self._refresh.meeting(same) or self._refresh
                return None
            self._refresh = certain
        return self._told(window_ns)

    def _told(self, window_ns: int) -> int | None:
        end_ns = self._refresh.middle_ns if self._refresh is not None else None
        if end_ns is None:
            return None
        # Two ends closer than half a window are one refresh, looked at with better knowledge.
        if self._latest_end_ns is not None and end_ns - self._latest_end_ns < window_ns // 2:
            end_ns = self._latest_end_ns + window_ns // 2
            if end_ns > self._previous_poll.latest_ns:
                return None
        self._latest_end_ns = end_ns
        return end_ns


def _agreeing(refresh: Bounds, seen: Bounds, window_ns: int, poll: Bounds) -> Bounds | None:
    """Return what the refreshes after an earlier one and the latest poll both allow, None when nothing is.

    Where a poll came so close to a refresh that it may have seen it or not, the likelier one is taken and nothing
    is learned: whichever it was, the refreshes before and after lie where they did.
    """
    first = max(1, (seen.earliest_ns - refresh.latest_ns) // window_ns)
    last = (seen.latest_ns - refresh.earliest_ns) // window_ns + 1
    expected = [refresh.moved(number * window_ns) for number in range(first, last + 1)]
    possible = [(one.meeting(seen), one) for one in expected]
    met = [(both, one) for both, one in possible if both is not None]
    if len(met) <= 1:
        return met[0][0] if met else None
    looked_at_ns = poll.earliest_ns + poll.width_ns // 3  # the request is short, the reply is long
    before = [one for _, one in met if one.middle_ns <= looked_at_ns]
    return before[-1] if before else met[0][1]


def _certain(refresh: Bounds, window_ns: int, poll: Bounds) -> Bounds | None:
    """Return the latest refresh that must have been before the poll, None when there need not be a new one."""
    number = (poll.earliest_ns - refresh.latest_ns) // window_ns
    while number >= 1:
        moved = refresh.moved(number * window_ns)
        if moved.latest_ns < poll.earliest_ns:
            return moved
        number -= 1
    return None
