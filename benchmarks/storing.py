"""Keep what the channels saw: integrate each, draw the boundary, and write measurement, readings and traces."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from benchmarks.boundary import BoundedEnergy, IntegratedChannel
from benchmarks.energy import Integration, integrate
from benchmarks.meters.base import Fact
from benchmarks.meters.configuration import readings_period_ns
from benchmarks.models import ChannelReading, EnergyTrace, Machine, Measurement
from benchmarks.recording import ChannelRecord, EnergyRecorder, SamplesMissing
from benchmarks.traces import PackedTrace, pack
from benchmarks.units import NANOSECONDS_PER_MILLISECOND, nanoseconds_to_seconds

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")  # NUL, and halves of surrogate pairs


@dataclass(frozen=True)
class Observation:
    """Two marks on the monotonic clock and what the channels saw between them, with a trace for each channel."""

    started_at: datetime
    start_ns: int
    stop_ns: int
    channels: tuple[ChannelRecord, ...]
    traces: tuple[PackedTrace, ...]


def observe(recorder: EnergyRecorder, *, started_at: datetime, start_ns: int, stop_ns: int) -> Observation:
    """Return what the channels saw between two marks.

    Raises:
        RecordingError, TraceError: samples are missing, or cannot be kept.
    """
    return _observation(recorder.records(start_ns=start_ns, stop_ns=stop_ns), started_at, start_ns, stop_ns)


def observe_what_came(recorder: EnergyRecorder, *, started_at: datetime, start_ns: int, stop_ns: int) -> Observation:
    """Return the same, with a gap until the stop where a channel gave nothing any more.

    Raises:
        RecordingError, TraceError: nothing came, or it cannot be kept.
    """
    try:
        return observe(recorder, started_at=started_at, start_ns=start_ns, stop_ns=stop_ns)
    except SamplesMissing as error:
        if not error.came:
            raise
        return _observation(error.came, started_at, start_ns, stop_ns)


def _observation(channels: tuple[ChannelRecord, ...], started_at: datetime, start_ns: int, stop_ns: int) -> Observation:
    traces = tuple(pack(one.readings, one.period_ns, one.channel.window_ns, one.channel.quantity) for one in channels)
    return Observation(started_at, start_ns, stop_ns, channels, traces)


def integrate_observed(seen: Observation) -> list[IntegratedChannel]:
    """Return the energy of each channel between the marks."""
    return [integrate_channel(record, start_ns=seen.start_ns, stop_ns=seen.stop_ns) for record in seen.channels]


def integrate_channel(record: ChannelRecord, *, start_ns: int, stop_ns: int) -> IntegratedChannel:
    """Return one channel's energy between two marks on the monotonic clock."""
    period_ns = readings_period_ns(record.meter, period_ns=record.period_ns, window_ns=record.channel.window_ns)
    return IntegratedChannel(
        name=record.channel.name,
        meter=record.meter,
        scope=record.channel.boundary,
        quality=record.channel.quality,
        integration=integrate(
            record.readings,
            start_ns=start_ns,
            stop_ns=stop_ns,
            period_ns=period_ns,
            quantity=record.channel.quantity,
        ),
        is_shared=record.channel.is_shared,
    )


def make_measurement(
    *, purpose: str, machine: Machine, started_at: datetime, start_ns: int, stop_ns: int, bounded: BoundedEnergy
) -> Measurement:
    """Return a measurement of the energy inside the boundary, neither scored nor saved."""
    return Measurement(
        purpose=purpose,
        machine=machine,
        started_at=started_at,
        started_monotonic_ns=start_ns,
        finished_monotonic_ns=stop_ns,
        time_reserved_s=nanoseconds_to_seconds(stop_ns - start_ns),
        energy_j=bounded.energy_j,
        quality=bounded.quality,
        missing_reason=bounded.missing_reason,
        boundary=bounded.boundary[:200],
        is_low_precision=bounded.is_low_precision,
        is_shared=bounded.is_shared,
    )


def measurement_of(*, purpose: str, machine: Machine, seen: Observation, bounded: BoundedEnergy) -> Measurement:
    """Return the measurement of what was observed, neither scored nor saved."""
    return make_measurement(
        purpose=purpose,
        machine=machine,
        started_at=seen.started_at,
        start_ns=seen.start_ns,
        stop_ns=seen.stop_ns,
        bounded=bounded,
    )


def save_observed(
    *, measurement: Measurement, seen: Observation, channels: Sequence[IntegratedChannel], counted: frozenset[str]
) -> None:
    """Save a measurement with a reading and a trace for each channel; call it in a transaction."""
    measurement.save()
    save_channels(
        measurement=measurement, records=seen.channels, channels=channels, traces=seen.traces, counted=counted
    )


def save_channels(
    *,
    measurement: Measurement,
    records: Sequence[ChannelRecord],
    channels: Sequence[IntegratedChannel],
    traces: Sequence[PackedTrace],
    counted: frozenset[str],
) -> None:
    """Write a saved measurement's readings and traces; the three sequences go by the same channels."""
    ChannelReading.objects.bulk_create(
        ChannelReading(
            measurement=measurement,
            channel=one.name,
            meter=one.meter,
            is_in_boundary=one.name in counted,
            energy_j=one.integration.energy_j,
            mean_power_mw=one.integration.mean_power_mw,
            sample_count=one.integration.sample_count,
            coverage=one.integration.coverage,
            gap_count=one.integration.gap_count,
            quality=one.quality if one.integration.energy_j is not None else "missing",
            missing_reason=one.integration.reason,
            meter_facts={**record.facts, **_interval_facts(one.integration)},
        )
        for record, one in zip(records, channels, strict=True)
    )
    EnergyTrace.objects.bulk_create(
        EnergyTrace.of(trace, measurement=measurement, channel=record.channel.name)
        for record, trace in zip(records, traces, strict=True)
    )


def _interval_facts(integration: Integration) -> dict[str, Fact]:
    """Return how regular the readings came, to be kept beside what the meter says of itself."""
    if integration.interval_p95_ns is None:
        return {}
    interval_ms = integration.interval_p95_ns / NANOSECONDS_PER_MILLISECOND
    return {"interval_p95_ms": round(interval_ms, 3), "is_irregular": integration.is_irregular}


def storable(text: str) -> str:
    """Return a text with the replacement character for what a model may say but Postgres cannot store."""
    return _UNSTORABLE.sub("\ufffd", text)
