"""Tables that come a page at a time, sorted by their heads: what an address asks for, and what a head asks for.

A head leads from the table's own order to the rising one, to the falling one and back, as those of `tables.js` do.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db.models import F, Func, Model, QuerySet
from django.db.models.expressions import OrderBy

Row = TypeVar("Row")
Found = TypeVar("Found", bound=Model)
Column = F | Func
Key = Callable[[Row], Any]  # Any: numbers of one column, or words; None is missing


@dataclass(frozen=True)
class Sorting:
    """By which column a table is sorted; without a name it is in its own order."""

    name: str = ""
    is_descending: bool = False

    @classmethod
    def of(cls, asked: str, names: Collection[str]) -> "Sorting":
        """Read what an address asks for, such as `energy` or `-energy`; a column that nobody offers is none."""
        name = asked.removeprefix("-")
        return cls(name, asked.startswith("-")) if name in names else cls()

    @property
    def asked(self) -> str:
        """Return what an address asks for it by; empty for the table's own order."""
        return f"-{self.name}" if self.is_descending else self.name

    @property
    def query(self) -> str:
        """Return it as the start of an address."""
        return f"sort={self.asked}&" if self.name else ""

    @property
    def direction(self) -> str:
        """Return it in the words of `aria-sort`."""
        return ("descending" if self.is_descending else "ascending") if self.name else ""


@dataclass(frozen=True)
class Head:
    """The head of a column: how the table is sorted by it now, and the address of what comes next."""

    title: str
    direction: str
    query: str


def heads(titles: Mapping[str, str], sorting: Sorting, *, kept: str) -> dict[str, Head]:
    """Return the heads of the columns that can be sorted by, by name; `kept` is the rest of the address."""
    made = {}
    for name, title in titles.items():
        now = sorting.direction if sorting.name == name else ""
        after = {"": Sorting(name), "ascending": Sorting(name, is_descending=True)}.get(now, Sorting())
        made[name] = Head(title, now, f"{kept}{after.query}".removesuffix("&"))
    return made


def in_order(
    rows: QuerySet[Found], sorting: Sorting, columns: Mapping[str, Column], *, otherwise: Sequence[str]
) -> QuerySet[Found]:
    """Return rows of a query in the order that is asked for, those without a value last; ties by their keys."""
    if not sorting.name:
        return rows.order_by(*otherwise)
    key = "-pk" if sorting.is_descending else "pk"  # as pages by keys have it: one order is the other one's reverse
    return rows.order_by(OrderBy(columns[sorting.name], descending=sorting.is_descending, nulls_last=True), key)


def sorted_rows(rows: Sequence[Row], sorting: Sorting, keys: Mapping[str, Key[Row]]) -> Sequence[Row]:
    """Return rows in the order that is asked for, those that lack the figure last in either."""
    if not sorting.name:
        return rows
    key = keys[sorting.name]
    keyed = [(key(row), row) for row in rows]
    known = sorted((one for one in keyed if one[0] is not None), key=lambda one: one[0], reverse=sorting.is_descending)
    return [row for _, row in known] + [row for found, row in keyed if found is None]
