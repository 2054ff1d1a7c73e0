"""Who may open what: strangers, every role, the wrong method, and a form without its token."""

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from benchmarks.models import Study
from greenllm.roles import Role
from labeling.models import EvidenceLook, Label
from tests.greenllm.studies import shown

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

READ = ("/studies/", "/studies/s/", "/studies/s/live/", "/studies/s/power/", "/studies/s/tables/", "/studies/s/sweep/",
        "/studies/s/spread/", "/studies/s/spread/note/", "/studies/s/spread/cells.csv", "/studies/s/spread/control.csv",
        "/responses/{pk}/", "/responses/{pk}/samples.csv", "/responses/{pk}/samples.parquet")  # fmt: skip
ASKED = ("/studies/new/", "/studies/s/cancel/", "/studies/s/accept/")
POSTED = ("/studies/s/start/", "/studies/s/pause/", "/studies/s/grade/", "/studies/new/estimate/")
CHANGES = (*POSTED, *ASKED)


@pytest.fixture(autouse=True)
def study() -> Study:
    return shown.make_shown_study("s", state="draft")


def address(path: str) -> str:
    return path.format(pk=Study.objects.get().responses.order_by("pk")[0].pk)


class TestReading:
    @pytest.mark.parametrize("path", READ)
    def test_sends_a_stranger_to_the_sign_in_page(self, client: Client, path: str) -> None:
        response = client.get(address(path))
        assert (response.status_code, response["Location"]) == (302, f"/account/sign-in/?next={address(path)}")

    @pytest.mark.parametrize("path", [*READ, *ASKED])
    @pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.ADJUDICATOR])
    def test_is_closed_to_people_who_judge_blind(self, client: Client, path: str, role: Role) -> None:
        client.force_login(shown.make_person(role))
        assert client.get(address(path)).status_code == 403

    @pytest.mark.parametrize("path", [*READ, *ASKED])
    @pytest.mark.parametrize("role", [Role.RESEARCHER, Role.ADMIN])
    def test_is_open_to_people_who_work_with_results(self, client: Client, path: str, role: Role) -> None:
        client.force_login(shown.make_person(role))
        assert client.get(address(path)).status_code == 200

    @pytest.mark.parametrize("path", READ)
    def test_is_open_on_this_machine_where_switched_on(self, client: Client, settings: Settings, path: str) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        assert client.get(address(path)).status_code == 200
        assert client.get(address(path), headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 302

    def test_offers_no_button_to_those_who_may_only_read(self, client: Client, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        pages = client.get("/studies/").content + client.get("/studies/s/").content
        assert b"New study" not in pages
        assert b'method="post"' not in pages

    @pytest.mark.parametrize("path", READ)
    def test_wants_a_get(self, client: Client, path: str) -> None:
        client.force_login(shown.make_person(Role.ADMIN))
        assert client.post(address(path)).status_code == 405

    @pytest.mark.parametrize(
        "path", ["/studies/absent/", "/studies/absent/live/", "/studies/absent/power/", "/responses/999999999/"]
    )
    def test_says_that_nothing_is_there(self, client: Client, path: str) -> None:
        client.force_login(shown.make_person(Role.ADMIN))
        assert client.get(path).status_code == 404


class TestChanging:
    @pytest.mark.parametrize("path", CHANGES)
    def test_is_closed_to_strangers_even_on_this_machine(self, client: Client, settings: Settings, path: str) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        response = client.post(path)
        assert (response.status_code, response["Location"]) == (302, f"/account/sign-in/?next={path}")
        self.assert_nothing_changed()

    @pytest.mark.parametrize("path", CHANGES)
    @pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.ADJUDICATOR])
    def test_is_closed_to_people_who_judge_blind(self, client: Client, path: str, role: Role) -> None:
        client.force_login(shown.make_person(role))
        assert client.post(path).status_code == 403
        self.assert_nothing_changed()

    @pytest.mark.parametrize("path", POSTED)
    def test_wants_a_post(self, client: Client, path: str) -> None:
        client.force_login(shown.make_person(Role.ADMIN))
        assert client.get(path).status_code == 405
        self.assert_nothing_changed()

    @pytest.mark.parametrize("path", CHANGES)
    def test_wants_the_token_of_the_form(self, path: str) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(shown.make_person(Role.ADMIN))
        assert strict.post(path).status_code == 403
        self.assert_nothing_changed()

    @staticmethod
    def assert_nothing_changed() -> None:
        assert list(Study.objects.values_list("name", "state")) == [("s", "draft")]
        assert not Label.objects.filter(source="person").exists()
        assert Label.objects.count() == 4


class TestRevealing:
    """What others said of an answer is shown on request, which is remembered."""

    PATH = "/responses/{pk}/judged/"

    def test_is_closed_to_strangers_even_on_this_machine(self, client: Client, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        path = address(self.PATH)
        response = client.post(path)
        assert (response.status_code, response["Location"]) == (302, f"/account/sign-in/?next={path}")

    def test_is_closed_to_people_who_judge_blind(self, client: Client) -> None:
        client.force_login(shown.make_person(Role.ANNOTATOR))
        assert client.post(address(self.PATH)).status_code == 403
        assert not EvidenceLook.objects.exists()

    def test_wants_a_post_with_the_token_of_the_form(self) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(shown.make_person(Role.ADMIN))
        statuses = (strict.get(address(self.PATH)).status_code, strict.post(address(self.PATH)).status_code)
        assert statuses == (405, 403)
        assert not EvidenceLook.objects.exists()
