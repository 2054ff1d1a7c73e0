"""The switch on the page of rules that lets graders label, from outside."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Category
from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.models import JudgementRule
from labeling.ruling import grader_category_ids
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.labeling.queues import make_answers, make_graded

pytestmark = [pytest.mark.django_db, pytest.mark.slow]
SWITCH, PAGE = "/label/rules/graders/", "/label/rules/"


def person(role: Role | None) -> User:
    user = make.make_user()
    if role is not None:
        grant_role(user=user, role=role)
    return user


@pytest.fixture
def admin(client: Client) -> User:
    user = person(Role.ADMIN)
    client.force_login(user)
    return user


def sent(state: str = "on", **more: str) -> dict[str, str]:
    return {"category": str(Category.objects.get(name="math").pk), "state": state, **more}


class TestDoors:
    def test_send_strangers_to_sign_in(self, client: Client) -> None:
        assert client.post(SWITCH)["Location"].startswith("/account/sign-in/")

    @pytest.mark.parametrize("role", [None, Role.ANNOTATOR, Role.ADJUDICATOR, Role.RESEARCHER])
    def test_are_shut_to_all_but_admins(self, client: Client, role: Role | None) -> None:
        make_graded(1, blind=1)
        client.force_login(person(role))
        assert client.post(SWITCH, sent(confirmed="1")).status_code == 403
        assert not JudgementRule.objects.exists()

    def test_take_no_get_and_keep_the_token_of_the_form(self, admin: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(admin)
        assert strict.get(SWITCH).status_code == 405
        assert strict.post(SWITCH).status_code == 403


class TestSwitch:
    def test_shows_precision_and_recall_with_their_interval_and_n(self, client: Client, admin: User) -> None:
        make_graded(20, blind=20)
        page = client.get(PAGE).content.decode()
        assert "number@1" in page
        assert page.count("n = 20") == 2
        assert "I switch it on all the same" not in page

    def test_asks_for_a_confirmation_below_twenty_blind_labels(self, client: Client, admin: User) -> None:
        make_graded(3, blind=2)
        assert "I switch it on all the same" in client.get(PAGE).content.decode()
        page = client.post(SWITCH, sent()).content.decode()
        assert "Not switched on in math: number@1 was held against people on 2 answers" in page
        assert grader_category_ids() == set()
        page = client.post(SWITCH, sent(confirmed="1"), follow=True).content.decode()
        assert "Graders may label in math." in page
        assert JudgementRule.objects.get().made_by == admin

    def test_asks_nothing_from_twenty_on(self, client: Client, admin: User) -> None:
        make_graded(20, blind=20)
        assert "Graders may label in math." in client.post(SWITCH, sent(), follow=True).content.decode()

    def test_off_says_what_becomes_of_the_labels(self, client: Client, admin: User) -> None:
        (response,) = make_answers(1)
        make.make_grader_label(response, "correct")
        page = client.post(SWITCH, sent("off"), follow=True).content.decode()
        assert "Graders may not label in math any more. 1 label that they gave stay, but count for no verdict." in page
        assert response.labels.current().count() == 1

    @pytest.mark.parametrize("wrong", [{"state": "maybe"}, {"category": "x"}, {"category": ""}])
    def test_refuses_what_is_no_choice(self, client: Client, admin: User, wrong: dict[str, str]) -> None:
        make_graded(1, blind=1)
        page = client.post(SWITCH, {**sent(confirmed="1"), **wrong}, follow=True).content.decode()
        assert "Nothing was switched" in page
        assert not JudgementRule.objects.exists()

    def test_is_not_turned_by_the_form_of_rules(self, client: Client, admin: User) -> None:
        make_graded(1, blind=1)
        rule = {"judgements": "2", "share": "100", "max_readers": "3", "evidence": "never", "grades_count": "on"}
        for category in ("", sent()["category"]):
            client.post(PAGE, {**rule, "category": category})
        assert JudgementRule.objects.count() == 2
        assert grader_category_ids() == set()

    def test_gives_a_category_its_own_rule_which_a_general_one_names(self, client: Client, admin: User) -> None:
        make_graded(1, blind=1)
        client.post(SWITCH, sent(confirmed="1"))
        rule = {"category": "", "judgements": "2", "share": "100", "max_readers": "3", "evidence": "never"}
        page = client.post(PAGE, rule, follow=True).content.decode()
        assert "These keep a rule of their own: math." in page

    def test_says_where_nobody_judged_blind(self, client: Client, admin: User) -> None:
        make_graded(1, blind=0)
        assert "Nobody has judged blind what it graded." in client.get(PAGE).content.decode()

    def test_costs_the_same_queries_for_many_answers(
        self, client: Client, admin: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        make_graded(5, blind=3)
        # session, person, permissions (2); rules, categories; graders against people; graders, their labels, rules,
        # categories; history; choices of the form; notices; whether a figure is kept, and keeping it
        with django_assert_num_queries(23):
            client.get(PAGE)


class TestInABrowser:
    pytestmark = BROWSING

    def test_is_sound_in_both_themes_and_widths(self, site: Site) -> None:
        make_graded(25, blind=22)
        make_graded(2, blind=1, grader="exact")
        make_answers(1, category="sql")
        check_page(site, PAGE, user=person(Role.ADMIN))
