"""A meter that plays a recorded or an invented course of power: the twin of every real meter."""

import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import median_low

from benchmarks.meters.base import Boundary, Channel, Fact, MeterError, Quality, Quantity, Reading
from benchmarks.units import MICROJOULES_PER_JOULE, MILLIWATTS_PER_WATT, NANOSECONDS_PER_SECOND

MAX_DISTANCES = 3


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of constant power (W) with its length (s)."""

    duration_s: float
    power_w: float

    def __post_init__(self) -> None:
        if self.duration_s <= 0 or self.power_w < 0:
            raise ValueError(f"a step of {self.duration_s} s at {self.power_w} W cannot be played")


def steps_of(readings: Sequence[Reading], *, quantity: Quantity = Quantity.POWER_MW) -> list[Step]:
    """Turn recorded readings into steps; each step reaches from one reading to the next.

    Raises `ValueError` where one is more than three times as far from the next as they usually are: what the
    machine did meanwhile was not recorded.
    """
    pairs = list(pairwise(readings))
    if not pairs:
        raise ValueError("a recording needs two readings at least")
    limit_ns = MAX_DISTANCES * median_low(later.at_ns - earlier.at_ns for earlier, later in pairs)
    steps = []
    for earlier, later in pairs:
        distance_ns = later.at_ns - earlier.at_ns
        if distance_ns > limit_ns:
            raise ValueError(f"nothing was recorded for {distance_ns / NANOSECONDS_PER_SECOND:.3g} s")
        steps.append(Step(distance_ns / NANOSECONDS_PER_SECOND, _power_w(later, quantity)))
    return steps


def _power_w(reading: Reading, quantity: Quantity) -> float:
    if quantity is Quantity.POWER_MW:
        return reading.value / MILLIWATTS_PER_WATT
    return reading.value / MICROJOULES_PER_JOULE * NANOSECONDS_PER_SECOND / reading.window_ns


class PowerCourse:
    """Power over time, made of steps, with the energy used up to any moment."""

    def __init__(self, steps: Sequence[Step]) -> None:
        if not steps:
            raise ValueError("a course of power needs at least one step")
        self._ends_s = list(accumulate(step.duration_s for step in steps))
        self._energies_j = list(accumulate((step.duration_s * step.power_w for step in steps), initial=0.0))
        self._steps = tuple(steps)

    @property
    def duration_s(self) -> float:
        """Return the length of one pass through all steps (s)."""
        return self._ends_s[-1]

    def energy_j(self, elapsed_s: float) -> float:
        """Return the energy (J) used in the first `elapsed_s` seconds; the course starts again at its end."""
        passes, rest_s = divmod(elapsed_s, self.duration_s)
        index = min(bisect_right(self._ends_s, rest_s), len(self._steps) - 1)
        begins_s = self._ends_s[index - 1] if index else 0.0
        within_j = self._energies_j[index] + (rest_s - begins_s) * self._steps[index].power_w
        return passes * self._energies_j[-1] + within_j


class ReplayMeter:
    """Play a course of power; each reading is its mean power since the previous reading.

    The course begins when the meter is first opened, or at `begins_at_ns` on the monotonic clock, and starts
    again at its end. With `is_repeated=False` reading past the end fails with `MeterError`: what was not
    recorded is a gap.
    """

    def __init__(
        self,
        *,
        steps: Sequence[Step],
        channel: str = "machine",
        is_repeated: bool = True,
        begins_at_ns: int | None = None,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._course = PowerCourse(steps)
        self._channel = Channel(channel, Boundary.MACHINE, Quality.SIMULATED, Quantity.POWER_MW)
        self._is_repeated = is_repeated
        self._begins_at_ns = begins_at_ns
        self._clock = clock
        self._previous_at_ns: int | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return the one channel, the machine."""
        return (self._channel,)

    def facts(self) -> Mapping[str, Fact]:
        """Return nothing: there is no device."""
        return {}

    def open(self) -> None:
        """Begin to play; a later `open` goes on where the course is by now."""
        if self._previous_at_ns is None:
            now_ns = self._clock()
            if self._begins_at_ns is None:
                self._begins_at_ns = now_ns
            self._previous_at_ns = max(now_ns, self._begins_at_ns)

    def read(self) -> Mapping[str, Reading]:
        """Return the mean power since the previous reading; raise `MeterError` outside the course."""
        if self._previous_at_ns is None or self._begins_at_ns is None:
            raise MeterError("the replay meter is not open")
        at_ns = self._clock()
        if at_ns <= self._previous_at_ns:
            raise MeterError("the course has not begun, or the clock stood still since the previous reading")
        begins_s = (self._previous_at_ns - self._begins_at_ns) / NANOSECONDS_PER_SECOND
        ends_s = (at_ns - self._begins_at_ns) / NANOSECONDS_PER_SECOND
        if ends_s > self._course.duration_s and not self._is_repeated:
            raise MeterError(f"the recording lasts {self._course.duration_s} s and has nothing at {ends_s} s")
        energy_j = self._course.energy_j(ends_s) - self._course.energy_j(begins_s)
        window_ns = at_ns - self._previous_at_ns
        self._previous_at_ns = at_ns
        power_mw = round(energy_j * MILLIWATTS_PER_WATT * NANOSECONDS_PER_SECOND / window_ns)
        return {self._channel.name: Reading(at_ns, window_ns, power_mw)}

    def close(self) -> None:
        """Do nothing: there is no device."""
