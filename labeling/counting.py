"""How often each thing was said of answers, kept by answer: after a change only the answers that changed are read.

Counts are whole numbers, so that leaving out what was said of an answer and adding what is said now comes to what
counting everything anew would. A million answers come as columns of numbers: as rows they would take seconds to read.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.binary_reading import binary_cursor
from labeling.packing import Whole, fewest_bytes, packed_columns, unpacked_columns, unpacked_whole, widened
from labeling.renewing import Packing, Renewals, Touched, renewed
from labeling.unchanged import JUDGED

Row = tuple[Any, ...]  # Any: numbers and words, as the query says
_OF_ANSWERS = "AND response_id = ANY(%(ids)s)"
# ids as Postgres has them in memory, 8 bytes each
_PACKED = "SELECT {names} string_agg(int8send(said.response_id), '') FROM ({query}) AS said (response_id{columns}) {by}"


@dataclass(frozen=True)
class Known:
    """Each time that something was said of an answer, in the order of the answers: its id, and the place of the row."""

    ids: Whole
    places: Whole
    rows: tuple[Row, ...]

    def counts(self) -> list[tuple[Row, int]]:
        """Return each row that comes, in order, with how often it does."""
        counts = np.bincount(self.places, minlength=len(self.rows)).tolist()
        return sorted((row, count) for row, count in zip(self.rows, counts, strict=True) if count)

    def without(self, ids: Whole) -> "Known":
        """Return it without what was said of some answers."""
        is_kept = np.ones(len(self.ids), np.bool_)
        ends = np.searchsorted(self.ids, ids, "left"), np.searchsorted(self.ids, ids, "right")
        for first, after in zip(*(one.tolist() for one in ends), strict=True):
            is_kept[first:after] = False
        return Known(self.ids[is_kept], self.places[is_kept], self.rows)

    def with_others(self, other: "Known") -> "Known":
        """Return it with what was said of other answers."""
        place_of = {row: place for place, row in enumerate(dict.fromkeys((*self.rows, *other.rows)))}
        moved = np.array([place_of[one] for one in other.rows], np.int64)
        at = np.searchsorted(self.ids, other.ids)
        ids = np.insert(widened(self.ids), at, other.ids)
        places = np.insert(widened(self.places), at, moved[other.places])
        return Known(fewest_bytes(ids), fewest_bytes(places), tuple(place_of))


def _packed(known: Known) -> bytes:
    return packed_columns({"ids": known.ids, "places": known.places}, known.rows)


def _unpacked(packed: bytes) -> Known:
    columns, rows = unpacked_columns(packed)
    return Known(columns["ids"], columns["places"], tuple(map(tuple, rows)))


PACKING = Packing(_packed, _unpacked, lambda known: len(known.ids))
_LATEST = Renewals(most=12, packing=PACKING)  # five megabytes each where a million answers are judged


def count_rows(query: str, *, width: int) -> list[tuple[Row, int]]:
    """Return each row that a query says of judged answers, in order, with how often it comes.

    The query's rows begin with the answer that they are of, which does not count; `width` is the number of values
    after it. Where `{only}` stands in it, in each place that reads labels, a condition on their `response_id` is put
    in. Kept until a label or a grade changes.
    """
    return known_rows(query, width=width).counts()


def known_rows(query: str, *, width: int) -> Known:
    """Return what a query says of judged answers, as `count_rows` takes it; nobody may change it."""
    return renewed(
        ("labeling.known_rows", query),
        lambda: _read(query, width),
        lambda before, touched: _renewed(before, touched, query, width),
        studies=[JUDGED],
        renewals=_LATEST,
    )


def _renewed(before: Known, touched: Touched, query: str, width: int) -> Known:
    ids = np.array(sorted(touched.response_ids), np.int64)
    return before.without(ids).with_others(_read(query, width, touched.response_ids))


def _read(query: str, width: int, ids: Collection[int] | None = None) -> Known:
    """Read what a query says of all answers, or of some."""
    names = [f"value_{place}" for place in range(width)]
    packed = _PACKED.format(
        names="".join(f"said.{name}, " for name in names),
        query=query.format(only="" if ids is None else _OF_ANSWERS),
        columns="".join(f", {name}" for name in names),
        by="GROUP BY " + ", ".join(f"said.{name}" for name in names) if names else "",
    )
    with binary_cursor() as cursor:
        cursor.execute(packed, {"ids": list(ids or ())})
        rows = [row for row in cursor.fetchall() if row[-1] is not None]  # None: nothing was said
    of_rows = [unpacked_whole(row[-1]) for row in rows]
    found = np.concatenate([np.empty(0, np.int64), *of_rows])
    places = np.repeat(np.arange(len(rows)), [len(one) for one in of_rows])
    order = np.argsort(found, kind="stable")
    return Known(fewest_bytes(found[order]), fewest_bytes(places[order]), tuple(row[:-1] for row in rows))
