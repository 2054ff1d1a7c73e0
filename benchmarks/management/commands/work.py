"""Run the worker of this machine: it measures responses and does the other jobs between them."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import django_rq
from django.conf import settings
from django.core.management.base import CommandParser
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
)
from django.utils import timezone
from django.utils.module_loading import import_string
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker
from rq.job import Job
from rq.registry import StartedJobRegistry

from benchmarks.allocating import Reserve, keep_memory_together
from benchmarks.beating import beating
from benchmarks.federating import ensure_machine
from benchmarks.jobs import release_recorder
from benchmarks.management.telling import TellingCommand
from benchmarks.models import Machine
from benchmarks.queueing import enqueue_periodic, impatient_connection, queue_of, take_up_forgotten, take_up_work
from benchmarks.quiet_logs import is_wordy, traceback_of

logger = logging.getLogger(__name__)

_POSTGRES_PAUSE_S = 1.0
_SETTLED_AFTER = 20  # jobs: by then they have imported what they use
_RESERVE_BYTES, _MALLOC_RESERVE_BYTES = 6_000_000, 1_000_000  # of the first, imports leave 1 to 5 MB free
IDLE_BEFORE_RELEASE_S = 10  # longer than between two jobs of one study, its waits before an attempt included


class MachineWorker(SimpleWorker):
    """Works without a fork, and gets over a Postgres that was restarted: each job begins with a good connection.

    Once it has done some jobs it settles. Without a job for a while it lets go of what it holds, so that the machine is
    free for another installation, and looks whether the queue has forgotten any.
    """

    on_idle: Callable[[], None] | None = None
    on_settled: Callable[[], object] | None = None
    clock: Callable[[], float] = staticmethod(time.monotonic)
    idle_before_release_s = IDLE_BEFORE_RELEASE_S
    max_connection_wait_time = 5.0  # seconds between two tries to reach Valkey; RQ's own minute is long
    _idle_since_s: float | None = None
    _maintained_s: float | None = None
    _job_count = 0

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one job in this process, once Postgres answers: without it each job would only fail."""
        close_old_connections()
        while not _answers():
            logger.warning("Postgres does not answer; job %s waits for it", job.id)
            self.heartbeat()
            time.sleep(_POSTGRES_PAUSE_S)
        with import_string(settings.AROUND_JOBS)(job.func_name):
            super().execute_job(job, queue)
        self._job_count += 1
        if self._job_count == _SETTLED_AFTER and self.on_settled is not None:
            self.on_settled()

    def handle_job_failure(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry | None = None, exc_string: str = ""
    ) -> None:
        """Keep where a job failed, as RQ does, but nothing that the error quotes: Valkey holds no text of people."""
        error = sys.exception()
        if error is not None and not is_wordy():
            exc_string = traceback_of(error)
        super().handle_job_failure(job, queue, started_job_registry, exc_string)

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a job as RQ does, in parts: before each of them it is looked whether patience has ended.

        RQ reckons patience by the wall clock, which may be set back meanwhile.
        """
        if timeout is None or max_idle_time is not None or self.on_idle is None:
            return super().dequeue_job_and_maintain_ttl(timeout, max_idle_time)
        self._idle_since_s = self.clock()
        try:
            return super().dequeue_job_and_maintain_ttl(self.idle_before_release_s, None)
        finally:
            self._idle_since_s = None

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Tell whether ten minutes have passed, whatever the wall clock does; RQ asks before each part of a wait."""
        if self._idle_since_s is not None and self.clock() - self._idle_since_s >= self.idle_before_release_s:
            self._idle_since_s = self.clock()
            if self.on_idle is not None:
                self.on_idle()
        return self._maintained_s is None or self.clock() - self._maintained_s >= self.maintenance_interval

    def run_maintenance_tasks(self) -> None:
        """Every ten minutes or so, and never beside a job, also put the periodic jobs on the default queue."""
        self._maintained_s = self.clock()
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]  # rq leaves it without types
        enqueue_periodic(names=settings.PERIODIC_JOBS, connection=self.connection)


def _answers() -> bool:
    try:
        with connection.cursor():  # a kept connection is looked at first, and replaced where it has ended
            return True
    except (OperationalError, InterfaceError):
        return False


def while_idle(machine: Machine) -> None:
    """Let go of the sampler, and fill the queue again where it has lost what Postgres knows to be left."""
    release_recorder(machine.pk)
    try:
        close_old_connections()
        count = take_up_forgotten(machine=machine, now=timezone.now())
    except (DatabaseError, RedisError) as error:
        logger.warning("it cannot be seen whether the queue has lost jobs: %s", error)
        return
    if count:
        logger.warning("the queue had lost %s responses of running studies; they are on it again", count)


@contextmanager
def kept_connections() -> Iterator[None]:
    """Keep this process's connections to Postgres from job to job, each looked at before a job uses it.

    A new one for each answer costs 15 ms: its server process knows no table yet. Web processes go without, because
    under ASGI a kept connection is never given back; whoever works inside another program leaves that as it was.
    """
    before = {one.alias: dict(one.settings_dict) for one in connections.all()}
    for one in connections.all():
        one.settings_dict.update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
        one.close()  # the next one goes by these settings
    try:
        yield
    finally:
        for one in connections.all():
            one.settings_dict.update(before[one.alias])
            one.close()


class Command(TellingCommand):
    help = "Run the one worker of this machine (GREENLLM_MACHINE): it takes up what a killed one left."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--burst", action="store_true", help="Stop when the queues are empty.")

    def handle(self, *args: Any, **options: Any) -> None:
        malloc_bytes = _MALLOC_RESERVE_BYTES if keep_memory_together() else 0  # before there are threads
        with kept_connections():
            self._work(Reserve(python_bytes=_RESERVE_BYTES, malloc_bytes=malloc_bytes), is_burst=options["burst"])

    def _work(self, reserve: Reserve, *, is_burst: bool) -> None:
        machine = ensure_machine(name=settings.MACHINE_NAME)
        taken_up = take_up_work(machine=machine, now=timezone.now())
        self.stdout.write(f"Worker of {machine} on the queues default, {machine.queue_name}; {taken_up} taken up.")
        # short jobs first: they run between two measurements, never beside one
        worker = MachineWorker(
            [django_rq.get_queue("default"), queue_of(machine)],
            connection=django_rq.get_connection("default"),
        )
        worker.on_idle = partial(while_idle, machine)
        worker.on_settled = reserve.keep  # full collections come every minute or so from then on, not every six
        # no fork: the sampler is a child of this process, and a killed worker takes its job with it
        try:
            with beating(worker.name, impatient_connection()):
                worker.work(burst=is_burst, logging_level="WARNING")
        finally:
            release_recorder(machine.pk)
