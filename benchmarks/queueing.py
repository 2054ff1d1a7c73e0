"""Put the responses of a study on its machine's queue, and take a machine's work up again after a crash.

Postgres knows what is left to do; the queue only says in which order. A lost or emptied queue is filled again from
Postgres, and a job that runs twice does no harm.
"""

import logging
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import uuid4

import django_rq
import psutil
from django.conf import settings
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue, Worker
from rq.exceptions import DuplicateJobError
from rq.job import JobStatus
from rq.registry import StartedJobRegistry
from rq.worker.base import BaseWorker

from benchmarks.beating import has_beaten
from benchmarks.models import Machine, Response, Study
from benchmarks.studying import finish_if_done

logger = logging.getLogger(__name__)

_JOB_PREFIX = "response-"
_JOB_ID = re.compile(rf"{_JOB_PREFIX}(\d+)(?:-again-.*)?")
_IMPATIENCE_S = 1.0  # a page waits no longer for the queue
_PERIODIC_TIMEOUT_S = 600
_UNDER_WAY = {JobStatus.QUEUED, JobStatus.STARTED}
_NOT_RUNNING = {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP, psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}
_AFTER_ANY_JOB_S = 10**7  # makes every started job of a dead worker look overdue


def queue_of(machine: Machine) -> Queue:
    """Return the RQ queue of a machine, over the one Redis or Valkey of the settings."""
    return Queue(machine.queue_name, connection=django_rq.get_connection("default"))


def job_id_of(response_id: int) -> str:
    """Return the id of the job that measures a response first."""
    return f"{_JOB_PREFIX}{response_id}"


def _response_id_of(job_id: str) -> int | None:
    found = _JOB_ID.fullmatch(job_id)
    return int(found[1]) if found else None


@dataclass(frozen=True)
class QueueState:
    """How many living workers listen on a machine's queue, and how many jobs wait there."""

    worker_count: int
    waiting_count: int


def impatient_connection() -> Redis:
    """Return a client of the queue's server for pages: a command is tried once, and given up after a second.

    Its connections stay when it is closed, for the next page; one that the server has closed meanwhile is made anew.
    """
    return Redis(connection_pool=_impatient_pool(settings.REDIS_URL))


@cache
def _impatient_pool(url: str) -> ConnectionPool:
    return ConnectionPool.from_url(
        url, socket_connect_timeout=_IMPATIENCE_S, socket_timeout=_IMPATIENCE_S, retry=Retry(NoBackoff(), 0)
    )


def listening_queues(connection: Redis) -> Counter[str]:
    """Return how many living workers listen on each queue."""
    counts: Counter[str] = Counter()
    for worker in living_workers(Worker.all(connection=connection)):
        counts.update(worker.queue_names())
    return counts


def living_workers(known: Iterable[BaseWorker]) -> list[BaseWorker]:
    """Return those of some workers that live: a killed one stays known for minutes.

    One of this host is alive while its process is, and is not stopped; one of another host while it gives signs of
    life.
    """
    return [one for one in known if (_runs(one.pid) if _is_here(one) else has_beaten(one.name, one.connection))]


def _is_here(worker: BaseWorker) -> bool:
    return bool(worker.hostname == socket.gethostname())


def _runs(pid: int | None) -> bool:
    """Tell whether a process of this host is there, and neither stopped by a signal nor dead and unburied."""
    if pid is None:
        return False
    try:
        return psutil.Process(pid).status() not in _NOT_RUNNING
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True  # it is there; more is not told


def queue_state(*, machine: Machine) -> QueueState:
    """Return who listens on a machine's queue and what waits there.

    Raises:
        RedisError: the queue cannot be reached within a second.
    """
    with impatient_connection() as connection:
        queue = Queue(machine.queue_name, connection=connection)
        return QueueState(worker_count=len(living_workers(Worker.all(queue=queue))), waiting_count=queue.count)


def queued_response_ids(*, machine: Machine) -> set[int]:
    """Return the responses that jobs of a machine's queue are for, waiting or under way.

    Raises:
        RedisError: the queue cannot be reached within a second.
    """
    with impatient_connection() as connection:
        queue = Queue(machine.queue_name, connection=connection)
        under_way = StartedJobRegistry(queue=queue).get_job_ids(cleanup=False)
        found = {_response_id_of(job_id) for job_id in [*queue.get_job_ids(), *under_way]}
    return {one for one in found if one is not None}


def _timeout_s(study: Study) -> int:
    """Return how long a job may take: generations, control runs, cooling and loading, and idle before and after."""
    generations = 1 + study.back_to_back + study.warm_up_count
    if study.control_every:  # before the response, and after the last: each warmed up by one more
        generations += 2 * (2 + study.back_to_back)
    return int(generations * settings.GENERATION_TIMEOUT_S + 600 + 2 * study.idle_baseline_s)


def enqueue_study(*, study: Study) -> int:
    """Enqueue every response of a running study that no job waits for, in the order of measuring; return how many."""
    if study.machine is None:
        return 0
    queue = queue_of(study.machine)
    waiting = {_response_id_of(job_id) for job_id in queue.get_job_ids()}
    missing = [
        response_id
        for response_id in study.responses.unfinished().in_order().values_list("pk", flat=True)
        if response_id not in waiting
    ]
    with queue.connection.pipeline() as pipe:
        jobs = [
            Queue.prepare_data(
                "benchmarks.jobs.measure_response",
                args=(response_id,),
                job_id=job_id_of(response_id),
                timeout=_timeout_s(study),
                result_ttl=0,
                failure_ttl=86_400,
            )
            for response_id in missing
        ]
        queue.enqueue_many(jobs, pipeline=pipe)
        pipe.execute()
    return len(missing)


def enqueue_again(*, response: Response) -> None:
    """Put one response back at the front of its machine's queue."""
    machine = response.study.machine
    if machine is not None:
        queue_of(machine).enqueue(
            "benchmarks.jobs.measure_response",
            response.pk,
            # an id of its own: rq deletes the job that is just running, and with it whatever has the same id
            job_id=f"{job_id_of(response.pk)}-again-{uuid4().hex}",
            job_timeout=_timeout_s(response.study),
            result_ttl=0,
            failure_ttl=86_400,
            at_front=True,
        )


def enqueue_periodic(*, names: Iterable[str], connection: Redis) -> None:
    """Put jobs that are due now and then on the default queue, each unless it waits or runs there already.

    Several workers may do so: a job that runs twice does no harm.
    """
    queue = Queue("default", connection=connection)
    for name in names:
        job_id = f"periodic-{name.replace('.', '-')}"
        earlier = queue.fetch_job(job_id)
        if earlier is not None:
            if earlier.get_status() in _UNDER_WAY:
                continue
            earlier.delete()
        with suppress(DuplicateJobError):
            queue.enqueue(
                name, job_id=job_id, job_timeout=_PERIODIC_TIMEOUT_S, result_ttl=0, failure_ttl=86_400, unique=True
            )


def take_up_work(*, machine: Machine, now: datetime) -> int:
    """Enqueue again whatever a dead worker of this machine left; call it before its only worker starts.

    A study whose last response the dead worker stored is finished in its place.

    Only the machine's own queue is touched, because other machines share the Redis, and nothing at all where a worker
    of another host lives on it: two machines have one name then. Returns how many responses are to be measured.
    """
    queue = queue_of(machine)
    known = [one for one in Worker.all(connection=queue.connection) if machine.queue_name in one.queue_names()]
    elsewhere = living_workers(one for one in known if not _is_here(one))
    if elsewhere:
        logger.warning(
            "a worker on %s works for the machine %s too: nothing of it is taken up. Give each machine a name of its "
            "own (GREENLLM_MACHINE); after a move to this host it ends by itself within a minute",
            elsewhere[0].hostname, machine,
        )  # fmt: skip
        return 0
    for worker in known:
        worker.register_death()  # type: ignore[no-untyped-call]  # rq leaves it without types
    StartedJobRegistry(queue=queue).cleanup(timestamp=time.time() + _AFTER_ANY_JOB_S)
    for job_id in queue.get_job_ids():
        if _response_id_of(job_id) is not None:
            queue.remove(job_id)  # enqueued anew below, so that the response in flight keeps its place
    return take_up_forgotten(machine=machine, now=now)


def take_up_forgotten(*, machine: Machine, now: datetime) -> int:
    """Enqueue what running studies wait for and no job is for, because the queue was away or emptied; return how many.

    Call it from the machine's only worker while it has no job: a response in flight would be enqueued as well.
    """
    taken_up = 0
    for study in Study.objects.filter(machine=machine, state=Study.State.RUNNING).order_by("pk"):
        if not finish_if_done(study_id=study.pk, now=now):
            taken_up += enqueue_study(study=study)
    return taken_up
