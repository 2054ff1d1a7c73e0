"""Look at what a machine measures with: which meters are there, what they read, and what sampling them costs."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import psutil

from benchmarks.energy import Integration, integrate
from benchmarks.locking import machine_lock
from benchmarks.meters.attached import Finding, try_meter
from benchmarks.meters.base import Channel, Fact
from benchmarks.meters.configuration import (
    DEFAULT_PERIOD_MS,
    ConfigurationError,
    MeterConfiguration,
    SamplerConfiguration,
)
from benchmarks.meters.punctuality import Punctuality, punctuality_of
from benchmarks.meters.ring import Record, RingError, RingReader
from benchmarks.meters.ring_directory import ring_path
from benchmarks.meters.sampling import SampledChannel, SamplerGone, SamplerProcess
from benchmarks.models import Machine
from benchmarks.recording import RecordingError, meters_of
from benchmarks.units import NANOSECONDS_PER_SECOND

COUNTED_READS = frozenset({"estimate", "replay", "rapl"})  # kinds whose every read leaves a record


@dataclass(frozen=True)
class ChannelCheck:
    """What a channel showed during the check."""

    meter: str
    channel: Channel
    period_ns: int
    integration: Integration
    punctuality: Punctuality | None
    facts: Mapping[str, Fact]


@dataclass(frozen=True)
class SamplerCost:
    """Processor time of the sampler as a share of one core, and its resident memory (bytes)."""

    core_share: float
    resident_bytes: int


@dataclass(frozen=True)
class MeterCheck:
    """The configured meters one by one, the channels of those that are there, and the sampler's cost."""

    meters: tuple[Finding, ...]
    channels: tuple[ChannelCheck, ...]
    cost: SamplerCost | None

    @property
    def is_complete(self) -> bool:
        """Tell whether every configured meter is there and none of its channels is missing its energy."""
        return all(one.is_there for one in self.meters) and all(
            one.integration.energy_j is not None for one in self.channels
        )


def check_machine(
    *,
    machine: Machine,
    seconds: float,
    period_ms: int = DEFAULT_PERIOD_MS,
    sleep: Callable[[float], None] = time.sleep,
    clock_ns: Callable[[], int] = time.monotonic_ns,
) -> MeterCheck:
    """Try each configured meter, then sample those that are there for some seconds with the real sampler.

    Raises:
        MachineBusy: a study measures on the machine.
        RecordingError: the machine's row is wrong, or the sampler cannot be started.
    """
    with machine_lock(machine.pk):
        meters = meters_of(machine)
        findings = tuple(try_meter(one) for one in meters)
        there = [one for one, finding in zip(meters, findings, strict=True) if finding.is_there]
        if not there:
            return MeterCheck(findings, (), None)
        channels, cost = sample(
            meters=there,
            name=f"check-{machine.name}",
            seconds=seconds,
            period_ms=period_ms,
            sleep=sleep,
            clock_ns=clock_ns,
        )
        return MeterCheck(findings, channels, cost)


def sample(
    *,
    meters: Sequence[MeterConfiguration],
    name: str,
    seconds: float,
    period_ms: int,
    sleep: Callable[[float], None],
    clock_ns: Callable[[], int],
) -> tuple[tuple[ChannelCheck, ...], SamplerCost]:
    """Run a sampler for some seconds and return what its channels saw and what it cost; raise `RecordingError`."""
    try:
        sampler = SamplerProcess(SamplerConfiguration(meters=tuple(meters), period_ms=period_ms, name=name))
        sampler.start()
    except (SamplerGone, ConfigurationError) as error:
        raise RecordingError(f"The sampler cannot be started: {error}", is_retryable=True) from error
    try:
        sampled = sampler.channels()
        sleep(
            2 * max(one.period_ns for one in sampled) / NANOSECONDS_PER_SECOND
        )  # so that there is a reading before the start
        process = psutil.Process(sampler.pid)
        before, start_ns = process.cpu_times(), clock_ns()
        sleep(seconds)
        stop_ns, after = clock_ns(), process.cpu_times()
        used_s = after.user + after.system - before.user - before.system
        cost = SamplerCost(used_s * NANOSECONDS_PER_SECOND / (stop_ns - start_ns), process.memory_info().rss)
        sleep(2 * max(max(one.period_ns, one.channel.window_ns) for one in sampled) / NANOSECONDS_PER_SECOND)
        return tuple(_channel(sampler, one, start_ns, stop_ns) for one in sampled), cost
    except (SamplerGone, RingError, psutil.Error) as error:
        raise RecordingError(f"The sampler ended: {error}", is_retryable=True) from error
    finally:
        sampler.stop()


def _channel(sampler: SamplerProcess, sampled: SampledChannel, start_ns: int, stop_ns: int) -> ChannelCheck:
    with RingReader(ring_path(sampler.directory, sampled.channel.name)) as ring:
        records: Sequence[Record] = ring.records_between(start_ns, stop_ns).records
    readings = [record.reading() for record in records if record.is_reading]
    return ChannelCheck(
        meter=sampled.meter,
        channel=sampled.channel,
        period_ns=sampled.period_ns,
        integration=integrate(
            readings,
            start_ns,
            stop_ns,
            max(sampled.period_ns, sampled.channel.window_ns),
            quantity=sampled.channel.quantity,
        ),
        punctuality=punctuality_of(records, period_ns=sampled.period_ns, has_all_reads=sampled.meter in COUNTED_READS),
        facts=sampler.facts.get(sampled.channel.name, {}),
    )
