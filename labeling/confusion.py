"""Graders against people: how often each said what, and the answers behind each of these counts.

Only blind labels count: whoever saw what a grader found before judging tends to agree with it. What people decided of
an answer is for `labeling.verdicts` to say; Postgres counts how often each set of labels comes, and finds the answers.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from django.db import connection

from benchmarks.binary_reading import binary_cursor
from benchmarks.intervals import Interval, share_interval
from labeling.counting import count_rows, known_rows
from labeling.models import Label, Verdict
from labeling.packing import Whole, unpacked_whole, widened
from labeling.renewing import Renewals, Touched, renewed
from labeling.tallies import CURRENT
from labeling.unchanged import JUDGED, unchanged
from labeling.verdicts import Judgement, decide

DECIDED = (Verdict.CORRECT.value, Verdict.INCORRECT.value)
_KINDS = (Label.Kind.JUDGEMENT.value, Label.Kind.ADJUDICATION.value)
# How often each verdict was given, in 20 bits each of one sum a kind: a third of the time of a count for each verdict
# and kind. An answer has fewer than a million judges.
_BITS = 20
_WEIGHTS = " ".join(f"WHEN '{verdict}' THEN {1 << _BITS * place}" for place, verdict in enumerate(Verdict.values))
_COUNTS = ", ".join(f"coalesce(sum(CASE verdict {_WEIGHTS} END) FILTER (WHERE kind = '{kind}'), 0)" for kind in _KINDS)
_SAID_OF = f"""
    SELECT response_id, concat_ws(' ', {_COUNTS}) AS pattern FROM labeling_label
    WHERE {CURRENT} AND NOT saw_evidence AND kind <> 'self_check' {{only}} GROUP BY response_id
"""  # noqa: S608 - put together of constants
_SAID = _SAID_OF.format(only="")
_JOINED = """
JOIN labeling_grade AS grade ON grade.response_id = said.response_id
JOIN benchmarks_response AS response ON response.id = said.response_id
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
JOIN benchmarks_category AS category ON category.id = prompt.category_id
"""
# the labels first and once: else each worker of a parallel plan would count all of them
_COUNTED = f"""
WITH said AS MATERIALIZED ({_SAID_OF})
SELECT said.response_id, grade.grader, grade.grader_version, category.name, grade.verdict, said.pattern
FROM said {_JOINED}
"""  # noqa: S608 - put together of constants
_VERDICT = "CASE WHEN said.pattern = ANY(%(right)s) THEN 'correct' ELSE 'incorrect' END"
_LISTED = f"""
SELECT grade.response_id, category.name, grade.grader || '@' || grade.grader_version, grade.verdict,
       {_VERDICT}, grade.reason
FROM ({_SAID}) AS said {_JOINED}
WHERE said.pattern = ANY(%(patterns)s)
  AND (%(grader)s::text IS NULL OR grade.grader || '@' || grade.grader_version = %(grader)s)
  AND (%(category)s::text IS NULL OR category.name = %(category)s)
  AND (%(grade)s::text IS NULL OR grade.verdict = %(grade)s)
ORDER BY grade.response_id, grade.id LIMIT %(limit)s OFFSET %(offset)s
"""  # noqa: S608 - put together of constants
# what graders wrote, a column each: tens of thousands of rows took twice as long to come
_REASONS = """
SELECT string_agg(int8send(response_id), ''), string_agg(int8send(place), ''), json_agg(reason)::text FROM (
    SELECT response_id, array_position(%(graders)s::text[], grader || '@' || grader_version)::bigint AS place, reason
    FROM labeling_grade WHERE response_id = ANY(%(ids)s::bigint[]) ORDER BY response_id, id
) AS graded WHERE place IS NOT NULL
"""
_MOST_GRADERS = 100_000  # of which each version is one
_LATEST = Renewals(most=1)  # of the answers on which people and graders differ, with reasons


@dataclass(frozen=True)
class Concordance:
    """One version of a grader in one category against what people decided, on the answers that both judged.

    `counts` is by (the grader's verdict, people's verdict). Precision of a verdict: how often people say the same
    where the grader gives it. Recall: how often the grader gives it where people do; an unsure grader lowers recall.
    """

    grader: str
    category: str
    counts: Counter[tuple[str, str]]

    @property
    def n(self) -> int:
        """Return how many answers both judged."""
        return self.counts.total()

    def count(self, grade: str, verdict: str) -> int:
        """Return on how many answers the grader said the one and people the other."""
        return self.counts[grade, verdict]

    def precision(self, verdict: str) -> Interval | None:
        """Return how often people agree where the grader gives this verdict."""
        return share_interval(self.counts[verdict, verdict], sum(self.counts[verdict, one] for one in DECIDED))

    def recall(self, verdict: str) -> Interval | None:
        """Return how often the grader gives this verdict where people do."""
        given = sum(self.counts[grade, verdict] for grade in Verdict.values)
        return share_interval(self.counts[verdict, verdict], given)

    @property
    def shares(self) -> tuple[tuple[Interval | None, str], ...]:
        """Return precision and recall of correct, then of incorrect, each with why it would be missing."""
        return tuple(
            share
            for verdict in DECIDED
            for share in (
                (self.precision(verdict), f"the grader never said {verdict}"),
                (self.recall(verdict), f"people never said {verdict}"),
            )
        )


@dataclass(frozen=True)
class Comparison:
    """Every grader against people; `patterns` are the sets of blind labels behind it, by what they decide."""

    graders: tuple[Concordance, ...]
    patterns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def count(self, cell: "Cell") -> int:
        """Return how many grades a cell holds."""
        return sum(
            one.count(cell.grade, cell.verdict)
            for one in self.graders
            if cell.grader in {None, one.grader} and cell.category in {None, one.category}
        )


@dataclass(frozen=True)
class Cell:
    """One pair of verdicts, the grader's and people's, of one grader and category or of all."""

    grade: str
    verdict: str
    grader: str | None = None
    category: str | None = None


SUSPICIOUS = Cell(Verdict.INCORRECT.value, Verdict.CORRECT.value)  # a wrong label, or a wrong grader


Disagreement = tuple[int, str, str, str, str, str]  # the values of a `GradedAnswer`, of which there are many


class GradedAnswer(NamedTuple):
    """One answer that a grader and people judged: what each said, and why the grader did."""

    response_id: int
    category: str
    grader: str
    grade: str
    verdict: str
    reason: str


def compare_graders() -> Comparison:
    """Count what each version of each grader said in each category against what people decided, in one query.

    Answers that people left undecided count nowhere. The counts are kept until a label or a grade changes.
    """
    return unchanged("labeling.compare_graders", _compare_graders, studies=[JUDGED], kind=Comparison)


def _compare_graders() -> Comparison:
    counts: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    decided: dict[str, str | None] = {}
    for (name, version, category, grade, pattern), count in count_rows(_COUNTED, width=5):
        if pattern not in decided:
            decided[pattern] = _decided(pattern)
        verdict = decided[pattern]
        if verdict is not None:
            counts[f"{name}@{version}", category][grade, verdict] += count
    return Comparison(
        tuple(Concordance(grader, category, one) for (grader, category), one in sorted(counts.items())),
        {verdict: tuple(one for one, found in decided.items() if found == verdict) for verdict in DECIDED},
    )


def answers_in(*, cell: Cell, comparison: Comparison, limit: int, offset: int = 0) -> list[GradedAnswer]:
    """Return answers behind one count, in the order of their ids."""
    return _listed(
        comparison, comparison.patterns[cell.verdict], grader=cell.grader, category=cell.category, grade=cell.grade,
        limit=limit, offset=offset,
    )  # fmt: skip


def disagreements() -> list[Disagreement]:
    """Return every answer on which a grader was not of people's mind, in the order of their ids; unsure is not.

    Each is the values of a `GradedAnswer`, of which tens of thousands would take three times as long to make. After a
    change of a label or a grade the answers that changed are looked at anew. Nobody may change the list.
    """
    return renewed("labeling.disagreements", _disagreements, _renewed, studies=[JUDGED], renewals=_LATEST)


def _renewed(before: list[Disagreement], touched: Touched) -> list[Disagreement]:
    kept = [one for one in before if one[0] not in touched.response_ids]
    return sorted([*kept, *_disagreements(touched.response_ids)], key=itemgetter(0))


def _disagreements(among: Collection[int] | None = None) -> list[Disagreement]:
    """Return the disagreements on all answers, or on some."""
    known = known_rows(_COUNTED, width=5)
    differing: dict[int, tuple[str, str, str, str]] = {}
    for place, (name, version, category, grade, pattern) in enumerate(known.rows):
        verdict = _decided(pattern)
        if verdict not in {None, grade}:
            differing[place] = category, f"{name}@{version}", grade, str(verdict)
    is_asked = np.isin(known.places, list(differing))
    if among is not None:
        is_asked &= np.isin(known.ids, list(among))
    return _with_reasons(known.ids[is_asked], known.places[is_asked], differing)


def _with_reasons(ids: Whole, places: Whole, differing: Mapping[int, tuple[str, str, str, str]]) -> list[Disagreement]:
    """Return answers on which a grader was not of people's mind; `differing` says at each place what both said."""
    graders = sorted({grader for _, grader, _, _ in differing.values()})
    number_of = np.zeros(max(differing, default=0) + 1, np.int64)  # of the grader of a place; Postgres counts from 1
    for place, (_, grader, _, _) in differing.items():
        number_of[place] = graders.index(grader) + 1
    with binary_cursor() as cursor:
        # as text: psycopg makes an array of tens of thousands of numbers in five times the time
        cursor.execute(_REASONS, {"graders": graders, "ids": f"{{{','.join(map(str, ids.tolist()))}}}"})
        *packed, reasons = cursor.fetchone()
    graded_ids, numbers = (unpacked_whole(one) for one in packed)
    place_of = dict(zip(_keys(ids, number_of[places]), places.tolist(), strict=True))
    found = zip(graded_ids.tolist(), _keys(graded_ids, numbers), json.loads(reasons or "[]"), strict=True)
    return [(pk, *differing[place_of[key]], reason) for pk, key, reason in found if key in place_of]


def _keys(ids: Whole, numbers: Whole) -> list[int]:
    """Return a number for each answer and grader of a few."""
    keys: list[int] = (widened(ids) * _MOST_GRADERS + numbers).tolist()
    return keys


def _listed(comparison: Comparison, patterns: Collection[str], **asked: Any) -> list[GradedAnswer]:
    right = list(comparison.patterns[Verdict.CORRECT.value])
    with connection.cursor() as cursor:
        cursor.execute(_LISTED, {"patterns": list(patterns), "right": right, **asked})
        return [GradedAnswer(*row) for row in cursor.fetchall()]


def _decided(pattern: str) -> str | None:
    """Return what a set of people's labels decides; None where they leave it open."""
    judgements = [
        Judgement(Label.Source.PERSON.value, verdict, kind)
        for kind, counts in zip(_KINDS, pattern.split(), strict=True)
        for place, verdict in enumerate(Verdict.values)
        for _ in range(int(counts) >> _BITS * place & (1 << _BITS) - 1)
    ]
    is_correct = decide(judgements).is_correct
    return None if is_correct is None else DECIDED[0] if is_correct else DECIDED[1]
