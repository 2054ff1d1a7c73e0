"""Measure one request of the endpoint with the meters of the machine that answers it.

Only where nothing else goes on there: no study runs on the machine, nobody else holds its lock, and no other request of
any process was being answered by it meanwhile. Anything else would make its energy that of several things.
"""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from benchmarks.locking import MachineBusy, machine_lock
from benchmarks.metering import keep_activity
from benchmarks.models import Machine, Measurement, Study
from benchmarks.models.study import DEFAULT_SAMPLING_PERIOD_MS
from benchmarks.recording import RecordingError, SamplerRecorder, recorder_for
from benchmarks.scoring import CarbonBasis, basis_of
from benchmarks.storing import observe
from benchmarks.studying import StudyError, intensity_for
from benchmarks.traces import TraceError
from benchmarks.units import NANOSECONDS_PER_MILLISECOND, nanoseconds_to_seconds
from router.models import UpstreamAttempt

_LONGEST = timedelta(hours=1)  # before that no request began that is still being answered


class NotNow(Exception):
    """No request can be measured now, or the one that was cannot be told from something else."""


@dataclass(frozen=True)
class MeterReady:
    """A machine whose lock is held and whose sampler runs."""

    machine: Machine
    recorder: SamplerRecorder
    basis: CarbonBasis

    def is_wanted_elsewhere(self) -> bool:
        """Tell whether a study waits for the machine."""
        return _has_study(self.machine)


def make_ready(*, machine_name: str, held: ExitStack) -> MeterReady:
    """Take the machine and have its meters sampled; closing `held` gives both back, in that order.

    Raises:
        NotNow: the machine does something else, is not known, or cannot be measured; nothing may be held then.
    """
    machine = Machine.objects.filter(name=machine_name).first()
    if machine is None:
        raise NotNow(f"there is no machine {machine_name!r}")
    if _has_study(machine):
        raise NotNow(f"a study runs on {machine}")
    try:
        intensity = intensity_for(machine)
        held.enter_context(machine_lock(machine.pk))
        recorder = recorder_for(machine, may_borrow=True)
        held.callback(recorder.stop)  # before the lock: who gets that finds no sampler of ours
        recorder.ensure_running(period_ns=DEFAULT_SAMPLING_PERIOD_MS * NANOSECONDS_PER_MILLISECOND)
    except (StudyError, MachineBusy, RecordingError) as error:
        raise NotNow(str(error)) from error
    return MeterReady(machine, recorder, basis_of(machine, intensity.gco2e_per_kwh, intensity.origin))


def measured(*, ready: MeterReady, public_id: str, started_at: datetime, start_ns: int, stop_ns: int) -> Measurement:
    """Return the stored measurement of a request between two marks on the monotonic clock.

    Raises:
        NotNow: samples are missing, or another request was answered on the machine meanwhile.
    """
    try:
        seen = observe(ready.recorder, started_at=started_at, start_ns=start_ns, stop_ns=stop_ns)
    except (RecordingError, TraceError) as error:
        raise NotNow(str(error)) from error
    stopped_at = started_at + timedelta(seconds=nanoseconds_to_seconds(stop_ns - start_ns))
    others = UpstreamAttempt.objects.filter(
        Q(finished_at=None) | Q(finished_at__gt=started_at),
        request__started_at__range=(started_at - _LONGEST, stopped_at),
        started_at__lt=stopped_at,
        deployment__server__machine=ready.machine,
    )
    if others.exclude(request__public_id=public_id).exists():
        raise NotNow("another request was answered on the machine meanwhile")
    return keep_activity(Measurement.Purpose.GATEWAY_REQUEST, ready.machine, seen, ready.basis)


def note_measurement(*, attempt: UpstreamAttempt, measurement: Measurement) -> None:
    """Note in a stored attempt what it was measured to cost."""
    UpstreamAttempt.objects.filter(pk=attempt.pk).update(measurement=measurement)


def _has_study(machine: Machine) -> bool:
    return Study.objects.filter(machine=machine, state=Study.State.RUNNING).exists()
