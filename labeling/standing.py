"""Where answers stand, as SQL: how often each shall be judged, how often it was, and whom it waits for.

The queue asks this of answers by the hundred thousand, so that Postgres works it out; `labeling.verdicts.next_step` is
the same rule in words, and a test holds the two together.
"""

from dataclasses import dataclass

from django.db import connection

# Which answers of a share: multiples of the golden ratio spread evenly over whatever ids a study or a model has, and
# an id keeps its place for good. Both numbers fit into the whole numbers of Postgres.
_PLACES = 1_000_003
_STEP = 618_036

_SAID = """
    SELECT response_id, count(*) FILTER (WHERE kind = 'judgement') AS readers,
           count(*) FILTER (WHERE kind = 'judgement' AND verdict = 'correct') AS correct_count,
           count(*) FILTER (WHERE kind = 'judgement' AND verdict = 'incorrect') AS incorrect_count,
           bool_or(kind = 'adjudication') AS is_settled
    FROM labeling_label WHERE source = 'person' AND is_current AND voided_at IS NULL {one} GROUP BY response_id
"""


@dataclass(frozen=True)
class Standing:
    """Whom one answer waits for, how many read it, and how many shall; `wanted_count` is 0 once no reader is wanted."""

    wants_reader: bool
    wants_adjudicator: bool
    reader_count: int
    wanted_count: int
    is_gold: bool


def place_of(response_id: int) -> float:
    """Return the place of an answer between 0 and 1: a share of s takes those below s."""
    return response_id % _PLACES * _STEP % _PLACES / _PLACES


def asked_sql() -> str:
    """Return joins that add `asked` (judgements, max_readers, grades_count) to a query with `response` and `prompt`.

    Graders' labels count only where the category's own rule says so, as `labeling.ruling` has it.
    """
    rules = """
    SELECT DISTINCT ON (category_id) category_id, judgements, share, max_readers, grades_count
    FROM labeling_judgementrule WHERE {which} ORDER BY category_id, id DESC
    """
    own, general = rules.format(which="category_id IS NOT NULL"), rules.format(which="category_id IS NULL")
    return f"""
LEFT JOIN ({own}) AS own_rule ON own_rule.category_id = prompt.category_id
LEFT JOIN ({general}) AS general_rule ON true
CROSS JOIN LATERAL (
    SELECT CASE WHEN response.id %% {_PLACES} * {_STEP} %% {_PLACES}
                     < coalesce(own_rule.share, general_rule.share, 1) * {_PLACES}
                THEN coalesce(own_rule.judgements, general_rule.judgements, 1) ELSE 1 END AS judgements,
           coalesce(own_rule.max_readers, general_rule.max_readers, 3) AS max_readers,
           coalesce(own_rule.grades_count, false) AS grades_count
) AS asked"""


def standing_sql(*, of_all: bool, only_read: bool = False) -> str:
    """Return joins that add `said` and `standing` (wanted, wants_reader, wants_adjudicator) to such a query.

    `of_all` groups the labels once, which is the cheaper way for more than some hundred answers; with `only_read` it
    leaves out the answers that nobody has read, and keeps `{only}` for a condition on the labels that are read.
    """
    if of_all:
        join, one = ("JOIN", "{only}") if only_read else ("LEFT JOIN", "")
        said = f"{join} ({_SAID.format(one=one)}) AS said ON said.response_id = response.id"
    else:
        said = f"LEFT JOIN LATERAL ({_SAID.format(one='AND response_id = response.id')}) AS said ON true"
    return f"""
{asked_sql()}
{said}
CROSS JOIN LATERAL (
    SELECT coalesce(said.readers, 0) AS readers, coalesce(said.is_settled, false) AS is_settled,
           coalesce(said.correct_count = said.incorrect_count, true) AS is_level,
           coalesce(said.correct_count, 0) AS correct_count
) AS found
CROSS JOIN LATERAL (
    SELECT CASE WHEN found.is_settled THEN 0
                WHEN found.readers < asked.judgements THEN asked.judgements
                WHEN found.is_level AND found.correct_count > 0 AND found.readers < asked.max_readers
                THEN found.readers + 1 ELSE 0 END AS wanted
) AS places
CROSS JOIN LATERAL (
    SELECT places.wanted, found.readers, places.wanted > 0 AS wants_reader,
           places.wanted = 0 AND NOT found.is_settled AND found.is_level AS wants_adjudicator
) AS standing"""


_ONE = f"""
SELECT standing.wants_reader, standing.wants_adjudicator, standing.readers, standing.wanted,
       EXISTS (SELECT FROM labeling_goldanswer AS gold WHERE gold.response_id = response.id AND retired_at IS NULL)
FROM benchmarks_response AS response
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
{standing_sql(of_all=False)}
WHERE response.id = %s
"""  # noqa: S608 - put together of constants


def standing_of(response_id: int) -> Standing:
    """Return where one answer stands."""
    with connection.cursor() as cursor:
        cursor.execute(_ONE, [response_id])
        return Standing(*cursor.fetchone())
