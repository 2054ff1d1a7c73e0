"""How punctual a sampler is: how late its reads began, how many deadlines it missed, and whether it drifts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmarks.meters.ring import Record
from benchmarks.units import NANOSECONDS_PER_MILLISECOND

_DRIFT_PART = 10  # the first and the latest tenth are compared


@dataclass(frozen=True, slots=True)
class Punctuality:
    """Lateness of `n` reads in ms, deadlines without a read, and by how many samples the latest tenth lags the first.

    `n` counts the reads that left a record; a meter that has nothing new leaves none, so that deadlines
    can only be counted where every read is told (`missed_count` is None otherwise).
    """

    n: int
    gap_count: int
    p50_ms: float
    p99_ms: float
    largest_ms: float
    drift_samples: float
    missed_count: int | None


def punctuality_of(records: Sequence[Record], *, period_ns: int, has_all_reads: bool = True) -> Punctuality | None:
    """Return the punctuality of one channel's records in order of time; None where there is none."""
    if not records:
        return None
    late_ms = [record.lateness_ns / NANOSECONDS_PER_MILLISECOND for record in records]
    part = max(1, len(late_ms) // _DRIFT_PART)
    drift_ms = fmean(late_ms[-part:]) - fmean(late_ms[:part])
    missed = None
    if has_all_reads:
        elapsed_ns = records[-1].at_ns - records[0].at_ns
        missed = max(0, round(elapsed_ns / period_ns) + 1 - len(records))
    ordered = sorted(late_ms)
    return Punctuality(
        n=len(records),
        gap_count=sum(not record.is_reading for record in records),
        p50_ms=quantile(ordered, 0.5),
        p99_ms=quantile(ordered, 0.99),
        largest_ms=ordered[-1],
        drift_samples=drift_ms * NANOSECONDS_PER_MILLISECOND / period_ns,
        missed_count=missed,
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest of the values in order that at least this share of them does not exceed."""
    if not ordered:
        raise ValueError("no values")
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1))]
