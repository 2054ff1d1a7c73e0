"""Processors' own counters of energy (RAPL), read through the kernel's powercap tree.

They see the processor and, where a `dram` zone is there, its memory: no GPU, no mainboard, no fan, no loss in
the power supply. So they are components, and their sum is not the machine.
"""

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.meters.base import Boundary, Channel, Fact, MeterError, MeterUnavailable, Quality, Quantity, Reading
from benchmarks.meters.counting import CounterGap, EnergyCounter
from benchmarks.meters.powercap import (
    DEFAULT_ROOT,
    CountedZone,
    NumberFile,
    find_zones,
    plan_channels,
    read_number,
    without_mirrors,
)
from benchmarks.units import NANOSECONDS_PER_SECOND

MAX_POWER_W = 2000.0  # more than any socket draws, far less than what a reset counter pretends
MIN_SLEEP_NS = NANOSECONDS_PER_SECOND  # a shorter one cannot be told from a thread that was held back
SIMULATED_MARK = "greenllm-simulated"  # a file in the root of a tree that a simulator made
PSYS_TOLERANCE = 0.9  # its counter and the packages' are not renewed at the same moment

_NO_ZONES_REMEDY = (
    "load the kernel modules intel_rapl_common and intel_rapl_msr; a virtual machine has no such counters, and a "
    "container needs /sys/devices/virtual/powercap mounted and the option root; see docs/measuring-machine.md"
)
_UNREADABLE_REMEDY = (
    "only root may read it since CVE-2020-8694: install the rule for the group greenllm, which is in "
    "docs/measuring-machine.md"
)

logger = logging.getLogger(__name__)


def read_sleep_ns() -> int:
    """Return how long this machine has been suspended since it booted (ns)."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


class RaplMeter:
    """Read the energy counters of all sockets; each zone is a channel.

    Packages and their memory are components, which the boundary adds up; cores and the like lie within them
    and are parts. `is_psys_preferred` takes the platform's counter instead of the sum where there is one.
    The kernel renews the counters every ms, so a reading may be taken at any time. A tree that a simulator
    made is told as simulated.
    """

    def __init__(
        self,
        *,
        root: Path = DEFAULT_ROOT,
        is_psys_preferred: bool = False,
        max_power_w: float = MAX_POWER_W,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep_clock: Callable[[], int] = read_sleep_ns,
    ) -> None:
        if max_power_w <= 0:
            raise ValueError(f"max_power_w is {max_power_w} W")
        self._root = root
        self._is_psys_preferred = is_psys_preferred
        self._max_power_w = max_power_w
        self._clock = clock
        self._sleep_clock = sleep_clock
        self._channels: tuple[Channel, ...] = ()
        self._counters: dict[str, EnergyCounter] = {}
        self._zones: dict[str, CountedZone] = {}
        self._files: dict[str, NumberFile] = {}
        self._counts_psys = False
        self._slept_ns = 0

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for each zone; they stay the same once the meter was open."""
        return self._channels

    def facts(self) -> Mapping[str, Fact]:
        """Return where each channel's counter is, and which of them is counted."""
        return {
            name: f"{counted.zone.path} ({counted.zone.name}, {counted.boundary})"
            for name, counted in self._zones.items()
        }

    def open(self) -> None:
        """Find the zones and look at each counter; a later `open` goes on from the latest looks.

        Raises `MeterUnavailable` where there are no zones, or where one that counts may not be read: a sum
        without it would be too small.
        """
        planned = self._plan()
        if not self._channels:
            quality = Quality.SIMULATED if (self._root / SIMULATED_MARK).exists() else Quality.COMPONENT
            self._channels = tuple(Channel(one.channel, one.boundary, quality, Quantity.ENERGY_UJ) for one in planned)
            self._slept_ns = self._sleep_clock()
        known = {channel.name for channel in self._channels}
        self.close()
        self._zones = {one.channel: one for one in planned if one.channel in known}
        self._files = {name: NumberFile(one.zone.path / "energy_uj") for name, one in self._zones.items()}
        self._counts_psys = any(
            one.boundary is Boundary.COMPONENT and one.zone.name == "psys" for one in self._zones.values()
        )
        for name, one in self._zones.items():
            if name not in self._counters:
                self._counters[name] = self._make_counter(one)

    def read(self) -> Mapping[str, Reading]:
        """Return the energy of each zone since the previous reading.

        A zone that cannot be read is left out, and its next reading covers the time; one whose counter was
        reset is left out, and its next reading does not. Raises `MeterError` when nothing could be read.
        """
        if not self._zones:
            raise MeterError("the RAPL meter is not open")
        self._notice_sleep()
        readings: dict[str, Reading] = {}
        reasons: list[str] = []
        for name in self._zones:
            try:
                readings[name] = self._counters[name].reading(*self._look(name))
            except (OSError, ValueError, CounterGap) as error:
                reasons.append(f"{name}: {error}")
        if not readings:
            raise MeterError("; ".join(reasons))
        self._check_psys(readings)
        return readings

    def close(self) -> None:
        """Forget where the zones are; the counters' latest looks are kept."""
        for file in self._files.values():
            file.close()
        self._zones, self._files = {}, {}

    def _plan(self) -> list[CountedZone]:
        zones = find_zones(self._root)
        if not zones:
            raise MeterUnavailable(f"there are no RAPL zones in {self._root}", remedy=_NO_ZONES_REMEDY)
        values_uj: dict[str, int] = {}
        errors: dict[str, str] = {}
        for zone in zones:
            try:
                values_uj[zone.place] = read_number(zone.path / "energy_uj")
            except PermissionError as error:
                errors[zone.place] = f"{zone.path / 'energy_uj'} ({zone.name}) may not be read: {error.strerror}"
            except (OSError, ValueError):  # may pass; then reading goes on
                logger.warning("%s cannot be read now", zone.path)
        planned = plan_channels(without_mirrors(zones, values_uj), is_psys_preferred=self._is_psys_preferred)
        counted = [one for one in planned if one.boundary is Boundary.COMPONENT]
        if not counted:
            raise MeterUnavailable(f"no zone in {self._root} is a package or psys", remedy=_NO_ZONES_REMEDY)
        for one in counted:
            if one.zone.place in errors:
                raise MeterUnavailable(errors[one.zone.place], remedy=_UNREADABLE_REMEDY)
        return [one for one in planned if one.zone.place not in errors]

    def _make_counter(self, counted: CountedZone) -> EnergyCounter:
        path = counted.zone.path / "max_energy_range_uj"
        range_uj: int | None = None
        try:
            range_uj = read_number(path) or None
        except (OSError, ValueError) as error:
            logger.warning("%s cannot be read (%s): when the counter wraps, a gap is recorded", path, error)
        counter = EnergyCounter(range_uj=range_uj, max_power_w=self._max_power_w)
        try:
            counter.start(*self._look(counted.channel))
        except (OSError, ValueError) as error:
            logger.warning("%s cannot be read yet: %s", counted.channel, error)
        return counter

    def _look(self, name: str) -> tuple[int, int]:
        before_ns = self._clock()
        value_uj = self._files[name].read()
        return (before_ns + self._clock()) // 2, value_uj

    def _notice_sleep(self) -> None:
        """Count anew after a suspend: the monotonic clock stood still, and the counters may have been reset."""
        slept_ns = self._sleep_clock()
        if slept_ns - self._slept_ns < MIN_SLEEP_NS:
            return
        self._slept_ns = slept_ns
        for name in self._zones:
            counter = self._counters[name]
            counter.forget()
            try:
                counter.start(*self._look(name))
            except (OSError, ValueError) as error:
                logger.warning("%s cannot be read after the machine was suspended: %s", name, error)
        raise MeterError("the machine was suspended; the counters are counted from here on")

    def _check_psys(self, readings: Mapping[str, Reading]) -> None:
        """Refuse a platform that uses less than its processors: some machines scale that counter wrongly."""
        if not self._counts_psys or "psys" not in readings:
            return
        packages_uj = sum(
            reading.value for name, reading in readings.items() if self._zones[name].zone.name.startswith("package-")
        )
        if readings["psys"].value < PSYS_TOLERANCE * packages_uj:
            raise MeterError("psys shows less than the packages within it; leave the option psys out on this machine")
