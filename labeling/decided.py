"""The verdict on answers as SQL, for figures over more answers than anybody wants to carry into Python.

`labeling.verdicts.decide` is the same rule in words, and a test holds the two together.
"""

_RANK = "CASE source WHEN 'person' THEN 1 WHEN 'imported' THEN 2 ELSE 3 END"


def decided_sql(*, of: str) -> str:
    """Return a join that adds `decided` (is_correct, source) to a query with `response`.

    `of` is a condition on `answer`, the answers whose labels are read, for example `answer.study_id = %(study)s`. Who
    nobody judged has no row; an answer whose judges disagree has one with `is_correct` NULL.
    """
    return f"""
LEFT JOIN (
    SELECT DISTINCT ON (response_id) response_id, source,
           nullif(CASE WHEN is_settled THEN settled ELSE margin END, 0) > 0 AS is_correct
    FROM (
        SELECT label.response_id, label.source, asked.grades_count, sum(given.vote) AS margin,
               count(*) FILTER (WHERE given.vote <> 0) AS votes,
               sum(given.vote) FILTER (WHERE label.kind = 'adjudication') AS settled,
               bool_or(label.kind = 'adjudication') AS is_settled
        FROM labeling_label AS label
        JOIN benchmarks_response AS answer ON answer.id = label.response_id
        JOIN benchmarks_prompt AS question ON question.id = answer.prompt_id
        LEFT JOIN (
            SELECT DISTINCT ON (category_id) category_id, grades_count FROM labeling_judgementrule
            WHERE category_id IS NOT NULL ORDER BY category_id, id DESC
        ) AS asked ON asked.category_id = question.category_id
        CROSS JOIN LATERAL (
            SELECT CASE label.verdict WHEN 'correct' THEN 1 WHEN 'incorrect' THEN -1 ELSE 0 END AS vote
        ) AS given
        WHERE label.is_current AND label.voided_at IS NULL AND label.kind <> 'self_check' AND {of}
        GROUP BY label.response_id, label.source, asked.grades_count
    ) AS said
    WHERE (is_settled OR votes > 0) AND (source <> 'grader' OR grades_count)
    ORDER BY response_id, {_RANK}
) AS decided ON decided.response_id = response.id"""  # noqa: S608 - put together of constants
