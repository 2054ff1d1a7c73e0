import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar

import pytest
from pytest_django import Settings
from redis.exceptions import RedisError
from rq import Queue, SimpleWorker, Worker
from rq.registry import StartedJobRegistry

from benchmarks import jobs
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.models import Machine, Measurement, Response, ResponseAttempt, Study
from benchmarks.queueing import (
    QueueState,
    enqueue_again,
    enqueue_periodic,
    enqueue_study,
    job_id_of,
    queue_of,
    queue_state,
    take_up_work,
)
from benchmarks.studying import pause
from tests.factories import NOW, make_machine, make_pending_study

pytestmark = pytest.mark.django_db

TEXTS = ("One?", "Two?", "Three?")
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def machine(settings: Settings) -> Iterator[Machine]:
    """Work on a machine of this process alone: its sampler and its queue go by its name."""
    settings.MACHINE_NAME = f"test-queueing-{os.getpid()}"
    machine = make_machine(settings.MACHINE_NAME)
    queue_of(machine).empty()  # type: ignore[no-untyped-call]  # rq leaves it without types
    yield machine
    queue_of(machine).empty()  # type: ignore[no-untyped-call]  # rq leaves it without types
    if jobs.process_recorder.cache_info().currsize:
        jobs.process_recorder(machine.pk).stop()
    jobs.process_recorder.cache_clear()


@pytest.fixture
def queue(machine: Machine) -> Queue:
    return queue_of(machine)


@pytest.fixture
def server() -> Iterator[ScriptedOllama]:
    with ScriptedOllama([ScriptedModel("tiny")], answers={}) as running:
        yield running


@pytest.fixture
def study(machine: Machine, server: ScriptedOllama) -> Study:
    return make_pending_study(server.base_url, *TEXTS, machine=machine, sampling_period_ms=20)


def ids_of(study: Study) -> list[int]:
    return list(study.responses.in_order().values_list("pk", flat=True))


def waiting(queue: Queue) -> list[int]:
    """Return the responses that jobs on the queue would measure, in order."""
    fetched = [queue.fetch_job(job_id) for job_id in queue.get_job_ids()]
    return [job.args[0] for job in fetched if job is not None]


def crash_worker(queue: Queue) -> Response:
    """Leave what a worker leaves that is killed in the middle of its first job."""
    worker = Worker([queue], connection=queue.connection)
    worker.register_birth()  # type: ignore[no-untyped-call]  # rq leaves it without types
    dequeued = Queue.dequeue_any([queue], timeout=None, connection=queue.connection)
    assert dequeued is not None
    job, _ = dequeued
    worker.prepare_execution(job)
    worker.prepare_job_execution(job)
    response = Response.objects.get(pk=job.args[0])
    ResponseAttempt.objects.create(response=response, number=1, started_at=NOW, worker="killed")
    response.state = Response.State.RUNNING
    response.save()
    return response


def work(queue: Queue) -> None:
    SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="WARNING")


class TestEnqueueStudy:
    def test_puts_each_response_on_the_queue_of_its_machine_in_order(self, study: Study, queue: Queue) -> None:
        assert enqueue_study(study=study) == 3

        assert waiting(queue) == ids_of(study)
        assert queue.name == f"measure-{study.machine}"

    def test_twice_puts_nothing_there_twice(self, study: Study, queue: Queue) -> None:
        enqueue_study(study=study)

        assert enqueue_study(study=study) == 0
        assert len(queue) == 3

    def test_knows_a_response_that_waits_for_another_attempt(self, study: Study, queue: Queue) -> None:
        response = study.responses.in_order()[0]
        enqueue_again(response=response)

        assert enqueue_study(study=study) == 2
        assert waiting(queue) == ids_of(study)

    def test_fills_a_queue_again_that_was_emptied(self, study: Study, queue: Queue) -> None:
        enqueue_study(study=study)
        queue.empty()  # type: ignore[no-untyped-call]  # rq leaves it without types

        assert enqueue_study(study=study) == 3

    def test_leaves_out_what_is_done(self, study: Study, queue: Queue) -> None:
        first, second, third = study.responses.in_order()
        Response.objects.filter(pk=first.pk).update(state="finished", finished_at=NOW)
        Response.objects.filter(pk=second.pk).update(state="cancelled")

        assert enqueue_study(study=study) == 1
        assert waiting(queue) == [third.pk]

    def test_without_a_machine_does_nothing(self) -> None:
        assert enqueue_study(study=Study(kind="imported")) == 0


class TestEnqueueAgain:
    def test_goes_before_all_others(self, study: Study, queue: Queue) -> None:
        enqueue_study(study=study)
        queue.remove(job_id_of(ids_of(study)[2]))

        enqueue_again(response=study.responses.in_order()[2])

        first, second, third = ids_of(study)
        assert waiting(queue) == [third, first, second]


class TestTakeUpWork:
    @pytest.mark.slow
    def test_measures_each_response_once_after_a_crash(self, study: Study, machine: Machine, queue: Queue) -> None:
        enqueue_study(study=study)
        in_flight = crash_worker(queue)
        assert len(queue) == 2

        assert take_up_work(machine=machine, now=LATER) == 3
        assert waiting(queue) == ids_of(study)
        work(queue)

        study.refresh_from_db()
        assert study.state == "finished"
        assert Measurement.objects.filter(response__study=study).count() == 3
        outcomes = in_flight.attempts.order_by("number").values_list("number", "outcome")
        assert list(outcomes) == [(1, "lost"), (2, "finished")]

    def test_forgets_the_dead_worker_and_its_job(self, study: Study, machine: Machine, queue: Queue) -> None:
        enqueue_study(study=study)
        crash_worker(queue)
        assert Worker.count(queue=queue) == 1

        take_up_work(machine=machine, now=LATER)

        assert Worker.count(queue=queue) == 0
        assert len(StartedJobRegistry(queue=queue)) == 0

    def test_leaves_the_worker_and_the_jobs_of_another_machine_alone(
        self, machine: Machine, server: ScriptedOllama
    ) -> None:
        other = make_machine(f"{machine.name}-other")
        study = make_pending_study(server.base_url, *TEXTS, machine=other, sampling_period_ms=20)
        queue = queue_of(other)
        enqueue_study(study=study)
        crash_worker(queue)  # to whoever looks at it from elsewhere, it is at work
        before = waiting(queue)
        try:
            assert take_up_work(machine=machine, now=LATER) == 0

            assert Worker.count(queue=queue) == 1
            assert len(StartedJobRegistry(queue=queue)) == 1
            assert waiting(queue) == before
            assert len(before) == 2
        finally:
            take_up_work(machine=other, now=LATER)
            queue.empty()  # type: ignore[no-untyped-call]  # rq leaves it without types

    def test_fills_an_emptied_queue(self, study: Study, machine: Machine, queue: Queue) -> None:
        enqueue_study(study=study)
        queue.empty()  # type: ignore[no-untyped-call]  # rq leaves it without types

        assert take_up_work(machine=machine, now=LATER) == 3
        assert waiting(queue) == ids_of(study)

    @pytest.mark.slow
    def test_measures_each_response_once_with_duplicates_on_the_queue(
        self, study: Study, machine: Machine, queue: Queue, server: ScriptedOllama
    ) -> None:
        enqueue_study(study=study)
        for response in study.responses.in_order():
            enqueue_again(response=response)
            queue.push_job_id(job_id_of(response.pk))
        assert len(queue) == 9

        assert take_up_work(machine=machine, now=LATER) == 3
        work(queue)

        asked = [request for request in server.requests if request.body.get("messages")]
        assert (len(asked), ResponseAttempt.objects.count(), Measurement.objects.count()) == (3, 3, 3)

    def test_twice_takes_up_the_same(self, study: Study, machine: Machine, queue: Queue) -> None:
        take_up_work(machine=machine, now=LATER)

        assert take_up_work(machine=machine, now=LATER) == 3
        assert len(queue) == 3

    def test_finishes_a_study_whose_worker_died_after_the_last_response(self, study: Study, machine: Machine) -> None:
        study.responses.update(state="finished", finished_at=NOW)

        assert take_up_work(machine=machine, now=LATER) == 0

        study.refresh_from_db()
        assert (study.state, study.finished_at) == ("finished", LATER)

    def test_leaves_a_paused_study_in_peace(self, study: Study, machine: Machine, queue: Queue) -> None:
        enqueue_study(study=study)
        pause(study=study)

        assert take_up_work(machine=machine, now=LATER) == 0
        assert queue.is_empty()

    @pytest.mark.slow
    def test_touches_nothing_of_another_machine(
        self, study: Study, machine: Machine, queue: Queue, server: ScriptedOllama
    ) -> None:
        other = make_machine(f"{machine}-other")
        theirs = make_pending_study("http://127.0.0.1:2", "One?", "Two?", machine=other)
        enqueue_study(study=theirs)
        crash_worker(queue_of(other))
        stranger = queue.enqueue("os.getpid", job_id="not-ours")

        take_up_work(machine=machine, now=LATER)

        assert len(StartedJobRegistry(queue=queue_of(other))) == 1
        assert Worker.count(queue=queue_of(other)) == 1
        assert waiting(queue_of(other)) == ids_of(theirs)[1:]
        assert queue.get_job_ids()[0] == stranger.id
        take_up_work(machine=other, now=LATER)
        queue_of(other).empty()  # type: ignore[no-untyped-call]  # rq leaves it without types


class TestQueueState:
    def test_counts_the_jobs_that_wait_and_the_workers_that_listen(self, machine: Machine) -> None:
        queue = queue_of(machine)
        study = make_pending_study("http://127.0.0.1:1", "One?", "Two?", machine=machine)
        enqueue_study(study=study)
        assert queue_state(machine=machine) == QueueState(worker_count=0, waiting_count=2)
        worker = SimpleWorker([queue], connection=queue.connection)
        worker.register_birth()
        assert queue_state(machine=machine) == QueueState(worker_count=1, waiting_count=2)
        worker.register_death()
        assert queue_state(machine=machine).worker_count == 0

    def test_counts_no_worker_that_is_stopped_or_dead(self, machine: Machine) -> None:
        queue = queue_of(machine)
        with subprocess.Popen(["sleep", "300"]) as process:
            worker = SimpleWorker([queue], connection=queue.connection)
            worker.pid = process.pid
            worker.register_birth()
            try:
                assert queue_state(machine=machine).worker_count == 1
                process.send_signal(signal.SIGSTOP)
                os.waitpid(process.pid, os.WUNTRACED)  # until it has stopped
                assert queue_state(machine=machine).worker_count == 0
            finally:
                process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # until it is dead, and unburied
            assert queue_state(machine=machine).worker_count == 0
            worker.register_death()

    def test_gives_up_soon_where_the_queue_is_away(self, machine: Machine, settings: Settings) -> None:
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        begun = time.monotonic()
        with pytest.raises(RedisError):
            queue_state(machine=machine)
        assert time.monotonic() - begun < 5


class TestEnqueuePeriodic:
    NAME = "tests.benchmarks.test_queueing.count_up"
    counted: ClassVar[list[bool]] = []

    @pytest.fixture(autouse=True)
    def default(self, machine: Machine) -> Iterator[Queue]:
        queue = Queue("default", connection=queue_of(machine).connection)
        queue.empty()  # type: ignore[no-untyped-call]  # rq leaves it without types
        self.counted.clear()
        yield queue
        queue.empty()  # type: ignore[no-untyped-call]  # rq leaves it without types

    def test_puts_a_job_there_once_until_it_has_run(self, default: Queue) -> None:
        for _ in range(3):
            enqueue_periodic(names=[self.NAME], connection=default.connection)
        assert len(default) == 1
        work(default)
        enqueue_periodic(names=[self.NAME], connection=default.connection)
        work(default)
        assert len(self.counted) == 2

    @pytest.mark.slow
    def test_tries_a_job_again_that_failed(self, default: Queue) -> None:
        self.counted.append(True)
        self.counted.append(True)  # the third fails
        enqueue_periodic(names=[self.NAME], connection=default.connection)
        work(default)
        self.counted.clear()
        enqueue_periodic(names=[self.NAME], connection=default.connection)
        work(default)
        assert len(self.counted) == 1


def count_up() -> None:
    """Count, and fail the third time."""
    TestEnqueuePeriodic.counted.append(True)
    if len(TestEnqueuePeriodic.counted) == 3:
        raise ValueError("three is too much")
