from collections.abc import Iterator

import django_rq
import pytest
from rq import SimpleWorker

from benchmarks.models import Study
from labeling import jobs
from labeling.models import Grade, Label
from tests import factories as make
from tests.labeling.queues import make_rule

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def empty_queue() -> Iterator[None]:
    """Begin and end with nothing on the default queue."""
    queue = django_rq.get_queue("default")
    queue.empty()
    yield
    queue.empty()


@pytest.fixture
def study() -> Iterator[Study]:
    """A study of two answers, one right and one that no grader can judge."""
    study = make.make_study()
    deployment = make.make_deployment()
    check = {"kind": "exact", "answers": ["Paris"]}
    make.make_response(make.make_prompt(checks=check), deployment, study=study, text="Paris")
    make.make_response(make.make_prompt(), deployment, study=study)
    yield study
    job = jobs._job_of(study, django_rq.get_connection("default"))
    if job is not None:
        job.delete()


def work() -> None:
    """Let a worker do all that is on the default queue."""
    queue = django_rq.get_queue("default")
    SimpleWorker([queue], connection=queue.connection).work(burst=True, logging_level="WARNING")


class TestGradeStudy:
    def test_stores_suggestions_and_says_what_is_left(self, study: Study) -> None:
        assert jobs.grade_study(study.pk) == "1 answers graded; 1 left: the prompt has no check."
        assert Grade.objects.get().verdict == "correct"
        assert not Label.objects.exists()

    def test_twice_does_no_harm(self, study: Study) -> None:
        jobs.grade_study(study.pk)
        assert jobs.grade_study(study.pk) == "0 answers graded; 1 left: the prompt has no check."
        assert Grade.objects.count() == 1

    def test_labels_where_graders_may(self, study: Study) -> None:
        make_rule("math", grades_count=True)
        assert "; 1 labeled by graders, where that is switched on; " in jobs.grade_study(study.pk)
        assert Label.objects.get().source == "grader"

    def test_of_a_study_that_is_gone_says_so(self) -> None:
        assert jobs.grade_study(0) == "The study is gone."


class TestEnqueueGrading:
    def test_runs_on_the_default_queue_and_keeps_its_outcome(self, study: Study) -> None:
        assert jobs.latest_grading(study=study) is None
        assert jobs.enqueue_grading(study=study)
        assert jobs.latest_grading(study=study) == jobs.GradingRun(is_under_way=True)
        work()
        assert jobs.latest_grading(study=study) == jobs.GradingRun(
            is_under_way=False, outcome="1 answers graded; 1 left: the prompt has no check."
        )

    def test_puts_one_run_there_and_not_two(self, study: Study) -> None:
        assert jobs.enqueue_grading(study=study)
        assert not jobs.enqueue_grading(study=study)
        assert django_rq.get_queue("default").count == 1

    def test_can_run_again_after_it_ended(self, study: Study) -> None:
        jobs.enqueue_grading(study=study)
        work()
        assert jobs.enqueue_grading(study=study)
        work()
        latest = jobs.latest_grading(study=study)
        assert latest is not None
        assert latest.outcome.startswith("0 answers graded")

    def test_tells_why_a_run_failed(self, study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken() -> None:
            raise ValueError("no graders today")

        monkeypatch.setattr(jobs, "graders", broken)
        jobs.enqueue_grading(study=study)
        work()
        assert jobs.latest_grading(study=study) == jobs.GradingRun(
            is_under_way=False, error="ValueError: no graders today"
        )

    def test_does_not_wait_for_a_run_that_a_killed_worker_left(self, study: Study) -> None:
        jobs.enqueue_grading(study=study)
        job = jobs._job_of(study, django_rq.get_connection("default"))
        assert job is not None
        django_rq.get_queue("default").empty()
        job.save()
        job.set_status("started")
        assert jobs.latest_grading(study=study) == jobs.GradingRun(is_under_way=False, error="the worker went away")
        assert jobs.enqueue_grading(study=study)
