import csv
import io

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.models import GoldAnswer
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page

PAGE = "/label/quality/"
PAGES = (PAGE, "/label/quality.json", "/label/quality/people.csv")


def person(role: Role | None) -> User:
    user = make.make_user()
    if role is not None:
        grant_role(user=user, role=role)
    return user


def client_of(role: Role | None) -> Client:
    client = Client()
    client.force_login(person(role))
    return client


def make_labels(count: int = 6) -> None:
    """Make answers that two people judged, who differ on one; one of them is gold, one is suspicious."""
    anna, ben = make.make_user("anna"), make.make_user("=ben")
    deployment = make.make_deployment()
    for number in range(count):
        response = make.make_response(make.make_prompt(category="math" if number % 2 else "sql"), deployment)
        make.make_label(response, "correct", labeler=anna, active_seconds=5.0 + number)
        make.make_label(response, "incorrect" if number == 1 else "correct", labeler=ben, active_seconds=8.0)
        grade = make.make_grader_label(response, "incorrect" if number == 2 else "correct")
        assert grade.grade is not None
        if number == 0:
            GoldAnswer.objects.create(response=response, verdict="correct", reason="known")


@pytest.mark.django_db
class TestDoors:
    @pytest.mark.parametrize("page", PAGES)
    def test_send_strangers_to_sign_in(self, page: str) -> None:
        response = Client().get(page)
        assert response.status_code == 302
        assert response.headers["Location"].startswith("/account/")

    @pytest.mark.parametrize("page", PAGES)
    @pytest.mark.parametrize("role", [None, Role.ANNOTATOR, Role.ADJUDICATOR])
    def test_are_shut_to_those_who_judge(self, page: str, role: Role | None) -> None:
        assert client_of(role).get(page).status_code == 403

    @pytest.mark.parametrize("page", PAGES)
    @pytest.mark.parametrize("role", [Role.RESEARCHER, Role.ADMIN])
    def test_are_open_to_researchers_and_admins(self, page: str, role: Role) -> None:
        assert client_of(role).get(page).status_code == 200

    @pytest.mark.parametrize("page", PAGES)
    def test_take_no_post(self, page: str) -> None:
        assert client_of(Role.ADMIN).post(page).status_code == 405


@pytest.mark.django_db
class TestOverview:
    def test_says_what_to_do_where_nobody_judged(self) -> None:
        assert "Nobody has judged an answer yet" in client_of(Role.ADMIN).get(PAGE).content.decode()

    def test_shows_names_to_admins_only(self) -> None:
        make_labels()
        for page in PAGES:
            assert "anna" in client_of(Role.ADMIN).get(page).content.decode()
            shown = client_of(Role.RESEARCHER).get(page).content.decode()
            assert "anna" not in shown
            assert "person 1" in shown

    def test_links_suspicious_labels(self) -> None:
        make_labels()
        page = client_of(Role.ADMIN).get(PAGE).content.decode()
        assert page.count('<a href="/responses/') == 1
        assert "test@1 says test" in page

    def test_asks_as_often_for_many_labels_as_for_few(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        client = client_of(Role.ADMIN)
        make_labels(12)
        with django_assert_num_queries(10):  # session, person, permissions (3), labels, grades, gold, names, notices
            client.get(PAGE)


@pytest.mark.django_db
class TestFiles:
    def test_have_every_table_with_its_interval(self) -> None:
        make_labels()
        client = client_of(Role.ADMIN)
        tables = client.get("/label/quality.json").json()
        assert set(tables) == {"agreement", "pairs", "people", "graders"}
        over_all = tables["agreement"][-1]
        assert (over_all["category"], over_all["raw_n"], over_all["raw"]) == ("all", 6, pytest.approx(5 / 6))
        assert over_all["raw_low"] < over_all["raw"] <= over_all["raw_high"]
        for table, rows in tables.items():
            text = client.get(f"/label/quality/{table}.csv").content.decode()
            assert len(list(csv.DictReader(io.StringIO(text)))) == len(rows)

    def test_run_no_formula(self) -> None:
        make_labels()
        text = client_of(Role.ADMIN).get("/label/quality/people.csv").content.decode()
        assert "'=ben" in text

    def test_of_another_name_are_not_there(self) -> None:
        assert client_of(Role.ADMIN).get("/label/quality/other.csv").status_code == 404


class TestInABrowser:
    pytestmark = BROWSING

    def test_is_sound_in_both_themes_and_widths(self, site: Site) -> None:
        make_labels()
        check_page(site, PAGE, user=person(Role.ADMIN))
