"""What RQ runs for the router: ordering what waits for labels, and building the index where the meters are.

The worker of a machine holds its sampler, so only the worker can measure while it lives.
"""

import logging
import time

from django.conf import settings
from django.utils import timezone
from rq import Queue
from rq.exceptions import DuplicateJobError
from rq.job import Job

from benchmarks.jobs import process_recorder
from benchmarks.metering import Metering
from benchmarks.models import Machine, Study
from benchmarks.queueing import impatient_connection, queue_of, queue_state
from benchmarks.recording import EnergyRecorder, recorder_for
from router.choosing_labels import NothingWaits, order_labels
from router.indexing import build_index, training_prompts
from router.models import PromptIndex
from router.wiring import embedder, vector_store

logger = logging.getLogger(__name__)

_TIMEOUT_S = 6 * 3600
_OUTCOME_KEPT_S = 3600
_POLL_S = 0.25
_ORDER_TIMEOUT_S = 600


def order_waiting(seed: int) -> str:
    """Order the waiting answers by what their labels may change in routing; return in a sentence what was done."""
    try:
        made = order_labels(study=None, seed=seed, now=timezone.now())
    except NothingWaits as error:
        return str(error)
    logger.info("%s answers ordered, %s worthwhile", made.waiting_count, made.worthwhile_count)
    return f"{made.waiting_count} answers in order, {made.worthwhile_count} of them worthwhile."


def enqueue_order(*, seed: int = 0) -> bool:
    """Have the worker order the waiting answers; tell whether that was queued, or waits or runs already.

    Only interfaces call this.

    Raises:
        RedisError: the queue cannot be reached.
    """
    with impatient_connection() as connection:
        queue = Queue("default", connection=connection)
        try:
            queue.enqueue(
                order_waiting, seed, job_id="order-labels", job_timeout=_ORDER_TIMEOUT_S, result_ttl=0,
                failure_ttl=0, unique=True,
            )  # fmt: skip
        except DuplicateJobError:
            return False
    return True


class IndexNotBuilt(RuntimeError):
    """The worker could not build the index; the message has its reason."""


def build_index_here(machine_id: int, study_id: int | None, embedded_text: str) -> int:
    """Build the index in the machine's worker and measure it; return its key. Every call builds one."""
    machine = Machine.objects.get(pk=machine_id)
    if machine.name != settings.MACHINE_NAME:
        raise IndexNotBuilt(f"This worker is on {settings.MACHINE_NAME!r}, not on {machine.name!r}.")
    study = None if study_id is None else Study.objects.get(pk=study_id)
    return _build(machine, study, embedded_text, process_recorder(machine.pk)).pk


def build_measured(*, machine: Machine, study: Study | None, embedded_text: str) -> PromptIndex:
    """Build the index and measure it: by the worker of the machine, before what waits, or here where none runs.

    Raises:
        IndexNotBuilt: the worker could not.
        Whatever `router.indexing.build_index` raises, where it is built here.
    """
    if queue_state(machine=machine).worker_count == 0:
        recorder = recorder_for(machine)
        try:
            return _build(machine, study, embedded_text, recorder)
        finally:
            recorder.stop()
    job = queue_of(machine).enqueue(
        build_index_here, machine.pk, study.pk if study else None, embedded_text,
        at_front=True, job_timeout=_TIMEOUT_S, result_ttl=_OUTCOME_KEPT_S, failure_ttl=_OUTCOME_KEPT_S,
    )  # fmt: skip
    return PromptIndex.objects.select_related("embedder", "measurement").get(pk=_awaited(job, machine))


def _build(machine: Machine, study: Study | None, embedded_text: str, recorder: EnergyRecorder) -> PromptIndex:
    return build_index(
        prompts=training_prompts(study),
        embedder=embedder(),
        store=vector_store(),
        embedded_text=embedded_text,
        clock=timezone.now,
        metering=Metering(machine, recorder, now=timezone.now),
    )


def _awaited(job: Job, machine: Machine) -> int:
    """Return what the job returned; a worker that goes away meanwhile is told."""
    while (result := job.latest_result()) is None:
        if queue_state(machine=machine).worker_count == 0:
            job.cancel()
            raise IndexNotBuilt(f"The worker of {machine} went away before the index was built; try again.")
        time.sleep(_POLL_S)
    if result.type is result.Type.SUCCESSFUL:
        return int(str(result.return_value))
    lines = (result.exc_string or "").strip().splitlines()
    raise IndexNotBuilt(f"The worker of {machine} could not build the index: {lines[-1] if lines else 'no reason'}")
