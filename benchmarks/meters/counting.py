"""Counters of energy: what was used between two looks at a counter that wraps, may start anew, or stands still."""

from benchmarks.meters.base import Reading
from benchmarks.units import MICROJOULES_PER_JOULE, NANOSECONDS_PER_SECOND


class CounterGap(Exception):
    """Two looks at the counter do not tell what was used between them; the next two may."""


class EnergyCounter:
    """One counter of energy (µJ) with its own range, so that no other counter's wrap is taken for its own.

    `range_uj` is what it counts up to before it begins at 0, None where nobody knows. `max_power_w` is more
    than the thing can draw (W): what exceeds it was no energy.
    """

    def __init__(self, *, range_uj: int | None, max_power_w: float) -> None:
        if max_power_w <= 0 or (range_uj is not None and range_uj <= 0):
            raise ValueError(f"a counter up to {range_uj} µJ at {max_power_w} W at most makes no sense")
        self._range_uj = range_uj
        self._max_uj_per_ns = max_power_w * MICROJOULES_PER_JOULE / NANOSECONDS_PER_SECOND
        self._base: tuple[int, int] | None = None

    @property
    def is_started(self) -> bool:
        """Tell whether the counter was looked at before, so that the next look can give a reading."""
        return self._base is not None

    @property
    def value_uj(self) -> int | None:
        """Return what the counter showed at the latest look (µJ)."""
        return None if self._base is None else self._base[1]

    def start(self, at_ns: int, value_uj: int) -> None:
        """Take the first look: what comes next counts from here."""
        self._base = (at_ns, value_uj)

    def forget(self) -> None:
        """Forget the latest look, because what happened since then cannot be known."""
        self._base = None

    def reading(self, at_ns: int, value_uj: int) -> Reading:
        """Return the energy since the latest look; raise `CounterGap` where it cannot be known.

        A counter that went back has wrapped once if that makes a power that can be; otherwise it was reset.
        After a time in which it may have wrapped more than once nothing is guessed.
        """
        if self._base is None:
            self.start(at_ns, value_uj)
            raise CounterGap("the counter was looked at for the first time")
        begins_at_ns, begins_uj = self._base
        window_ns = at_ns - begins_at_ns
        if window_ns <= 0:
            raise CounterGap("the clock stood still since the latest look at the counter")
        self.start(at_ns, value_uj)
        allowed_uj = self._max_uj_per_ns * window_ns
        seconds = window_ns / NANOSECONDS_PER_SECOND
        if self._range_uj is not None and allowed_uj >= self._range_uj:
            raise CounterGap(f"the counter may have wrapped more than once in {seconds:.3g} s")
        energy_uj = value_uj - begins_uj
        if energy_uj < 0:
            if self._range_uj is None:
                raise CounterGap("the counter went back, and how far it counts is not known")
            energy_uj += self._range_uj
        if not 0 <= energy_uj <= allowed_uj:
            energy_j = energy_uj / MICROJOULES_PER_JOULE
            raise CounterGap(f"the counter was reset: {energy_j:.3g} J in {seconds:.3g} s cannot be")
        return Reading(at_ns, window_ns, energy_uj)
