"""Percentiles from counts and sums in logarithmic buckets, four to a doubling. Pure.

A bucket holds durations of which the longest is 2 to the 1/4 (1.19) times the shortest. The geometric middle of what a
duration in it can be is off by a factor of 2 to the 1/8 (1.091) at most, so percentiles are within a tenth.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

_ROUNDING = 1e-9  # of a share times a count


@dataclass(frozen=True)
class Latency:
    """How long one part took (ms) over n occurrences; None where there were none."""

    part: str
    n: int
    mean_ms: float | None
    median_ms: float | None
    p95_ms: float | None


@dataclass(frozen=True)
class Bucket:
    """How many durations a bucket holds and their sum (ms)."""

    n: int
    total_ms: float

    def __add__(self, other: "Bucket") -> "Bucket":
        return Bucket(self.n + other.n, self.total_ms + other.total_ms)


def latency_of(part: str, buckets: Mapping[int, Bucket]) -> Latency:
    """Return the figures of one part from its buckets."""
    n = sum(one.n for one in buckets.values())
    if n <= 0:
        return Latency(part, 0, None, None, None)
    mean_ms = math.fsum(one.total_ms for one in buckets.values()) / n
    return Latency(part, n, mean_ms, percentile_ms(buckets, 0.5), percentile_ms(buckets, 0.95))


def percentile_ms(buckets: Mapping[int, Bucket], share: float) -> float | None:
    """Return the shortest duration (ms) that a share of all durations does not exceed, within a tenth.

    Bucket b holds from 2 to the b/4 milliseconds up to where the next begins; from 2 to the -40/4 to 2 to the 101/4.
    """
    rank = max(1, math.ceil(share * sum(one.n for one in buckets.values()) - _ROUNDING))
    below = 0
    for bucket in sorted(buckets):
        one = buckets[bucket]
        if one.n > 0 and below + one.n >= rank:
            return _middle_ms(one, rank - below, 2 ** (bucket / 4), 2 ** ((bucket + 1) / 4))
        below += one.n
    return None


def _middle_ms(bucket: Bucket, rank: int, low_ms: float, high_ms: float) -> float:
    """Return the geometric middle of what the duration of a rank (from 1) in a bucket can be, its sum being known.

    At most `rank` durations are no longer than it and the rest no longer than the end; and so for the shortest.
    """
    longer, shorter = bucket.n - rank, rank - 1
    least = (bucket.total_ms - longer * high_ms) / rank
    most = (bucket.total_ms - shorter * low_ms) / (longer + 1)
    least, most = max(low_ms, min(least, high_ms)), min(high_ms, max(most, low_ms))
    return math.sqrt(least * most)
