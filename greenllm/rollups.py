"""Hold every rollup against the rows that it counts, and count it anew where they differ."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from benchmarks.models.rollups import ExactSum, Rollup
from labeling.models import AnswerTally
from router.models import AlternativeHour, AttemptHour, DecisionHour, LatencyDay, LatencyHour, RequestHour

_AT_ONCE = 20_000  # answers looked at by one query


@dataclass(frozen=True)
class _Source:
    """What rollups are folded by, and the tables where changes wait for it."""

    fold: str
    waiting: tuple[str, ...]


_ANSWERS = _Source("labeling_fold_answers", ("labeling_answermark",))
_HOURS = _Source(
    "router_fold_hours", ("router_requests_changes", "router_decisions_changes", "router_attempts_changes")
)
# each rollup with the function of the database that counts its rows anew
_ROLLUPS: dict[type[Rollup], tuple[str, _Source]] = {
    AnswerTally: ("labeling_answer_tally_now", _ANSWERS),
    RequestHour: ("router_request_hour_now", _HOURS),
    DecisionHour: ("router_decision_hour_now", _HOURS),
    AlternativeHour: ("router_alternative_hour_now", _HOURS),
    AttemptHour: ("router_attempt_hour_now", _HOURS),
    LatencyHour: ("router_latency_hour_now", _HOURS),
    LatencyDay: ("router_latency_day_now", _HOURS),
}
_BATCH = """
SELECT array_agg(response_id ORDER BY response_id) FROM (
    SELECT response_id FROM (
        (SELECT id AS response_id FROM benchmarks_response WHERE id > %(after)s ORDER BY id LIMIT %(limit)s)
        UNION
        (SELECT response_id FROM labeling_answerfact WHERE response_id > %(after)s ORDER BY response_id LIMIT %(limit)s)
    ) AS either ORDER BY response_id LIMIT %(limit)s
) AS part
"""
# marked answers are allowed to differ: whoever reads the tally works them out anew
_STALE = """
WITH fresh AS MATERIALIZED (SELECT * FROM labeling_answers_now(%(ids)s)),
     known AS MATERIALIZED (SELECT * FROM labeling_answerfact WHERE response_id = ANY(%(ids)s))
(
    SELECT response_id FROM (SELECT * FROM fresh EXCEPT SELECT * FROM known) AS missing
    UNION
    SELECT response_id FROM (SELECT * FROM known EXCEPT SELECT * FROM fresh) AS wrong
) EXCEPT SELECT response_id FROM labeling_answermark
"""
_MARK = "INSERT INTO labeling_answermark (response_id) SELECT unnest(%s::bigint[])"
# what changed while triggers were switched off has no mark: whatever is kept of figures is to be worked out anew
_STAMP = """
INSERT INTO labeling_changestamp (scope) SELECT id FROM benchmarks_study UNION SELECT unnest(ARRAY[0, -1, -2])
ON CONFLICT (scope) DO UPDATE SET stamp = gen_random_uuid()
"""


@dataclass(frozen=True)
class Check:
    """One rollup and how many of its keys say something else than the rows (of lines of answers: how many lines)."""

    name: str
    row_count: int
    wrong_count: int


def check_rollups() -> list[Check]:
    """Hold every rollup against its rows; writers may go on meanwhile."""
    stale = list(_stale_answers())
    facts = Check("labeling_answerfact", _count("SELECT count(*) FROM labeling_answerfact"), len(stale))
    return [facts, *(_check(model, now) for model, (now, _) in _ROLLUPS.items())]


def repair_rollups() -> None:
    """Count everything anew that is wrong; what is written meanwhile waits for one rollup at a time."""
    stale = list(_stale_answers())
    with connection.cursor() as cursor:
        for begin in range(0, len(stale), _AT_ONCE):
            cursor.execute(_MARK, [stale[begin : begin + _AT_ONCE]])
            cursor.execute("SELECT labeling_fold_answers()")
    for model, (now, source) in _ROLLUPS.items():
        if _check(model, now).wrong_count:
            _count_anew(model, now, source)
    with connection.cursor() as cursor:
        cursor.execute(_STAMP)


def fold_rollups() -> int:
    """Put what waits into the ledgers, one row a key; return how many rows there were."""
    return _count("SELECT labeling_fold_answers() + router_fold_hours()")


def _stale_answers() -> Iterator[int]:
    """Yield the answers that are counted as something else than what they are."""
    after = 0
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_BATCH, {"after": after, "limit": _AT_ONCE})
            [ids] = cursor.fetchone()
            if ids is None:
                return
            cursor.execute(_STALE, {"ids": ids})
            yield from sorted(row[0] for row in cursor.fetchall())
            after = ids[-1]


def _check(model: type[Rollup], now: str) -> Check:
    keys, sums = _columns(model)
    table = model._meta.db_table
    differing = " OR ".join(f"sum(sign * {name}) <> 0" for name in sums)
    wrong = _count(f"""
        SELECT count(*) FROM (
            SELECT 1 FROM (SELECT 1 AS sign, * FROM {table} UNION ALL SELECT -1, * FROM {now}()) AS both_sides
            GROUP BY {", ".join(keys)} HAVING {differing}
        ) AS differing
    """)  # noqa: S608 - put together of names of our own
    return Check(table, _count(f"SELECT count(*) FROM {table}"), wrong)  # noqa: S608 - likewise


def _count_anew(model: type[Rollup], now: str, source: _Source) -> None:
    keys, sums = _columns(model)
    columns = ", ".join([*keys, *sums])
    ledger = f"{model._meta.db_table}_ledger"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT {source.fold}()")  # and nobody else folds until this ends
        # whoever has appended is waited for, whoever appends later adds a difference to what is counted here
        cursor.execute(f"LOCK TABLE {', '.join([*source.waiting, ledger])} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(f"SELECT {source.fold}()")
        cursor.execute(f"DELETE FROM {ledger}")  # noqa: S608 - a name of our own
        cursor.execute(f"INSERT INTO {ledger} (is_folded, {columns}) SELECT true, {columns} FROM {now}()")  # noqa: S608


def _columns(model: type[Rollup]) -> tuple[list[str], list[str]]:
    """Return the columns of a rollup's key, and those that add up."""
    fields: list[Any] = [one for one in model._meta.concrete_fields if one.name not in {"id", "is_folded"}]
    sums = [one.column for one in fields if isinstance(one, ExactSum) or one.name.endswith(("_count", "_counted"))]
    return [one.column for one in fields if one.column not in sums], sums


def _count(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])
