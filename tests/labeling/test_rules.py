"""The pages of rules and of gold answers, from outside."""

import pytest
from django.test import Client

from benchmarks.models import Response
from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.models import GoldAnswer, JudgementRule, Label
from labeling.verdicts import verdicts_of
from labeling.waiting import QueueFilter, count_in
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.labeling.queues import make_annotator, make_answers, make_rule

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

PAGES = ("/label/rules/", "/label/gold/")
RULE = {"category": "", "judgements": "2", "share": "100", "max_readers": "3", "evidence": "never"}


def make_admin() -> User:
    user = make.make_user("root")
    grant_role(user=user, role=Role.ADMIN)
    return user


@pytest.fixture
def admin(client: Client) -> User:
    user = make_admin()
    client.force_login(user)
    return user


class TestDoors:
    @pytest.mark.parametrize("path", [*PAGES, "/label/verdict-rule/"])
    def test_take_strangers_to_the_sign_in_page(self, client: Client, path: str) -> None:
        assert client.get(path)["Location"] == f"/account/sign-in/?next={path}"

    @pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.ADJUDICATOR, Role.RESEARCHER])
    def test_are_closed_to_other_roles(self, client: Client, role: Role) -> None:
        user = make.make_user()
        grant_role(user=user, role=role)
        client.force_login(user)
        assert [client.get(path).status_code for path in PAGES] == [403, 403]
        assert [client.post(path).status_code for path in (*PAGES, "/label/gold/1/retire/")] == [403, 403, 403]
        assert client.get("/label/verdict-rule/").status_code == 200

    def test_keep_the_token_of_the_form(self, admin: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(admin)
        assert strict.get("/label/gold/1/retire/").status_code == 405
        assert [strict.post(path).status_code for path in (*PAGES, "/label/gold/1/retire/")] == [403, 403, 403]


class TestRulesPage:
    def test_puts_a_rule_in_force_and_says_what_waits_now(self, client: Client, admin: User) -> None:
        first, _ = make_answers(2)
        make.make_label(first)
        page = client.post("/label/rules/", RULE, follow=True).content.decode()
        rule = JudgementRule.objects.get()
        assert (rule.judgements, rule.share, rule.evidence, rule.made_by) == (2, 1.0, "never", admin)
        assert "2 of 2 answers wait for readers now; nothing that was said is lost." in page
        assert "the rule for every category" in page
        assert Label.objects.current().count() == 1

    def test_keeps_every_rule_and_takes_the_same_one_once(self, client: Client, admin: User) -> None:
        for judgements in ("2", "2", "3", "2"):
            client.post("/label/rules/", {**RULE, "judgements": judgements})
        assert list(JudgementRule.objects.order_by("pk").values_list("judgements", flat=True)) == [2, 3, 2]

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("judgements", "0", "greater than or equal to 1"),
            ("judgements", "4", "At least 4: so many people shall judge each answer."),
            ("share", "0", "greater than or equal to 0.1"),
            ("share", "101", "less than or equal to 100"),
            ("max_readers", "10", "less than or equal to 9"),
            ("evidence", "always", "Select a valid choice"),
            ("category", "77", "Select a valid choice"),
        ],
    )
    def test_refuses_what_cannot_be(self, client: Client, admin: User, field: str, value: str, said: str) -> None:
        page = client.post("/label/rules/", {**RULE, field: value}).content.decode()
        assert said in page
        assert not JudgementRule.objects.exists()


class TestVerdictRulePage:
    def test_shows_what_the_function_says(self, client: Client) -> None:
        client.force_login(make_annotator())
        page = client.get("/label/verdict-rule/").content.decode()
        for word in ("provisional", "disputed", "an adjudicator", "a reader", "settled"):
            assert word in page


class TestGoldPage:
    def test_shows_an_answer_without_its_model_and_makes_it_gold(self, client: Client, admin: User) -> None:
        answer = make.make_response(make.make_prompt(), make.make_deployment("llama-secret"), text="Four.")
        page = client.get(f"/label/gold/?answer={answer.pk}").content.decode()
        assert "Four." in page
        assert "secret" not in page
        sent = {"answer": answer.pk, "verdict": "incorrect", "reason": "The book says five."}
        assert f"Answer {answer.pk} is gold now." in client.post("/label/gold/", sent, follow=True).content.decode()
        assert GoldAnswer.objects.get().set_by == admin
        decision = verdicts_of([answer.pk])[answer.pk]
        assert (decision.is_correct, decision.is_adjudicated) == (False, True)
        assert count_in(QueueFilter()).judged_count == 1

    def test_leaves_what_people_said_already_as_it_is(self, client: Client, admin: User) -> None:
        (answer,) = make_answers(1)
        make.make_label(answer, "correct")
        client.post("/label/gold/", {"answer": answer.pk, "verdict": "correct", "reason": "Plainly."})
        assert GoldAnswer.objects.get().response == answer
        assert not Label.objects.filter(kind="adjudication").exists()

    @pytest.mark.parametrize(
        ("sent", "said"),
        [
            ({"answer": "x"}, "Answer: give its number"),
            ({"verdict": ""}, "Verdict: choose correct or incorrect"),
            ({"verdict": "unsure"}, "Verdict: choose correct or incorrect"),
            ({"reason": " "}, "Say why the answer is right or wrong"),
            ({"answer": "999999999"}, "There is no finished answer 999999999"),
        ],
    )
    def test_refuses_what_is_not_said_in_full(
        self, client: Client, admin: User, sent: dict[str, str], said: str
    ) -> None:
        (answer,) = make_answers(1)
        full = {"answer": str(answer.pk), "verdict": "correct", "reason": "Typed at length.", **sent}
        page = client.post("/label/gold/", full).content.decode()
        assert said in page
        assert not GoldAnswer.objects.exists()
        assert "reason" in sent or "answer" in sent or "Typed at length." in page

    def test_refuses_what_is_gold_settled_or_read_by_the_same_person(self, client: Client, admin: User) -> None:
        golden, settled, read = make_answers(3)
        GoldAnswer.objects.create(response=golden, verdict="correct", reason="Plainly.")
        make.make_label(settled, "incorrect", kind="adjudication")
        make.make_label(read, "incorrect", labeler=admin)
        said = {golden: "is gold already", settled: "settled this answer otherwise", read: "read this answer yourself"}
        for answer, words in said.items():
            sent = {"answer": answer.pk, "verdict": "correct", "reason": "Plainly."}
            assert words in client.post("/label/gold/", sent).content.decode()
        assert GoldAnswer.objects.count() == 1

    def test_retires(self, client: Client, admin: User) -> None:
        gold = GoldAnswer.objects.create(response=make_answers(1)[0], verdict="correct", reason="Plainly.")
        assert "Retired: it is" in client.post(f"/label/gold/{gold.pk}/retire/", follow=True).content.decode()
        assert "retired already" in client.post(f"/label/gold/{gold.pk}/retire/", follow=True).content.decode()


def make_shown(admin: User) -> Response:
    answers = make_answers(3)
    make_rule("math", judgements=2, max_readers=2, made_by=admin)
    GoldAnswer.objects.create(response=answers[1], verdict="correct", reason="Plainly what the reference says.")
    for verdict in ("correct", "incorrect"):
        make.make_label(answers[0], verdict, comment=f"I read it as {verdict}.")
    return answers[0]


@pytest.mark.browser
class TestLooks:
    pytestmark = BROWSING

    def test_are_accessible(self, site: Site) -> None:
        admin = make_admin()
        answer = make_shown(admin)
        for path in (*PAGES, f"/label/gold/?answer={answer.pk}", "/label/verdict-rule/", "/label/?mode=disputed"):
            check_page(site, path, user=admin)
