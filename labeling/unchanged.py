"""Figures that are worked out once and kept, by each process or by the database, until what they rest on changes.

Postgres tells whether anything has changed (migration 0016): for all answers, or for those of some studies, from the
marks that triggers make of every change. So a kept figure is never older than the moment in which it is asked for, and
what another transaction has not committed does not count.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db import connection

from labeling.keeping import kept_in_database

Value = TypeVar("Value")

_MARKS = """
    SELECT count(*), sum(hashint8extended(mark.id, 0)) FROM labeling_answermark AS mark
"""
# an answer that is gone is in the study in which it is still counted; one that came and went since is in none
_OF_STUDIES = """
    WHERE EXISTS (
        SELECT FROM benchmarks_response AS one WHERE one.id = mark.response_id AND one.study_id = ANY(%(studies)s)
    ) OR EXISTS (
        SELECT FROM labeling_answerfact AS one WHERE one.response_id = mark.response_id AND study_id = ANY(%(studies)s)
    )
"""
_OF_JUDGED = """
    WHERE EXISTS (SELECT FROM labeling_label AS one WHERE one.response_id = mark.response_id)
    OR EXISTS (SELECT FROM labeling_grade AS one WHERE one.response_id = mark.response_id)
"""
# the number of the table is another one after a backup was restored
_STATE = """
SELECT current_database(), 'labeling_answermark'::regclass::oid, (
    SELECT string_agg(scope || ' ' || stamp, ' ' ORDER BY scope) FROM labeling_changestamp
    WHERE scope = ANY(%(studies)s::bigint[] || -1::bigint)
), (
    SELECT concat_ws(' ', count(*), sum(hashint8extended(id, 0))) FROM labeling_sourcechange
), (SELECT concat_ws(' ', marks.count, marks.sum) FROM ({marks}) AS marks)
"""
ALL = 0  # the scope of all answers, where a study has its id
JUDGED = -2  # the scope of those that somebody labeled or a grader looked at: others come and go meanwhile


@dataclass
class _Kept:
    """One figure with the state it belongs to; the lock is held by whoever works it out."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    state: tuple[Any, ...] | None = None
    value: Any = None  # Any: each key has its own type


class Shelf:
    """Keeps the latest value of so many keys, those used last; safe to use from several threads."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, state: tuple[Any, ...], make: Callable[[], Value]) -> Value:
        """Return the value of a key in a state, working it out unless it is kept; raises what that raises.

        Who asks for the same while it is worked out waits for it.
        """
        with self._lock:
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        with kept.lock:
            if kept.state != state:
                kept.state, kept.value = None, None  # what is out of date need not be in memory meanwhile
                kept.value = make()
                kept.state = state
            value: Value = kept.value
            return value


_shelf = Shelf(most=100)


def unchanged(
    key: Hashable,
    make: Callable[[], Value],
    *,
    studies: Collection[int] = (ALL,),
    shelf: Shelf | None = None,
    kind: Any = None,  # Any: see `from_text`
) -> Value:
    """Return what `make` returns, or returned since the answers of some studies changed last. One query.

    With the type of the value as `kind` it is kept in the database as well: after a change whichever process is asked
    first works it out for all, in two more queries; one that has just begun reads it, in one more.

    `JUDGED` stands for answers with a label or a grade, `ALL` for all.

    Grades, gold answers, flags, rules and the names of what is measured count as changes too; people's names do not.
    Nobody may change what is returned.
    """
    state, on = state_of(studies), shelf or _shelf
    if kind is None:
        return on.get(key, state, make)
    return on.get(key, state, lambda: kept_in_database(key, state, make, kind=kind))


_looked: ContextVar[dict[Hashable, Any] | None] = ContextVar("looked", default=None)


@contextmanager
def one_look() -> Iterator[None]:
    """Within it Postgres is asked once for each thing that stands for present answers: no figure is older than that.

    What is worked out meanwhile may have some of what came since. For what only reads, and is soon over.
    """
    token = _looked.set({})
    try:
        yield
    finally:
        _looked.reset(token)


def seen_once(key: Hashable, look: Callable[[], Value]) -> Value:
    """Return what `look` returns, or returned within the same `one_look`."""
    looked = _looked.get()
    if looked is None:
        return look()
    if key not in looked:
        looked[key] = look()
    value: Value = looked[key]
    return value


def has_looked(key: Hashable) -> bool:
    """Tell whether `seen_once` would return what was looked at before, which may have changed since."""
    return key in (_looked.get() or {})


def state_of(studies: Collection[int] = (ALL,)) -> tuple[Any, ...]:
    """Return what stands for the present answers of some studies: the same again means the same rows.

    One query, for each set of studies within `one_look`.
    """
    asked = sorted(studies)
    return seen_once(("state", *asked), lambda: _state_of(asked))


def _state_of(asked: list[int]) -> tuple[Any, ...]:
    wide = {ALL: "", JUDGED: _OF_JUDGED}
    if len(asked) > 1 and wide.keys() & set(asked):
        raise ValueError("ALL and JUDGED stand alone")
    marks = _MARKS + wide.get(asked[0], _OF_STUDIES)
    with connection.cursor() as cursor:
        cursor.execute(_STATE.format(marks=marks), {"studies": asked})
        return tuple(cursor.fetchone())
