import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, close_old_connections, connection
from django.db.models import Q
from django.utils import timezone
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import SimpleWorker

from benchmarks import jobs
from benchmarks.federating import wait_for_server
from benchmarks.inference.scripted import Fault, FaultKind, ScriptedModel, ScriptedOllama
from benchmarks.jobs import release_recorder
from benchmarks.locking import machine_lock
from benchmarks.management.commands import work as work_command
from benchmarks.management.commands.work import MachineWorker
from benchmarks.models import EnergyFit, Machine, Measurement, Response, ResponseAttempt, Study
from benchmarks.queueing import enqueue_study, queue_of
from benchmarks.recording import RecorderBusy, recorder_for
from benchmarks.studying import pause, start
from tests.factories import NOW, make_machine, make_pending_study

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

MODELS = [ScriptedModel("tiny", digest="1"), ScriptedModel("large", digest="2")]
BREAKS_ONCE = Fault(FaultKind.CUT, times=2)  # loading uses it up once without harm
ANSWERS = {"One?": "The answer is 1.", "Two?": "The answer is 2."}


@pytest.fixture(autouse=True)
def machine(settings: Settings) -> Iterator[Machine]:
    """Work on a machine of this process alone: its sampler and its queue go by its name."""
    settings.MACHINE_NAME = f"test-jobs-{os.getpid()}"
    machine = make_machine(settings.MACHINE_NAME)
    queue_of(machine).empty()  # type: ignore[no-untyped-call]  # rq leaves it without types
    yield machine
    if jobs.process_recorder.cache_info().currsize:
        jobs.process_recorder(machine.pk).stop()
    jobs.process_recorder.cache_clear()


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_PAUSES_S", (0.0,))
    monkeypatch.setattr(jobs, "_BUSY_PAUSE_S", 0.0)


def serve(*faults: Fault) -> ScriptedOllama:
    return ScriptedOllama(MODELS, answers=ANSWERS, faults=faults)


def make_study(base_url: str, machine: Machine, **options: Any) -> Study:
    return make_pending_study(base_url, *ANSWERS, machine=machine, sampling_period_ms=20, **options)


def work(study: Study) -> None:
    """Let a worker do all that is on the queue of a study's machine."""
    assert study.machine is not None
    queue = queue_of(study.machine)
    SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="WARNING")
    study.refresh_from_db()


def asked_models(server: ScriptedOllama) -> list[object]:
    chats = [request.body for request in server.requests if request.path == "/api/chat"]
    return [body["model"] for body in chats if body.get("messages")]


def states_of(study: Study) -> list[str]:
    return list(study.responses.in_order().values_list("state", flat=True))


@pytest.mark.django_db(transaction=True)
class TestIdleWorker:
    def test_lets_go_of_the_sampler_and_takes_it_again(self, machine: Machine) -> None:
        """While it waits a second installation could measure; with the next job its own sampler is back."""
        queue = queue_of(machine)
        worker = MachineWorker([queue], connection=queue.connection)
        worker.idle_before_release_s = 1
        was_free: list[bool] = []

        def on_idle() -> None:
            was_free.append(can_sample(machine))
            release_recorder(machine.pk)
            was_free.append(can_sample(machine))
            enqueue_study(study=second)

        worker.on_idle = on_idle
        with serve() as server:
            first, second = (make_study(server.base_url, machine, models=(model,)) for model in ("tiny", "large"))
            enqueue_study(study=first)
            worker.work(max_jobs=4, logging_level="WARNING")

        assert was_free == [False, True]
        assert [states_of(one) for one in (first, second)] == [["finished", "finished"]] * 2
        assert Measurement.objects.scored().count() == 4
        assert not can_sample(machine)

    def test_has_patience_and_maintenance_by_a_clock_that_nobody_sets(self, machine: Machine) -> None:
        """RQ goes by the wall clock, which set back two hours would keep both from coming for two hours."""
        worker = MachineWorker([queue_of(machine)], connection=queue_of(machine).connection)
        moment = [100.0]
        worker.clock = lambda: moment[0]
        idle: list[float] = []
        worker.on_idle = lambda: idle.append(moment[0])
        worker._maintained_s, worker._idle_since_s = 100.0, 100.0
        worker.last_cleaned_at = timezone.now() + timedelta(hours=2)  # before the clock was set back
        for at in (105.0, 110.0, 115.0, 120.0):
            moment[0] = at
            assert not worker.should_run_maintenance_tasks
        assert idle == [110.0, 120.0]
        moment[0] = 100.0 + worker.maintenance_interval
        assert worker.should_run_maintenance_tasks

    def test_that_never_measured_has_nothing_to_let_go_of(self, machine: Machine) -> None:
        release_recorder(machine.pk)
        assert can_sample(machine)


@pytest.mark.django_db(transaction=True)
class TestWorker:
    def test_begins_no_job_while_postgres_is_away(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = iter([False, False, True])
        monkeypatch.setattr(work_command, "_answers", lambda: next(answers))
        monkeypatch.setattr(work_command, "_POSTGRES_PAUSE_S", 0.0)
        queue = queue_of(machine)
        job = queue.enqueue(len, [1, 2])
        MachineWorker([queue], connection=queue.connection).work(burst=True, logging_level="ERROR")
        assert job.return_value() == 2
        assert next(answers, None) is None

    def test_notices_that_postgres_went_away_under_a_kept_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OperationalError("refused")

        with work_command.kept_connections():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                ended = cursor.fetchone()[0]
            address: Any = {**connection.get_connection_params(), "cursor_factory": psycopg.Cursor}
            with psycopg.connect(**address) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [ended])
            close_old_connections()
            with monkeypatch.context() as away:
                away.setattr(connection, "get_new_connection", refuse)
                assert not work_command._answers()
            assert work_command._answers()

    def test_fills_a_queue_that_was_emptied(self, machine: Machine) -> None:
        with serve() as server:
            study = make_study(server.base_url, machine)
            enqueue_study(study=study)
            queue_of(machine).empty()  # type: ignore[no-untyped-call]
            work_command.while_idle(machine)
            assert queue_of(machine).count == 2

    def test_gets_over_an_idle_moment_without_the_queue(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def away(**_: object) -> int:
            raise RedisConnectionError("refused")

        monkeypatch.setattr(work_command, "take_up_forgotten", away)
        work_command.while_idle(machine)
        assert "cannot be seen" in caplog.text


def can_sample(machine: Machine) -> bool:
    """Tell whether another process may sample the machine: try it."""
    other = recorder_for(machine)
    try:
        other.ensure_running(period_ns=20_000_000)
    except RecorderBusy:
        return False
    other.stop()
    return True


class TestEndOfStudy:
    def test_fits_energy_against_length(self, machine: Machine) -> None:
        with serve() as server:
            study = make_study(server.base_url, machine, repeats=4)
            enqueue_study(study=study)
            work(study)
        fit = EnergyFit.objects.get()
        assert (fit.deployment.language_model.name, fit.answer_count) == ("tiny", 8)
        waits = ResponseAttempt.objects.values_list("load_wait_s", flat=True)
        assert all(wait is not None and wait > 0 for wait in waits)

    def test_of_few_answers_fits_nothing(self, machine: Machine) -> None:
        with serve() as server:
            study = make_study(server.base_url, machine)
            enqueue_study(study=study)
            work(study)
        assert study.state == Study.State.FINISHED
        assert not EnergyFit.objects.exists()


class TestServerAway:
    def test_is_not_waited_for_once_the_study_is_paused(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slept_s: list[float] = []

        def sleep(seconds: float) -> None:
            slept_s.append(seconds)
            if len(slept_s) == 4:
                Study.objects.filter(state="running").update(state="paused")

        monkeypatch.setattr(
            jobs, "wait_for_server", partial(wait_for_server, sleep=sleep, monotonic=lambda: sum(slept_s))
        )
        study = make_study("http://127.0.0.1:9", machine)
        enqueue_study(study=study)

        work(study)

        assert (slept_s, states_of(study)) == ([0.25, 0.5, 1.0, 1.0], ["pending", "pending"])
        assert not ResponseAttempt.objects.exists()


class TestMeasureResponse:
    def test_looks_at_the_temperatures_before_each_answer(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Hot at the first look, so it waits one interval of the rule, which is a moment here."""
        looks = iter([71.0, 50.0, 52.0])
        thermometers = (lambda: {"cpu": next(looks)}, lambda: {"gpu A": None})
        monkeypatch.setattr(jobs, "process_thermometers", lambda: thermometers)
        monkeypatch.setattr(jobs, "_COOLDOWN_INTERVAL_S", 0.001)
        with serve() as server:
            study = make_study(server.base_url, machine)
            Study.objects.filter(pk=study.pk).update(cooldown_limit_c=60)
            enqueue_study(study=study)
            work(study)

        first, second = ResponseAttempt.objects.order_by("started_at")
        assert study.state == "finished"
        assert first.cooldown_note == "cooled from 71 °C to 50 °C in 0 s; not readable: gpu A"
        assert first.cooldown_s is not None
        assert first.cooldown_s > 0
        assert (second.cooldown_s, second.start_temperature_c) == (0.0, 52.0)

    def test_lets_go_of_a_hot_machine_when_the_study_is_paused_and_comes_back(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        temperature_c = [71.0]

        def look() -> dict[str, float]:
            Study.objects.filter(hot, state="running").update(state="paused")
            return {"cpu": temperature_c[0]}

        hot = Q(responses__attempts__cooldown_note__startswith="cooling down from 71 °C to 55 °C")
        monkeypatch.setattr(jobs, "process_thermometers", lambda: (look,))
        monkeypatch.setattr(jobs, "_COOLDOWN_INTERVAL_S", 0.001)
        with serve() as server:
            study = make_study(server.base_url, machine)
            Study.objects.filter(pk=study.pk).update(cooldown_limit_c=60)
            enqueue_study(study=study)
            work(study)
            assert (study.state, states_of(study)) == ("paused", ["pending", "pending"])
            assert not ResponseAttempt.objects.exists()

            temperature_c[0] = 50.0
            start(study=study, now=timezone.now())
            enqueue_study(study=study)
            work(study)

        assert (study.state, states_of(study)) == ("finished", ["finished", "finished"])

    def test_runs_a_study_to_its_end_each_model_in_one_go(self, machine: Machine) -> None:
        with serve() as server:
            study = make_study(server.base_url, machine, models=("tiny", "large"))
            assert enqueue_study(study=study) == 4

            work(study)

        assert (study.state, states_of(study)) == ("finished", ["finished"] * 4)
        assert [response.text for response in study.responses.in_order()] == [*ANSWERS.values()] * 2
        assert asked_models(server) == ["tiny", "tiny", "large", "large"]
        assert Measurement.objects.scored().filter(response__study=study, quality="estimated").count() == 4
        assert queue_of(machine).is_empty()

    def test_tries_again_before_it_goes_on_to_the_next_response(self, machine: Machine) -> None:
        with serve(BREAKS_ONCE) as server:
            study = make_study(server.base_url, machine)
            enqueue_study(study=study)

            work(study)

        attempts = ResponseAttempt.objects.order_by("started_at").values_list("response__prompt__text", "outcome")
        assert study.state == "finished"
        assert list(attempts) == [("One?", "failed"), ("One?", "finished"), ("Two?", "finished")]

    @pytest.mark.usefixtures("no_pause")
    def test_finishes_a_study_with_responses_that_failed_for_good(self, machine: Machine) -> None:
        with serve(Fault(FaultKind.STATUS, model="tiny")) as server:
            study = make_study(server.base_url, machine, models=("tiny", "large"))
            enqueue_study(study=study)

            work(study)

        assert (study.state, states_of(study)) == ("finished", ["failed", "failed", "finished", "finished"])
        assert ResponseAttempt.objects.filter(outcome="failed").count() == 2 * study.max_attempts

    def test_skips_a_paused_study_and_goes_on_after_its_resume(self, machine: Machine) -> None:
        with serve() as server:
            study = make_study(server.base_url, machine)
            enqueue_study(study=study)
            pause(study=study)
            work(study)
            assert (study.state, states_of(study)) == ("paused", ["pending", "pending"])
            assert server.requests == ()

            start(study=study, now=NOW)
            assert enqueue_study(study=study) == 2
            work(study)

        assert (study.state, states_of(study)) == ("finished", ["finished", "finished"])

    def test_does_not_wait_for_a_server_that_no_response_needs(self, machine: Machine) -> None:
        study = make_study("http://127.0.0.1:1", machine)
        pause(study=study)

        assert jobs.measure_response(study.responses.in_order()[0].pk) == "skipped"

    def test_twice_does_no_harm(self, machine: Machine) -> None:
        with serve() as server:
            study = make_study(server.base_url, machine)
            response_id = study.responses.in_order()[0].pk

            outcomes = [jobs.measure_response(response_id), jobs.measure_response(response_id)]

        assert outcomes == ["finished", "skipped"]
        assert (Measurement.objects.count(), ResponseAttempt.objects.count()) == (1, 1)

    @pytest.mark.usefixtures("no_pause")
    def test_stays_on_the_queue_while_another_worker_measures(self, machine: Machine) -> None:
        with serve() as server:
            study = make_study(server.base_url, machine)
            response = study.responses.in_order()[0]
            with machine_lock(machine.pk):
                held = (
                    connection.cursor()
                    .execute("SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'")
                    .fetchone()
                )
            with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other_worker:
                other_worker.execute("SELECT pg_advisory_lock(%s, %s)", held)

                assert jobs.measure_response(response.pk) == "busy"

        assert not ResponseAttempt.objects.exists()
        assert len(queue_of(machine)) == 1

    def test_fails_a_response_for_a_reason_that_nobody_foresaw(
        self, machine: Machine, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def connect(_response: Response) -> None:
            raise LookupError("no client for the kind 'carrier'")

        monkeypatch.setattr(jobs, "_connect", connect)
        with serve() as server:
            study = make_study(server.base_url, machine)
            enqueue_study(study=study)

            work(study)

        assert (study.state, states_of(study)) == ("finished", ["failed", "failed"])
        assert "no client for the kind 'carrier'" in Response.objects.all()[0].error
        assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [
            True,
            True,
        ]

    def test_fails_a_response_on_a_machine_with_wrong_meters(self, machine: Machine) -> None:
        Machine.objects.filter(pk=machine.pk).update(meters=[{"model": "wattmeter"}])
        with serve() as server:
            study = make_study(server.base_url, machine)

            assert jobs.measure_response(study.responses.in_order()[0].pk) == "failed"

        assert study.responses.in_order()[0].error.startswith(f"meters of the machine {machine}")

    def test_refuses_the_work_of_another_machine(self, settings: Settings, machine: Machine) -> None:
        study = make_study("http://127.0.0.1:1", machine)
        settings.MACHINE_NAME = "elsewhere"

        with pytest.raises(RuntimeError, match=f"start a worker there with GREENLLM_MACHINE={machine}"):
            jobs.measure_response(study.responses.in_order()[0].pk)
        assert states_of(study) == ["pending", "pending"]

    def test_of_a_response_that_is_gone_is_skipped(self) -> None:
        assert jobs.measure_response(1) == "skipped"
