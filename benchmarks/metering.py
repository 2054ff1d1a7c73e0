"""Measure what is no response of a study, such as building the index, with the machine's meters and its lock."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db import transaction

from benchmarks.boundary import BoundedEnergy, draw_boundary
from benchmarks.locking import MachineBusy, machine_lock
from benchmarks.models import Machine, Measurement
from benchmarks.models.study import DEFAULT_SAMPLING_PERIOD_MS
from benchmarks.recording import EnergyRecorder, RecordingError
from benchmarks.scoring import CarbonBasis, apply_score, basis_of
from benchmarks.storing import Observation, integrate_observed, measurement_of, observe, save_observed
from benchmarks.studying import intensity_for
from benchmarks.traces import TraceError
from benchmarks.units import NANOSECONDS_PER_MILLISECOND

T = TypeVar("T")


@dataclass(frozen=True)
class Metering:
    """A machine with the recorder of its meters and the clocks to measure an activity by."""

    machine: Machine
    recorder: EnergyRecorder
    now: Callable[[], datetime]
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    sampling_period_ms: int = DEFAULT_SAMPLING_PERIOD_MS


def measure_activity(*, work: Callable[[], T], purpose: str, metering: Metering) -> tuple[T, Measurement]:
    """Do some work and return what it made with its measurement, which is stored.

    The work is done whatever becomes of the measuring: where the machine is busy with something else or a meter
    cannot be read, the measurement's energy is missing and it says why.

    Raises:
        StudyError: no carbon intensity is known for the machine's zone; nothing was done.
        Whatever the work raises; then nothing is stored.
    """
    intensity = intensity_for(metering.machine)
    basis = basis_of(metering.machine, intensity.gco2e_per_kwh, intensity.origin)
    with ExitStack() as held:
        reason = _prepare(metering, held)
        started_at, start_ns = metering.now(), metering.monotonic_ns()
        made = work()
        stop_ns = metering.monotonic_ns()
        seen = Observation(started_at, start_ns, stop_ns, (), ())
        if not reason:
            try:
                seen = observe(metering.recorder, started_at=started_at, start_ns=start_ns, stop_ns=stop_ns)
            except (RecordingError, TraceError) as error:
                reason = str(error)
    return made, keep_activity(purpose, metering.machine, seen, basis, missing_reason=reason)


def _prepare(metering: Metering, held: ExitStack) -> str:
    """Take the machine and start its sampler; return why that cannot be, where it cannot."""
    try:
        held.enter_context(machine_lock(metering.machine.pk))
        metering.recorder.ensure_running(period_ns=metering.sampling_period_ms * NANOSECONDS_PER_MILLISECOND)
    except (MachineBusy, RecordingError) as error:
        return str(error)
    return ""


def keep_activity(
    purpose: str, machine: Machine, seen: Observation, basis: CarbonBasis, *, missing_reason: str = ""
) -> Measurement:
    """Store what the meters saw of an activity, with its score; return the measurement."""
    channels = integrate_observed(seen)
    missing = BoundedEnergy(None, "missing", "", frozenset(), False, missing_reason)
    bounded = missing if missing_reason else draw_boundary(channels)
    measurement = measurement_of(purpose=purpose, machine=machine, seen=seen, bounded=bounded)
    apply_score(measurement, basis)
    with transaction.atomic():
        save_observed(measurement=measurement, seen=seen, channels=channels, counted=bounded.counted)
    return measurement
