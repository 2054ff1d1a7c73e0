"""Reading lists: the next answers of one person, in their own order, worked out once for many claims.

A list only proposes. Each claim looks at its first answers again, so that an old one costs a look and nothing else.
Gold answers and answers that the person judged long ago are mixed in, unmarked: their ids stand negative in the list.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby
from math import sqrt
from typing import Any

from django.db import connection

from labeling.models import Annotator, Label
from labeling.standing import standing_sql
from labeling.waiting import SESSION, Counted, Mode, QueueFilter, answers_sql, count_in

LIST_LENGTH = 300
LIST_AGE = timedelta(minutes=2)
# Of what comes, so much is an answer that the person judged before, and so much is gold.
SELF_CHECK_RATE = 0.05
GOLD_RATE = 0.05
# A person's first so many gold answers come at this rate, so that one learns soon how they judge.
FIRST_GOLD_COUNT, FIRST_GOLD_RATE = 3, 0.5
# An answer is shown again after a day, or after so many others.
SELF_CHECK_AGE, SELF_CHECK_DISTANCE = timedelta(days=1), 200
_MOST_EXTRAS = 40

_SHUFFLED = "hashint8extended(response.id, %(seed)s)"
_ROWS = f"hashint8extended(response.prompt_id, %(seed)s), response.prompt_id, {_SHUFFLED}"
# Answers of one band are equal to routing, so that their order is the person's own and tells nothing of them.
_PLACE = "\nLEFT JOIN labeling_queueplace AS queue_place ON queue_place.response_id = response.id"
_ORDERS = {
    Mode.EVERYTHING: _SHUFFLED, Mode.ROWS: _ROWS, Mode.ROUTING: f"queue_place.band NULLS LAST, {_SHUFFLED}"
}  # fmt: skip
# Where each of many answers stands takes long to ask, so that it is asked of the first in the order: of so many times
# those that should be needed, where they are no more than this share. Of more, it is grouped once for all.
_SPARE, _FEW = 2, 0.1
# An answer's place in a person's order is as good as drawn, from `_PLACES` of them: the first of many are known by
# their places alone, and nothing is sorted. Where they are but so small a share of all, they are looked for in the
# index of ids, which is a tenth as large as the answers, and then in that of ids with prompts.
_PLACES, _VERY_FEW = 2**64, 0.01
_EARLY = {
    True: """response.id = ANY((
        SELECT array_agg(early.id) FROM benchmarks_response AS early
        JOIN benchmarks_prompt AS its ON its.id = early.prompt_id
        WHERE (%(category)s::bigint IS NULL OR its.category_id = %(category)s) AND early.id = ANY((
            SELECT array_agg(one.id) FROM benchmarks_response AS one
            WHERE hashint8extended(one.id, %(seed)s) < %(before)s
        )::bigint[])
    )::bigint[])""",
    False: f"{_SHUFFLED} < %(before)s",
}
# How many hold a place of an answer: asked for each of a few, or grouped once for all.
_LIVE = """(
    SELECT count(*) FROM labeling_lease AS lease WHERE lease.response_id = response.id AND lease.kind = '{kind}'
    AND lease.slot IS NOT NULL AND lease.expires_at > %(now)s
)"""
_HELD = """LEFT JOIN (
    SELECT response_id, count(*) AS count FROM labeling_lease
    WHERE kind = '{kind}' AND slot IS NOT NULL AND expires_at > %(now)s GROUP BY response_id
) AS held ON held.response_id = response.id"""
_JUDGED_BY_PERSON = """EXISTS (
    SELECT FROM labeling_label AS mine WHERE mine.response_id = response.id AND mine.labeler_id = %(person)s
    AND mine.source = 'person' AND mine.kind = 'judgement' {current}
)"""
_CURRENT = "AND mine.is_current AND mine.voided_at IS NULL"
_MAY_LOOK = """NOT EXISTS (
    SELECT FROM labeling_lease AS lease WHERE lease.response_id = response.id AND lease.annotator_id = %(person)s
) AND NOT EXISTS (
    SELECT FROM labeling_skip AS skip WHERE skip.response_id = response.id AND skip.annotator_id = %(person)s
    AND skip.skipped_at > %(rested)s
) AND NOT EXISTS (
    SELECT FROM labeling_flag AS flag WHERE flag.response_id = response.id
    AND (flag.resolution = 'withdrawn' OR flag.resolution = '' AND flag.person_id = %(person)s)
)"""
_WAS_SKIPPED = """EXISTS (
    SELECT FROM labeling_skip AS skip WHERE skip.response_id = response.id AND skip.annotator_id = %(person)s
)"""

# Whoever's label on an answer was voided by a correction reads it again only after everything else: others come first.
_WAS_CORRECTED = """EXISTS (
    SELECT FROM labeling_label AS mine WHERE mine.response_id = response.id AND mine.labeler_id = %(person)s
    AND mine.correction_id IS NOT NULL AND mine.voided_at IS NOT NULL
)"""


def free_sql(chosen: QueueFilter, *, live: str = "") -> str:
    """Return the condition under which a person may claim an answer that waits: it has a place, and they are new to it.

    Who ever judged an answer as a reader does not settle it, not even after taking that back.
    """
    live = live or _LIVE.format(kind=chosen.kind)
    if chosen.is_adjudication:
        return f"standing.wants_adjudicator AND {live} = 0 AND NOT {_JUDGED_BY_PERSON.format(current='')}"
    new = f"NOT {_JUDGED_BY_PERSON.format(current=_CURRENT)}"
    return f"standing.wants_reader AND {new} AND standing.readers + {live} < standing.wanted"


def may_look_sql() -> str:
    """Return the condition that a person may look at an answer: not held, resting, flagged or withdrawn."""
    return _MAY_LOOK


def judged_sql() -> str:
    """Return the condition that a person has judged an answer as a reader, and that their label counts."""
    return _JUDGED_BY_PERSON.format(current=_CURRENT)


def claim_values(person_id: int, now: datetime) -> dict[str, Any]:
    """Return what `free_sql` and `may_look_sql` need."""
    return {"person": person_id, "now": now, "rested": now - SESSION}


def renew_list(*, annotator: Annotator, chosen: QueueFilter, now: datetime) -> None:
    """Work out what a person reads next, and how many answers there are; store both with them."""
    values = {**chosen.values, **claim_values(annotator.person_id, now), "seed": annotator.order_seed}
    counted, latest_at = count_in(chosen), _latest_label_at(annotator.person_id)
    waiting = _first_waiting(chosen, values, counted) or _waiting(chosen, values)
    annotator.list_ids = _mixed(waiting, chosen, values)
    annotator.list_key = chosen.key
    annotator.list_made_at = max(now, latest_at) if latest_at else now
    annotator.total_count, annotator.judged_count = counted.total_count, counted.judged_count
    annotator.save(update_fields=["list_ids", "list_key", "list_made_at", "total_count", "judged_count"])


def is_due(annotator: Annotator, chosen: QueueFilter, now: datetime) -> bool:
    """Tell whether a list must be made anew before anything is claimed from it."""
    made_at = annotator.list_made_at
    return made_at is None or annotator.list_key != chosen.key or abs(now - made_at) > LIST_AGE


def _latest_label_at(person_id: int) -> datetime | None:
    latest = Label.objects.by(person_id).order_by("-created_at").values_list("created_at", flat=True)
    return latest.first()


def _first_waiting(chosen: QueueFilter, values: dict[str, Any], counted: Counted) -> list[tuple[int, int]]:
    """Return what `_waiting` does, looked for among the first answers in the order alone; nothing where it may differ.

    The counts say how many of the first should fill a list. What a person skipped or had voided comes after everything
    else, so that a list filled without it is the one that a look at all answers gives.
    """
    waiting_count = counted.total_count - counted.judged_count
    first = _SPARE * LIST_LENGTH * counted.total_count // waiting_count if waiting_count > 0 else 0
    if chosen.mode not in _ORDERS or not 0 < first <= _FEW * counted.total_count:
        return []
    order = _ORDERS[chosen.mode]
    place = _PLACE if chosen.mode is Mode.ROUTING else ""
    # by chance there are somewhat fewer or more than their share of places, hardly ever by six standard deviations
    share = (first + 6 * sqrt(first)) / counted.total_count
    is_very_few = chosen.study is None and share <= _VERY_FEW
    early = f"AND {_EARLY[is_very_few]}" if chosen.mode is Mode.EVERYTHING else ""
    query = f"""
WITH first AS MATERIALIZED (
    SELECT response.id FROM benchmarks_response AS response
    JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id{place}
    WHERE {chosen.tallied_sql} {early} ORDER BY {order}, response.id LIMIT %(first)s
)
SELECT response.id, response.prompt_id FROM first
JOIN benchmarks_response AS response ON response.id = first.id
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id{place}
{standing_sql(of_all=False)}
WHERE {free_sql(chosen)} AND {_MAY_LOOK} AND NOT {_WAS_CORRECTED} AND NOT {_WAS_SKIPPED}
ORDER BY {order}, response.id LIMIT {LIST_LENGTH}"""  # noqa: S608 - put together of constants
    found = _pairs(query, {**values, "first": first, "before": int(_PLACES * share) - _PLACES // 2})
    return found if len(found) == LIST_LENGTH else []


def _waiting(chosen: QueueFilter, values: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the answers that a person may claim, in their order, each with its prompt."""
    order = _ORDERS.get(chosen.mode, _SHUFFLED)
    joins = _HELD.format(kind=chosen.kind) + (_PLACE if chosen.mode is Mode.ROUTING else "")
    query = f"""
SELECT response.id, response.prompt_id {answers_sql(chosen, joins)}
AND {free_sql(chosen, live="coalesce(held.count, 0)")} AND {_MAY_LOOK}
ORDER BY {_WAS_CORRECTED}, {_WAS_SKIPPED}, {order}, response.id LIMIT {LIST_LENGTH}"""
    return _pairs(query, values)


def _pairs(query: str, values: dict[str, Any]) -> list[tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return [(response_id, prompt_id) for response_id, prompt_id in cursor.fetchall()]


def _mixed(waiting: Sequence[tuple[int, int]], chosen: QueueFilter, values: dict[str, Any]) -> list[int]:
    """Put gold answers and self-checks between the answers that wait; never among those that an adjudicator settles.

    Where the answers to one prompt come in a row, they stand between rows.
    """
    if chosen.is_adjudication or not waiting:
        return [response_id for response_id, _ in waiting]
    gold, checks = _ids(_GOLD, chosen, values), _ids(_SELF_CHECKS, chosen, values)
    first_gold = FIRST_GOLD_COUNT - _gold_judged(values) if gold else 0
    chance = random.Random(f"{values['seed']} {values['now']}")
    mixed: list[int] = []
    is_row = chosen.mode is Mode.ROWS
    for _, group in groupby(waiting, key=lambda pair: pair[1] if is_row else pair[0]):
        row = [response_id for response_id, _ in group]
        if gold and chance.random() < (FIRST_GOLD_RATE if first_gold > 0 else GOLD_RATE * len(row)):
            mixed.append(-gold.pop(0))
            first_gold -= 1
        if checks and chance.random() < SELF_CHECK_RATE * len(row):
            mixed.append(-checks.pop(0))
        mixed.extend(row)
    return mixed


def _ids(query: str, chosen: QueueFilter, values: dict[str, Any]) -> list[int]:
    with connection.cursor() as cursor:
        aged = {"aged": values["now"] - SELF_CHECK_AGE, "distance": SELF_CHECK_DISTANCE - 1}
        cursor.execute(query.format(chosen=chosen.sql), {**values, **aged})
        return [response_id for (response_id,) in cursor.fetchall()]


def _gold_judged(values: dict[str, Any]) -> int:
    """Return how many answers that are gold now the person has judged."""
    own = Label.objects.current().by(values["person"]).judgements()
    return own.filter(response__gold_answers__retired_at__isnull=True, response__gold_answers__isnull=False).count()


_GOLD = f"""
SELECT response.id FROM labeling_goldanswer AS gold
JOIN benchmarks_response AS response ON response.id = gold.response_id
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
WHERE gold.retired_at IS NULL AND {{chosen}} AND NOT {_JUDGED_BY_PERSON.format(current="")} AND {_MAY_LOOK}
ORDER BY {_SHUFFLED}, response.id LIMIT {_MOST_EXTRAS}"""  # noqa: S608 - put together of constants
# In the person's order before anything else is read of the answers: of thousands only the first need be looked at.
_SELF_CHECKS = f"""
SELECT response.id FROM (
    SELECT response_id, hashint8extended(response_id, %(seed)s) AS place FROM labeling_label
    WHERE labeler_id = %(person)s AND source = 'person' AND kind = 'judgement' AND is_current AND voided_at IS NULL
      AND (created_at <= %(aged)s OR created_at < (
          SELECT created_at FROM labeling_label WHERE labeler_id = %(person)s
          ORDER BY created_at DESC OFFSET %(distance)s LIMIT 1
      ))
    ORDER BY place, response_id OFFSET 0
) AS own
JOIN benchmarks_response AS response ON response.id = own.response_id
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
WHERE {{chosen}} AND {_MAY_LOOK} AND NOT EXISTS (
    SELECT FROM labeling_label AS again WHERE again.response_id = response.id AND again.labeler_id = %(person)s
    AND again.kind = 'self_check'
)
ORDER BY own.place, own.response_id LIMIT {_MOST_EXTRAS}"""  # noqa: S608 - put together of constants
