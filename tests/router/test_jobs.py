from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings
from rq import SimpleWorker

from benchmarks.inference.base import ServerUnreachable
from benchmarks.jobs import process_recorder
from benchmarks.models import Machine, Measurement
from benchmarks.queueing import queue_of
from router import jobs
from router.indexing import current_index
from router.models import PromptIndex
from tests import factories as make
from tests.router.standins import MemoryStore, WordClient, make_embedder

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def machine(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    """This machine with a replayed meter of 40 W, an embedder that takes a moment, and an empty queue."""
    made = make.make_machine(
        settings.MACHINE_NAME,
        meters=[{"kind": "replay", "options": {"steps": [[3600, 40.0]]}, "period_ms": 20}],
    )
    embedder = make_embedder()
    store = MemoryStore()
    monkeypatch.setattr(jobs, "embedder", lambda: embedder)
    monkeypatch.setattr(jobs, "vector_store", lambda: store)
    monkeypatch.setattr("router.management.commands.build_index.vector_store", lambda: store)
    make.make_prompt("what is two plus two")
    queue = queue_of(made)
    queue.empty()
    yield made
    queue.empty()
    process_recorder.cache_clear()


def told(*arguments: str) -> str:
    out = StringIO()
    call_command("build_index", *arguments, stdout=out)
    return out.getvalue()


class TestHere:
    def test_is_measured_where_no_worker_runs(self, machine: Machine) -> None:
        said = told("--measure")
        measurement = Measurement.objects.get(purpose="index_build")
        assert current_index().measurement == measurement
        assert (measurement.quality, measurement.machine) == ("simulated", machine)
        assert measurement.energy_j is not None
        assert "n = 1 prompts" in said
        assert "mgCO2e (simulated; whole machine, by replay" in said

    def test_is_not_measured_unless_asked(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("router.management.commands.build_index.embedder", make_embedder)
        assert "emitted" not in told()
        assert current_index().measurement is None

    def test_is_built_without_a_meter_and_says_why(self, machine: Machine) -> None:
        Machine.objects.update(meters=[{"kind": "replay", "options": {"steps": []}}])
        said = told("--measure")
        assert "it is current" in said
        assert "The energy of building it is missing: " in said
        measurement = current_index().measurement
        assert measurement is not None
        assert measurement.missing_reason in said

    def test_refuses_a_meter_that_is_none_before_anything_is_built(self, machine: Machine) -> None:
        Machine.objects.update(meters=[{"sort": "replay"}])
        with pytest.raises(CommandError, match="meters of the machine"):
            told("--measure")
        assert not PromptIndex.objects.exists()


class TestByTheWorker:
    @pytest.fixture
    def busy_worker(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        """A worker of the machine, which does its work whenever it is waited for."""
        queue = queue_of(machine)
        monkeypatch.setattr(jobs, "queue_state", lambda machine: type("State", (), {"worker_count": 1}))

        def work(_seconds: float) -> None:
            SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="CRITICAL")

        monkeypatch.setattr("router.jobs.time.sleep", work)

    @pytest.mark.usefixtures("busy_worker")
    def test_is_measured_with_the_workers_sampler(self, machine: Machine) -> None:
        said = told("--measure")
        process_recorder(machine.pk).stop()
        measurement = current_index().measurement
        assert measurement is not None
        assert measurement.quality == "simulated"
        assert f"{measurement.energy_j:.4g} J" in said

    @pytest.mark.usefixtures("busy_worker")
    def test_tells_why_it_failed(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        away = make_embedder(WordClient(failure=ServerUnreachable("http://gone", "refused")))
        monkeypatch.setattr(jobs, "embedder", lambda: away)
        with pytest.raises(CommandError, match="could not build the index: .*http://gone"):
            told("--measure")
        process_recorder(machine.pk).stop()

    def test_tells_that_the_worker_went_away(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        counts = iter([1, 0])
        monkeypatch.setattr(jobs, "queue_state", lambda machine: type("State", (), {"worker_count": next(counts)}))
        with pytest.raises(CommandError, match="went away before the index was built"):
            told("--measure")
        assert queue_of(machine).count == 0

    def test_refuses_a_worker_of_another_machine(self, machine: Machine) -> None:
        other = make.make_machine("other")
        with pytest.raises(jobs.IndexNotBuilt, match="not on 'other'"):
            jobs.build_index_here(other.pk, None, "item")
