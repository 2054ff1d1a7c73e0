"""Percentiles from counts in logarithmic buckets: four to a doubling, so that they are within a tenth. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Latency:
    """How long one part took (ms) over n occurrences; None where there were none."""

    part: str
    n: int
    mean_ms: float | None
    median_ms: float | None
    p95_ms: float | None


def latency_of(part: str, counts: Mapping[int, int], total_ms: float) -> Latency:
    """Return the figures of one part from its count in each bucket and the sum of all durations."""
    n = sum(counts.values())
    if n <= 0:
        return Latency(part, 0, None, None, None)
    return Latency(part, n, total_ms / n, percentile_ms(counts, 0.5), percentile_ms(counts, 0.95))


def percentile_ms(counts: Mapping[int, int], share: float) -> float | None:
    """Return below which duration (ms) a share of what was counted lies; durations are spread evenly in a bucket.

    Bucket b holds from 2 to the b/4 milliseconds up to where the next begins.
    """
    rank, below = share * sum(counts.values()), 0
    for bucket in sorted(counts):
        if counts[bucket] > 0 and below + counts[bucket] >= rank:
            low, high = 2 ** (bucket / 4), 2 ** ((bucket + 1) / 4)
            return float(low + (high - low) * max(0.0, rank - below) / counts[bucket])
        below += counts[bucket]
    return None
