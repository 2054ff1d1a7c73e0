"""The job that makes an evaluation: what it finds, how far it is, and why it failed stand on the row."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import django_rq
import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings
from redis.exceptions import ConnectionError as RedisDown
from rq import Queue, SimpleWorker

from benchmarks.inference.scripted import ScriptedOllama
from benchmarks.models import Study
from router import evaluation_jobs
from router.evaluation_jobs import make_evaluation, start_evaluation
from router.models import Evaluation
from router.reporting import Plan
from tests.factories import NOW, make_study, make_user
from tests.router.judged import judged_study
from tests.router.standins import EMBEDDER_NAME, SCRIPTED_MODELS, make_federation

pytestmark = pytest.mark.django_db
PLAN = Plan(policies=("knn",), split_count=2, is_written=True).as_json()


@pytest.fixture
def embedding(settings: Settings, tmp_path: Path, db: None) -> Iterator[None]:
    with ScriptedOllama(SCRIPTED_MODELS, answers={}) as server:
        make_federation(server.base_url)
        settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = EMBEDDER_NAME, server.base_url
        settings.VAR_DIR = tmp_path / "var"
        yield


@pytest.fixture
def queue() -> Iterator[Queue]:
    queue = Queue("default", connection=django_rq.get_connection("default"))
    queue.empty()
    yield queue
    queue.empty()


def waiting(study: Study | None, **facts: object) -> Evaluation:
    values = {"outcomes": "judged", "plan": PLAN, "created_at": NOW, **facts}
    return Evaluation.objects.create(study=study, **values)


@pytest.mark.slow
@pytest.mark.usefixtures("embedding")
class TestMake:
    def test_by_a_worker_finishes_with_a_report(self, queue: Queue) -> None:
        person = make_user()
        made = start_evaluation(kind="evaluation", study=judged_study(), plan=PLAN, made_by_id=person.pk)
        assert (made.state, made.made_by) == ("queued", person)
        SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="CRITICAL")
        made.refresh_from_db()
        assert made.state == "finished", made.error
        assert (made.stage, made.done_count, made.total_count) == ("", 2, 2)
        assert made.report["split_count"] == 2
        assert {one["written"] for one in made.report["steadiness"]} == {"typos", "framing"}
        assert made.report["own_cost"]["value"] is None

    def test_of_a_tuning_proposes_and_changes_nothing(self) -> None:
        made = waiting(judged_study(), kind="tuning", plan={"policy": "knn", "loss": 1.0, "seed": 0})
        make_evaluation(made.pk)
        made.refresh_from_db()
        assert made.state == "finished", made.error
        assert made.report["tuning"]["value"] > 0
        assert made.version is None

    def test_twice_does_no_harm(self) -> None:
        made = waiting(judged_study(), plan=Plan(policies=("nearest",), split_count=1).as_json())
        make_evaluation(made.pk)
        before = Evaluation.objects.values().get()
        make_evaluation(made.pk)
        assert Evaluation.objects.values().get() == before


@pytest.mark.usefixtures("embedding")
class TestFailure:
    def failed(self, made: Evaluation) -> str:
        make_evaluation(made.pk)
        made.refresh_from_db()
        assert (made.state, made.report) == ("failed", None)
        return made.error

    @pytest.mark.slow
    def test_of_too_small_a_study_says_so(self) -> None:
        assert "20 different ones are too few to split" in self.failed(waiting(judged_study(count=20)))

    def test_of_an_unjudged_study_says_what_to_do(self) -> None:
        assert "label its answers" in self.failed(waiting(make_study()))

    def test_of_a_study_that_is_gone_says_so(self) -> None:
        assert "deleted meanwhile" in self.failed(waiting(None))

    @pytest.mark.slow
    def test_of_an_embedder_that_is_away_says_so(self, settings: Settings) -> None:
        settings.EMBEDDER_NAME = "nowhere"
        assert "nowhere" in self.failed(waiting(judged_study(count=30)))

    def test_by_a_bug_tells_its_kind_only(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: object, **options: object) -> None:
            raise ZeroDivisionError("secret")

        monkeypatch.setattr(evaluation_jobs, "outcomes_of_study", fail)
        told = self.failed(waiting(make_study()))
        assert "ZeroDivisionError" in told
        assert "secret" not in told


class TestStart:
    def test_without_a_queue_leaves_a_row_that_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise RedisDown("away")

        monkeypatch.setattr(evaluation_jobs, "impatient_connection", fail)
        with pytest.raises(RedisDown):
            start_evaluation(kind="evaluation", study=make_study(), plan=PLAN, made_by_id=None)
        assert "could not be reached" in Evaluation.objects.get().error


class TestSilence:
    def test_is_noticed_after_a_while(self) -> None:
        now = timezone.now()
        made = waiting(None, created_at=now)
        assert not made.is_silent(now + timedelta(minutes=14))
        assert made.is_silent(now + timedelta(minutes=16))
        made.begin(now + timedelta(minutes=16))
        assert not made.is_silent(now + timedelta(minutes=17))

    def test_does_not_concern_what_is_done(self) -> None:
        made = waiting(None)
        made.fail("no", NOW)
        assert not made.is_silent(NOW + timedelta(days=1))
