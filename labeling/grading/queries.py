"""Run one query on a SQLite database that nobody may change, and compare the rows of two."""

import contextlib
import math
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 5.0
ROW_LIMIT = 10_000
# instr and replace take the product of two lengths inside one instruction, where no time limit looks: with 100,000
# bytes a value, one of a second took 27
VALUE_LIMIT_BYTES = 20_000
RESULT_LIMIT_BYTES = 16 * 1024 * 1024
_INSTRUCTIONS_A_LOOK = 100
_ROWS_A_LOOK = 100
_FLOAT_TOLERANCE = 1e-9
_ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
# the first reach outside; printf and format can take seconds inside one instruction, where no time limit looks
_REFUSED_FUNCTIONS = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "printf", "format"}

Row = tuple[object, ...]


@dataclass(frozen=True)
class Table:
    """What a query returned."""

    columns: tuple[str, ...]
    rows: tuple[Row, ...]


class QueryRefused(Exception):
    """A query was not run to its end; the message says why."""


class DatabaseMissing(Exception):
    """There is no such database file, or it cannot be read."""


def run_query(database: Path, query: str, *, timeout_s: float = TIMEOUT_S, row_limit: int = ROW_LIMIT) -> Table:
    """Return what one SELECT returns. Everything else is refused, as is what takes too long or returns too much.

    Raises:
        QueryRefused: it is no single SELECT, it fails, or it passed a limit.
        DatabaseMissing: there is no such database.
    """
    with contextlib.closing(_opened(database)) as connection:
        deadline = time.monotonic() + timeout_s
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS_A_LOOK)
        try:
            cursor = connection.execute(query)
            rows = _fetched(cursor, row_limit + 1)
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            late = time.monotonic() > deadline
            raise QueryRefused(f"it takes more than {timeout_s:g} s" if late else str(error)) from error
        if cursor.description is None:
            raise QueryRefused("it returns no rows, because it holds no query")
        if len(rows) > row_limit:
            raise QueryRefused(f"it returns more than {row_limit} rows")
        return Table(tuple(column[0] for column in cursor.description), tuple(rows))


def _fetched(cursor: sqlite3.Cursor, most: int) -> list[Row]:
    """Fetch up to so many rows, and no more bytes than one answer may have."""
    rows: list[Row] = []
    byte_count = 0
    while len(rows) < most and (found := cursor.fetchmany(min(_ROWS_A_LOOK, most - len(rows)))):
        rows += found
        byte_count += sum(len(cell) for row in found for cell in row if isinstance(cell, str | bytes))
        if byte_count > RESULT_LIMIT_BYTES:
            raise QueryRefused(f"it returns more than {RESULT_LIMIT_BYTES // 2**20} MB")
    return rows


def same_rows(first: Table, second: Table, *, is_ordered: bool) -> tuple[int, ...] | None:
    """Return in which order the columns of the first make the second's rows, or None where none does.

    Rows are a list where the order counts, else a multiset. Floats may differ by 1e-9 of their size; text must be
    equal to the letter. The order as it stands is tried first.
    """
    width = len(second.columns)
    if len(first.columns) != width or len(first.rows) != len(second.rows):
        return None
    for order in _column_orders(first, second):
        rows = [tuple(row[place] for place in order) for row in first.rows]
        if _same_list(rows, second.rows) if is_ordered else _same_bag(rows, second.rows):
            return order
    return None


def _opened(database: Path) -> sqlite3.Connection:
    if not database.is_file():
        raise DatabaseMissing(f"there is no database {database.name}")
    try:
        connection = sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
    except sqlite3.Error as error:
        raise DatabaseMissing(f"{database.name} cannot be opened: {error}") from error
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE_LIMIT_BYTES)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.text_factory = lambda value: value.decode("utf8", "replace")
    return connection


def _authorize(action: int, _first: str | None, second: str | None, _database: str | None, _source: str | None) -> int:
    is_allowed = action in _ALLOWED and not (
        action == sqlite3.SQLITE_FUNCTION and (second or "").lower() in _REFUSED_FUNCTIONS
    )
    return sqlite3.SQLITE_OK if is_allowed else sqlite3.SQLITE_DENY


def _column_orders(first: Table, second: Table) -> Iterator[tuple[int, ...]]:
    """Give the orders of columns in which each has the values of its counterpart, the given order first."""
    given = tuple(range(len(second.columns)))
    columns, wanted = (_columns(table) for table in (first, second))
    fitting = [[place for place in given if _same_bag(columns[place], wanted[target])] for target in given]
    if all(place in fitting[place] for place in given):
        yield given
    yield from (order for order in _choices(fitting, ()) if order != given)


def _columns(table: Table) -> list[list[Row]]:
    return [[(row[place],) for row in table.rows] for place in range(len(table.columns))]


def _choices(fitting: Sequence[Sequence[int]], chosen: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    if len(chosen) == len(fitting):
        yield chosen
        return
    for place in fitting[len(chosen)]:
        if place not in chosen:
            yield from _choices(fitting, (*chosen, place))


def _same_list(first: Sequence[Row], second: Sequence[Row]) -> bool:
    return all(_same_row(one, other) for one, other in zip(first, second, strict=True))


def _same_bag(first: Sequence[Row], second: Sequence[Row]) -> bool:
    """Match equal rows by counting, and the rest one by one, because nearly equal floats have no common key."""
    counted_first, counted_second = Counter(first), Counter(second)
    left = sorted((counted_first - counted_second).elements(), key=_sort_key)
    right = sorted((counted_second - counted_first).elements(), key=_sort_key)
    for row in left:
        match = next((place for place, other in enumerate(right) if _same_row(row, other)), None)
        if match is None:
            return False
        del right[match]
    return not right


def _sort_key(row: Row) -> tuple[tuple[str, float, str], ...]:
    return tuple(
        ("number", float(cell), "") if isinstance(cell, int | float) else (type(cell).__name__, 0.0, str(cell))
        for cell in row
    )


def _same_row(first: Row, second: Row) -> bool:
    return all(map(_same_cell, first, second))


def _same_cell(first: object, second: object) -> bool:
    if isinstance(first, float) and isinstance(second, int | float):
        return math.isclose(first, second, rel_tol=_FLOAT_TOLERANCE, abs_tol=_FLOAT_TOLERANCE)
    if isinstance(second, float) and isinstance(first, int):
        return math.isclose(first, second, rel_tol=_FLOAT_TOLERANCE, abs_tol=_FLOAT_TOLERANCE)
    return first == second
