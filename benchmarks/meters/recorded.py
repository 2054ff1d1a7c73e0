"""Recordings of power as files: CSV with a moment and a power in each row."""

import csv
import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from benchmarks.meters.base import Reading
from benchmarks.meters.replay import Step, steps_of


class RecordingFileError(ValueError):
    """The file is no recording; the message names the line."""


def read_steps(path: Path) -> list[Step]:
    """Read the steps of a file; raise `RecordingFileError`.

    With the columns `time_s` and `power_w` a row's power holds until the next row's moment, and the last row
    only tells the end. With `at_ns` and `power_mw`, as the view `benchmarks_energy_sample` has them, a row's
    power is the mean since the row before.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            columns = set(rows.fieldnames or ())
            if {"time_s", "power_w"} <= columns:
                return _held_steps(list(_numbers(rows, "time_s", "power_w")))
            if {"at_ns", "power_mw"} <= columns:
                readings = [
                    Reading(round(at_ns), 1, round(power_mw)) for at_ns, power_mw in _numbers(rows, "at_ns", "power_mw")
                ]
                return steps_of(readings)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingFileError(f"{path} cannot be read: {error}") from error
    except ValueError as error:
        raise RecordingFileError(f"{path}: {error}") from error
    raise RecordingFileError(f"{path}: the first line must name the columns time_s,power_w or at_ns,power_mw")


def _numbers(rows: "csv.DictReader[str]", moment: str, power: str) -> Iterator[tuple[float, float]]:
    for row in rows:
        try:
            numbers = float(row[moment]), float(row[power])
        except (TypeError, ValueError):
            numbers = math.nan, math.nan
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"line {rows.line_num}: {moment} and {power} must be numbers")
        yield numbers


def _held_steps(points: list[tuple[float, float]]) -> list[Step]:
    return [Step(later_s - earlier_s, power_w) for (earlier_s, power_w), (later_s, _) in pairwise(points)]
