"""Run the worker of this machine: it measures responses and does the other jobs between them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django_rq
from django.conf import settings
from django.core.management.base import CommandParser
from django.db import close_old_connections, connections
from django.utils import timezone
from rq import Queue, SimpleWorker
from rq.job import Job

from benchmarks.federating import ensure_machine
from benchmarks.jobs import process_recorder
from benchmarks.management.telling import TellingCommand
from benchmarks.queueing import enqueue_periodic, queue_of, take_up_work


class MachineWorker(SimpleWorker):
    """Works without a fork, and gets over a Postgres that was restarted: each job begins with a good connection."""

    def execute_job(self, job: Job, queue: Queue) -> None:
        """Run one job in this process."""
        close_old_connections()
        super().execute_job(job, queue)

    def run_maintenance_tasks(self) -> None:
        """Every ten minutes or so, and never beside a job, also put the periodic jobs on the default queue."""
        super().run_maintenance_tasks()  # type: ignore[no-untyped-call]  # rq leaves it without types
        enqueue_periodic(names=settings.PERIODIC_JOBS, connection=self.connection)


@contextmanager
def kept_connections() -> Iterator[None]:
    """Keep this process's connections to Postgres from job to job, each looked at before a job uses it.

    A new one for each answer costs 15 ms: its server process knows no table yet. Web processes go without, because
    under ASGI a kept connection is never given back; whoever works inside another program leaves that as it was.
    """
    before = {connection.alias: dict(connection.settings_dict) for connection in connections.all()}
    for connection in connections.all():
        connection.settings_dict.update(CONN_MAX_AGE=None, CONN_HEALTH_CHECKS=True)
        connection.close()  # the next one goes by these settings
    try:
        yield
    finally:
        for connection in connections.all():
            connection.settings_dict.update(before[connection.alias])
            connection.close()


class Command(TellingCommand):
    help = "Run the one worker of this machine (GREENLLM_MACHINE): it takes up what a killed one left."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--burst", action="store_true", help="Stop when the queues are empty.")

    def handle(self, *args: Any, **options: Any) -> None:
        with kept_connections():
            self._work(is_burst=options["burst"])

    def _work(self, *, is_burst: bool) -> None:
        machine = ensure_machine(name=settings.MACHINE_NAME)
        taken_up = take_up_work(machine=machine, now=timezone.now())
        self.stdout.write(f"Worker of {machine} on the queues default, {machine.queue_name}; {taken_up} taken up.")
        # short jobs first: they run between two measurements, never beside one
        worker = MachineWorker(
            [django_rq.get_queue("default"), queue_of(machine)],
            connection=django_rq.get_connection("default"),
        )
        # no fork: the sampler is a child of this process, and a killed worker takes its job with it
        try:
            worker.work(burst=is_burst, logging_level="WARNING")
        finally:
            process_recorder(machine.pk).stop()
