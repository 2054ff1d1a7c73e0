"""Read CSV tables with a header line, so that each record is known by the line on which it begins."""

import csv
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import Any

from benchmarks.datasets.base import MAX_FILE_BYTES


def csv_records(text: str, *, needed: Sequence[tuple[str, ...]]) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield (line number, record) of each row without its empty cells, or (line number, what is wrong).

    `needed` names the columns that there must be; of several names in one place, one is enough.
    """
    csv.field_size_limit(MAX_FILE_BYTES)
    # not a DictReader: it skips empty lines unseen, so nobody could tell on which line a record begins
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    header: list[str] = []
    start = 1
    try:
        for cells in reader:
            if cells and not header:
                header = cells
                if wrong := _wrong_header(header, needed):
                    yield start, wrong
                    return
            elif cells:
                yield start, _record(header, cells)
            start = reader.line_num + 1
    except csv.Error as error:
        yield start, f"it is not CSV ({error})"
        return
    if not header:
        yield 1, _wrong_header(header, needed)


def _wrong_header(header: list[str], needed: Sequence[tuple[str, ...]]) -> str:
    for names in needed:
        if not set(names) & set(header):
            return f"the header line has no column {' or '.join(map(repr, names))}"
    twice = sorted({name for name in header if header.count(name) > 1})
    return f"the header line names {', '.join(map(repr, twice))} more than once" if twice else ""


def _record(header: list[str], cells: list[str]) -> dict[str, Any] | str:
    if len(cells) != len(header):
        return f"it has {'more' if len(cells) > len(header) else 'fewer'} cells than the header"
    return {name: cell for name, cell in zip(header, cells, strict=True) if cell != ""}
