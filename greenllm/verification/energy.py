"""Whether what was measured still says what its samples say."""

from collections.abc import Iterable
from itertools import islice

from benchmarks.energy import integrate
from benchmarks.meters.configuration import readings_period_ns
from benchmarks.models import ChannelReading, EnergyTrace
from benchmarks.traces import TraceError, unpack
from greenllm.verification.tally import Tally

_CHUNK = 50  # traces in memory at once
_ENERGY_TOLERANCE = 1e-3  # relative: a trace keeps moments to half a microsecond
_MARK_SAMPLES = 2  # a sample that begins or ends just at a mark may so fall on its other side

_UNTRACED = """
SELECT 'channel ' || reading.channel || ' of measurement ' || reading.measurement_id || ' has an energy and no trace'
FROM benchmarks_channelreading AS reading
WHERE reading.energy_j IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM benchmarks_energytrace AS trace
    WHERE trace.measurement_id = reading.measurement_id AND trace.channel = reading.channel
)
UNION ALL
SELECT 'measurement ' || measurement.id || ' (' || purpose || ') has an energy and no channel that makes it up'
FROM benchmarks_measurement AS measurement
WHERE measurement.energy_j IS NOT NULL AND measurement.purpose <> 'imported' AND NOT EXISTS (
    SELECT 1 FROM benchmarks_channelreading AS reading
    WHERE reading.measurement_id = measurement.id AND reading.is_in_boundary AND reading.energy_j IS NOT NULL
)
"""
_FALSE_ZEROS = """
SELECT 'measurement ' || id || ' is ' || quality || ' with an energy of ' || coalesce(energy_j::text, 'nothing')
    || ' J and an SCI of ' || coalesce(sci_gco2e::text, 'nothing')
FROM benchmarks_measurement
WHERE (quality = 'missing') <> (energy_j IS NULL) OR energy_j <= 0
    OR (energy_j IS NULL AND sci_gco2e IS NOT NULL AND purpose <> 'imported')
UNION ALL
SELECT 'channel ' || channel || ' of measurement ' || measurement_id || ' is ' || quality || ' with an energy of '
    || coalesce(energy_j::text, 'nothing') || ' J of ' || sample_count || ' samples'
FROM benchmarks_channelreading
WHERE (quality = 'missing') <> (energy_j IS NULL) OR (energy_j IS NOT NULL AND sample_count = 0)
UNION ALL
SELECT 'decision ' || id || ' expects ' || predicted_sci_gco2e || ' gCO2e of a quality that is missing'
FROM router_routingdecision WHERE predicted_sci_gco2e IS NOT NULL AND predicted_quality = 'missing'
"""
# O = E * I, M = TE * TiR / EL * RS, SCI = O + M for one answer
_MISCOUNTED = """
SELECT 'measurement ' || id || ' has an SCI of ' || sci_gco2e || ' gCO2e, its inputs make ' || operational + embodied
FROM (
    SELECT *, energy_j / 3.6e6 * carbon_intensity_gco2e_per_kwh AS operational,
        total_embodied_emissions_gco2e * time_reserved_s / expected_lifespan_s * resource_share AS embodied
    FROM benchmarks_measurement WHERE sci_gco2e IS NOT NULL AND purpose <> 'imported'
) AS scored
WHERE abs(sci_gco2e - operational - embodied) > 1e-6 * sci_gco2e
    OR abs(operational_emissions_gco2e - operational) > 1e-6 * sci_gco2e
    OR abs(embodied_emissions_gco2e - embodied) > 1e-6 * sci_gco2e
"""


def check_traces() -> Tally:
    """Unpack every trace, and integrate it anew between its measurement's marks."""
    tally = Tally()
    traces = EnergyTrace.objects.select_related("measurement").order_by("pk").iterator(_CHUNK)
    while chunk := list(islice(traces, _CHUNK)):
        readings = _readings_of(chunk)
        for trace in chunk:
            tally.look()
            wrong = _wrong_in(trace, readings.get((trace.measurement_id, trace.channel)))
            if wrong:
                tally.broken(f"{trace}: {wrong}")
    return tally


def check_measured_have_traces() -> Tally:
    """Look for an energy that nothing shows."""
    tally = Tally()
    tally.sentences(_UNTRACED, of="benchmarks_measurement")
    return tally


def check_missing_is_not_zero() -> Tally:
    """Look for an energy or an SCI where nothing was measured, and for one of nothing where something was."""
    tally = Tally()
    tally.sentences(_FALSE_ZEROS, of="benchmarks_measurement")
    return tally


def check_scores() -> Tally:
    """Reckon every SCI anew from the inputs beside it."""
    tally = Tally()
    tally.sentences(_MISCOUNTED, of="benchmarks_measurement")
    return tally


def _readings_of(traces: Iterable[EnergyTrace]) -> dict[tuple[int, str], ChannelReading]:
    found = ChannelReading.objects.filter(measurement__in={one.measurement_id for one in traces})
    return {(one.measurement_id, one.channel): one for one in found}


def _wrong_in(trace: EnergyTrace, reading: ChannelReading | None) -> str:
    """Return what is wrong with a trace, or an empty text."""
    try:
        packed = trace.packed()
        samples = unpack(packed)
    except (TraceError, ValueError) as error:
        return f"it cannot be unpacked: {error}"
    if len(samples) != trace.sample_count:
        return f"it holds {len(samples)} samples and says {trace.sample_count}"
    if reading is None:
        return "it has no reading"
    start_ns, stop_ns = trace.measurement.started_monotonic_ns, trace.measurement.finished_monotonic_ns
    if start_ns is None or stop_ns is None:
        return "its measurement has no marks"
    period_ns = readings_period_ns(reading.meter, period_ns=trace.period_ns, window_ns=trace.window_ns)
    try:
        made = integrate(samples, start_ns, stop_ns, period_ns, quantity=packed.quantity)
    except ValueError as error:
        return f"it cannot be integrated: {error}"
    return _differing(reading, made.energy_j, made.sample_count)


def _differing(reading: ChannelReading, energy_j: float | None, sample_count: int) -> str:
    moved = abs(sample_count - reading.sample_count)
    if moved > _MARK_SAMPLES:
        return f"it makes {sample_count} samples between the marks, its reading says {reading.sample_count}"
    if energy_j is None or reading.energy_j is None:
        if (energy_j is None) == (reading.energy_j is None):
            return ""
        return f"it makes an energy of {energy_j} J, its reading says {reading.energy_j} J"
    allowed = _ENERGY_TOLERANCE + moved / max(1, reading.sample_count)
    if abs(energy_j - reading.energy_j) > allowed * abs(reading.energy_j):
        return f"it makes an energy of {energy_j:.6g} J, its reading says {reading.energy_j:.6g} J"
    return ""
