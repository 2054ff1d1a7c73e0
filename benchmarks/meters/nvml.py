"""NVIDIA GPUs through the driver's own library (NVML): their counter of energy, or else their power.

Volta and newer count their energy (mJ). Their driver renews the counter only every 20 to 100 ms, whoever
asks more often sees the same value again, so a reading is given when the counter moved: its window reaches
from one renewal to the next, each placed in the middle between the look that missed it and the look that
saw it. So the faster it is read, the better the edges of a short answer are known. Where the card's power is that of a
moment, it is read as well, and parts each window of 100 ms (`nvml_parts`): how much was used is the counter's word,
when is the power's.

Older cards (a GTX 1080) have no counter. Their power is read instead and integrated later; it is renewed
every 20 ms and is the mean of 10 ms before that (measured by Yang, Adamek and Armour, "Part-time power
measurements", 2024, for this card), so half the time is unseen at best. The same is done where the machine's
row asks for it. From Ampere on the power is the mean of a whole second unless the driver has an
instantaneous one.
"""

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.meters.base import (
    SINCE_PREVIOUS,
    Boundary,
    Channel,
    Fact,
    MeterError,
    MeterUnavailable,
    Quality,
    Quantity,
    Reading,
)
from benchmarks.meters.counting import CounterGap, EnergyCounter
from benchmarks.meters.nvml_library import (
    NO_DRIVER_REMEDY,
    Gpu,
    NvmlAway,
    NvmlError,
    NvmlLibrary,
    NvmlNotSupported,
    PynvmlLibrary,
)
from benchmarks.meters.nvml_parts import POWER_STRETCH_NS, PowerCourse, renewed_at_ns
from benchmarks.units import NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND

MAX_POWER_W = 3000.0  # more than any card draws, far less than what a reset counter pretends
POWER_WINDOW_NS = 10 * NANOSECONDS_PER_MILLISECOND
NEWER_POWER_WINDOW_NS = NANOSECONDS_PER_SECOND
POWER_LAG_NS = 10 * NANOSECONDS_PER_MILLISECOND  # the half of 20 ms from one renewal to the next
STANDSTILL_NS = NANOSECONDS_PER_SECOND  # a counter that does not move for so long is broken, for no GPU uses nothing

MAX_PARTS_WAITING = 6

_MICROJOULES_PER_MILLIJOULE = 1_000

logger = logging.getLogger(__name__)


@dataclass
class _GpuState:
    """A GPU with what was seen of it so far."""

    uuid: str
    model: str
    channel: Channel
    counter: EnergyCounter = field(default_factory=lambda: EnergyCounter(range_uj=None, max_power_w=MAX_POWER_W))
    looked_at_ns: int | None = None
    moved_at_ns: int = 0
    value_uj: int | None = None
    power_mw: int | None = None
    course: PowerCourse | None = None
    parts: deque[Reading] = field(default_factory=deque)  # those that the next reads give, one each


class NvmlMeter:
    """Read the GPUs of this machine, each by its UUID, which stays when cards are numbered anew.

    `uuids` limits it to some of them; none means all, because what an idle card draws is the machine's as
    well. A GPU that is cut into instances (MIG) is told as shared: only the whole card's energy is known.
    """

    def __init__(
        self,
        *,
        library: NvmlLibrary | None = None,
        uuids: Sequence[str] = (),
        is_counter_used: bool = True,
        power_window_ns: int | None = None,
        quality: Quality = Quality.COMPONENT,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        if power_window_ns is not None and power_window_ns <= 0:
            raise ValueError(f"a power window of {power_window_ns} ns is none")
        self._library = library or PynvmlLibrary()
        self._uuids = tuple(uuids)
        self._is_counter_used = is_counter_used
        self._power_window_ns = power_window_ns
        self._quality = quality
        self._clock = clock
        self._gpus: list[_GpuState] = []
        self._is_open = False

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return a channel for each GPU; they stay the same once the meter was open."""
        return tuple(gpu.channel for gpu in self._gpus)

    def facts(self) -> Mapping[str, Fact]:
        """Return each card's model and what is read of it."""
        return {gpu.channel.name: f"{gpu.model}, {gpu.channel.quantity}" for gpu in self._gpus}

    def open(self) -> None:
        """Start the library and find the GPUs; a later `open` goes on from the latest looks.

        Raises `MeterUnavailable` where driver or GPU are not there, `MeterError` where they fail.
        """
        try:
            self._library.start()
            found = {gpu.uuid: gpu for gpu in self._library.gpus()}
            if not self._gpus:
                self._gpus = [self._watched(gpu) for gpu in self._chosen(found)]
        except NvmlAway as error:
            raise MeterUnavailable(str(error), remedy=NO_DRIVER_REMEDY) from error
        except NvmlError as error:
            raise MeterError(str(error)) from error
        self._is_open = True

    def read(self) -> Mapping[str, Reading | None]:
        """Return each GPU's energy since its counter moved before, or its power.

        A GPU that failed is left out; where its counter works and has not moved yet the reading is None.
        Raises `MeterError` when every GPU failed.
        """
        if not self._is_open:
            raise MeterError("the NVML meter is not open")
        readings: dict[str, Reading | None] = {}
        reasons: list[str] = []
        for gpu in self._gpus:
            try:
                if gpu.channel.quantity is Quantity.ENERGY_UJ:
                    readings[gpu.channel.name] = self._read_parts(gpu)
                else:
                    readings[gpu.channel.name] = self._read_power(gpu)
            except (NvmlError, CounterGap) as error:
                reasons.append(f"{gpu.channel.name}: {error}")
        if not readings:
            raise MeterError("; ".join(reasons))
        return readings

    def close(self) -> None:
        """Let go of the library; the counters' latest looks are kept."""
        self._is_open = False
        self._library.shut_down()

    def _chosen(self, found: Mapping[str, Gpu]) -> list[Gpu]:
        if not found:
            raise MeterUnavailable("the NVIDIA driver knows no GPU", remedy=NO_DRIVER_REMEDY)
        missing = [uuid for uuid in self._uuids if uuid not in found]
        if missing:
            raise MeterUnavailable(
                f"there is no GPU {', '.join(missing)}",
                remedy=f"take one of {', '.join(found)}, as nvidia-smi -L shows them",
            )
        return [found[uuid] for uuid in self._uuids] if self._uuids else list(found.values())

    def _watched(self, gpu: Gpu) -> _GpuState:
        if self._has_counter(gpu):
            quantity, window_ns = Quantity.ENERGY_UJ, SINCE_PREVIOUS
        else:
            quantity = Quantity.POWER_MW
            window_ns = self._power_window_ns or (NEWER_POWER_WINDOW_NS if gpu.is_newer_power else POWER_WINDOW_NS)
            self._library.power_mw(gpu.uuid)  # where it has neither, there is nothing to measure
        name = f"gpu-{gpu.uuid}"
        channel = Channel(name, Boundary.COMPONENT, self._quality, quantity, window_ns, is_shared=gpu.is_shared)
        course = PowerCourse() if quantity is Quantity.ENERGY_UJ and self._shows_moments(gpu) else None
        return _GpuState(gpu.uuid, gpu.name, channel, course=course)

    def _shows_moments(self, gpu: Gpu) -> bool:
        """Tell whether a card's power is that of a moment; the mean of a second says nothing about a tenth of one."""
        try:
            return not gpu.is_newer_power and self._library.power_mw(gpu.uuid) > 0
        except NvmlError:
            return False

    def _has_counter(self, gpu: Gpu) -> bool:
        if not self._is_counter_used:
            return False
        try:
            self._library.energy_mj(gpu.uuid)
        except NvmlNotSupported:
            logger.info("%s (%s) counts no energy: its power is integrated", gpu.name, gpu.uuid)
            return False
        return True

    def _read_parts(self, gpu: _GpuState) -> Reading | None:
        """Return the next part of what the counter said, None while there is none."""
        if gpu.course is None:
            return self._read_counter(gpu)
        before_ns = self._clock()
        with contextlib.suppress(NvmlError):  # without it the parts are only longer
            power_mw = self._library.power_mw(gpu.uuid)
            if power_mw > 0:
                gpu.course.look((before_ns + self._clock()) // 2, power_mw)
        if (reading := self._read_counter(gpu)) is not None:
            # a meter that is read too seldom to give all parts gives the whole
            gpu.parts.extend([reading] if len(gpu.parts) > MAX_PARTS_WAITING else gpu.course.part(reading))
        return gpu.parts.popleft() if gpu.parts else None

    def _read_counter(self, gpu: _GpuState) -> Reading | None:
        """Return the energy between two renewals of the counter, None as long as it shows the same."""
        before_ns = self._clock()
        value_uj = self._library.energy_mj(gpu.uuid) * _MICROJOULES_PER_MILLIJOULE
        now_ns = (before_ns + self._clock()) // 2
        previous_ns, gpu.looked_at_ns = gpu.looked_at_ns, now_ns
        if gpu.value_uj is None or previous_ns is None:
            gpu.value_uj, gpu.moved_at_ns = value_uj, now_ns
            return None
        if value_uj == gpu.value_uj:
            if now_ns - gpu.moved_at_ns > STANDSTILL_NS:
                raise CounterGap("the counter of energy stands still")
            return None
        gpu.value_uj, gpu.moved_at_ns = value_uj, now_ns
        moved_at_ns = (previous_ns + now_ns) // 2
        if not gpu.counter.is_started:  # the first renewal that was seen: what is before it began nobody knows when
            gpu.counter.start(moved_at_ns, value_uj)
            return None
        return gpu.counter.reading(moved_at_ns, value_uj)

    def _read_power(self, gpu: _GpuState) -> Reading | None:
        """Return the power, dated by when it was renewed; None where it is the value of the read before."""
        before_ns = self._clock()
        power_mw = self._library.power_mw(gpu.uuid)
        if power_mw <= 0:  # seen on cards that are asked often
            raise NvmlError(f"a power of {power_mw} mW, which no card at work has")
        now_ns = (before_ns + self._clock()) // 2
        previous_ns, gpu.looked_at_ns = gpu.looked_at_ns, now_ns
        previous_mw, gpu.power_mw = gpu.power_mw, power_mw
        at_ns = now_ns - POWER_LAG_NS
        if previous_ns is not None:
            if power_mw != previous_mw:
                at_ns = renewed_at_ns(previous_ns, now_ns)
            elif at_ns - gpu.moved_at_ns < POWER_STRETCH_NS:
                return None
        gpu.moved_at_ns = at_ns
        return Reading(at_ns, gpu.channel.window_ns, power_mw)
