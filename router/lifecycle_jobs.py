"""What RQ runs for models that join: trying one where nothing else is measured, and moving all of them on."""

import logging

from django.utils import timezone
from rq import Queue
from rq.exceptions import DuplicateJobError

from benchmarks.models import ModelEvaluation
from benchmarks.queueing import enqueue_study, impatient_connection
from labeling.jobs import grade_study
from router.joining import FAILURES, advance, begin, keep_problem, settle_measured
from router.wiring import connect_server

logger = logging.getLogger(__name__)

_TRY_TIMEOUT_S = 1800
_Step = ModelEvaluation.Step


def try_model(evaluation_id: int) -> str:
    """Try a model and start its study; return in a sentence what came of it. On the queue of the server's machine."""
    found = ModelEvaluation.objects.select_related("deployment__server").filter(pk=evaluation_id).first()
    if found is None or found.step == _Step.OVER:
        return "The evaluation is over."
    try:
        study = begin(evaluation=found, client=connect_server(found.deployment.server), now=timezone.now())
    except FAILURES as error:
        logger.info("evaluation %s cannot go on: %s", evaluation_id, error)
        return str(error)
    except Exception:  # an outer edge: the page shall not say that it waits for ever
        logger.exception("evaluation %s broke off", evaluation_id)
        keep_problem(evaluation=found, problem="Trying it broke off; the log of the worker says why. Try again.")
        return "It broke off."
    if study is None:
        return "Everything had been answered before."
    return f"{enqueue_study(study=study)} responses put on the queue."


def advance_models() -> str:
    """Move every model that joins on as far as it goes by itself; return in a sentence how many moved."""
    now = timezone.now()
    moved_count = settle_measured(now=now)
    for one in ModelEvaluation.objects.exclude(step=_Step.OVER).select_related("study").order_by("pk"):
        try:
            moved_count += advance(evaluation=one, grade=grade_study, now=now)
        except Exception:  # one that cannot be graded holds no other up
            logger.exception("evaluation %s cannot be moved on", one.pk)
            keep_problem(
                evaluation=one,
                problem="Grading its answers broke off; the log of the worker says why. It is tried again every ten "
                "minutes, and the answers can be judged meanwhile.",
            )
        if one.step == _Step.REQUESTED and not one.problem:
            enqueue_try(evaluation=one)  # a queue that was emptied is filled again
    return f"{moved_count} model{'' if moved_count == 1 else 's'} moved on."


def enqueue_try(*, evaluation: ModelEvaluation) -> bool:
    """Have the worker of its server's machine try a model; tell whether that was queued, or waits or runs already.

    Only interfaces call this.

    Raises:
        RedisError: the queue cannot be reached.
    """
    machine = evaluation.deployment.server.machine
    with impatient_connection() as connection:
        queue = Queue(machine.queue_name, connection=connection)
        try:
            queue.enqueue(
                try_model, evaluation.pk, job_id=f"try-model-{evaluation.pk}", job_timeout=_TRY_TIMEOUT_S,
                result_ttl=0, failure_ttl=0, unique=True,
            )  # fmt: skip
        except DuplicateJobError:
            return False
    return True


def enqueue_advance() -> None:
    """Have a worker move the models that join on, soon; only interfaces call this."""
    with impatient_connection() as connection:
        queue = Queue("default", connection=connection)
        queue.enqueue(advance_models, job_timeout=_TRY_TIMEOUT_S, result_ttl=0, failure_ttl=0)
