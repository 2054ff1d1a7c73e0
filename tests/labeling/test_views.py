"""The labeling page from outside: who may open it, what it says, and what it must not say."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core import signing
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import LanguageModel, Measurement, Study
from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.models import GoldAnswer, Guideline, Label, Lease, Skip
from tests import factories as make
from tests.greenllm.test_views import ATTACKS
from tests.labeling.queues import make_annotator, make_answers, make_rule

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

POSTED = (
    "/label/vote/", "/label/skip/", "/label/undo/", "/label/renew/", "/label/recall/", "/label/flag/",
    "/label/evidence/", "/label/comment/1/", "/label/keys/switch/", "/label/history/1/change/",
    "/label/history/1/take-back/",
)  # fmt: skip
READ = ("/label/", "/label/history/", "/label/keys/", "/label/guidelines/")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def ada(client: Client) -> User:
    user = make_annotator("ada")
    client.force_login(user)
    return user


def page_of(response: Any) -> str:  # Django's test client has a type of its own for every kind of answer
    return str(response.content.decode())


def ticket_in(page: str) -> str:
    found = re.search(r'name="ticket" value="([^"]+)"', page)
    assert found, "no answer is shown"
    return found[1]


def shown_in(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'data-answer="(\d+)"', page)]


class TestDoor:
    @pytest.mark.parametrize("path", READ)
    def test_takes_a_stranger_to_the_sign_in_page(self, client: Client, path: str) -> None:
        response = client.get(path)
        assert (response.status_code, response["Location"]) == (302, f"/account/sign-in/?next={path}")

    @pytest.mark.parametrize("path", POSTED)
    def test_takes_no_votes_of_strangers(self, client: Client, path: str) -> None:
        assert client.post(path).status_code == 302
        assert client.post(path, headers=HTMX).status_code == 403

    @pytest.mark.parametrize("role", [Role.RESEARCHER, None])
    def test_is_closed_to_other_roles(self, client: Client, role: Role | None) -> None:
        user = make.make_user()
        if role is not None:
            grant_role(user=user, role=role)
        client.force_login(user)
        assert [client.get(path).status_code for path in READ] == [403] * len(READ)
        assert [client.post(path).status_code for path in POSTED] == [403] * len(POSTED)

    @pytest.mark.parametrize("role", [Role.ANNOTATOR, Role.ADJUDICATOR, Role.ADMIN])
    def test_is_open_to_those_who_judge(self, client: Client, role: Role) -> None:
        user = make.make_user()
        grant_role(user=user, role=role)
        client.force_login(user)
        assert [client.get(path).status_code for path in READ] == [200] * len(READ)

    @pytest.mark.parametrize("path", POSTED)
    def test_changes_nothing_by_get_or_without_the_token_of_the_form(self, ada: User, path: str) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(ada)
        assert strict.get(path).status_code == 405
        assert strict.post(path).status_code == 403


class TestPage:
    def test_shows_the_same_answer_again_until_it_is_judged(self, client: Client, ada: User) -> None:
        make_answers(5)
        pages = [shown_in(page_of(client.get("/label/"))) for _ in range(3)]
        assert pages[0] == pages[1] == pages[2]
        assert len(pages[0]) == 3, "the answer, and the next two in a template"

    def test_shows_two_people_different_answers(self, client: Client, ada: User) -> None:
        make_answers(6)
        first = shown_in(page_of(client.get("/label/")))
        client.force_login(make_annotator("bob"))
        second = shown_in(page_of(client.get("/label/")))
        assert len(set(first + second)) == 6

    def test_shows_prompt_reference_answer_category_and_guideline(self, client: Client, ada: User) -> None:
        prompt = make.make_prompt("Add 2\n  and 2.", category="math", reference="4\n")
        make.make_response(prompt, make.make_deployment(), text="It is\n\t4.")
        guideline = Guideline.objects.create(category=prompt.category, version=3, text="Compare <b>numbers</b>.")
        page = page_of(client.get("/label/"))
        for text in ("Add 2\n  and 2.", "4\n", "It is\n\t4."):
            assert f'<pre class="text">{text}</pre>' in page
        assert f"Guideline for math, version {guideline.version}" in page
        assert "Compare &lt;b&gt;numbers&lt;/b&gt;." in page

    def test_says_where_there_is_no_guideline_reference_or_text(self, client: Client, ada: User) -> None:
        make.make_response(make.make_prompt(), make.make_deployment(), text="")
        page = page_of(client.get("/label/"))
        assert "There is no guideline for math yet" in page
        assert "This prompt has no reference" in page
        assert "The answer is empty." in page

    @pytest.mark.parametrize("attack", ATTACKS)
    def test_shows_what_was_written_as_text(self, client: Client, ada: User, attack: str) -> None:
        prompt = make.make_prompt(attack, reference=attack)
        make.make_response(prompt, make.make_deployment(), text=attack)
        Guideline.objects.create(version=1, text=attack)
        page = page_of(client.get("/label/"))
        assert attack not in page
        assert page.count(escape(attack)) == 4

    def test_takes_a_fixed_number_of_queries(
        self, client: Client, ada: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        make_answers(8)
        client.get("/label/")
        with django_assert_num_queries(15):
            client.get("/label/")

    def test_votes_in_a_fixed_number_of_queries(self, client: Client, ada: User) -> None:
        make_answers(30)
        counts = set()
        for _ in range(4):
            ticket = ticket_in(page_of(client.get("/label/")))
            with CaptureQueriesContext(connection) as captured:
                client.post("/label/vote/", {"ticket": ticket, "verdict": "correct"}, headers=HTMX)
            counts.add(len(captured))
        assert len(counts) == 1
        assert counts.pop() <= 25


ENERGY_J = 4711.5
ENERGY_WORDS = ("4711.5", "4,711", "4,712", "4.71")  # not 4711 alone: it may be the number of a row


class TestBlindness:
    def test_nothing_tells_the_model_the_cost_or_what_graders_think(self, client: Client, ada: User) -> None:
        deployment = make.make_deployment("llama-secret:7b", digest="digest-secret")
        for verdict in ("correct", "incorrect"):
            response = make.make_response(
                make.make_prompt(reference="Four."), deployment, energy_j=ENERGY_J, verdict=verdict, text="Five.",
                prompt_token_count=8642864, output_token_count=9753975,
            )  # fmt: skip
            Label.objects.create(response=response, verdict=verdict, source=Label.Source.IMPORTED)
        first = page_of(client.get("/label/"))
        vote = {"ticket": ticket_in(first), "verdict": "correct"}
        pages = {
            "page": first,
            "fragment": page_of(client.post("/label/vote/", vote, headers=HTMX)),
            "history": page_of(client.get("/label/history/")),
        }
        assert "Five." in pages["page"]
        measurement = Measurement.objects.first()
        assert measurement is not None
        hidden = ["llama", "secret", *ENERGY_WORDS, "8642864", "8,642,864", "9753975", "9,753,975", "gco2", "sci",
                  "energy", "token count", "grader", "graded", "suggest", f"{measurement.sci_gco2e:.3g}",
                  "deployment", deployment.server.name]  # fmt: skip
        pages["fragment"], _, latest = pages["fragment"].partition("<div data-latest>")
        assert "the grader" in latest.lower()
        grader_words = {"grader", "graded", "suggest"}
        for name, page in [*pages.items(), ("latest", latest)]:
            body = re.sub(r'name="(ticket|csrfmiddlewaretoken)" value="[^"]+"', "", page.lower().split("<main")[-1])
            allowed = grader_words if name == "latest" else set()  # of what is judged already
            assert not [word for word in hidden if word in body and word not in allowed], name

    @pytest.mark.parametrize("mode", ["", "routing", "rows", "differing", "disputed"])
    def test_holds_in_every_mode(self, client: Client, mode: str) -> None:
        judge = make_annotator("ada")
        grant_role(user=judge, role=Role.ADJUDICATOR)
        client.force_login(judge)
        prompt, readers = make.make_prompt(reference="Four."), [make.make_user(f"reader-{n}-secret") for n in (1, 2)]
        for name in ("llama-secret:7b", "qwen-secret:1b"):
            deployment = make.make_deployment(name)
            LanguageModel.objects.filter(name=name).update(family=name.split("-")[0])
            response = make.make_response(prompt, deployment, text=f"Five {len(name)}.", energy_j=ENERGY_J)
            make.make_grader_label(response, "correct" if "llama" in name else "incorrect")
            if mode == "disputed":
                for reader, verdict in zip(readers, ("correct", "incorrect"), strict=True):
                    make.make_label(response, verdict, labeler=reader, comment=f"It is {verdict}, I think.")
        make_rule("math", judgements=2, max_readers=2)  # the category has one already: graders may label there
        first = page_of(client.get(f"/label/?mode={mode}"))
        assert len(shown_in(first)) == 2
        vote = {"ticket": ticket_in(first), "verdict": "correct"}
        pages = [first, page_of(client.post(f"/label/vote/?mode={mode}", vote, headers=HTMX))]
        assert Label.objects.filter(labeler=judge).get().kind == ("adjudication" if mode == "disputed" else "judgement")
        assert ("I think." in first) is (mode == "disputed")
        hidden = [
            "llama",
            "qwen",
            "secret",
            *ENERGY_WORDS,
            "gco2",
            "sci",
            "energy",
            "graded",
            "deployment",
            "gold",
            "self",
        ]
        for page in pages:
            body = re.sub(r'name="(ticket|csrfmiddlewaretoken)" value="[^"]+"', "", page.lower().split("<main")[-1])
            assert not [word for word in hidden if re.search(rf"\b{re.escape(word)}", body)]

    def test_gold_answers_and_self_checks_look_like_any_other(
        self, client: Client, ada: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("labeling.listing.FIRST_GOLD_RATE", 1.0)
        monkeypatch.setattr("labeling.listing.SELF_CHECK_RATE", 1.0)
        gold, old, _ = make_answers(3)
        GoldAnswer.objects.create(response=gold, verdict="correct", reason="It is secret.")
        make.make_label(gold, kind="adjudication")
        label = make.make_label(old, labeler=ada)
        Label.objects.filter(pk=label.pk).update(created_at=timezone.now() - timedelta(days=2))
        page = page_of(client.get("/label/"))
        assert len(shown_in(page)) == 3
        assert Lease.objects.filter(slot=None).count() == 2
        articles = re.findall(r"<article.*?</article>", page, re.DOTALL)
        alike = {
            re.sub(r'Answer \d\.|Prompt number \d+\?|data-answer="\d+"|value="[^"]+"', "", one) for one in articles
        }
        assert len(alike) == 1
        tickets = re.findall(r'name="ticket" value="([^"]+)"', page)
        facts = [signing.loads(ticket, salt="labeling.ticket") for ticket in tickets]
        assert len({(person_id, guideline_id, settles) for _, person_id, guideline_id, _, settles in facts}) == 1

    def test_no_verdict_of_others_is_shown(self, client: Client, ada: User) -> None:
        (answer,) = make_answers(1)
        label = make.make_label(answer, "incorrect")
        assert shown_in(page_of(client.get("/label/"))) == []
        Label.objects.filter(pk=label.pk).update(voided_at=timezone.now(), void_reason="a slip of the secret judge")
        page = page_of(client.get("/label/"))
        assert shown_in(page) == [answer.pk]
        assert "secret judge" not in page


class TestVote:
    def test_is_saved_at_once_and_hands_out_what_comes_next(self, client: Client, ada: User) -> None:
        make_answers(4)
        page = page_of(client.get("/label/"))
        first, second, _ = shown_in(page)
        sent = {"ticket": ticket_in(page), "verdict": "incorrect", "elapsed_ms": "1", "active_ms": "1"}
        fragment = page_of(client.post("/label/vote/", sent, headers=HTMX))
        label = Label.objects.get()
        assert (label.response_id, label.verdict, label.labeler, label.source) == (first, "incorrect", ada, "person")
        assert shown_in(fragment)[0] == second
        assert first not in shown_in(fragment)
        assert "<html" not in fragment
        assert "<b>1</b> of 4 judged by people, 3 left" in fragment

    def test_comes_back_to_the_page_without_javascript(self, client: Client, ada: User) -> None:
        study = make.make_study("first")
        make_answers(2, study=study)
        page = page_of(client.get("/label/?study=first"))
        assert 'action="/label/vote/?study=first"' in page
        sent = {"ticket": ticket_in(page), "verdict": "unsure"}
        response = client.post("/label/vote/?study=first", sent)
        assert (response.status_code, response["Location"]) == (302, "/label/?study=first")
        assert "Saved: unsure." in page_of(client.get(response["Location"]))

    def test_stores_the_guideline_that_was_shown(self, client: Client, ada: User) -> None:
        make_answers(1)
        shown = Guideline.objects.create(version=1, text="Old.")
        ticket = ticket_in(page_of(client.get("/label/")))
        Guideline.objects.create(version=2, text="New.")
        client.post("/label/vote/", {"ticket": ticket, "verdict": "correct"})
        assert Label.objects.get().guideline == shown

    @pytest.mark.parametrize(
        ("elapsed_ms", "active_ms", "kept_s"),
        [
            ("60000", "4200", 4.2),
            ("60000", "", 60.0),
            ("", "", 120.0),
            ("nonsense", "-5", 120.0),
            ("9" * 30, "7", 0.007),
        ],
    )
    def test_stores_the_active_time(
        self, client: Client, ada: User, monkeypatch: pytest.MonkeyPatch, elapsed_ms: str, active_ms: str, kept_s: float
    ) -> None:
        make_answers(1)
        ticket = ticket_in(page_of(client.get("/label/")))
        later = timezone.now() + timedelta(minutes=8)
        monkeypatch.setattr("labeling.views.timezone.now", lambda: later)
        sent = {"ticket": ticket, "verdict": "correct", "elapsed_ms": elapsed_ms, "active_ms": active_ms}
        client.post("/label/vote/", sent)
        label = Label.objects.get()
        assert label.active_seconds == pytest.approx(kept_s, abs=0.001)
        assert label.shown_at is not None
        assert later - timedelta(minutes=9) < label.shown_at <= later

    @pytest.mark.parametrize("verdict", ["", "perfect"])
    def test_needs_a_verdict(self, client: Client, ada: User, verdict: str) -> None:
        make_answers(1)
        ticket = ticket_in(page_of(client.get("/label/")))
        response = client.post("/label/vote/", {"ticket": ticket, "verdict": verdict}, headers=HTMX)
        assert "No verdict was chosen" in page_of(response)
        assert not Label.objects.exists()

    def test_is_refused_without_the_ticket_of_the_person(self, client: Client, ada: User) -> None:
        make_answers(6)
        theirs = ticket_in(page_of(client.get("/label/")))
        client.force_login(make_annotator("bob"))
        for ticket in ("", "1", theirs):
            fragment = page_of(client.post("/label/vote/", {"ticket": ticket, "verdict": "correct"}, headers=HTMX))
            assert "Nothing was saved" in fragment
            assert len(shown_in(fragment)) == 3
        assert not Label.objects.exists()

    def test_after_somebody_else_judged_it_is_told_and_counts_not(self, client: Client, ada: User) -> None:
        (answer,) = make_answers(1)
        ticket = ticket_in(page_of(client.get("/label/")))
        Lease.objects.all().delete()
        make.make_label(answer, "incorrect")
        fragment = page_of(client.post("/label/vote/", {"ticket": ticket, "verdict": "correct"}, headers=HTMX))
        assert "somebody else has judged it meanwhile" in fragment
        assert Label.objects.count() == 1

    def test_after_somebody_else_only_took_it_is_kept_and_told(self, client: Client, ada: User) -> None:
        make_answers(1)
        ticket = ticket_in(page_of(client.get("/label/")))
        Lease.objects.update(annotator=make_annotator("bob"))
        fragment = page_of(client.post("/label/vote/", {"ticket": ticket, "verdict": "correct"}, headers=HTMX))
        assert "nobody else had judged it" in fragment
        assert Label.objects.get().labeler == ada


class TestSkipAndUndo:
    def test_skips_and_brings_back(self, client: Client, ada: User) -> None:
        (answer,) = make_answers(1)
        ticket = ticket_in(page_of(client.get("/label/")))
        fragment = page_of(client.post("/label/skip/", {"ticket": ticket}, headers=HTMX))
        assert "Only skipped answers are left for you" in fragment
        assert Skip.objects.get().response == answer
        page = page_of(client.post("/label/recall/", follow=True))
        assert "1 skipped answer came back." in page
        assert shown_in(page) == [answer.pk]

    def test_does_not_skip_by_a_forged_ticket(self, client: Client, ada: User) -> None:
        make_answers(1)
        assert "Nothing was skipped" in page_of(client.post("/label/skip/", {"ticket": "x"}, headers=HTMX))
        assert not Skip.objects.exists()

    def test_undoes_the_latest_vote_and_shows_its_answer(self, client: Client, ada: User) -> None:
        make_answers(3)
        page = page_of(client.get("/label/"))
        first = shown_in(page)[0]
        client.post("/label/vote/", {"ticket": ticket_in(page), "verdict": "correct"})
        undone = page_of(client.post("/label/undo/", follow=True))
        assert "Your latest vote is taken back" in undone
        assert shown_in(undone)[0] == first
        assert "nothing more to undo" in page_of(client.post("/label/undo/", headers=HTMX))

    def test_renews_what_is_held(self, client: Client, ada: User) -> None:
        make_answers(2)
        client.get("/label/")
        soon = timezone.now() + timedelta(minutes=1)
        Lease.objects.update(expires_at=soon)
        assert client.post("/label/renew/", headers=HTMX).status_code == 200
        assert not Lease.objects.filter(expires_at__lte=soon).exists()


class TestFilter:
    def test_shows_only_what_was_chosen(self, client: Client, ada: User) -> None:
        study = make.make_study("first")
        wanted = make_answers(1, study=study, category="code")
        make_answers(1, study=study, category="math")
        make_answers(1, category="code")
        page = page_of(client.get("/label/?study=first&category=code"))
        assert shown_in(page) == [wanted[0].pk]
        assert '<option value="code" selected>' in page
        assert "0</b> of 1 judged by people" in page

    def test_offers_models_by_groups_that_do_not_tell_which(self, client: Client, ada: User) -> None:
        for name in ("llama", "qwen"):
            make.make_response(make.make_prompt(), make.make_deployment(name), text=f"Says {name[0]}.")
            LanguageModel.objects.filter(name=name).update(family=name)
        page = page_of(client.get("/label/"))
        tokens = re.findall(r'<option value="([0-9a-f]{10})">Model group \d</option>', page)
        assert len(tokens) == 2
        shown = [shown_in(page_of(client.get(f"/label/?group={token}"))) for token in tokens]
        assert sorted(map(len, shown)) == [1, 1]
        assert "llama" not in page

    def test_offers_settling_to_adjudicators_only(self, client: Client, ada: User) -> None:
        make.make_label(make_answers(1)[0], "unsure")
        page = page_of(client.get("/label/?mode=disputed"))
        assert "There is no order “disputed” for you" in page
        assert shown_in(page) == []
        assert 'value="disputed"' not in page

    def test_takes_no_adjudication_of_somebody_whose_role_has_ended(self, client: Client) -> None:
        judge = make_annotator("eve")
        grant_role(user=judge, role=Role.ADJUDICATOR)
        client.force_login(judge)
        make.make_label(make_answers(1)[0], "unsure")
        ticket = ticket_in(page_of(client.get("/label/?mode=disputed")))
        judge.groups.filter(name=Role.ADJUDICATOR).delete()
        said = page_of(client.post("/label/vote/", {"ticket": ticket, "verdict": "correct"}, headers=HTMX))
        assert "Settling answers is for adjudicators" in said
        assert not Label.objects.filter(kind="adjudication").exists()

    def test_offers_only_studies_with_something_to_judge(self, client: Client, ada: User) -> None:
        make.make_study("empty")
        make_answers(1, study=make.make_study("full"))
        page = page_of(client.get("/label/"))
        assert '<option value="full">' in page
        assert '<option value="empty">' not in page

    @pytest.mark.parametrize("query", ["study=nope", "category=nope"])
    def test_says_what_does_not_exist_and_shows_all(self, client: Client, ada: User, query: str) -> None:
        make_answers(1)
        page = page_of(client.get(f"/label/?{query}"))
        assert "There is no " in page
        assert len(shown_in(page)) == 1


def nothing() -> None:
    make.make_study()


def all_judged() -> None:
    make.make_label(make_answers(1)[0])


def all_held() -> None:
    now = timezone.now()
    Lease.objects.create(
        response=make_answers(1)[0], annotator=make_annotator(), claimed_at=now, expires_at=now + timedelta(minutes=5)
    )


class TestEmptyOfOthers:
    def test_says_that_the_rest_waits_for_other_people(self, client: Client, ada: User) -> None:
        make_rule(judgements=2)
        make.make_label(make_answers(1)[0], labeler=ada)
        assert "The rest waits for other people" in page_of(client.get("/label/"))

    def test_says_that_nothing_is_left_to_settle(self, client: Client) -> None:
        judge = make.make_user()
        grant_role(user=judge, role=Role.ADJUDICATOR)
        client.force_login(judge)
        make_answers(1)
        assert "Nothing is left to settle" in page_of(client.get("/label/?mode=disputed"))


class TestEmpty:
    @pytest.mark.parametrize(
        ("arrange", "said"),
        [
            (nothing, "There is nothing to judge yet"),
            (all_judged, "Everything is judged"),
            (all_held, "1 answer is left, and it is held for other people"),
        ],
    )
    def test_says_why_and_what_can_be_done(
        self, client: Client, ada: User, arrange: Callable[[], Study | None], said: str
    ) -> None:
        arrange()
        page = page_of(client.get("/label/"))
        assert said in page
        assert re.search(r'<fieldset class="verdict-buttons" hidden>', page)
