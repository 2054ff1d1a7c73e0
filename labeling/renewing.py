"""Figures worked out anew after a change only where answers changed.

Each changed answer has its mark, and the latest folds (migrations 0013 and 0020) remember which marks they took, so
that Postgres can tell which answers changed since a process worked a figure out: a label that comes in has its part of
the figure read again and not all answers. After a change of what figures read beside answers, or where folds of long
ago are asked for, everything is worked out.

What took long to read is kept in the database, too, so that a process that has just begun goes on from there.
"""

import json
import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import connection

from benchmarks.binary_reading import binary_cursor
from labeling.keeping import keep_columns, name_of
from labeling.unchanged import JUDGED, Shelf, has_looked, seen_once, unchanged

Value = TypeVar("Value")

# What stands for everything but marks; the latest fold; and the marks, each with its answer, where that is counted so
# far (study, deployment, category) and where it stands now. Beside that, what is kept by a name.
_SEEN = """
SELECT (SELECT seen FROM labeling_keptcolumns WHERE name = %(name)s),
       (SELECT value FROM labeling_keptcolumns WHERE name = %(name)s),
       current_database()::text, 'labeling_answermark'::regclass::oid,
       (SELECT stamp::text FROM labeling_changestamp WHERE scope = -1),
       (SELECT concat_ws(' ', count(*), sum(hashint8extended(id, 0))) FROM labeling_sourcechange),
       (SELECT max(number) FROM labeling_fold),
       (SELECT stamp::text FROM labeling_fold ORDER BY number DESC LIMIT 1),
       (
           SELECT coalesce(json_agg(json_build_array(
               mark.id, mark.response_id, json_build_array(known.study_id, known.deployment_id, known.category_id),
               json_build_array(one.study_id, one.deployment_id, prompt.category_id)
           )), '[]')
           FROM labeling_answermark AS mark
           LEFT JOIN labeling_answerfact AS known ON known.response_id = mark.response_id
           LEFT JOIN benchmarks_response AS one ON one.id = mark.response_id
           LEFT JOIN benchmarks_prompt AS prompt ON prompt.id = one.prompt_id
       )
"""
_FOLDS = """
SELECT stamp::text, marks::json, cells::json FROM labeling_fold
WHERE number BETWEEN %(first)s AND %(latest)s ORDER BY number
"""
_LEAST_ROWS = 5000  # of answers or labels; fewer are read anew as fast
_EVERY_FOLDS = 50  # so often, of the 250 folds remembered, is written what has been renewed since
_Cell = tuple[int, int, int]  # study, deployment, category
_Counted = frozenset[tuple[int, _Cell]]  # an answer and a cell of it


@dataclass(frozen=True)
class Touched:
    """Where answers changed: which, and every cell (deployment and category) that had or has one of them."""

    response_ids: frozenset[int]
    cells: frozenset[tuple[int, int]]

    @property
    def deployment_ids(self) -> frozenset[int]:
        """Return the deployments of the cells."""
        return frozenset(one for one, _ in self.cells)

    @property
    def category_ids(self) -> frozenset[int]:
        """Return the categories of the cells."""
        return frozenset(one for _, one in self.cells)


@dataclass(frozen=True)
class _Changes:
    """Marks with the answer of each, and the cells of those answers."""

    marks: dict[int, int]
    counted: _Counted


@dataclass(frozen=True)
class _Seen:
    """What answers were like: what stands for everything but marks, the latest fold, and the marks since."""

    base: tuple[Any, ...]
    fold: tuple[int, Any]
    since: _Changes

    @property
    def past(self) -> "_Past":
        """Return what is left to know of it later."""
        return _Past(self.base, self.fold, array("q", self.since.marks))

    def touched_since(self, before: "_Past", studies: Collection[int]) -> Touched | None:
        """Return where answers of some studies changed since; None where that cannot be told."""
        if self.base != before.base:
            return None
        folded = _folded(before.fold, self.fold)
        if folded is None:
            return None
        marks = folded.marks | self.since.marks
        seen = frozenset(before.marks)
        if not seen <= marks.keys():  # what was seen has been taken back
            return None
        changed = {marks[one] for one in marks.keys() - seen}
        of_studies = None if JUDGED in studies else set(studies)
        found = {
            (response_id, cell)
            for response_id, cell in folded.counted | self.since.counted
            if response_id in changed and (of_studies is None or cell[0] in of_studies)
        }
        return Touched(frozenset(one for one, _ in found), frozenset((one, other) for _, (_, one, other) in found))


@dataclass(frozen=True)
class _Past:
    """What answers were like when a figure was worked out: a process has dozens, with up to 100 marks and more each."""

    base: tuple[Any, ...]
    fold: tuple[int, Any]
    marks: "array[int]"  # in quotes: Python 3.11 does not know it at run time

    def as_text(self) -> str:
        """Return it as text, for `of_text`."""
        return json.dumps([self.base, self.fold, list(self.marks)])

    @classmethod
    def of_text(cls, text: str) -> "_Past":
        """Return what was made text."""
        base, (number, stamp), marks = json.loads(text)
        return cls(tuple(base), (number, stamp), array("q", marks))


@dataclass(frozen=True)
class Packing(Generic[Value]):
    """How a figure becomes bytes that say all of it, and is made of them again; and how many rows were read for it."""

    pack: Callable[[Value], bytes]
    unpack: Callable[[bytes], Value]
    count: Callable[[Value], int]


@dataclass(frozen=True)
class _Latest:
    """A figure with what answers were like before it was read, and before what the database keeps of it was."""

    seen: _Past
    value: Any  # Any: each key has its own type
    kept: _Past | None

    @property
    def is_kept(self) -> bool:
        """Tell whether what the database keeps is near enough to be renewed for long."""
        if self.kept is None or self.kept.base != self.seen.base:
            return False
        return self.kept.fold[0] <= self.seen.fold[0] < self.kept.fold[0] + _EVERY_FOLDS


class Renewals:
    """Keeps so many figures of this process, those worked out last, each with what answers were like before.

    With `packing` the database keeps them, too, written after every fiftieth fold at most.
    """

    def __init__(self, *, most: int, packing: Packing[Any] | None = None) -> None:  # Any: of what all keys have
        self.shelf = Shelf(most=most)
        self._most = most
        self._packing = packing
        self._latest: OrderedDict[Hashable, _Latest] = OrderedDict()
        self._lock = threading.Lock()

    def work_out(
        self,
        key: Hashable,
        make: Callable[[], Value],
        renew: Callable[[Value, Touched], Value],
        studies: Collection[int],
    ) -> Value:
        """Return what `renew` makes of the value kept, else what `make` returns."""
        is_read_here = self._packing is None or key in self._latest
        is_of_before = is_read_here and has_looked("seen")
        seen, outlived = seen_once("seen", lambda: _seen(None)) if is_read_here else _seen(key)
        with self._lock:
            before = self._latest.pop(key, None)
        if outlived is not None and self._packing is not None:
            kept = _Past.of_text(outlived[0])
            before = _Latest(kept, self._packing.unpack(outlived[1]), kept)
        touched = seen.touched_since(before.seen, studies) if before is not None else None
        if touched is None and before is not None and is_of_before:  # another thread may have looked since
            seen, _ = _seen(None)
            touched = seen.touched_since(before.seen, studies)
        value: Value = make() if touched is None or before is None else renew(before.value, touched)
        # it may have some of what came meanwhile: all of that is touched as seen from here
        latest = self._kept(key, _Latest(seen.past, value, before.kept if before is not None else None))
        with self._lock:
            self._latest[key] = latest
            while len(self._latest) > self._most:
                self._latest.popitem(last=False)
        return value

    def _kept(self, key: Hashable, latest: _Latest) -> _Latest:
        """Let the database keep a figure where what it has is of long ago and the figure took long to read."""
        if self._packing is None or latest.is_kept:
            return latest
        if self._packing.count(latest.value) >= _LEAST_ROWS:
            packed = self._packing.pack(latest.value)
            keep_columns(name=name_of(key), seen=latest.seen.as_text(), value=packed)
        return _Latest(latest.seen, latest.value, latest.seen)


_renewals = Renewals(most=50)


def renewed(
    key: Hashable,
    make: Callable[[], Value],
    renew: Callable[[Value, Touched], Value],
    *,
    studies: Collection[int],
    kind: Any = None,  # Any: see `from_text`
    renewals: Renewals | None = None,
) -> Value:
    """Return what `make` returns of studies (or of `JUDGED` answers), kept as `unchanged` does it; one query then.

    Where few answers changed since this process worked it out, `renew` makes it of the value and of where they did; it
    reads anew whatever it says of those answers or cells. One query more than `unchanged` after a change, two where
    marks were folded. Nobody may change what is returned. Large figures have `renewals` of their own, of few.
    """
    of = renewals or _renewals
    return unchanged(key, lambda: of.work_out(key, make, renew, studies), studies=studies, shelf=of.shelf, kind=kind)


def _seen(key: Hashable | None) -> tuple[_Seen, tuple[str, bytes] | None]:
    """Return what answers are like, and what the database keeps of a key: what they were like, and columns."""
    with connection.cursor() if key is None else binary_cursor() as cursor:
        cursor.execute(_SEEN, {"name": None if key is None else name_of(key)})
        before, columns, *base, number, stamp, rows = cursor.fetchone()
    cells = ((response_id, tuple(cell)) for _, response_id, *both in rows for cell in both)
    counted = frozenset((response_id, cell) for response_id, cell in cells if None not in cell)
    seen = _Seen(tuple(base), (number or 0, stamp), _Changes({mark: one for mark, one, *_ in rows}, counted))
    return seen, None if before is None else (before, columns)


def _folded(before: tuple[int, Any], now: tuple[int, Any]) -> _Changes | None:
    """Return what folds took after the one before; None where that is not remembered."""
    if before == now:
        return _Changes({}, frozenset())
    if now[0] <= before[0]:
        return None  # another database, or folds that were taken back
    with connection.cursor() as cursor:
        cursor.execute(_FOLDS, {"first": before[0], "latest": now[0]})
        rows: list[tuple[Any, ...]] = [] if before[0] else [(None, [], [])]  # before the first fold there was none
        rows += cursor.fetchall()
    stamps = [stamp for stamp, *_ in rows]
    is_whole = len(rows) == now[0] - before[0] + 1 and (stamps[0], stamps[-1]) == (before[1], now[1])
    if not is_whole or any(marks is None for _, marks, _ in rows[1:]):
        return None
    marks = {mark: response_id for _, its, _ in rows[1:] for mark, response_id in its}
    counted = (
        (response_id, (study, one, other)) for _, _, cells in rows[1:] for response_id, study, one, other in cells
    )
    return _Changes(marks, frozenset(counted))
