"""The measurements of a study as rows, one per channel, in a stream: memory stays flat whatever their number."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from benchmarks.models import EnergyTrace, Measurement, Study
from benchmarks.spread import MIN_COUNT_FOR_OUTLIERS
from benchmarks.spreading import outlier_ids
from benchmarks.traces import TraceError, unpack
from benchmarks.uncertainty import EnergyInterval, energy_interval

COLUMNS = (
    "study", "response", "dataset", "prompt", "model", "parameters", "repeat", "measurement", "purpose", "channel",
    "meter", "in_boundary", "start_monotonic_ns", "end_monotonic_ns", "start_wall_ns", "end_wall_ns", "energy_j",
    "energy_low_j", "energy_high_j", "mean_power_w", "sample_count", "period_ns", "window_ns", "coverage", "gap_count",
    "quality", "low_precision", "missing_reason", "outlier", "irregular",
)  # fmt: skip

_CHUNK = 50  # rows whose traces are in memory at the same time
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = {
    "response": "response__pk",
    "dataset": "response__prompt__dataset__name",
    "prompt": "response__prompt__external_id",
    "model": "response__deployment__language_model__name",
    "parameters": "response__parameter_set__name",
    "repeat": "response__repeat",
    "measurement": "pk",
    "purpose": "purpose",
    "channel": "readings__channel",
    "meter": "readings__meter",
    "in_boundary": "readings__is_in_boundary",
    "start": "started_monotonic_ns",
    "end": "finished_monotonic_ns",
    "started_at": "started_at",
    "energy_j": "readings__energy_j",
    "whole_energy_j": "energy_j",
    "mean_power_mw": "readings__mean_power_mw",
    "sample_count": "readings__sample_count",
    "coverage": "readings__coverage",
    "gap_count": "readings__gap_count",
    "irregular": "readings__meter_facts__is_irregular",
    "quality": "readings__quality",
    "whole_quality": "quality",
    "low_precision": "is_low_precision",
    "missing_reason": "readings__missing_reason",
    "whole_missing_reason": "missing_reason",
}

_Found = dict[str, Any]  # Any: one row of many columns of many types


@dataclass(frozen=True)
class _TraceFacts:
    period_ns: int | None = None
    window_ns: int | None = None
    interval: EnergyInterval | None = None


def measurement_rows(*, study: Study) -> Iterator[tuple[object, ...]]:
    """Yield a row as `COLUMNS` has them for each channel of each measurement, in the order of measuring.

    A measurement without channels, like an imported outcome, has one row without a channel. What is not known
    is None: an energy that is missing, an interval without a trace, whether one of too few repeats is an outlier or
    too few samples came irregularly.
    """
    outliers = outlier_ids(study=study) if study.repeats >= MIN_COUNT_FOR_OUTLIERS else None
    found = (
        Measurement.objects.filter(response__study=study)
        .order_by("response__sequence", "response__pk", "readings__channel")
        .values_list(*_FIELDS.values())
        .iterator(chunk_size=_CHUNK)
    )
    rows = (dict(zip(_FIELDS, values, strict=True)) for values in found)
    while chunk := list(islice(rows, _CHUNK)):
        traces = _trace_facts(chunk)
        for row in chunk:
            is_outlier = None if outliers is None or row["whole_energy_j"] is None else row["response"] in outliers
            trace = traces.get((row["measurement"], row["channel"]), _TraceFacts())
            yield *_row(study, row, trace), is_outlier, row["irregular"]


def _trace_facts(chunk: list[_Found]) -> dict[tuple[int, str], _TraceFacts]:
    by_key = {(row["measurement"], row["channel"]): row for row in chunk}
    facts = {}
    for trace in EnergyTrace.objects.filter(measurement__in={pk for pk, _ in by_key}).iterator(chunk_size=_CHUNK):
        row = by_key.get((trace.measurement_id, trace.channel))
        if row is not None:
            facts[trace.measurement_id, trace.channel] = _TraceFacts(
                trace.period_ns, trace.window_ns, _interval(trace, row)
            )
    return facts


def _interval(trace: EnergyTrace, row: _Found) -> EnergyInterval | None:
    if row["energy_j"] is None or row["start"] is None or row["end"] is None:
        return None
    packed = trace.packed()
    try:
        return energy_interval(
            unpack(packed), row["energy_j"], start_ns=row["start"], stop_ns=row["end"], quantity=packed.quantity
        )
    except (TraceError, ValueError):  # a trace of another version, or one that does not reach the marks
        return None


def _row(study: Study, row: _Found, trace: _TraceFacts) -> tuple[object, ...]:
    is_channel = row["channel"] is not None
    start_wall_ns = _wall_ns(row["started_at"])
    has_marks = row["start"] is not None and row["end"] is not None
    length_ns = row["end"] - row["start"] if has_marks else None
    return (
        study.name, row["response"], row["dataset"], row["prompt"], row["model"], row["parameters"], row["repeat"],
        row["measurement"], row["purpose"], row["channel"], row["meter"], row["in_boundary"], row["start"], row["end"],
        start_wall_ns,
        start_wall_ns + length_ns if start_wall_ns is not None and length_ns is not None else None,
        row["energy_j"] if is_channel else row["whole_energy_j"],
        trace.interval.low_j if trace.interval else None,
        trace.interval.high_j if trace.interval else None,
        row["mean_power_mw"] / 1_000 if row["mean_power_mw"] is not None else None,
        row["sample_count"], trace.period_ns, trace.window_ns, row["coverage"], row["gap_count"],
        row["quality"] if is_channel else row["whole_quality"],
        row["low_precision"],
        row["missing_reason"] if is_channel else row["whole_missing_reason"],
    )  # fmt: skip


def _wall_ns(moment: datetime | None) -> int | None:
    """Return a moment as whole nanoseconds since 1970, which a float could not hold."""
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1) * 1_000
