"""The verdicts of many answers, worked out by Postgres: the rule of `labeling.verdicts.decide` as SQL.

Routing among a million known prompts asks for the verdicts of a thousand answers at each decision, and counts those of
all in the background: too many to be read label by label. A test holds the two rules together.
"""

from labeling.models import Label, Verdict
from labeling.standing import asked_sql
from labeling.verdicts import SOURCES_IN_ORDER

_GRADER = Label.Source.GRADER.value
_SELF_CHECK, _ADJUDICATION = Label.Kind.SELF_CHECK.value, Label.Kind.ADJUDICATION.value
_RIGHT, _WRONG = Verdict.CORRECT.value, Verdict.INCORRECT.value
_VOTE = f"CASE verdict WHEN '{_RIGHT}' THEN 1 WHEN '{_WRONG}' THEN -1 ELSE 0 END"


def decided_sql(*, among: str) -> str:
    """Return a query of response_id and is_correct: one row for each answer of `among` that has a label that counts.

    `among` is a query of response ids. is_correct is null where the judges disagree or are all unsure.
    """
    counted = ", ".join(_counted(source) for source in SOURCES_IN_ORDER)
    rule = " ".join(_ruled(source) for source in SOURCES_IN_ORDER)
    return f"""
SELECT said.response_id, CASE {rule} END AS is_correct
FROM (
    SELECT response_id, {counted} FROM labeling_label
    WHERE is_current AND voided_at IS NULL AND response_id IN ({among}) GROUP BY response_id
) AS said
JOIN benchmarks_response AS response ON response.id = said.response_id
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
{asked_sql()}"""  # noqa: S608 - put together of constants


def _counted(source: str) -> str:
    given = f"FILTER (WHERE source = '{source}' AND kind <> '{_SELF_CHECK}')"
    settling = f"FILTER (WHERE source = '{source}' AND kind = '{_ADJUDICATION}')"
    return (
        f"coalesce(sum(abs({_VOTE})) {given}, 0) AS {source}_votes, sum({_VOTE}) {given} AS {source}_margin, "
        f"count(*) {settling} > 0 AS {source}_settled, sum({_VOTE}) {settling} AS {source}_settlement"
    )


def _ruled(source: str) -> str:
    counts = "asked.grades_count AND " if source == _GRADER else ""
    return (
        f"WHEN {counts}said.{source}_settled THEN nullif(said.{source}_settlement, 0) > 0 "
        f"WHEN {counts}said.{source}_votes > 0 THEN nullif(said.{source}_margin, 0) > 0"
    )
