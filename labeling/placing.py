"""Keep the order in which routing would have answers judged; who works it out stands in a later room."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from benchmarks.models import Prompt, Study
from labeling.counting import count_rows
from labeling.models import QueueOrder
from labeling.unchanged import JUDGED, unchanged
from labeling.waiting import QueueFilter, answers_sql

# So many answers share a band, within which each person has an order of their own: what comes next tells nothing of it.
BAND_SIZE = 20
_JUDGED = """
SELECT response_id FROM labeling_label WHERE is_current AND voided_at IS NULL AND kind = 'judgement' {only}
GROUP BY response_id
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('labeling.queue_order'))"


@dataclass(frozen=True)
class WaitingAnswer:
    """One answer that still wants a reader."""

    response_id: int
    prompt_id: int
    category_id: int
    language_model_id: int


def waiting_answers(*, study: Study | None = None) -> list[WaitingAnswer]:
    """Return the answers to training prompts that still want a reader, of a study or of all.

    What the router answered is no model's own, and routing goes by training prompts only.
    """
    query = f"""
SELECT response.id, response.prompt_id, prompt.category_id, deployment.language_model_id
{answers_sql(QueueFilter(study), _MODEL)} AND standing.wants_reader AND study.kind <> %(router)s
AND prompt.role = %(train)s
ORDER BY response.id"""
    with connection.cursor() as cursor:
        cursor.execute(
            query, {**QueueFilter(study).values, "router": Study.Kind.ROUTER.value, "train": Prompt.Role.TRAIN.value}
        )
        return [WaitingAnswer(*row) for row in cursor.fetchall()]


def store_order(*, response_ids: Sequence[int], made_at: datetime, facts: dict[str, Any]) -> QueueOrder:
    """Put an order of answers in force, the first to judge first; it replaces the one before, whole.

    `facts` are the other fields of a `QueueOrder`. Whoever stores one at the same moment waits.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_LOCK)
        cursor.execute("DELETE FROM labeling_queueplace")
        cursor.execute(
            """
            INSERT INTO labeling_queueplace (response_id, band)
            SELECT listed.id, (listed.place - 1) / %s
            FROM unnest(%s::bigint[]) WITH ORDINALITY AS listed(id, place)
            JOIN benchmarks_response AS response ON response.id = listed.id  -- one may have gone meanwhile
            """,
            [BAND_SIZE, list(response_ids)],
        )
        return QueueOrder.objects.create(made_at=made_at, waiting_count=len(response_ids), **facts)


def latest_order() -> QueueOrder | None:
    """Return the order in force; None where none was made."""
    return QueueOrder.objects.order_by("-pk").first()


def judged_count() -> int:
    """Return how many answers have a current label, of whichever source.

    Kept until a label changes; after that only the answers that changed are counted anew.
    """

    def counted() -> int:
        return sum(count for _, count in count_rows(_JUDGED, width=0))

    return unchanged("labeling.judged_count", counted, studies=[JUDGED], kind=int)


_MODEL = """JOIN benchmarks_deployment AS deployment ON deployment.id = response.deployment_id
JOIN benchmarks_study AS study ON study.id = response.study_id"""
