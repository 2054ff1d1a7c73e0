"""The pages of corrections, from outside."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Response
from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling import corrections
from labeling.correcting import Scope, void_labels
from labeling.models import Correction, Guideline, Label
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.labeling.queues import make_annotator, make_answers

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

PAGES = ("/label/corrections/", "/label/corrections/1/")
POSTS = ("/label/corrections/", "/label/corrections/1/undo/")


def make_admin() -> User:
    user = make.make_user("root")
    grant_role(user=user, role=Role.ADMIN)
    return user


@pytest.fixture
def admin(client: Client) -> User:
    user = make_admin()
    client.force_login(user)
    return user


@pytest.fixture
def ada() -> User:
    return make_annotator("ada")


@pytest.fixture
def answers(ada: User) -> list[Response]:
    """Three answers, the first two of which ada called right."""
    answers = make_answers(3)
    for answer in answers[:2]:
        make.make_label(answer, labeler=ada)
    return answers


def void(ada: User, reason: str = "Slips.") -> Correction:
    return void_labels(scope=Scope(annotator_id=ada.pk), reason=reason, person_id=None, now=timezone.now())


def sent(ada: User, **facts: str) -> dict[str, str]:
    return {"annotator": str(ada.pk), "reason": "Did not read the guideline.", **facts}


def hidden_in(page: str) -> dict[str, str]:
    """Return what the form that confirms a preview would send."""
    form = page.partition('class="foreseen"')[2].partition("</form>")[0]
    fields = re.findall(r'<input type="hidden" name="(\w+)"(?: value="([^"]*)")?', form)
    return {name: value for name, value in fields if name != "csrfmiddlewaretoken"} | {"confirm": "1"}


class TestDoors:
    @pytest.mark.parametrize("path", PAGES)
    def test_take_strangers_to_the_sign_in_page(self, client: Client, path: str) -> None:
        assert client.get(path)["Location"] == f"/account/sign-in/?next={path}"
        assert client.post("/label/corrections/1/undo/")["Location"].startswith("/account/sign-in/")

    @pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.ADJUDICATOR, Role.RESEARCHER])
    def test_are_closed_to_other_roles(self, client: Client, ada: User, answers: list[Response], role: Role) -> None:
        user = make.make_user()
        grant_role(user=user, role=role)
        client.force_login(user)
        assert [client.get(path).status_code for path in PAGES] == [403, 403]
        values = sent(ada, seen_at=timezone.now().isoformat(), confirm="1")
        assert [client.post(path, values).status_code for path in POSTS] == [403, 403]
        assert Label.objects.current().count() == 2

    def test_keep_the_token_of_the_form_and_undo_takes_no_get(self, admin: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(admin)
        assert strict.get("/label/corrections/1/undo/").status_code == 405
        assert [strict.post(path).status_code for path in POSTS] == [403, 403]

    def test_lead_nowhere_where_there_is_no_correction(self, client: Client, admin: User) -> None:
        assert client.get("/label/corrections/77/").status_code == 404
        assert client.post("/label/corrections/77/undo/").status_code == 404


class TestPreview:
    def test_counts_and_changes_nothing(self, client: Client, admin: User, ada: User, answers: list[Response]) -> None:
        page = client.post("/label/corrections/", sent(ada)).content.decode()
        assert "2 labels of 1 person would count no more" in page
        assert re.search(r'lost</th><td class="number">2<', page)
        assert Label.objects.current().count() == 2
        assert "Did not read the guideline." in page

    def test_says_that_there_is_nothing(self, client: Client, admin: User, ada: User, answers: list[Response]) -> None:
        page = client.post("/label/corrections/", sent(ada, until="2020-01-01T00:00")).content.decode()
        assert "No label would change" in page
        assert "confirm" not in page

    @pytest.mark.parametrize(
        ("facts", "said"),
        [
            ({"annotator": ""}, "Name a person or a guideline or both"),
            ({"annotator": "77777"}, "Select a valid choice"),
            ({"reason": " "}, "Say why: whoever judged reads it."),
            ({"since": "soon"}, "Enter a valid date/time"),
            ({"since": "2026-01-02T00:00", "until": "2026-01-01T00:00"}, "must be later than"),
            ({"study": "x"}, "Select a valid choice"),
        ],
    )
    def test_refuses_what_cannot_be_and_keeps_what_was_typed(
        self, client: Client, admin: User, ada: User, answers: list[Response], facts: dict[str, str], said: str
    ) -> None:
        values = sent(ada, **facts, seen_at=timezone.now().isoformat(), confirm="1")
        page = client.post("/label/corrections/", values).content.decode()
        assert said in page
        assert "reason" in facts or "Did not read the guideline." in page
        assert not Correction.objects.exists()


class TestConfirming:
    def test_voids_what_the_preview_showed(
        self, client: Client, admin: User, ada: User, answers: list[Response]
    ) -> None:
        preview = client.post("/label/corrections/", sent(ada)).content.decode()
        make.make_label(answers[2], labeler=ada)  # after the look: not seen, so not voided
        page = client.post("/label/corrections/", hidden_in(preview), follow=True).content.decode()
        correction = Correction.objects.get()
        assert "2 labels are void; their answers wait again." in page
        assert (correction.label_count, correction.made_by, correction.annotator) == (2, admin, ada)
        assert Label.objects.current().get().response == answers[2]
        assert "Labels of ada" in page

    def test_takes_a_guideline_and_a_span_of_time_along(
        self, client: Client, admin: User, ada: User, answers: list[Response]
    ) -> None:
        guideline = Guideline.objects.create(version=1, text="Be kind.")
        Label.objects.filter(response=answers[0]).update(guideline=guideline)
        values = sent(ada, annotator="", guideline=str(guideline.pk), since="2020-01-01T10:00")
        preview = client.post("/label/corrections/", values).content.decode()
        client.post("/label/corrections/", hidden_in(preview))
        correction = Correction.objects.get()
        assert (correction.guideline, correction.annotator, correction.label_count) == (guideline, None, 1)
        assert correction.since is not None
        assert correction.since.isoformat() == "2020-01-01T10:00:00+00:00"

    def test_with_a_strange_moment_shows_the_preview_again(
        self, client: Client, admin: User, ada: User, answers: list[Response]
    ) -> None:
        page = client.post("/label/corrections/", sent(ada, seen_at="now", confirm="1")).content.decode()
        assert "would count no more" in page
        assert not Correction.objects.exists()

    def test_never_reaches_into_the_future(
        self, client: Client, admin: User, ada: User, answers: list[Response]
    ) -> None:
        later = (timezone.now() + timedelta(days=9)).isoformat()
        client.post("/label/corrections/", sent(ada, seen_at=later, confirm="1"))
        assert Correction.objects.get().until <= timezone.now()

    def test_twice_says_that_nothing_is_left(
        self, client: Client, admin: User, ada: User, answers: list[Response]
    ) -> None:
        confirmed = hidden_in(client.post("/label/corrections/", sent(ada)).content.decode())
        client.post("/label/corrections/", confirmed)
        assert "there is nothing to void" in client.post("/label/corrections/", confirmed).content.decode()
        assert Correction.objects.count() == 1


class TestUndoing:
    def test_says_what_counts_again_and_what_stays_out(
        self, client: Client, admin: User, ada: User, answers: list[Response]
    ) -> None:
        correction = void(ada)
        make.make_label(answers[0], "incorrect", labeler=ada)
        page = client.post(f"/label/corrections/{correction.pk}/undo/", follow=True).content.decode()
        assert "1 label counts again. 1 label stays out: the same person has judged the answer anew" in page
        assert page.index("void; judged anew by the same person") < page.index("<td>counts</td>")
        assert "Try again for 1 label" in page
        correction.refresh_from_db()
        assert correction.undone_by == admin

    def test_is_offered_no_more_once_all_count(
        self, client: Client, admin: User, ada: User, answers: list[Response]
    ) -> None:
        path = f"/label/corrections/{void(ada).pk}/"
        assert "2 labels count again." in client.post(f"{path}undo/", follow=True).content.decode()
        assert "undo/" not in client.get(path).content.decode()
        assert "undone already" in client.post(f"{path}undo/", follow=True).content.decode()


class TestPages:
    @pytest.mark.parametrize("count", [2, 12])
    def test_ask_as_often_for_many_as_for_few(
        self, client: Client, admin: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for _ in range(count):
            person = make_annotator()
            (answer,) = make_answers(1)
            make.make_label(answer, labeler=person)
            correction = void(person)
        # session, person, permissions (2), five for the form, count, corrections, notices
        with django_assert_num_queries(12):
            client.get("/label/corrections/")
        # session, person, permissions (2), correction, count, keys of void labels and of others, labels, notices
        with django_assert_num_queries(10):
            client.get(f"/label/corrections/{correction.pk}/")

    def test_sort_labels_over_all_pages(
        self, client: Client, admin: User, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(corrections, "_PAGE_SIZE", 2)
        verdicts = ("incorrect", "correct", "unsure", "correct", "unsure")
        labels = [make.make_label(*one, labeler=ada) for one in zip(make_answers(5), verdicts, strict=True)]
        path = f"/label/corrections/{void(ada).pk}/"

        def listed(query: str) -> str:
            found, url = "", f"{path}?{query}"
            while url:
                answer = client.get(url)
                found += "".join(str(labels.index(one)) for one in answer.context["labels"])
                following = re.search(r'href="(\?[^"]+)" rel="next"', answer.content.decode())
                url = f"{path}{unescape(following[1])}" if following else ""
            return found

        wanted = {"sort=answer": "01234", "sort=-answer": "43210", "sort=verdict": "13024", "sort=-given": "43210",
                  "sort=judge": "01234", "": "43210", "sort=reason": "43210"}  # fmt: skip
        assert {query: listed(query) for query in wanted} == wanted
        assert '<th scope="col" aria-sort="descending"><a class="sort" href="?#labels-title">Given</a></th>' in (
            client.get(f"{path}?sort=-given").content.decode()
        )

    def test_of_a_judge_tell_the_reason(self, client: Client, ada: User, answers: list[Response]) -> None:
        void(ada, "Read the guideline again, please.")
        client.force_login(ada)
        assert "Read the guideline again, please." in client.get("/label/history/").content.decode()

    def test_escape_what_was_typed(self, client: Client, admin: User, ada: User, answers: list[Response]) -> None:
        correction = void(ada, "<script>alert(1)</script>")
        for path in ("/label/corrections/", f"/label/corrections/{correction.pk}/"):
            assert "<script>alert" not in client.get(path).content.decode()


class TestInTheBrowser:
    pytestmark = BROWSING

    def test_is_accessible_from_the_choice_to_the_undoing(self, site: Site) -> None:
        admin, ada, bob = make_admin(), make_annotator("ada"), make_annotator("bob")
        check_page(site, "/label/corrections/", user=admin, picture="corrections-empty")
        answers = make_answers(4)
        Guideline.objects.create(category=answers[0].prompt.category, version=1, text="Be kind.")
        for answer in answers:
            make.make_label(answer, labeler=ada)
        make.make_label(answers[0], "incorrect", labeler=bob)

        def look(page: Page) -> None:
            page.get_by_label("Labels of").select_option("ada")
            page.get_by_label("Reason").fill("Took the wrong guideline for two days.")
            page.get_by_role("button", name="Show what that would do").click()
            page.get_by_role("button", name="Void 4 labels").wait_for()

        check_page(site, "/label/corrections/", user=admin, wait_for=look, picture="corrections-preview")
        page = site.open("/label/corrections/", user=admin)
        look(page)
        page.get_by_role("button", name="Void 4 labels").click()
        page.get_by_text("4 labels are void").wait_for()
        correction = Correction.objects.get()
        path = f"/label/corrections/{correction.pk}/"
        check_page(site, path, user=admin, picture="correction-made")
        make.make_label(answers[1], "incorrect", labeler=ada)
        page.get_by_role("button", name="Undo: let them count again").click()
        page.get_by_text("1 label stays out").wait_for()
        check_page(site, path, user=admin, picture="correction-undone")
        check_page(site, "/label/corrections/", user=admin, picture="corrections-list")
