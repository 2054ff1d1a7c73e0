"""Ask the machine's sampler what its channels saw between two marks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from benchmarks.boundary import QUALITIES_IN_ORDER
from benchmarks.meters.base import Boundary, Channel, Fact, MeterError, MeterUnavailable, Quality, Reading
from benchmarks.meters.configuration import ConfigurationError, MeterConfiguration, SamplerConfiguration
from benchmarks.meters.kinds import make_meter
from benchmarks.meters.replay import steps_of
from benchmarks.meters.sampling import ReadingsMissing, SampledChannel, SamplerBusy, SamplerGone, SamplerProcess
from benchmarks.models import EnergyTrace, Machine
from benchmarks.traces import unpack
from benchmarks.units import NANOSECONDS_PER_MILLISECOND


class RecordingError(Exception):
    """The samples of a measurement cannot be had; `is_retryable` tells whether trying again may help."""

    def __init__(self, message: str, *, is_retryable: bool) -> None:
        super().__init__(message)
        self.is_retryable = is_retryable


class RecorderBusy(RecordingError):
    """Something else samples this machine, for example the worker of another installation."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_retryable=True)


class SamplesMissing(RecordingError):
    """Some channel gave no reading until the stop; `came` is what every channel saw as far as it came.

    It is empty where one of them saw nothing at all.
    """

    def __init__(self, message: str, came: "tuple[ChannelRecord, ...]" = ()) -> None:
        super().__init__(message, is_retryable=True)
        self.came = came


@dataclass(frozen=True)
class ChannelRecord:
    """What one channel saw: its readings from the last one before the start to the first one after the stop.

    `facts` are what its meter says of its device: version, ranges, settings.
    """

    meter: str
    channel: Channel
    period_ns: int
    readings: tuple[Reading, ...]
    facts: Mapping[str, Fact] = field(default_factory=dict)


class EnergyRecorder(Protocol):
    """Records energy while something else goes on."""

    def ensure_running(self, *, period_ns: int) -> None:
        """See to it that every channel is sampled at this period from now on.

        Raises:
            RecorderBusy: something else samples this machine.
            RecordingError: it cannot be.
        """
        ...

    def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
        """Return what every channel saw between two marks on the monotonic clock.

        Raises:
            SamplesMissing: a channel gave none until the stop.
            RecordingError: samples of that time are missing.
        """
        ...


class SamplerRecorder:
    """Records with a sampler process that lives as long as the worker; a killed one is started again.

    Without a `directory` the rings are in shared memory under the name. One that `may_borrow` asks the sampler that
    another process has started on this machine, whatever its period; it starts its own only where there is none.
    """

    def __init__(
        self,
        *,
        name: str,
        meters: Sequence[MeterConfiguration],
        directory: Path | None = None,
        may_borrow: bool = False,
    ) -> None:
        self._directory = None if directory is None else str(directory)
        self._may_borrow = may_borrow
        self._name = name
        self._meters = tuple(meters)
        self._sampler: SamplerProcess | None = None
        self._period_ns = 0
        self._channels: list[SampledChannel] = []

    def ensure_running(self, *, period_ns: int) -> None:
        """Start the sampler where it does not run, or runs at another period; see `EnergyRecorder`."""
        if self._sampler is not None and self._period_ns == period_ns and self._sampler.is_alive():
            return
        self.stop()
        try:
            self._sampler = SamplerProcess(
                SamplerConfiguration(
                    meters=self._meters,
                    period_ms=period_ns // NANOSECONDS_PER_MILLISECOND,
                    name=self._name,
                    directory=self._directory,
                )
            )
            if not (self._may_borrow and self._sampler.borrow()):
                self._sampler.start()
            self._channels = self._sampler.channels()
        except (MeterUnavailable, ConfigurationError) as error:
            raise RecordingError(str(error), is_retryable=False) from error
        except SamplerBusy as error:
            raise RecorderBusy(
                f"Another worker samples this machine ({error}). A machine measures for one installation at a time: "
                f"stop the other one; this study goes on by itself."
            ) from error
        except SamplerGone as error:
            raise RecordingError(f"The sampler cannot be started: {error}.", is_retryable=True) from error
        self._period_ns = period_ns

    def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
        """Return what every channel saw; see `EnergyRecorder`."""
        if self._sampler is None:
            raise RecordingError("The sampler was not started before the measurement.", is_retryable=True)
        records: list[ChannelRecord] = []
        reasons: list[str] = []
        try:
            for sampled in self._channels:
                try:
                    readings: Sequence[Reading] = self._sampler.readings(sampled.channel.name, start_ns, stop_ns)
                except ReadingsMissing as error:
                    readings = error.readings
                    reasons.append(str(error))
                facts = self._sampler.facts.get(sampled.channel.name, {})
                records.append(ChannelRecord(sampled.meter, sampled.channel, sampled.period_ns, tuple(readings), facts))
        except SamplerGone as error:
            raise RecordingError(
                f"Samples are missing: {error}. It is started again by itself; where this happens again and again, "
                f"look into the worker's log, and whether the kernel killed it for want of memory (dmesg).",
                is_retryable=True,
            ) from error
        came = tuple(records)
        if reasons:
            is_useful = all(one.readings for one in came)
            raise SamplesMissing(f"Samples are missing: {'; '.join(reasons)}", came if is_useful else ())
        return came

    def stop(self) -> None:
        """End the sampler; harmless when none runs."""
        if self._sampler is not None:
            self._sampler.stop()
            self._sampler = None


def recorder_for(machine: Machine, *, may_borrow: bool = False) -> SamplerRecorder:
    """Return the recorder of a machine's meters; without any, its power is estimated from the load.

    `may_borrow` is for a process that measures now and then beside the worker.

    Raises:
        RecordingError: the machine's row names a meter wrongly.
    """
    return SamplerRecorder(name=machine.name, meters=meters_of(machine), may_borrow=may_borrow)


def meters_of(machine: Machine) -> list[MeterConfiguration]:
    """Return the meters of a machine as its row has them.

    Raises:
        RecordingError: the row names a meter wrongly.
    """
    try:
        configured = [MeterConfiguration(**meter) for meter in machine.meters or [{"kind": "estimate"}]]
    except (TypeError, ConfigurationError) as error:
        raise RecordingError(f"meters of the machine {machine}: {error}", is_retryable=False) from error
    return [_with_what_the_database_knows(meter, machine) for meter in configured]


def meters_of_the_boundary(meters: Sequence[MeterConfiguration]) -> list[MeterConfiguration]:
    """Return the meter whose channel the boundary takes for the machine; all of them where components are summed.

    Raises:
        RecordingError: a meter cannot be opened.
    """
    seen = [(one, channel) for one in meters for channel in _channels_of(one)]
    machines = sorted(
        (QUALITIES_IN_ORDER.index(channel.quality), channel.name, number)
        for number, (_, channel) in enumerate(seen)
        if channel.boundary is Boundary.MACHINE
    )
    qualities = {channel.quality for _, channel in seen if channel.boundary is Boundary.COMPONENT}
    if not machines:
        return list(meters)
    best, channel = seen[machines[0][2]]
    is_guess = channel.quality is Quality.ESTIMATED
    return list(meters) if is_guess and qualities == {Quality.COMPONENT} else [best]


def _channels_of(configuration: MeterConfiguration) -> tuple[Channel, ...]:
    try:
        meter = make_meter(configuration)
        meter.open()
    except (MeterUnavailable, ConfigurationError) as error:
        raise RecordingError(str(error), is_retryable=False) from error
    except MeterError as error:
        raise RecordingError(str(error), is_retryable=True) from error
    channels = meter.channels
    meter.close()
    return channels


def _with_what_the_database_knows(meter: MeterConfiguration, machine: Machine) -> MeterConfiguration:
    """Give the estimate its powers and the replay its recording: the sampler knows no database."""
    options: dict[str, object] = dict(meter.options)
    if meter.kind == "estimate":
        powers = {"tdp_w": machine.thermal_design_power_w, "idle_power_w": machine.idle_power_w}
        return MeterConfiguration(meter.kind, {**powers, **options}, meter.period_ms)
    if meter.kind == "replay" and "measurement" in options:
        options["steps"] = _recorded_steps(options.pop("measurement"), options.pop("trace_channel", "machine"))
        return MeterConfiguration(meter.kind, options, meter.period_ms)
    return meter


def _recorded_steps(measurement: object, channel: object) -> list[tuple[float, float]]:
    """Return the steps (s, W) of a stored trace."""
    row = None
    if isinstance(measurement, int) and isinstance(channel, str):
        row = EnergyTrace.objects.filter(measurement_id=measurement, channel=channel).first()
    if row is None:
        raise RecordingError(
            f"meter replay: there is no trace of channel {channel!r} of measurement {measurement!r}",
            is_retryable=False,
        )
    trace = row.packed()
    try:
        steps = steps_of(unpack(trace), quantity=trace.quantity)
    except ValueError as error:
        raise RecordingError(f"meter replay: {row} cannot be played: {error}", is_retryable=False) from error
    return [(step.duration_s, step.power_w) for step in steps]
