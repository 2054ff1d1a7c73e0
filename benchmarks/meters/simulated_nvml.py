"""NVIDIA's library without a GPU: simulated cards that follow a course of power, and fail when told to.

A twin behind the protocol of `benchmarks.meters.nvml_library`. What it shows is always of quality simulated.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.meters.nvml_library import Gpu, NvmlAway, NvmlError, NvmlNotSupported
from benchmarks.meters.replay import PowerCourse, Step
from benchmarks.units import MILLIWATTS_PER_WATT, NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND

COUNTER_RENEWAL_NS = 100 * NANOSECONDS_PER_MILLISECOND
POWER_RENEWAL_NS = 20 * NANOSECONDS_PER_MILLISECOND
POWER_WINDOW_NS = 10 * NANOSECONDS_PER_MILLISECOND

_MILLIJOULES_PER_JOULE = 1_000


@dataclass
class SimulatedGpu:
    """A card: its course of power, whether it has a counter (a GTX 1080 has none), and its faults.

    The faults may be switched at any time: `is_lost` (it fell off the bus), `is_counter_stuck`.
    `counter_offset_mj` is what the counter began with; lowering it is what reloading the driver does.
    """

    uuid: str
    steps: Sequence[Step]
    has_counter: bool = True
    is_shared: bool = False
    temperature_c: int = 45
    counter_renewal_ns: int = COUNTER_RENEWAL_NS
    counter_offset_mj: int = 5_000_000
    is_lost: bool = False
    stuck_at_mj: int | None = field(default=None)


class SimulatedNvml:
    """The library; `is_away` is a driver that is not loaded. Courses begin with the first start."""

    def __init__(self, gpus: Sequence[SimulatedGpu], *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.cards = {gpu.uuid: gpu for gpu in gpus}
        self.is_away = False
        self._courses = {gpu.uuid: PowerCourse(gpu.steps) for gpu in gpus}
        self._clock = clock
        self._begins_at_ns: int | None = None
        self._is_started = False

    def start(self) -> None:
        """Begin; see `NvmlLibrary`."""
        if self.is_away:
            raise NvmlAway("NVML: Driver Not Loaded")
        self._is_started = True
        if self._begins_at_ns is None:
            self._begins_at_ns = self._clock()

    def gpus(self) -> list[Gpu]:
        """Return the cards that are not lost; see `NvmlLibrary`."""
        self._check()
        return [
            Gpu(card.uuid, "Simulated GPU", card.is_shared, is_newer_power=False)
            for card in self.cards.values()
            if not card.is_lost
        ]

    def energy_mj(self, uuid: str) -> int:
        """Return the counter as it was renewed latest; see `NvmlLibrary`."""
        card = self._card(uuid)
        if not card.has_counter:
            raise NvmlNotSupported("NVML: Not Supported")
        if card.stuck_at_mj is not None:
            return card.stuck_at_mj
        renewed_ns = self._elapsed_ns() // card.counter_renewal_ns * card.counter_renewal_ns
        return card.counter_offset_mj + round(self._used_j(uuid, renewed_ns) * _MILLIJOULES_PER_JOULE)

    def power_mw(self, uuid: str) -> int:
        """Return the mean of the 10 ms before the latest of the moments, 20 ms apart; see `NvmlLibrary`."""
        self._card(uuid)
        renewed_ns = max(self._elapsed_ns() // POWER_RENEWAL_NS * POWER_RENEWAL_NS, POWER_WINDOW_NS)
        used_j = self._used_j(uuid, renewed_ns) - self._used_j(uuid, renewed_ns - POWER_WINDOW_NS)
        return round(used_j * NANOSECONDS_PER_SECOND / POWER_WINDOW_NS * MILLIWATTS_PER_WATT)

    def temperature_c(self, uuid: str) -> int:
        """Return the temperature; see `NvmlLibrary`."""
        return self._card(uuid).temperature_c

    def shut_down(self) -> None:
        """End; see `NvmlLibrary`."""
        self._is_started = False

    def _check(self) -> None:
        if self.is_away or not self._is_started:
            raise NvmlError("NVML: Uninitialized")

    def _card(self, uuid: str) -> SimulatedGpu:
        self._check()
        card = self.cards.get(uuid)
        if card is None or card.is_lost:
            raise NvmlError("NVML: GPU is lost")
        return card

    def _elapsed_ns(self) -> int:
        return self._clock() - (self._begins_at_ns or 0)

    def _used_j(self, uuid: str, elapsed_ns: int) -> float:
        return self._courses[uuid].energy_j(elapsed_ns / NANOSECONDS_PER_SECOND)
