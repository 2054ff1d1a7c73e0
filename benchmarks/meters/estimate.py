"""A meter for machines without one: power estimated from how busy the processor is."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import psutil

from benchmarks.meters.base import Boundary, Channel, Fact, MeterError, Quality, Quantity, Reading
from benchmarks.units import MILLIWATTS_PER_WATT


@dataclass(frozen=True, slots=True)
class ProcessorTimes:
    """Processor time since boot, summed over all cores: doing work, and available for work (s)."""

    busy_s: float
    available_s: float


def read_processor_times() -> ProcessorTimes:
    """Read the processor times of this machine.

    Guests' time is part of `user`, so it is not added again. Time stolen by a hypervisor is left out of
    both sums: nobody here can tell what the real machine did then.
    """
    times = psutil.cpu_times()
    busy_s = times.user + times.nice + times.system + times.irq + times.softirq
    return ProcessorTimes(busy_s=busy_s, available_s=busy_s + times.idle + times.iowait)


class EstimateMeter:
    """Estimate the machine's power as `idle + (tdp - idle) * busy share` since the previous reading.

    `idle_power_w` is the whole machine's power when it does nothing, `tdp_w` its power when all cores work
    (W). It knows neither GPU nor clock frequency: good enough for trying things out, not for comparing
    models. The kernel counts in steps of 10 ms per core, so one reading on few cores is coarse; sums over
    seconds are not.
    """

    def __init__(
        self,
        *,
        tdp_w: float,
        idle_power_w: float,
        channel: str = "machine",
        processor_times: Callable[[], ProcessorTimes] = read_processor_times,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if not 0 <= idle_power_w <= tdp_w:
            raise ValueError(f"0 <= idle power ({idle_power_w} W) <= TDP ({tdp_w} W) does not hold")
        self._idle_power_mw = idle_power_w * MILLIWATTS_PER_WATT
        self._load_power_mw = (tdp_w - idle_power_w) * MILLIWATTS_PER_WATT
        self._channel = Channel(channel, Boundary.MACHINE, Quality.ESTIMATED, Quantity.POWER_MW)
        self._processor_times = processor_times
        self._clock = clock
        self._previous: tuple[int, ProcessorTimes] | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return the one channel, the machine."""
        return (self._channel,)

    def facts(self) -> Mapping[str, Fact]:
        """Return nothing: there is no device."""
        return {}

    def open(self) -> None:
        """Take the first look at the processor times; a later `open` keeps it, so that readings adjoin."""
        if self._previous is None:
            self._previous = self._look()

    def read(self) -> Mapping[str, Reading]:
        """Return the mean power since the previous reading; raise `MeterError` when no time was counted."""
        if self._previous is None:
            raise MeterError("the estimate meter is not open")
        previous_at_ns, previous = self._previous
        at_ns, times = self._look()
        available_s = times.available_s - previous.available_s
        if available_s <= 0 or at_ns <= previous_at_ns:
            raise MeterError("the kernel has counted no processor time since the previous reading")
        self._previous = (at_ns, times)
        # The kernel's iowait may run backwards, which can put the share a little outside its range.
        busy_share = min(max((times.busy_s - previous.busy_s) / available_s, 0.0), 1.0)
        power_mw = round(self._idle_power_mw + self._load_power_mw * busy_share)
        return {self._channel.name: Reading(at_ns, at_ns - previous_at_ns, power_mw)}

    def close(self) -> None:
        """Do nothing: there is no device."""

    def _look(self) -> tuple[int, ProcessorTimes]:
        times = self._processor_times()
        return self._clock(), times
