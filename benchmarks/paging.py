"""Pages of long lists by the key of their ends: a page far back costs what the first one does, and nothing is counted.

An address names the key after which, or before which, a page begins, and the number that it has in the list, which is
only told and never looked up: where rows come or go meanwhile, the rows are right and the number is the reader's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

_LONGEST_KEY = 19  # digits: more than a key has


@dataclass(frozen=True)
class Place:
    """Where a page begins: after a key or before one, in the order of the list; the first page has neither."""

    after: int | None = None
    before: int | None = None
    number: int = 1


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


def keyed_page(rows: QuerySet[Any], *, key: str, place: Place, size: int, count: int) -> KeyedPage:
    """Return a page of rows in the rising order of a unique key; `count` is that of the whole list. One query.

    A place that has no rows any more is the first page, which takes a second one.
    """
    is_back, is_on = place.before is not None, place.after is not None
    found = rows.filter(**{f"{key}__gt": place.after}) if is_on else rows
    found = found.filter(**{f"{key}__lt": place.before}) if is_back else found
    keys = list(found.order_by(f"-{key}" if is_back else key).values_list(key, flat=True)[: size + 1])
    if not keys and (is_back or is_on):
        return keyed_page(rows, key=key, place=Place(), size=size, count=count)
    has_more = len(keys) > size
    is_first = not has_more if is_back else not is_on
    return KeyedPage(
        keys=tuple(keys[:size][::-1] if is_back else keys[:size]),
        number=1 if is_first else min(max(2, place.number), max(2, -(-count // size))),
        count=count,
        size=size,
        has_previous=not is_first,
        has_next=is_back or has_more,
    )


def number_in(text: str) -> int | None:
    """Return the key or the number that a part of an address is; None where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _LONGEST_KEY else None
