"""Whether decisions came true: probabilities beside verdicts, and predicted SCI beside what meters read.

Both rest on few rows: known prompts that a comparison routed, answers of live traffic that were kept and judged, and
live requests that were measured.
"""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from benchmarks.intervals import Interval, share_interval
from benchmarks.models import Study
from greenllm.operations.spans import Span

# Verdicts are looked up for the answers in question, and live studies named by their ids, of which Postgres knows how
# few answers they have: else the verdict of every answer would be read.
_SUPPOSED = """
WITH on_known AS MATERIALIZED (
    SELECT decision.decided_at, decision.version_id, decision.chosen_id, decision.candidates, response.id AS response_id
    FROM router_routingdecision AS decision
    JOIN benchmarks_response AS response
        ON response.prompt_id = decision.prompt_id AND response.deployment_id = decision.chosen_id
    WHERE decision.prompt_id IS NOT NULL AND decision.decided_at >= %(begins)s AND decision.decided_at < %(ends)s
), live AS MATERIALIZED (
    SELECT response_id, verdict FROM labeling_currentanswer
    WHERE study_id = ANY(%(live)s::bigint[]) AND verdict IN ('correct', 'incorrect')
), supposed AS (
    SELECT on_known.decided_at, on_known.version_id, on_known.chosen_id, on_known.candidates, fact.verdict
    FROM on_known JOIN labeling_currentanswer AS fact ON fact.response_id = on_known.response_id
    WHERE fact.response_id = ANY(ARRAY(SELECT response_id FROM on_known))
    UNION ALL
    SELECT decision.decided_at, decision.version_id, decision.chosen_id, decision.candidates, live.verdict
    FROM live
    JOIN benchmarks_response AS response ON response.id = live.response_id
    JOIN router_gatewayrequest AS request ON request.public_id = response.gateway_request_public_id
    JOIN router_routingdecision AS decision ON decision.request_id = request.id
)
SELECT date_bin(%(step)s, decided_at, %(origin)s) AS step, coalesce(version_id, 0), count(*),
       avg((candidate->>'p')::float8), count(*) FILTER (WHERE verdict = 'correct')
FROM supposed CROSS JOIN LATERAL jsonb_array_elements(candidates) AS candidate
WHERE decided_at >= %(begins)s AND decided_at < %(ends)s AND verdict IN ('correct', 'incorrect')
    AND (candidate->>'deployment_id')::bigint = chosen_id AND candidate->>'p' IS NOT NULL
GROUP BY 1, 2 ORDER BY 1, 2
"""
_MEASURED = """
SELECT date_bin(%(step)s, attempt.started_at, %(origin)s) AS step, count(*), sum(decision.predicted_sci_gco2e),
       sum(measurement.sci_gco2e), array_agg(DISTINCT measurement.quality)
FROM router_upstreamattempt AS attempt
JOIN benchmarks_measurement AS measurement ON measurement.id = attempt.measurement_id
JOIN router_routingdecision AS decision ON decision.request_id = attempt.request_id
    AND decision.chosen_id = attempt.deployment_id AND decision.predicted_quality = measurement.quality
WHERE attempt.measurement_id IS NOT NULL AND attempt.started_at >= %(begins)s AND attempt.started_at < %(ends)s
    AND measurement.sci_gco2e IS NOT NULL AND decision.predicted_sci_gco2e IS NOT NULL
GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True)
class Calibration:
    """n judged answers of a step and policy version: the mean probability told before, and how many came right."""

    at: datetime
    version_id: int
    n: int
    supposed: float
    right_count: int

    @property
    def right(self) -> Interval | None:
        """Return the share that was right."""
        return share_interval(self.right_count, self.n)

    @property
    def drift(self) -> float:
        """Return how much more was promised than came true; below 0: less."""
        return self.supposed - self.right_count / self.n


@dataclass(frozen=True)
class CarbonCalibration:
    """Over n measured requests of one step: predicted and measured gCO2e, both of the same quality."""

    at: datetime
    n: int
    predicted_gco2e: float
    measured_gco2e: float
    qualities: tuple[str, ...]

    @property
    def ratio(self) -> float | None:
        """Return predicted by measured; 1 is right, None where nothing was measured."""
        return self.predicted_gco2e / self.measured_gco2e if self.measured_gco2e else None


def calibrations(span: Span) -> list[Calibration]:
    """Return how probabilities stood beside verdicts, step by step and version by version. Two queries."""
    live = list(Study.objects.filter(kind=Study.Kind.LIVE).values_list("pk", flat=True))
    with connection.cursor() as cursor:
        cursor.execute(_SUPPOSED, {**_given(span), "live": live})
        return [Calibration(*row) for row in cursor.fetchall()]


def carbon_calibrations(span: Span) -> list[CarbonCalibration]:
    """Return how predicted SCI stood beside measured, step by step. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_MEASURED, _given(span))
        found = cursor.fetchall()
    return [CarbonCalibration(at, n, told, measured, tuple(kinds)) for at, n, told, measured, kinds in found]


def by_step(found: list[Calibration]) -> dict[datetime, Calibration]:
    """Return all versions of a step together."""
    steps: dict[datetime, list[Calibration]] = defaultdict(list)
    for one in found:
        steps[one.at].append(one)
    return {
        at: Calibration(
            at, 0, sum(one.n for one in rows), sum(one.supposed * one.n for one in rows) / sum(one.n for one in rows),
            sum(one.right_count for one in rows),
        )
        for at, rows in steps.items()
    }  # fmt: skip


def _given(span: Span) -> dict[str, Any]:
    return {"step": span.step, "origin": span.origin, "begins": span.begins_at, "ends": span.ends_at}
