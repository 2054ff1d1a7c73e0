"""Calibrate a machine: idle without sampling, idle with all meters, every core busy, and how it calms down again."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import fmean

from django.db import transaction

from benchmarks.boundary import BoundedEnergy, IntegratedChannel, draw_boundary
from benchmarks.calibration import Overhead, overhead_of, settling_time_s, smoothed
from benchmarks.locking import machine_lock
from benchmarks.meters.configuration import MeterConfiguration
from benchmarks.models import Calibration, Machine, Measurement
from benchmarks.recording import ChannelRecord, SamplerRecorder, meters_of, meters_of_the_boundary
from benchmarks.spread import Spread, spread_of
from benchmarks.storing import integrate_channel, make_measurement, save_channels
from benchmarks.traces import TraceError, pack
from benchmarks.units import (
    MICROJOULES_PER_JOULE,
    NANOSECONDS_PER_MILLISECOND,
    NANOSECONDS_PER_SECOND,
    mean_power_mw,
    seconds_to_nanoseconds,
)

MIN_SECONDS = 3.0
SLOW_PERIOD_MS = 1_000  # reading once a second costs a tenth of what sampling does
_MAX_BLOCKS = 10
_READS_PER_BLOCK = 3
_TEMPERATURE_INTERVAL_S = 0.5
_SMOOTHING_S = 1.0


class CalibrationError(Exception):
    """The machine cannot be calibrated like this; the message says why."""


@dataclass(frozen=True)
class Workbench:
    """What calibrating needs of the outside."""

    now: Callable[[], datetime]
    cores_busy: Callable[[float], AbstractContextManager[None]]  # given the longest time that they may be busy (s)
    temperatures: Callable[[], Mapping[str, float | None]]
    tell: Callable[[str], None] = lambda _: None
    sleep: Callable[[float], None] = time.sleep
    clock_ns: Callable[[], int] = time.monotonic_ns


@dataclass(frozen=True)
class Phase:
    """A stretch of time with what its channels saw; `powers_mw` are the boundary's mean powers of equal parts of it."""

    started_at: datetime
    start_ns: int
    stop_ns: int
    records: tuple[ChannelRecord, ...]
    channels: tuple[IntegratedChannel, ...]
    bounded: BoundedEnergy
    powers_mw: tuple[float, ...]

    @property
    def power_mw(self) -> float:
        """Return the mean power of the whole stretch."""
        return mean_power_mw((self.bounded.energy_j or 0.0) * MICROJOULES_PER_JOULE, self.stop_ns - self.start_ns)


@dataclass(frozen=True)
class Calibrated:
    """A stored calibration with the spreads behind it."""

    calibration: Calibration
    baseline: Spread
    idle: Spread
    overhead: Overhead
    hottest_c: float | None


def calibrate(*, machine: Machine, seconds: float, period_ms: int, bench: Workbench) -> Calibrated:
    """Calibrate a machine in four stretches of `seconds` and store the result, all of it or nothing.

    Raises:
        MachineBusy: a study measures on the machine.
        RecordingError: its meters cannot be read.
        CalibrationError: the stretches are too short, or a gap leaves an energy missing.
    """
    if seconds < MIN_SECONDS:
        raise CalibrationError(f"Stretches of {seconds:g} s are too short; {MIN_SECONDS:g} s is the least.")
    with machine_lock(machine.pk):
        meters = meters_of(machine)
        recorder = SamplerRecorder(name=f"calibrate-{machine.name}", meters=meters)
        slow = SamplerRecorder(
            name=f"calibrate-{machine.name}", meters=_read_slowly(meters_of_the_boundary(meters), seconds)
        )
        try:
            bench.tell(f"Idle without sampling, {seconds:g} s")
            baseline = _phase(slow, seconds, _slow_period_ms(seconds), bench)
            slow.stop()
            bench.tell(f"Idle with all meters, {seconds:g} s")
            idle_c = _hottest_c(bench)
            idle = _phase(recorder, seconds, period_ms, bench)
            bench.tell(f"Every core busy, {seconds:g} s")
            with bench.cores_busy(2 * seconds + 10):
                stress = _phase(recorder, seconds, period_ms, bench)
                peak_c = _hottest_c(bench)
            bench.tell(f"Calming down, {seconds:g} s")
            cooldown = _cooldown(recorder, seconds, (idle, stress), (idle_c, peak_c), bench)
        finally:
            slow.stop()
            recorder.stop()
    return _store(machine, (baseline, idle, stress), cooldown, peak_c)


def _read_slowly(meters: Sequence[MeterConfiguration], seconds: float) -> list[MeterConfiguration]:
    return [MeterConfiguration(one.kind, one.options, _slow_period_ms(seconds)) for one in meters]


def _block_count(seconds: float) -> int:
    return min(_MAX_BLOCKS, int(seconds / MIN_SECONDS) + 2)


def _slow_period_ms(seconds: float) -> int:
    return min(SLOW_PERIOD_MS, int(seconds * 1_000 / _block_count(seconds) / _READS_PER_BLOCK))


def _phase(recorder: SamplerRecorder, seconds: float, period_ms: int, bench: Workbench) -> Phase:
    recorder.ensure_running(period_ns=period_ms * NANOSECONDS_PER_MILLISECOND)
    bench.sleep(max(0.5, 3 * period_ms / 1_000))  # starting the sampler, or the load, is not what is measured
    started_at, start_ns = bench.now(), bench.clock_ns()
    bench.sleep(seconds)
    stop_ns = bench.clock_ns()
    records = recorder.records(start_ns=start_ns, stop_ns=stop_ns)
    channels, bounded = _bounded(records, start_ns, stop_ns)
    if bounded.energy_j is None:
        raise CalibrationError(f"The energy of this stretch is missing: {bounded.missing_reason}. Try again.")
    count = _block_count(seconds)
    borders = [start_ns + (stop_ns - start_ns) * number // count for number in range(count + 1)]
    powers = []
    for begin_ns, end_ns in pairwise(borders):
        part = _bounded(records, begin_ns, end_ns)[1]
        if part.energy_j is not None:
            powers.append(mean_power_mw(part.energy_j * MICROJOULES_PER_JOULE, end_ns - begin_ns))
    return Phase(started_at, start_ns, stop_ns, records, channels, bounded, tuple(powers))


def _bounded(
    records: Sequence[ChannelRecord], start_ns: int, stop_ns: int
) -> tuple[tuple[IntegratedChannel, ...], BoundedEnergy]:
    channels = tuple(integrate_channel(record, start_ns=start_ns, stop_ns=stop_ns) for record in records)
    return channels, draw_boundary(channels)


def _hottest_c(bench: Workbench) -> float | None:
    return max((value for value in bench.temperatures().values() if value is not None), default=None)


def _cooldown(
    recorder: SamplerRecorder,
    seconds: float,
    phases: tuple[Phase, Phase],
    temperatures_c: tuple[float | None, float | None],
    bench: Workbench,
) -> tuple[float | None, str]:
    """Return how long the machine took to calm down and what that was told from, by temperature where there is one."""
    idle_c, peak_c = temperatures_c
    start_ns = bench.clock_ns()
    warm: list[tuple[float, float]] = []
    while (elapsed_s := (bench.clock_ns() - start_ns) / NANOSECONDS_PER_SECOND) < seconds:
        hottest_c = _hottest_c(bench)
        if hottest_c is not None:
            warm.append((elapsed_s, hottest_c))
        bench.sleep(min(_TEMPERATURE_INTERVAL_S, max(0.01, seconds - elapsed_s)))
    if idle_c is not None and peak_c is not None:
        found_s = settling_time_s(warm, idle=idle_c, peak=peak_c)
        return found_s, Calibration.CooldownSource.TEMPERATURE if found_s is not None else ""
    idle, stress = phases
    records = recorder.records(start_ns=start_ns, stop_ns=bench.clock_ns())
    parts = _powers(records, start_ns, seconds, idle.bounded.counted)
    found_s = settling_time_s(smoothed(parts, width_s=_SMOOTHING_S), idle=idle.power_mw, peak=stress.power_mw)
    return found_s, Calibration.CooldownSource.POWER if found_s is not None else ""


def _powers(
    records: Sequence[ChannelRecord], start_ns: int, seconds: float, counted: frozenset[str]
) -> list[tuple[float, float]]:
    """Return the boundary's power (mW) in stretches of half a second, by their ends (s)."""
    inside = [record for record in records if record.channel.name in counted]
    step_ns = seconds_to_nanoseconds(_TEMPERATURE_INTERVAL_S)
    points = []
    for number in range(int(seconds / _TEMPERATURE_INTERVAL_S)):
        begin_ns = start_ns + number * step_ns
        _, bounded = _bounded(inside, begin_ns, begin_ns + step_ns)
        if bounded.energy_j is not None:
            points.append(
                (
                    (number + 1) * _TEMPERATURE_INTERVAL_S,
                    mean_power_mw(bounded.energy_j * MICROJOULES_PER_JOULE, step_ns),
                )
            )
    return points


def _store(
    machine: Machine, phases: tuple[Phase, Phase, Phase], cooldown: tuple[float | None, str], hottest_c: float | None
) -> Calibrated:
    baseline, idle, stress = phases
    if baseline.bounded.counted != idle.bounded.counted:
        raise CalibrationError(
            f"Without sampling {', '.join(sorted(baseline.bounded.counted))} was read, with it "
            f"{', '.join(sorted(idle.bounded.counted))}: that cannot be compared."
        )
    spreads = spread_of(baseline.powers_mw), spread_of(idle.powers_mw)
    overhead = None
    if spreads[0] is not None and spreads[1] is not None:
        overhead = overhead_of(baseline=spreads[0], idle=spreads[1], peak_power_mw=fmean(stress.powers_mw or [0.0]))
    if spreads[0] is None or spreads[1] is None or overhead is None:
        raise CalibrationError("Too few stretches of idle had all their readings. Try again, or with more --seconds.")
    purposes = (
        Measurement.Purpose.IDLE_BASELINE,
        Measurement.Purpose.CALIBRATION,
        Measurement.Purpose.CALIBRATION,
    )
    with transaction.atomic():
        rows = [_save(machine, phase, purpose) for phase, purpose in zip(phases, purposes, strict=True)]
        calibration = Calibration.objects.create(
            machine=machine,
            made_at=idle.started_at,
            baseline=rows[0],
            idle=rows[1],
            stress=rows[2],
            quality=idle.bounded.quality,
            block_count=spreads[1].n,
            baseline_power_mw=spreads[0].mean,
            idle_power_mw=spreads[1].mean,
            idle_power_low_mw=spreads[1].mean if spreads[1].low is None else spreads[1].low,
            idle_power_high_mw=spreads[1].mean if spreads[1].high is None else spreads[1].high,
            peak_power_mw=stress.power_mw,
            overhead_power_mw=overhead.power_mw.value,
            overhead_low_mw=overhead.power_mw.low,
            overhead_high_mw=overhead.power_mw.high,
            overhead_of_span=overhead.of_span.value if overhead.of_span else None,
            overhead_of_idle=overhead.of_idle.value if overhead.of_idle else None,
            cooldown_s=cooldown[0],
            cooldown_source=cooldown[1],
        )
    return Calibrated(calibration, spreads[0], spreads[1], overhead, hottest_c)


def _save(machine: Machine, phase: Phase, purpose: str) -> Measurement:
    measurement = make_measurement(
        purpose=purpose,
        machine=machine,
        started_at=phase.started_at,
        start_ns=phase.start_ns,
        stop_ns=phase.stop_ns,
        bounded=phase.bounded,
    )
    measurement.save()
    try:
        traces = [
            pack(one.readings, one.period_ns, one.channel.window_ns, one.channel.quantity) for one in phase.records
        ]
    except TraceError as error:
        raise CalibrationError(f"The readings make no trace: {error}. Try again.") from error
    save_channels(
        measurement=measurement,
        records=phase.records,
        channels=phase.channels,
        traces=traces,
        counted=phase.bounded.counted,
    )
    return measurement
