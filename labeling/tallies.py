"""What people said, counted by Postgres: the figures of quality depend on how often each thing was said, not where.

Only current labels of people are counted.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection

from labeling.agreement import Tally
from labeling.counting import count_rows
from labeling.figure_text import from_text, to_text
from labeling.models import Label, Verdict
from labeling.renewing import Packing, Renewals, Touched, renewed
from labeling.unchanged import JUDGED

LONGEST_SECONDS = 120.0  # somebody who looked longer went away

CURRENT = "source = 'person' AND is_current AND voided_at IS NULL"
_BY_CATEGORY = f"""
SELECT said.response_id, category.name, said.correct, said.incorrect, said.unsure FROM (
    SELECT response_id, count(*) FILTER (WHERE verdict = 'correct') AS correct,
           count(*) FILTER (WHERE verdict = 'incorrect') AS incorrect,
           count(*) FILTER (WHERE verdict = 'unsure') AS unsure
    FROM labeling_label WHERE {CURRENT} AND kind = 'judgement' {{only}} GROUP BY response_id
) AS said
JOIN benchmarks_response AS response ON response.id = said.response_id
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
JOIN benchmarks_category AS category ON category.id = prompt.category_id
"""  # noqa: S608 - put together of constants
# put in where it is needed, not made once for all: then both sides of a join come in the order of the index
_JUDGED = f"SELECT response_id, labeler_id, verdict FROM labeling_label WHERE {CURRENT} AND kind = 'judgement'"  # noqa: S608
_BY_PAIR = f"""
SELECT one.response_id, one.labeler_id, other.labeler_id, one.verdict, other.verdict
FROM ({_JUDGED} {{only}}) AS one
JOIN ({_JUDGED} {{only}}) AS other ON other.response_id = one.response_id AND other.labeler_id > one.labeler_id
"""  # noqa: S608 - put together of constants
_BY_PERSON = f"""
SELECT said.labeler_id, count(*), count(*) FILTER (WHERE said.saw_evidence),
       count(gold.id), count(*) FILTER (WHERE said.verdict = gold.verdict),
       count(first.verdict), count(*) FILTER (WHERE said.verdict = first.verdict),
       count(said.seconds), coalesce(sum(said.seconds), 0), percentile_cont(0.5) WITHIN GROUP (ORDER BY said.seconds)
FROM (
    SELECT response_id, labeler_id, verdict, kind, saw_evidence,
           CASE WHEN active_seconds IS NOT NULL THEN least(active_seconds, %(longest)s) END AS seconds
    FROM labeling_label WHERE {CURRENT} {{only}}
) AS said
LEFT JOIN labeling_goldanswer AS gold
    ON gold.response_id = said.response_id AND gold.retired_at IS NULL AND said.kind = 'judgement'
LEFT JOIN ({_JUDGED}) AS first
    ON said.kind = 'self_check' AND first.response_id = said.response_id AND first.labeler_id = said.labeler_id
GROUP BY said.labeler_id ORDER BY said.labeler_id
"""  # noqa: S608 - put together of constants


@dataclass(frozen=True)
class PersonTally:
    """One person's labels, counted; seconds are active ones, `LONGEST_SECONDS` a label at most."""

    person_id: int
    label_count: int
    unblind_count: int  # given after a look at what a grader found
    gold_count: int
    as_gold_count: int
    repeat_count: int
    as_before_count: int
    timed_count: int
    seconds: float
    median_seconds: float | None


def _labels_counted(people: Sequence[PersonTally]) -> int:
    return sum(one.label_count for one in people)


PACKING = Packing(
    lambda people: to_text(people).encode(),
    lambda packed: from_text(packed.decode(), list[PersonTally]),
    _labels_counted,
)
_LATEST = Renewals(most=1, packing=PACKING)


def judgements_by_category() -> dict[str, Tally]:
    """Return what readers said of the answers of each category, by name."""
    found: dict[str, dict[tuple[Hashable, ...], int]] = defaultdict(dict)
    for (category, *counts), times in count_rows(_BY_CATEGORY, width=4):
        item = [verdict for verdict, count in zip(_IN_ORDER, counts, strict=True) for _ in range(count)]
        found[category][tuple(item)] = times
    return {**found}


def judgements_by_pair() -> dict[tuple[int, int], Tally]:
    """Return what each two readers said of the answers that both judged."""
    found: dict[tuple[int, int], dict[tuple[Hashable, ...], int]] = defaultdict(dict)
    for (one, other, first, second), times in count_rows(_BY_PAIR, width=4):
        found[one, other][first, second] = times
    return {**found}


def labels_by_person() -> list[PersonTally]:
    """Return the labels of each person, held against gold answers in use and against their own earlier word.

    After a change those of the people with a label of an answer that changed are counted anew.
    """
    return renewed(
        "labeling.labels_by_person",
        _by_person,
        _renewed,
        studies=[JUDGED],
        kind=list[PersonTally],
        renewals=_LATEST,
    )


def _renewed(people: Sequence[PersonTally], touched: Touched) -> list[PersonTally]:
    changed = labelers_of(touched.response_ids)
    others = [one for one in people if one.person_id not in changed]
    fresh = _by_person("AND labeler_id = ANY(%(people)s)", people=list(changed)) if changed else []
    return sorted([*others, *fresh], key=lambda one: one.person_id)


def labelers_of(response_ids: Collection[int]) -> set[int]:
    """Return the people with a label of some answers, current or not. One query."""
    found = Label.objects.of_people().filter(response__in=response_ids, labeler__isnull=False)
    return {int(one or 0) for one in found.order_by("labeler_id").values_list("labeler_id", flat=True).distinct()}


def _by_person(only: str = "", **values: Any) -> list[PersonTally]:
    with connection.cursor() as cursor:
        cursor.execute(_BY_PERSON.format(only=only), {"longest": LONGEST_SECONDS, **values})
        return [PersonTally(*row) for row in cursor.fetchall()]


def people_who_judged() -> list[int]:
    """Return the people with a current label, in the order of their ids; kept as `labels_by_person` is."""
    return [one.person_id for one in labels_by_person()]


_IN_ORDER = (Verdict.CORRECT.value, Verdict.INCORRECT.value, Verdict.UNSURE.value)
