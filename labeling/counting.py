"""How often each thing was said of answers, kept by answer: after a change only the answers that changed are read.

Counts are whole numbers, so that taking an answer's rows back and adding those of now comes to what counting all of
them anew would.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from labeling.renewing import Touched, renewed
from labeling.unchanged import JUDGED

Row = tuple[Any, ...]  # Any: numbers and words, as the query says
_OF_ANSWERS = "AND response_id = ANY(%(ids)s)"


@dataclass(frozen=True)
class _Known:
    """The rows of each answer that has any, and how often each row comes."""

    by_answer: dict[int, tuple[Row, ...]]
    counts: Counter[Row]


def count_rows(query: str) -> list[tuple[Row, int]]:
    """Return each row that a query says of judged answers, in order, with how often it comes.

    The query's rows begin with the answer that they are of, which does not count. Where `{only}` stands in it, in each
    place that reads labels, a condition on their `response_id` is put in. Kept until a label or a grade changes.
    """
    known = renewed(
        ("labeling.count_rows", query),
        lambda: _counted(_rows(query)),
        lambda before, touched: _recounted(before, _rows(query, touched), touched),
        studies=[JUDGED],
    )
    return sorted(known.counts.items())


def _counted(rows: Iterable[Row]) -> _Known:
    by_answer: dict[int, tuple[Row, ...]] = {}
    same: dict[Row, tuple[Row]] = {}  # most answers have a row like others': one object for all
    for response_id, *rest in rows:
        row = tuple(rest)
        alone = same.setdefault(row, (row,))
        by_answer[response_id] = (*by_answer[response_id], alone[0]) if response_id in by_answer else alone
    counts = Counter(row for its in by_answer.values() for row in its)
    return _Known(by_answer, counts)


def _recounted(before: _Known, rows: Iterable[Row], touched: Touched) -> _Known:
    fresh = _counted(rows)
    counts = before.counts + fresh.counts
    counts.subtract(row for one in touched.response_ids for row in before.by_answer.get(one, ()))
    by_answer = before.by_answer.copy()
    for one in touched.response_ids:
        by_answer.pop(one, None)
    return _Known(by_answer | fresh.by_answer, +counts)


def _rows(query: str, touched: Touched | None = None) -> list[Row]:
    only, values = ("", {}) if touched is None else (_OF_ANSWERS, {"ids": list(touched.response_ids)})
    with connection.cursor() as cursor:
        cursor.execute(query.format(only=only), values)
        return list(cursor.fetchall())
