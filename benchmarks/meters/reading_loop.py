"""Reads one meter at absolute deadlines and puts what it says into the rings of its channels."""

import logging
import time
from collections.abc import Callable, Mapping
from threading import Event

from benchmarks.meters.base import Meter, MeterError
from benchmarks.meters.ring import RingWriter
from benchmarks.units import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND

FAILURES_BEFORE_REOPEN = 3
LONGEST_SLEEP_NS = 250 * NANOSECONDS_PER_MILLISECOND  # until a stop is noticed
MAX_REOPENS = 10  # each after twice as many failures as the one before: 5 minutes in all at 99 ms

logger = logging.getLogger(__name__)


class MeterLost(Exception):
    """The meter failed again and again, and opening it anew did not help."""


def next_deadline_ns(now_ns: int, *, origin_ns: int, period_ns: int) -> int:
    """Return the first deadline after now on the grid that begins at the origin.

    Deadlines that passed meanwhile are left out. Catching up on them would bunch readings whose windows are
    too short to mean anything, and sleeping a period after each read would let the grid drift by the reads'
    length.
    """
    return origin_ns + ((now_ns - origin_ns) // period_ns + 1) * period_ns


class ReadingLoop:
    """The life of one meter in the sampler; runs in a thread of its own, so a slow meter delays no other.

    Waiting for a deadline is most of what a sampler does. It sleeps until then and looks for a stop when it wakes:
    waiting for an event with a time limit costs the processor nearly twice as much.

    `rings` has a ring for each of the meter's channels by name. The meter is open when the loop begins.
    """

    def __init__(
        self,
        meter: Meter,
        rings: Mapping[str, RingWriter],
        *,
        period_ns: int,
        origin_ns: int,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._meter = meter
        self._rings = rings
        self._period_ns = period_ns
        self._origin_ns = origin_ns
        self._clock = clock
        self._sleep = sleep
        self._failure_count = 0
        self._reopen_count = 0

    def run(self, stop: Event) -> None:
        """Read at each deadline until asked to stop; raise `MeterLost` when the meter does not come back."""
        now_ns = self._clock()
        while True:
            deadline_ns = next_deadline_ns(now_ns, origin_ns=self._origin_ns, period_ns=self._period_ns)
            while (remaining_ns := deadline_ns - now_ns) > 0 and not stop.is_set():
                self._sleep(min(remaining_ns, LONGEST_SLEEP_NS) / NANOSECONDS_PER_SECOND)
                now_ns = self._clock()
            if stop.is_set():
                return
            self.tick(lateness_ns=now_ns - deadline_ns)
            now_ns = self._clock()

    def tick(self, *, lateness_ns: int = 0) -> None:
        """Read once, record a reading or a gap for each channel, and open the meter anew when it is time to.

        `lateness_ns` is the time since the deadline. Raises `MeterLost` when the last attempt to open it anew
        has not helped either.
        """
        try:
            readings = self._meter.read()
        except MeterError as error:
            self._record_failure(str(error), lateness_ns)
            return
        self._failure_count = self._reopen_count = 0
        now_ns = self._clock()
        for name, ring in self._rings.items():
            if name not in readings:
                ring.write_gap(f"the meter gave no reading of {name}", now_ns=now_ns, lateness_ns=lateness_ns)
            elif (reading := readings[name]) is None:
                ring.beat(now_ns)
            else:
                ring.write_reading(reading, now_ns=now_ns, lateness_ns=lateness_ns)

    def _record_failure(self, reason: str, lateness_ns: int) -> None:
        if self._failure_count == 0:
            logger.warning("reading %s fails: %s", ", ".join(self._rings), reason)
        self._failure_count += 1
        now_ns = self._clock()
        for ring in self._rings.values():
            ring.write_gap(reason, now_ns=now_ns, lateness_ns=lateness_ns)
        if self._failure_count < FAILURES_BEFORE_REOPEN * 2**self._reopen_count:
            return
        if self._reopen_count == MAX_REOPENS:
            raise MeterLost(f"{self._failure_count} reads failed in a row, the latest one with: {reason}")
        self._reopen_count += 1
        self._reopen()

    def _reopen(self) -> None:
        self._meter.close()
        try:
            self._meter.open()
        except MeterError as error:
            logger.warning("opening the meter of %s anew failed: %s", ", ".join(self._rings), error)
