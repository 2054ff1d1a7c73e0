"""What waits for a person's judgement, and how far the judging has come."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.db import connection

from benchmarks.models import Category, Study
from labeling.counting import count_rows
from labeling.models import Annotator, Label
from labeling.standing import standing_of, standing_sql
from labeling.unchanged import unchanged

# A sitting: so long a skipped answer rests, and so far back undo reaches.
SESSION = timedelta(hours=12)
# Up to so many answers are counted for each page; of more, the counts of the reading list go on with one's own votes.
EXACT_COUNT = 2000


class Mode(Enum):
    """In which order, and of which answers, a person reads."""

    EVERYTHING = "everything"
    ROUTING = "routing"
    DIFFERING = "differing"
    ROWS = "rows"
    DISPUTED = "disputed"


@dataclass(frozen=True)
class QueueFilter:
    """Which answers a person wants to judge; empty means all. `families` are families of language models."""

    study: Study | None = None
    category: Category | None = None
    families: tuple[str, ...] | None = None
    mode: Mode = Mode.EVERYTHING

    @property
    def is_narrow(self) -> bool:
        """Return whether it leaves anything out."""
        return self.values != QueueFilter().values or self.mode is Mode.DIFFERING

    @property
    def is_adjudication(self) -> bool:
        """Return whether it is for settling what readers left open."""
        return self.mode is Mode.DISPUTED

    @property
    def kind(self) -> str:
        """Return what the labels given in it are, but for self-checks."""
        return Label.Kind.ADJUDICATION.value if self.is_adjudication else Label.Kind.JUDGEMENT.value

    @property
    def key(self) -> str:
        """Return it as text: a reading list belongs to one."""
        return repr((*self.values.values(), self.mode.value))[:200]

    @property
    def values(self) -> dict[str, Any]:
        """Return what `sql` needs."""
        return {
            "study": self.study.pk if self.study else None,
            "category": self.category.pk if self.category else None,
            "families": None if self.families is None else list(self.families),
        }

    @property
    def sql(self) -> str:
        """Return the condition on `response` and `prompt`; what an admin withdrew is never among them."""
        parts = [self.tallied_sql, _NOT_WITHDRAWN]
        if self.mode is Mode.DIFFERING:
            parts.append(f"response.prompt_id IN ({_DIFFERING})")
        return " AND ".join(parts)

    @property
    def tallied_sql(self) -> str:
        """Return the part of the condition that a row of the tally of answers meets or does not, as its answers do."""
        parts = [
            "response.state = 'finished'",
            _WITH_TEXT,
            "(%(study)s::bigint IS NULL OR response.study_id = %(study)s)",
            "(%(category)s::bigint IS NULL OR prompt.category_id = %(category)s)",
        ]
        if self.families is not None:
            parts.append(_OF_FAMILIES)
        return " AND ".join(parts)


# outcomes from elsewhere have no text that anybody could judge
_WITH_TEXT = "response.study_id NOT IN (SELECT id FROM benchmarks_study WHERE kind = 'imported')"
_NOT_WITHDRAWN = """NOT EXISTS (
    SELECT FROM labeling_flag AS flag WHERE flag.response_id = response.id AND flag.resolution = 'withdrawn'
)"""
_OF_FAMILIES = """response.deployment_id IN (
    SELECT deployment.id FROM benchmarks_deployment AS deployment
    JOIN benchmarks_languagemodel AS model ON model.id = deployment.language_model_id
    WHERE model.family = ANY(%(families)s)
)"""
# A person's day: the labels that count, their times, and what was given and taken back since a list was made.
_OWN = """
SELECT count(*) FILTER (WHERE counts), count(active_seconds) FILTER (WHERE counts),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY active_seconds) FILTER (WHERE counts),
       sum(active_seconds) FILTER (WHERE counts),
       count(*) FILTER (WHERE counts AND kind = %(kind)s AND created_at > %(made)s::timestamptz),
       count(*) FILTER (WHERE kind = %(kind)s AND created_at <= %(made)s::timestamptz
                        AND voided_at > %(made)s::timestamptz)
FROM (
    SELECT kind, created_at, voided_at, active_seconds, is_current AND voided_at IS NULL AS counts
    FROM labeling_label WHERE labeler_id = %(person)s AND source = 'person' AND created_at >= %(since)s
) AS own
"""
# The latest label of each answer, or else its latest grade, says what is thought of it; the prompts where that differs.
_DIFFERING = """
SELECT answer.prompt_id FROM (
    SELECT DISTINCT ON (said.response_id) said.response_id, said.verdict FROM (
        SELECT response_id, verdict, 1 AS rank, id FROM labeling_label
        WHERE is_current AND voided_at IS NULL AND verdict <> 'unsure'
        UNION ALL SELECT response_id, verdict, 2, id FROM labeling_grade WHERE verdict <> 'unsure'
    ) AS said ORDER BY said.response_id, said.rank, said.id DESC
) AS opinion
JOIN benchmarks_response AS answer ON answer.id = opinion.response_id
GROUP BY answer.prompt_id HAVING count(DISTINCT opinion.verdict) > 1
"""


@dataclass(frozen=True)
class Counted:
    """How many answers a filter lets through, and how many of them wait no longer."""

    total_count: int
    judged_count: int


@dataclass(frozen=True)
class Progress:
    """How far the judging of some answers has come, and one person's part in it today."""

    total_count: int
    judged_count: int
    own_count: int
    median_seconds: float | None
    timed_count: int
    active_seconds: float | None = None

    @property
    def left_count(self) -> int:
        """Return how many answers still want a judgement."""
        return self.total_count - self.judged_count

    @property
    def labels_per_active_hour(self) -> float | None:
        """Return the person's pace today; None where none of their labels was timed."""
        return 3600 * self.timed_count / self.active_seconds if self.active_seconds else None

    @property
    def seconds_left(self) -> float | None:
        """Return how long the person alone would need for what is left, at that pace."""
        return 3600 * self.left_count / self.labels_per_active_hour if self.labels_per_active_hour else None


@dataclass(frozen=True)
class Remainder:
    """Why a person gets no further answer: what is left rests, others hold it, or it waits for others."""

    left_count: int
    skipped_count: int
    held_count: int
    flagged_count: int = 0
    own_count: int = 0


def count_in(chosen: QueueFilter) -> Counted:
    """Count the answers of a filter and those that wait no longer; of disputed answers those that are settled.

    Only what somebody has read can be settled or wait no longer, and all others are counted already: of a million
    answers those that nobody has read need not be looked at. Where the others stand is kept until a label changes, and
    after that looked at anew for the answers that changed.
    """
    if chosen.mode is Mode.DIFFERING:  # which goes by prompts, of which no tally knows
        done = f"SELECT count(*) {answers_sql(chosen, only_read=True)} AND NOT standing.wants_reader".format(only="")
        return _counted(f"SELECT ({_TOTAL}{chosen.sql}), ({done})", chosen.values)
    found = count_rows(_STANDINGS, width=len(_STANDING))
    columns = {name: [row[place] for row, _ in found] for place, name in enumerate(_STANDING)}
    total, done = (_DISPUTED, _SETTLED) if chosen.is_adjudication else (_tallied_sql(chosen), _DONE)
    query = f"{_READ.format(tallied=chosen.tallied_sql)} SELECT ({total}), ({done})"
    return _counted(query, {**chosen.values, **columns, "counts": [count for _, count in found]})


def _counted(query: str, values: dict[str, Any]) -> Counted:
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        return Counted(*cursor.fetchone())


def _tallied_sql(chosen: QueueFilter) -> str:
    """Return the query of how many answers a filter lets through, by the tally."""
    return f"""
SELECT (
    SELECT coalesce(sum(response.answer_count), 0)::bigint
    FROM labeling_answertally AS response CROSS JOIN LATERAL (SELECT response.category_id) AS prompt
    WHERE {chosen.tallied_sql}
) - ({_TOTAL}{chosen.tallied_sql} AND response.id IN (
    SELECT response_id FROM labeling_flag WHERE resolution = 'withdrawn'
))"""  # noqa: S608 - put together of constants


def answers_sql(chosen: QueueFilter, joins: str = "", *, only_read: bool = False) -> str:
    """Return FROM and WHERE of all answers of a filter, or those that somebody has read, with their standing."""
    return f"""
FROM benchmarks_response AS response
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
{standing_sql(of_all=True, only_read=only_read)}
{joins}
WHERE {chosen.sql}"""


_TOTAL = """
SELECT count(*) FROM benchmarks_response AS response
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
WHERE """
# where the answers stand that somebody has read, but for those that an admin withdrew
_STANDING = {
    "study_id": "response.study_id", "deployment_id": "response.deployment_id", "category_id": "prompt.category_id",
    "is_done": "NOT standing.wants_reader", "is_disputed": "standing.wants_adjudicator",
    "is_settled": "found.is_settled",
}  # fmt: skip
_STANDINGS = f"""
SELECT response.id, {", ".join(_STANDING.values())}
FROM benchmarks_response AS response
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
{standing_sql(of_all=True, only_read=True)}
WHERE response.state = 'finished' AND {_NOT_WITHDRAWN}"""  # noqa: S608 - put together of constants
# of these, as they were counted, those that a filter lets through
_READ = f"""
WITH read AS MATERIALIZED (
    SELECT response.* FROM (
        SELECT *, 'finished' AS state FROM unnest(
            {", ".join(f"%({name})s::{'bigint' if name.endswith('_id') else 'boolean'}[]" for name in _STANDING)},
            %(counts)s::bigint[]
        ) AS counted ({", ".join(_STANDING)}, answer_count)
    ) AS response CROSS JOIN LATERAL (SELECT response.category_id) AS prompt
    WHERE {{tallied}}
)"""  # noqa: S608 - put together of constants
_SUM = "SELECT coalesce(sum(answer_count), 0)::bigint FROM read WHERE"
_DONE, _SETTLED, _DISPUTED = f"{_SUM} is_done", f"{_SUM} is_settled", f"{_SUM} is_settled OR is_disputed"


def among(response_ids: list[int], *, chosen: QueueFilter) -> list[int]:
    """Return which of some answers a filter lets through, judged or not."""
    query = f"""
SELECT response.id FROM benchmarks_response AS response
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
WHERE response.id = ANY(%(ids)s) AND {chosen.sql}"""  # noqa: S608 - put together of constants
    with connection.cursor() as cursor:
        cursor.execute(query, {**chosen.values, "ids": response_ids})
        return [response_id for (response_id,) in cursor.fetchall()]


def progress_in(
    *, chosen: QueueFilter, person_id: int, since: datetime, annotator: Annotator | None = None
) -> Progress:
    """Say how many answers of a filter are judged by people; `since` begins the person's day.

    Where the reading list, kept in `annotator`, was made for many answers, its counts stand for all, moved on by what
    the person said since: what others said meanwhile shows when the list is made anew.
    """
    filtered = (chosen.study and chosen.study.pk, chosen.category and chosen.category.pk, chosen.families)
    made_at = annotator.list_made_at if annotator is not None and annotator.list_key == chosen.key else None
    values: dict[str, Any] = {"person": person_id, "since": since, "made": made_at, "kind": chosen.kind}
    with connection.cursor() as cursor:
        cursor.execute(_OWN, values)
        own_count, timed_count, median_seconds, active_seconds, given_count, taken_count = cursor.fetchone()
    if made_at and annotator is not None and annotator.total_count > EXACT_COUNT:
        moved = max(0, annotator.judged_count + given_count - taken_count)
        counted = Counted(annotator.total_count, min(moved, annotator.total_count))
    elif made_at:
        counted = count_in(chosen)
    else:  # another filter than the list was made for: looked at, and not judged by so far
        counted = unchanged(("labeling.count_in", *filtered, chosen.mode), lambda: count_in(chosen), kind=Counted)
    return Progress(
        total_count=counted.total_count,
        judged_count=counted.judged_count,
        own_count=own_count,
        median_seconds=median_seconds,
        timed_count=timed_count,
        active_seconds=active_seconds,
    )


def remainder_in(*, chosen: QueueFilter, person_id: int, now: datetime) -> Remainder:
    """Count what is left in a filter, what of it the person lets rest or has judged, and what others hold."""
    wants = "wants_adjudicator" if chosen.is_adjudication else "wants_reader"
    query = f"""
SELECT count(*),
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM labeling_skip AS skip WHERE skip.response_id = response.id
           AND skip.annotator_id = %(person)s AND skip.skipped_at > %(rested)s)),
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM labeling_lease AS lease WHERE lease.response_id = response.id
           AND lease.annotator_id <> %(person)s AND lease.expires_at > %(now)s)),
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM labeling_flag AS flag WHERE flag.response_id = response.id
           AND flag.person_id = %(person)s AND flag.resolution = '')),
       count(*) FILTER (WHERE EXISTS (
           SELECT FROM labeling_label AS mine WHERE mine.response_id = response.id AND mine.labeler_id = %(person)s
           AND mine.source = 'person' AND mine.kind = 'judgement' AND mine.is_current AND mine.voided_at IS NULL))
{answers_sql(chosen)} AND standing.{wants}"""  # noqa: S608 - put together of constants
    with connection.cursor() as cursor:
        cursor.execute(query, {**chosen.values, "person": person_id, "now": now, "rested": now - SESSION})
        return Remainder(*cursor.fetchone())


def is_waiting(*, response_id: int, kind: str = Label.Kind.JUDGEMENT.value) -> bool:
    """Tell whether an answer still wants a reader, or an adjudicator."""
    standing = standing_of(response_id)
    return standing.wants_adjudicator if kind == Label.Kind.ADJUDICATION else standing.wants_reader
