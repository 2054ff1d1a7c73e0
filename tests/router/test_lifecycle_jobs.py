"""The jobs that move models on, over the real queue, with a worker that measures."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings
from rq import Queue, SimpleWorker

from benchmarks import jobs as measuring_jobs
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.models import Machine, ModelEvaluation, Response, Study
from benchmarks.queueing import queue_of
from router.joining import open_evaluation, request_evaluation
from router.lifecycle_jobs import advance_models, enqueue_try, try_model
from tests import factories as make
from tests.factories import NOW
from tests.router.joining_federation import Wide, make_wide

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def machine(settings: Settings) -> Iterator[Machine]:
    """Work on a machine of this process alone: its sampler and its queue go by its name."""
    settings.MACHINE_NAME = f"test-lifecycle-{os.getpid()}"
    machine = make.make_machine(settings.MACHINE_NAME)
    for queue in queues(machine):
        queue.empty()  # type: ignore[no-untyped-call]  # rq leaves it without types
    yield machine
    if measuring_jobs.process_recorder.cache_info().currsize:
        measuring_jobs.process_recorder(machine.pk).stop()
    measuring_jobs.process_recorder.cache_clear()
    for queue in queues(machine):
        queue.empty()  # type: ignore[no-untyped-call]


def queues(machine: Machine) -> list[Queue]:
    of_machine = queue_of(machine)
    return [Queue("default", connection=of_machine.connection), of_machine]


def make_small(machine: Machine, base_url: str) -> Wide:
    """Make the federation on this machine, with an index of two prompts only, so that measuring takes a moment."""
    make.make_server(machine, base_url)
    wide = make_wide(base_url)
    from tests.router.standins import make_index

    make_index(
        [wide.federation.math, wide.federation.code], embedder=wide.federation.embedder, store=wide.federation.store
    )
    return wide


def work(machine: Machine) -> None:
    both = queues(machine)
    SimpleWorker(both, connection=both[0].connection).work(burst=True, logging_level="WARNING")


class TestTheWholeWay:
    def test_goes_from_asked_for_to_labeling_without_a_page(self, machine: Machine) -> None:
        with ScriptedOllama([ScriptedModel("new")], answers={}) as server:
            wide = make_small(machine, server.base_url)
            evaluation = request_evaluation(deployment=wide.new, now=NOW)
            assert enqueue_try(evaluation=evaluation)
            assert not enqueue_try(evaluation=evaluation)
            work(machine)
        evaluation.refresh_from_db()
        wide.new.refresh_from_db()
        assert evaluation.study is not None
        assert (evaluation.problem, evaluation.study.state, evaluation.step) == ("", "finished", "labeling")
        assert wide.new.state == "labeling"
        assert "the prompt has no check" in evaluation.grading_note
        answers = Response.objects.filter(study=evaluation.study)
        assert [one.state for one in answers] == ["finished", "finished"]
        assert all(one.measurement is not None for one in answers)

    def test_asks_only_the_new_model(self, machine: Machine) -> None:
        with ScriptedOllama([ScriptedModel("new")], answers={}) as server:
            wide = make_small(machine, server.base_url)
            try_model(request_evaluation(deployment=wide.new, now=NOW).pk)
            work(machine)
            asked = {body["model"] for body in (one.body for one in server.requests) if "model" in body}
        assert asked == {"new"}


class TestTrying:
    def test_keeps_the_problem_and_raises_nothing(self, machine: Machine) -> None:
        wide = make_small(machine, "http://127.0.0.1:1")
        evaluation = request_evaluation(deployment=wide.new, now=NOW)
        assert "does not answer" in try_model(evaluation.pk)
        evaluation.refresh_from_db()
        assert "Start it" in evaluation.problem

    def test_twice_does_no_harm(self, machine: Machine) -> None:
        with ScriptedOllama([ScriptedModel("new")], answers={}) as server:
            wide = make_small(machine, server.base_url)
            evaluation = request_evaluation(deployment=wide.new, now=NOW)
            assert try_model(evaluation.pk) == "2 responses put on the queue."
            assert try_model(evaluation.pk) == "0 responses put on the queue."
        assert Study.objects.filter(evaluation__isnull=False).count() == 1

    def test_of_an_evaluation_that_is_over_does_nothing(self) -> None:
        assert try_model(0) == "The evaluation is over."


class TestAdvancing:
    def test_fills_a_queue_that_was_emptied(self, machine: Machine) -> None:
        wide = make_small(machine, "http://127.0.0.1:1")
        evaluation = request_evaluation(deployment=wide.new, now=NOW)
        assert advance_models() == "0 models moved on."
        assert queue_of(machine).get_job_ids() == [f"try-model-{evaluation.pk}"]

    def test_leaves_one_with_a_problem_to_a_person(self, machine: Machine) -> None:
        wide = make_small(machine, "http://127.0.0.1:1")
        request_evaluation(deployment=wide.new, now=NOW)
        ModelEvaluation.objects.update(problem="Its server is away.")
        advance_models()
        assert queue_of(machine).get_job_ids() == []

    def test_tells_that_grading_broke_off_and_moves_the_others_on(
        self, machine: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        wide = make_small(machine, "http://127.0.0.1:1")
        stuck = request_evaluation(deployment=wide.new, now=NOW)
        study = make.make_study(state=Study.State.FINISHED, finished_at=NOW)
        ModelEvaluation.objects.filter(pk=stuck.pk).update(step="grading", study=study)
        plain = make.make_deployment("plain", state="evaluating")
        make.make_response(make.make_prompt(), plain, study=study)

        def broken(_study_id: int) -> Any:
            raise OSError("no sandbox")

        monkeypatch.setattr("router.lifecycle_jobs.grade_study", broken)
        assert advance_models() == "1 model moved on."
        found = open_evaluation(wide.new)
        assert found is not None
        assert "Grading its answers broke off" in found.problem
