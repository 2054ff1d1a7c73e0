"""How far measured energies are from the course of power that a simulated board shows; pure.

The energy of a curve is exact, so that what is left over is the error of meter, sampler and arithmetic together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.meters.power_curve import PowerCurve
from benchmarks.units import nanoseconds_to_seconds

# short ones have fewer readings, and so other errors (s)
_LENGTHS_S = ((0.0, 1.0), (1.0, 5.0), (5.0, float("inf")))


class BeforeTheCurve(ValueError):
    """A measurement began before the curve did, so that no curve says what it should be."""


@dataclass(frozen=True)
class Measured:
    """What one channel measured between two marks of the monotonic clock (ns); energies in J, None where missing."""

    start_ns: int
    end_ns: int
    energy_j: float | None
    low_j: float | None = None
    high_j: float | None = None


@dataclass(frozen=True)
class CurveErrors:
    """The errors of the measurements of similar length: from `from_s` to less than `to_s` (s), energies as shares of 1.

    `inside` of `interval_count` are inside the interval that is told with them. Errors are None where none has an
    energy.
    """

    from_s: float
    to_s: float
    count: int
    missing_count: int
    mean: float | None
    p95: float | None
    largest: float | None
    interval_count: int
    inside: int


def curve_energy_j(curve: PowerCurve, *, began_ns: int, start_ns: int, end_ns: int) -> float:
    """Return the energy (J) of a curve between two marks (ns) of the clock on which it began.

    Raises:
        BeforeTheCurve: the first mark is before the beginning.
    """
    if start_ns < began_ns:
        raise BeforeTheCurve(
            f"A measurement began {nanoseconds_to_seconds(began_ns - start_ns):.3f} s before the curve."
        )
    begin_s, end_s = nanoseconds_to_seconds(start_ns - began_ns), nanoseconds_to_seconds(end_ns - began_ns)
    return curve.energy_j(end_s) - curve.energy_j(begin_s)


def errors_of(curve: PowerCurve, measured: Iterable[Measured], *, began_ns: int) -> list[CurveErrors]:
    """Return the errors by length, for the lengths that there are.

    Raises:
        BeforeTheCurve: one began before the curve.
    """
    rows = list(measured)
    found = []
    for from_s, to_s in _LENGTHS_S:
        alike = [row for row in rows if from_s <= nanoseconds_to_seconds(row.end_ns - row.start_ns) < to_s]
        if alike:
            found.append(_errors(curve, alike, began_ns, from_s, to_s))
    return found


def _errors(curve: PowerCurve, rows: Sequence[Measured], began_ns: int, from_s: float, to_s: float) -> CurveErrors:
    true_j = [curve_energy_j(curve, began_ns=began_ns, start_ns=row.start_ns, end_ns=row.end_ns) for row in rows]
    # a curve of no power has no relative error
    errors = np.array(
        [row.energy_j / true - 1 for row, true in zip(rows, true_j, strict=True) if row.energy_j is not None and true]
    )
    intervals = [
        row.low_j <= true <= row.high_j
        for row, true in zip(rows, true_j, strict=True)
        if row.low_j is not None and row.high_j is not None
    ]
    has_errors = len(errors) > 0
    return CurveErrors(
        from_s=from_s,
        to_s=to_s,
        count=len(rows),
        missing_count=sum(row.energy_j is None for row in rows),
        mean=float(errors.mean()) if has_errors else None,
        p95=float(np.quantile(abs(errors), 0.95)) if has_errors else None,
        largest=float(abs(errors).max()) if has_errors else None,
        interval_count=len(intervals),
        inside=sum(intervals),
    )
