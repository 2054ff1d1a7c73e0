"""Keep what the channels saw: integrate each, draw the boundary, and write measurement, readings and traces."""

from collections.abc import Sequence
from datetime import datetime

from benchmarks.boundary import BoundedEnergy, IntegratedChannel
from benchmarks.energy import integrate
from benchmarks.models import ChannelReading, EnergyTrace, Machine, Measurement
from benchmarks.recording import ChannelRecord
from benchmarks.traces import PackedTrace
from benchmarks.units import nanoseconds_to_seconds


def integrate_channel(record: ChannelRecord, *, start_ns: int, stop_ns: int) -> IntegratedChannel:
    """Return one channel's energy between two marks on the monotonic clock."""
    return IntegratedChannel(
        name=record.channel.name,
        meter=record.meter,
        scope=record.channel.boundary,
        quality=record.channel.quality,
        integration=integrate(
            record.readings,
            start_ns=start_ns,
            stop_ns=stop_ns,
            # Readings cannot come more often than the windows of a device, however often it is asked.
            period_ns=max(record.period_ns, record.channel.window_ns),
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
            meter_facts=dict(record.facts),
        )
        for record, one in zip(records, channels, strict=True)
    )
    EnergyTrace.objects.bulk_create(
        _trace_row(measurement, record, trace) for record, trace in zip(records, traces, strict=True)
    )


def _trace_row(measurement: Measurement, record: ChannelRecord, trace: PackedTrace) -> EnergyTrace:
    return EnergyTrace(
        measurement=measurement,
        channel=record.channel.name,
        format_version=trace.format_version,
        quantity=trace.quantity,
        period_ns=trace.period_ns,
        window_ns=trace.window_ns,
        first_at_ns=trace.first_at_ns,
        offset_unit_ns=trace.offset_unit_ns,
        sample_count=trace.sample_count,
        offsets=list(trace.offsets),
        values=list(trace.values),
    )
