"""Pages of long lists by the key of their ends: a page far back costs what the first one does, and nothing is counted.

An address names the key after which, or before which, a page begins, and the number that it has in the list, which is
only told and never looked up: where rows come or go meanwhile, the rows are right and the number is the reader's.
A list that is ordered by a column goes on at the value that the row of the key has at present.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import BooleanField, F, Func, QuerySet, Value

_LONGEST_KEY = 19  # digits: more than a key has


@dataclass(frozen=True)
class Place:
    """Where a page begins: after a key or before one, in the order of the list; the first page has neither."""

    after: int | None = None
    before: int | None = None
    number: int = 1


@dataclass(frozen=True)
class Order:
    """How a list is ordered: by a column and, among equals, by its unique key; without a column by its key alone.

    Rows without a value come last, whichever way the others go.
    """

    key: str = "pk"
    column: str = ""
    is_descending: bool = False

    @property
    def columns(self) -> list[str]:
        """Return what rows are compared by."""
        return [self.column, self.key] if self.column else [self.key]


@dataclass(frozen=True)
class KeyedPage:
    """The keys of one page in the order of the list, what is around it, and how many there are in all."""

    keys: tuple[int, ...]
    number: int
    count: int
    size: int
    has_previous: bool
    has_next: bool

    @property
    def page_count(self) -> int:
        """Return how many pages there are, one at least."""
        return max(1, -(-self.count // self.size))

    @property
    def previous_query(self) -> str:
        """Return what leads to the page before, for an address."""
        return f"before={self.keys[0]}&page={self.number - 1}" if self.number > 2 else "page=1"

    @property
    def next_query(self) -> str:
        """Return what leads to the page after, for an address."""
        return f"after={self.keys[-1]}&page={self.number + 1}"


def place_in(query: Mapping[str, str]) -> Place:
    """Read where a page begins from an address; no number is none, and a page without a key is the first."""
    after, before, number = (number_in(query.get(name, "")) for name in ("after", "before", "page"))
    if after is None and before is None:
        return Place()
    return Place(after, None if after is not None else before, max(1, number or 1))


def keyed_page(
    *rows: QuerySet[Any], order: Order, place: Place, size: int, count: int, every: QuerySet[Any] | None = None
) -> KeyedPage:
    """Return a page of rows in an order; `count` is that of the whole list, `every` where the row of a place stands
    though it may have left the list.

    Rows of several queries are those of one list: each query has an index, where both together would be sorted. A
    column is then one of numbers. One query each; with a column another one where the page reaches rows without a
    value, and one for the row of its place. A place that has no rows any more is the first page, asked for anew.
    """
    is_back = place.before is not None
    values = _values_at(rows[0] if every is None else every, order, place)
    found: list[int] = []
    if values is not None:
        for parts in zip(*(_parts(one, order, place, values) for one in rows), strict=True):
            found += _first(parts, order, is_falling=order.is_descending != is_back, most=size + 1 - len(found))
            if len(found) > size:
                break
    if not found and place != Place():
        return keyed_page(*rows, order=order, place=Place(), size=size, count=count)
    has_more = len(found) > size
    is_first = not has_more if is_back else place.after is None
    return KeyedPage(
        keys=tuple(found[:size][::-1] if is_back else found[:size]),
        number=1 if is_first else min(max(2, place.number), max(2, -(-count // size))),
        count=count,
        size=size,
        has_previous=not is_first,
        has_next=is_back or has_more,
    )


def _values_at(every: QuerySet[Any], order: Order, place: Place) -> tuple[Any, ...] | None:
    """Return what rows are compared with, empty for the beginning of the list; None where the row is gone."""
    at = place.after if place.before is None else place.before
    if at is None or not order.column:
        return () if at is None else (at,)
    return every.filter(**{order.key: at}).values_list(*order.columns).first()


def _parts(rows: QuerySet[Any], order: Order, place: Place, values: tuple[Any, ...]) -> list[QuerySet[Any]]:
    """Return what lies beyond a place, in the order of reading: rows with a value and those without, or back."""
    is_back = place.before is not None
    is_falling = order.is_descending != is_back
    parts = [rows.order_by(*(f"-{one}" if is_falling else one for one in order.columns))]
    if order.column:
        parts = [parts[0].filter(**{f"{order.column}__isnull": is_missing}) for is_missing in (False, True)]
    if values:
        own = 1 if values[0] is None else 0
        compared = slice(own, None)  # rows without a value by their key alone
        parts[own] = parts[own].filter(_beyond(order.columns[compared], values[compared], is_falling=is_falling))
        parts = parts[: own + 1] if is_back else parts[own:]
    return parts[::-1] if is_back else parts


def _first(parts: tuple[QuerySet[Any], ...], order: Order, *, is_falling: bool, most: int) -> list[int]:
    """Return the keys of the first rows of some queries in one order, taken together."""
    found = [row for part in parts for row in part.values_list(*order.columns)[:most]]
    if len(parts) > 1:
        found.sort(reverse=is_falling)  # a missing value stands beside missing ones alone, and equals itself
    return [row[-1] for row in found[:most]]


def _beyond(columns: list[str], values: tuple[Any, ...], *, is_falling: bool) -> Func:
    """Return the condition of rows that come after some values: rows are compared as a whole, as an index does."""
    sides = [
        Func(*made, template="(%(expressions)s)", output_field=BooleanField())
        for made in ([F(one) for one in columns], [Value(one) for one in values])
    ]
    sign = " < " if is_falling else " > "
    return Func(*sides, template="%(expressions)s", arg_joiner=sign, output_field=BooleanField())


def number_in(text: str) -> int | None:
    """Return the key or the number that a part of an address is; None where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _LONGEST_KEY else None
