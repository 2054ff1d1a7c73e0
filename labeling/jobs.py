"""What RQ runs for labeling: ids in, one service call. Every job may run twice without harm."""

import logging
from dataclasses import dataclass

from redis import Redis
from rq import Queue, Worker
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.job import Job

from benchmarks.models import Study
from benchmarks.queueing import impatient_connection, living_workers
from labeling.suggesting import accept_suggestions, suggest
from labeling.wiring import graders

logger = logging.getLogger(__name__)

_OUTCOME_KEPT_S = 86_400
_TIMEOUT_S = 6 * 3600
_QUEUE = "default"


@dataclass(frozen=True)
class GradingRun:
    """The latest run of the graders over a study: whether it waits or runs, and what it did or why it failed."""

    is_under_way: bool
    outcome: str = ""
    error: str = ""


def grade_study(study_id: int) -> str:
    """Let the graders suggest verdicts, and label where that is switched on; return what they did in a sentence."""
    study = Study.objects.filter(pk=study_id).first()
    if study is None:
        return "The study is gone."
    done = suggest(study=study, graders=graders())
    labeled_count = accept_suggestions(study=study)
    logger.info(
        "study %s: %s answers graded, %s left, %s labeled",
        study_id, done.graded_count, done.ungradable_count, labeled_count,
    )  # fmt: skip
    parts = [f"{done.graded_count} answers graded"]
    parts += [f"{labeled_count} labeled by graders, where that is switched on"] if labeled_count else []
    parts += [f"{count} left: {reason}" for reason, count in sorted(done.reasons.items())]
    return "; ".join(parts) + "."


def enqueue_grading(*, study: Study) -> bool:
    """Put the graders' run over a study on the default queue; tell whether it was put there, or is under way.

    Only interfaces call this.

    Raises:
        RedisError: the queue cannot be reached.
    """
    latest = latest_grading(study=study)
    if latest is not None and latest.is_under_way:
        return False
    with impatient_connection() as connection:
        over = _job_of(study, connection)
        if over is not None:
            over.delete()
        try:
            Queue(_QUEUE, connection=connection).enqueue(
                grade_study, study.pk, job_id=_job_id(study), job_timeout=_TIMEOUT_S,
                result_ttl=_OUTCOME_KEPT_S, failure_ttl=_OUTCOME_KEPT_S, unique=True,
            )  # fmt: skip
        except DuplicateJobError:  # somebody pressed the same button at the same moment
            return False
    return True


def latest_grading(*, study: Study) -> GradingRun | None:
    """Return the latest run of the graders over a study; None where there was none of late.

    Raises:
        RedisError: the queue cannot be reached within a second.
    """
    with impatient_connection() as connection:
        job = _job_of(study, connection)
        if job is None:
            return None
        if _is_under_way(job, connection):
            return GradingRun(is_under_way=True)
        return _ended(job)


def _ended(job: Job) -> GradingRun:
    result = job.latest_result()
    if result is None:
        return GradingRun(is_under_way=False, error="the worker went away")
    if result.type is result.Type.SUCCESSFUL:
        return GradingRun(is_under_way=False, outcome=str(result.return_value))
    lines = (result.exc_string or "").strip().splitlines()
    return GradingRun(is_under_way=False, error=lines[-1] if lines else "for an unknown reason")


def _is_under_way(job: Job, connection: Redis) -> bool:
    status = job.get_status().value
    if status != "started":
        return status == "queued"
    # a killed worker leaves its job as started
    workers = living_workers(Worker.all(queue=Queue(_QUEUE, connection=connection)))
    return any(worker.get_current_job_id() == job.id for worker in workers)


def _job_id(study: Study) -> str:
    return f"grade-study-{study.pk}"


def _job_of(study: Study, connection: Redis) -> Job | None:
    try:
        return Job.fetch(_job_id(study), connection=connection)
    except NoSuchJobError:
        return None
