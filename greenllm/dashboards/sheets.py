"""The numbers behind each chart and table as rows of plain values: for the page's tables and for CSV. Pure."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.intervals import Interval
from benchmarks.spreadsheets import harmless_row

Value = str | int | float | None


@dataclass(frozen=True)
class Sheet:
    """One table: a header that names each unit, and rows of plain values; None is an empty field, never a zero."""

    header: tuple[str, ...]
    rows: Sequence[tuple[Value, ...]]

    def objects(self) -> list[dict[str, Value]]:
        """Return each row with its columns' names."""
        return [dict(zip(self.header, row, strict=True)) for row in self.rows]


def ends_of(interval: Interval | None) -> tuple[Value, Value, Value, int]:
    """Return a figure, the ends of its 95 % interval and its n; nothing but n = 0 where there is no figure."""
    return (None, None, None, 0) if interval is None else (interval.value, interval.low, interval.high, interval.n)


def as_csv(sheet: Sheet) -> str:
    """Write a sheet as CSV (RFC 4180), with numbers as exact as they are stored.

    A text that a spreadsheet would run as a formula gets an apostrophe before it: names of models come from servers.
    """
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(sheet.header)
    writer.writerows(map(harmless_row, sheet.rows))
    return written.getvalue()


def joined(words: Sequence[str]) -> str:
    """Return several words in one field."""
    return " ".join(words)
