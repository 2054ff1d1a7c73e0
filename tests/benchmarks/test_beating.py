"""A worker of another host is known to live by its own signs of life, and soon to be gone without them."""

import os
import threading
from collections.abc import Iterator

import pytest
from django.conf import settings as django_settings
from pytest_django.fixtures import Settings
from redis import Redis
from rq import Worker

from benchmarks.beating import SILENT_S, beat, beating, has_beaten
from benchmarks.models import Machine
from benchmarks.queueing import impatient_connection, queue_of, queue_state, take_up_work
from tests.factories import NOW, make_machine, make_pending_study

pytestmark = pytest.mark.django_db
NAME = f"test-beating-{os.getpid()}"


@pytest.fixture
def valkey() -> Iterator[Redis]:
    with impatient_connection() as connection:
        yield connection


class TestBeating:
    def test_says_so_until_it_ends(self, valkey: Redis) -> None:
        beats = threading.Semaphore(0)

        class Counting:
            """The connection, and a count of what is set."""

            delete = staticmethod(valkey.delete)

            @staticmethod
            def set(*args: object, **more: object) -> None:
                valkey.set(*args, **more)  # type: ignore[arg-type]  # as given
                beats.release()

        with beating(NAME, Counting(), every_s=0.01):  # type: ignore[arg-type]  # what is used of it
            for _ in range(3):
                assert beats.acquire(timeout=30)
            assert has_beaten(NAME, valkey)
            assert 0 < int(valkey.ttl(f"greenllm:beat:{NAME}")) <= SILENT_S  # type: ignore[arg-type]
        assert not has_beaten(NAME, valkey)
        assert not [one for one in threading.enumerate() if one.name == "beating"]

    def test_gets_over_a_queue_that_is_away(self, settings: Settings) -> None:
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        with impatient_connection() as away, beating(NAME, away):
            pass


class TestConnectionOfPages:
    def test_stays_for_the_next_page(self, valkey: Redis) -> None:
        with impatient_connection() as other:
            number = other.client_id()
        with impatient_connection() as another:
            assert another.client_id() == number
            assert valkey.ping()

    def test_is_made_anew_where_the_server_has_closed_it(self, valkey: Redis) -> None:
        with impatient_connection() as other:
            number = other.client_id()
        with Redis.from_url(django_settings.REDIS_URL) as killer:
            assert killer.client_kill_filter(_id=str(number)) == 1
        with impatient_connection() as another:
            assert another.client_id() != number


class TestWorkerOfAnotherHost:
    @pytest.fixture
    def machine(self) -> Machine:
        return make_machine(NAME)

    @pytest.fixture
    def worker(self, machine: Machine, valkey: Redis) -> Iterator[Worker]:
        """A worker of another host at a long job: RQ itself takes it for alive for an hour."""
        queue = queue_of(machine)
        worker = Worker([queue], connection=queue.connection)
        worker.hostname = "elsewhere.example"
        worker.register_birth()  # type: ignore[no-untyped-call]  # rq leaves it without types
        worker.heartbeat(3600)
        yield worker
        worker.register_death()  # type: ignore[no-untyped-call]
        valkey.delete(f"greenllm:beat:{worker.name}")
        queue_of(machine).empty()  # type: ignore[no-untyped-call]

    def test_counts_while_it_gives_signs_of_life(self, machine: Machine, worker: Worker, valkey: Redis) -> None:
        assert queue_state(machine=machine).worker_count == 0
        beat(worker.name, valkey)
        assert queue_state(machine=machine).worker_count == 1
        valkey.pexpire(f"greenllm:beat:{worker.name}", 1)  # which is what time does to it
        while has_beaten(worker.name, valkey):
            pass
        assert queue_state(machine=machine).worker_count == 0

    def test_keeps_its_queue_while_it_lives(
        self, machine: Machine, worker: Worker, valkey: Redis, caplog: pytest.LogCaptureFixture
    ) -> None:
        study = make_pending_study("http://127.0.0.1:1", "One?", machine=machine)
        assert study.state == "running"
        beat(worker.name, valkey)
        assert take_up_work(machine=machine, now=NOW) == 0
        assert Worker.count(queue=queue_of(machine)) == 1
        assert queue_of(machine).count == 0
        assert "elsewhere.example" in caplog.text

    def test_loses_it_once_it_is_gone(self, machine: Machine, worker: Worker) -> None:
        make_pending_study("http://127.0.0.1:1", "One?", machine=machine)
        assert take_up_work(machine=machine, now=NOW) == 1
        assert Worker.count(queue=queue_of(machine)) == 0
