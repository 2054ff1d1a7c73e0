"""Figures of a study's cells, worked out anew after a change only where answers changed.

A cell has the answers of some deployment in some category. Between two folds (migration 0013) each changed answer has
its mark, so that Postgres can tell where answers changed since a process worked a figure out: a label that comes in has
one cell read again and not the study. After a fold, which takes the marks, everything is worked out once.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import connection

from labeling.unchanged import state_of, unchanged

Value = TypeVar("Value")

_MOST = 50  # figures, those worked out last
# where each marked answer of a study is counted so far, and where it stands now
_MARKED = """
SELECT mark.id, mark.response_id, known.deployment_id, known.category_id, one.deployment_id, prompt.category_id
FROM labeling_answermark AS mark
LEFT JOIN labeling_answerfact AS known ON known.response_id = mark.response_id AND known.study_id = %(study)s
LEFT JOIN benchmarks_response AS one ON one.id = mark.response_id AND one.study_id = %(study)s
LEFT JOIN benchmarks_prompt AS prompt ON prompt.id = one.prompt_id
WHERE known.response_id IS NOT NULL OR one.id IS NOT NULL
"""
_Cells = frozenset[tuple[int, int]]


@dataclass(frozen=True)
class Touched:
    """Where answers changed: every cell that had or has one of them is of one of these deployments and categories."""

    deployment_ids: frozenset[int]
    category_ids: frozenset[int]


@dataclass(frozen=True)
class _Seen:
    """What a study's answers were like: the state but for its marks, and each mark with its answer and that's cells."""

    base: tuple[Any, ...]
    marks: dict[int, tuple[int, _Cells]]

    def touched_since(self, before: "_Seen") -> Touched | None:
        """Return where answers changed since; None where that cannot be told: then they may have changed anywhere.

        An answer that went to another cell and on to a third one was seen in the second.
        """
        if self.base != before.base or not before.marks.keys() <= self.marks.keys():
            return None
        changed = {self.marks[one][0] for one in self.marks.keys() - before.marks.keys()}
        seen = (*before.marks.values(), *self.marks.values())
        cells = {cell for response_id, its in seen if response_id in changed for cell in its}
        return Touched(frozenset(one for one, _ in cells), frozenset(one for _, one in cells))


_latest: OrderedDict[Hashable, tuple[_Seen, Any]] = OrderedDict()
_lock = threading.Lock()


def renewed(
    key: Hashable,
    make: Callable[[], Value],
    renew: Callable[[Value, Touched], Value],
    *,
    study_id: int,
    kind: Any,  # Any: see `from_text`
) -> Value:
    """Return what `make` returns of a study, kept as `unchanged` does it; one query where nothing changed.

    Where few answers changed since this process worked it out, `renew` makes it of the value and of where they did.
    Four queries more than `unchanged` after a change. Nobody may change what is returned.
    """
    return unchanged(key, lambda: _worked_out(key, make, renew, study_id), studies=[study_id], kind=kind)


def _worked_out(
    key: Hashable, make: Callable[[], Value], renew: Callable[[Value, Touched], Value], study_id: int
) -> Value:
    seen = _seen(study_id)
    with _lock:
        before, kept = _latest.pop(key, (None, None))
    touched = seen.touched_since(before) if before is not None else None
    value: Value = make() if touched is None or kept is None else renew(kept, touched)
    if _seen(study_id) == seen:  # else it may have some of what came meanwhile
        with _lock:
            _latest[key] = seen, value
            while len(_latest) > _MOST:
                _latest.popitem(last=False)
    return value


def _seen(study_id: int) -> _Seen:
    *base, _ = state_of([study_id])  # the last part is that of its marks
    with connection.cursor() as cursor:
        cursor.execute(_MARKED, {"study": study_id})
        rows = cursor.fetchall()
    marks = {
        mark: (response_id, frozenset(one for one in ((old, of_old), (new, of_new)) if None not in one))
        for mark, response_id, old, of_old, new, of_new in rows
    }
    return _Seen(tuple(base), marks)
