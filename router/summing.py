"""Fill the table of an index too large to be held in memory from Postgres, and follow later changes.

It goes by the same rows as `router.candidates`: verdicts belong to the model, SCI to the deployment and its quality.
What comes is counted by Postgres and taken as numbers, so that twenty million answers make no Python objects.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import connection

from benchmarks.models import Deployment, Study
from labeling.deciding import decided_sql
from router.known_table import KnownTable
from router.models import PromptIndex
from router.policy import QUALITIES_IN_ORDER
from router.totals import Floats

_QUALITY = "CASE quality {} ELSE -1 END".format(
    " ".join(f"WHEN '{name}' THEN {number}" for number, name in enumerate(QUALITIES_IN_ORDER))
)
_BATCH = 5000  # prompts counted by one query, so that none runs long or needs much memory
_ANSWERS = f"""
WITH answer AS MATERIALIZED (
    SELECT response.id, response.prompt_id, response.deployment_id, deployment.language_model_id AS model_id,
           measurement.sci_gco2e, measurement.quality
    FROM benchmarks_response AS response
    JOIN benchmarks_deployment AS deployment ON deployment.id = response.deployment_id
    JOIN benchmarks_study AS study ON study.id = response.study_id
    LEFT JOIN benchmarks_measurement AS measurement ON measurement.id = response.measurement_id
    WHERE response.prompt_id = ANY(%(prompt_ids)s) AND response.state = 'finished'
        AND study.kind <> '{Study.Kind.ROUTER.value}' AND deployment.language_model_id = ANY(%(model_ids)s)
), grouped AS (
    SELECT answer.prompt_id, answer.model_id, answer.deployment_id, answer.quality,
           sum(answer.sci_gco2e) AS sci_total, count(answer.sci_gco2e) AS sci_count,
           count(*) FILTER (WHERE decided.is_correct) AS right_count,
           count(*) FILTER (WHERE NOT decided.is_correct) AS wrong_count
    FROM answer
    LEFT JOIN ({decided_sql(among="SELECT id FROM answer")}) AS decided ON decided.response_id = answer.id
    GROUP BY 1, 2, 3, 4
)
"""  # noqa: S608 - put together of constants
_CELLS = f"""{_ANSWERS}
SELECT prompt_id, model_id, deployment_id,
       {_QUALITY} AS quality, CASE WHEN sci_count > 0 THEN sci_total / sci_count ELSE 0 END, right_count, wrong_count
FROM grouped
"""  # noqa: S608 - put together of constants
_CATEGORIES = """
SELECT DISTINCT prompt.category_id FROM router_indexedprompt AS indexed
JOIN benchmarks_prompt AS prompt ON prompt.id = indexed.prompt_id WHERE indexed.index_id = %(index_id)s ORDER BY 1
"""
_PROMPTS = """
SELECT prompt.id, prompt.category_id FROM router_indexedprompt AS indexed
JOIN benchmarks_prompt AS prompt ON prompt.id = indexed.prompt_id
WHERE indexed.index_id = %(index_id)s AND indexed.prompt_id > %(latest)s ORDER BY indexed.prompt_id LIMIT %(batch)s
"""
# some ids before the latest one: they may have been committed after it
_CHANGED = """
SELECT DISTINCT response.prompt_id FROM (
    SELECT response_id FROM labeling_label WHERE id > %(label)s - 20
    UNION ALL
    SELECT response_id FROM labeling_label WHERE voided_at IS NOT NULL AND voided_at >= %(voided)s
    UNION ALL
    SELECT label.response_id FROM labeling_label AS label
    JOIN labeling_correction AS correction ON correction.id = label.correction_id
    WHERE greatest(correction.created_at, correction.undone_at) >= %(corrected)s
    UNION ALL
    SELECT id FROM benchmarks_response WHERE measurement_id > %(measurement)s - 20
) AS touched JOIN benchmarks_response AS response ON response.id = touched.response_id LIMIT %(limit)s
"""


def category_ids_of(index: PromptIndex) -> tuple[int, ...]:
    """Return the categories of the prompts of an index, in the order in which they are numbered."""
    return tuple(int(row[0]) for row in _numbers(_CATEGORIES, 1, {"index_id": index.pk}))


def fill(table: KnownTable, index: PromptIndex, deployments: Sequence[Deployment], category_ids: Sequence[int]) -> None:
    """Write everything that is known into an empty table, some thousand prompts at a time."""
    begin, latest = 0, 0
    while begin < len(table.prompt_ids):
        found = _numbers(_PROMPTS, 2, {"index_id": index.pk, "latest": latest, "batch": _BATCH}).astype(np.int64)
        if not len(found):
            return
        rows = slice(begin, begin + len(found))
        table.prompt_ids[rows] = found[:, 0]
        table.categories[rows] = np.searchsorted(category_ids, found[:, 1])
        latest, begin = int(found[-1, 0]), rows.stop
        _write(table, np.arange(rows.start, rows.stop), deployments)


def refresh(table: KnownTable, rows: npt.NDArray[np.int64], deployments: Sequence[Deployment]) -> None:
    """Read some rows of the table anew."""
    table.right[rows], table.wrong[rows], table.sci[:, rows] = 0, 0, 0
    _write(table, rows, deployments)


def changed_since(seen: Sequence[Any], *, limit: int) -> npt.NDArray[np.int64]:
    """Return the prompts to whose answers something happened since a stamp (`router.knowledge`), at most so many."""
    _, label, voided, corrected, _, measurement, _ = seen
    long_ago = datetime(1970, 1, 1, tzinfo=UTC)
    given = {"label": label or 0, "measurement": measurement or 0, "limit": limit}
    given |= {"voided": voided or long_ago, "corrected": corrected or long_ago}
    return _numbers(_CHANGED, 1, given)[:, 0].astype(np.int64)


def _write(table: KnownTable, rows: npt.NDArray[np.int64], deployments: Sequence[Deployment]) -> None:
    """Add what Postgres counts of the prompts of some empty rows, in ascending order."""
    columns: dict[int, list[int]] = {}
    for column, deployment in enumerate(deployments):
        columns.setdefault(deployment.language_model_id, []).append(column)
    given = {"prompt_ids": [int(one) for one in table.prompt_ids[rows]], "model_ids": list(columns)}
    cells = _numbers(_CELLS, 7, given)
    places = rows[np.searchsorted(table.prompt_ids[rows], cells[:, 0].astype(np.int64))]
    for model_id, own in columns.items():
        is_own = cells[:, 1] == model_id
        for column in own:  # a model answers with several deployments and qualities, which add up
            np.add.at(table.right, (places[is_own], column), cells[is_own, 5].astype(np.uint16))
            np.add.at(table.wrong, (places[is_own], column), cells[is_own, 6].astype(np.uint16))
    for column, deployment in enumerate(deployments):
        is_own = (cells[:, 2] == deployment.pk) & (cells[:, 3] >= 0)
        table.sci[cells[is_own, 3].astype(np.int64), places[is_own], column] = cells[is_own, 4]


def _numbers(query: str, width: int, given: dict[str, Any]) -> Floats:
    """Return the rows of a query of numbers."""
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT", given) as copy:
        text = b"".join(bytes(part) for part in copy)
    return np.fromstring(text.decode("ascii"), sep=" ").reshape(-1, width)
