"""Starting, pausing, cancelling, grading and accepting, by the buttons of a study's page."""

import os
import re
from collections.abc import Iterator

import django_rq
import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from benchmarks.models import Deployment, Machine, Study
from benchmarks.queueing import queue_of, take_up_forgotten
from benchmarks.studying import Parameters, create_study
from greenllm.roles import Role
from labeling.models import Grade, Label
from tests import factories as make
from tests.greenllm.studies import shown
from tests.labeling.queues import make_rule

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def signed_in(client: Client) -> None:
    client.force_login(shown.make_person(Role.RESEARCHER))


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A machine whose queue nobody else uses."""
    machine = make.make_machine(f"test-steering-{os.getpid()}")
    queue_of(machine).empty()  # type: ignore[no-untyped-call]
    yield machine
    queue_of(machine).empty()  # type: ignore[no-untyped-call]


@pytest.fixture
def study(machine: Machine) -> Study:
    """A draft of two responses by a candidate."""
    server = make.make_server(machine, "http://127.0.0.1:1")
    return create_study(
        name="first", machine=machine, parameters=Parameters(),
        deployments=[make.make_deployment("tiny", server=server, state="candidate")],
        prompts=[make.make_prompt(), make.make_prompt()],
    )  # fmt: skip


def press(client: Client, step: str) -> str:
    """Press a button; return what the page then says."""
    response = client.post(f"/studies/first/{step}/", follow=True)
    assert response.redirect_chain == [("/studies/first/", 302)]
    messages = response.content.decode().split('class="messages"')[1].split("</div>")[0]
    return re.sub(r"\s+", " ", messages)


def state_of(study: Study) -> str:
    study.refresh_from_db()
    return study.state


class TestStart:
    def test_puts_the_responses_on_the_queue(self, client: Client, study: Study, machine: Machine) -> None:
        assert "first runs: 2 responses put on the queue." in press(client, "start")
        assert (state_of(study), queue_of(machine).count) == ("running", 2)
        assert Deployment.objects.get().state == "evaluating"

    def test_twice_puts_nothing_there_twice(self, client: Client, study: Study, machine: Machine) -> None:
        press(client, "start")
        assert "first runs: 0 responses put on the queue." in press(client, "start")
        assert queue_of(machine).count == 2

    def test_is_taken_up_by_the_worker_later_where_the_queue_is_away(
        self, client: Client, study: Study, machine: Machine, settings: Settings
    ) -> None:
        there, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
        assert "first runs. The queue cannot be reached now" in press(client, "start")
        assert (state_of(study), Deployment.objects.get().state) == ("running", "evaluating")
        settings.REDIS_URL = there
        assert (take_up_forgotten(machine=machine, now=make.NOW), queue_of(machine).count) == (2, 2)
        assert (take_up_forgotten(machine=machine, now=make.NOW), queue_of(machine).count) == (0, 2)

    def test_of_a_cancelled_study_is_refused(self, client: Client, study: Study) -> None:
        press(client, "cancel")
        assert 'class="problem">The study first was cancelled; make a new one.' in press(client, "start")


class TestPause:
    def test_stops_a_study_until_it_is_resumed(self, client: Client, study: Study) -> None:
        press(client, "start")
        assert "first is paused." in press(client, "pause")
        assert state_of(study) == "paused"
        assert "first runs: 0 responses" in press(client, "start")
        assert state_of(study) == "running"

    def test_of_a_study_that_does_not_run_is_refused(self, client: Client, study: Study) -> None:
        assert "is not running, so it cannot be paused" in press(client, "pause")


class TestCancel:
    def test_asks_first(self, client: Client, study: Study) -> None:
        page = client.get("/studies/first/cancel/").content.decode()
        assert "2 of 2 responses have not been measured" in page
        assert state_of(study) == "draft"

    def test_gives_up_what_is_left(self, client: Client, study: Study) -> None:
        assert "first is cancelled" in press(client, "cancel")
        assert state_of(study) == "cancelled"
        assert set(study.responses.values_list("state", flat=True)) == {"cancelled"}

    def test_of_a_study_that_is_over_is_refused(self, client: Client, study: Study) -> None:
        press(client, "cancel")
        assert "is cancelled already" in press(client, "cancel")


class TestGrade:
    @pytest.fixture(autouse=True)
    def empty_queue(self) -> Iterator[None]:
        queue = django_rq.get_queue("default")
        queue.empty()
        yield
        queue.empty()

    def test_puts_the_graders_on_the_default_queue_once(self, client: Client) -> None:
        shown.make_shown_study("first", verdict="")
        assert "The graders are on the queue" in press(client, "grade")
        assert "The graders are at this study already." in press(client, "grade")
        assert django_rq.get_queue("default").count == 1
        assert "The graders are at work" in client.get("/studies/first/live/").content.decode()

    def test_says_that_the_queue_is_away(self, client: Client, settings: Settings) -> None:
        shown.make_shown_study("first", verdict="")
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        assert "The queue cannot be reached" in press(client, "grade")


class TestAccept:
    @pytest.fixture
    def graded(self) -> Study:
        """A study with a grade on each of two answers, one of which somebody has labeled."""
        study = shown.make_shown_study("first", models=("small",), verdict="")
        for response in study.responses.all():
            Grade.objects.create(
                response=response, grader="test", grader_version=1, verdict="correct", reason="t", duration_ms=1
            )
        make.make_label(study.responses.in_order()[0], "incorrect")
        return study

    @pytest.fixture
    def switched_on(self, graded: Study) -> None:
        for name in set(graded.responses.values_list("prompt__category__name", flat=True)):
            make_rule(name, grades_count=True)

    def test_says_what_is_left_where_graders_may_not_label(self, client: Client, graded: Study) -> None:
        name = graded.responses.in_order()[1].prompt.category.name
        page = client.get("/studies/first/accept/").content.decode()
        assert f"Graders may not label in {name} (1 suggestion): those are left to people." in page
        assert "There is nothing to accept: every suggestion" in page
        assert "An admin can switch them on." in page
        said = press(client, "accept")
        assert "0 answers judged by graders:" in said
        assert f"1 suggestion in {name} left to people, because graders may not label there." in said
        assert not Label.objects.filter(source="grader").exists()

    @pytest.mark.usefixtures("switched_on")
    def test_says_first_what_it_means(self, client: Client, graded: Study) -> None:
        page = client.get("/studies/first/accept/").content.decode()
        assert "1 answer that nobody has labeled will count" in page
        assert "A person's label counts before a grader's" in page
        assert Label.objects.filter(source="grader").count() == 0

    @pytest.mark.usefixtures("switched_on")
    def test_labels_what_nobody_has_labeled(self, client: Client, graded: Study) -> None:
        assert "1 answer judged by graders:" in press(client, "accept")
        assert Label.objects.filter(source="grader").count() == 1
        assert "There is nothing to accept" in client.get("/studies/first/accept/").content.decode()
