import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedModel, ScriptedOllama
from benchmarks.models import Category, Study, StudyDeployment
from greenllm.models import User
from greenllm.roles import Role, grant_role
from router.models import GatewayRequest
from tests import factories as make
from tests.router.standins import EMBEDDER_NAME, SCRIPTED_MODELS, Federation, make_federation

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LIKE_MATH = "what is two plus three"
ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    '"><script>alert(1)</script>',
    "' onmouseover='alert(1)",
    "</pre></textarea><iframe src=javascript:alert(1)>",
    "{{ 7|add:'7' }}{% include 'base.html' %}",
    '<a href="javascript:alert(1)">x</a>',
)


@pytest.fixture
def browser(client: Client) -> Client:
    client.defaults["HTTP_ACCEPT"] = BROWSER["Accept"]
    return client


@pytest.fixture
def person(browser: Client) -> User:
    """Someone who is signed in and may see results."""
    user = make.make_user("ada")
    grant_role(user=user, role=Role.RESEARCHER)
    browser.force_login(user)
    return user


def page_of(response: Any) -> str:  # Django's test client has a type of its own for every kind of answer
    return str(response.content.decode())


def make_shown_study(state: str = "running", *, verdict: str = "correct", **measured: Any) -> Study:
    """Make a study of one model with one answer."""
    study = make.make_study("shown", state=state, started_at=make.NOW)
    deployment = make.make_deployment("tiny")
    StudyDeployment.objects.create(study=study, deployment=deployment, position=1)
    make.make_response(make.make_prompt(), deployment, study=study, verdict=verdict, **measured)
    return study


@pytest.mark.django_db
class TestHome:
    def test_asks_a_stranger_to_sign_in(self, browser: Client) -> None:
        response = browser.get("/")
        assert (response.status_code, response["Location"]) == (302, "/account/sign-in/?next=/")

    def test_is_open_on_this_machine_where_switched_on(self, browser: Client, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        assert browser.get("/").status_code == 200
        assert browser.get("/", headers={"X-Forwarded-For": "1.2.3.4"}).status_code == 302
        assert browser.get("/", REMOTE_ADDR="10.0.0.1").status_code == 302

    def test_shows_no_results_to_somebody_who_judges_blind(self, browser: Client) -> None:
        make_shown_study()
        user = make.make_user()
        grant_role(user=user, role=Role.ANNOTATOR)
        browser.force_login(user)
        page = page_of(browser.get("/"))
        assert "Ask, and see which model answers" in page
        assert "tiny" not in page
        assert "Accuracy" not in page
        assert browser.get("/dashboards/study").status_code == 403

    def test_says_what_to_do_where_nothing_was_measured(self, browser: Client, person: User) -> None:
        page = page_of(browser.get("/"))
        assert "No study yet" in page
        assert "manage.py import_prompts" in page

    def test_shows_figures_with_their_number_and_quality(self, browser: Client, person: User) -> None:
        make_shown_study(energy_j=20.0)
        page = page_of(browser.get("/"))
        mean = 1000 * (20.0 / 3.6e6 * 385 + 574_100 / 126_144_000)
        assert f"<b>{mean:.3g}</b>" in page
        assert 'n = 1</small><small><span class="badge estimated">' in page
        assert "<b>100\u00a0%</b>" in page
        assert "n = 1, by graders" in page
        assert 'n = 1 of 1</small><small><span class="badge estimated">' in page

    @pytest.mark.slow
    def test_warns_of_estimated_energy_only_where_it_is(self, browser: Client, person: User) -> None:
        study = make_shown_study(quality="measured")
        assert "No meter is attached" not in page_of(browser.get("/"))
        make.make_response(make.make_prompt(), make.make_deployment("other"), study=study, quality="estimated")
        assert "No meter is attached" in page_of(browser.get("/"))

    def test_shows_a_dash_and_not_a_zero_where_the_energy_is_missing(self, browser: Client, person: User) -> None:
        make_shown_study(energy_j=None, verdict="")
        page = page_of(browser.get("/"))
        assert 'n = 0 of 1</small><small><span class="badge missing">' in page
        assert "No answer of this study is judged yet" in page
        assert "<b>0.00</b>" not in page

    @pytest.mark.slow
    def test_says_that_the_router_has_no_index_yet(self, browser: Client, person: User) -> None:
        make_shown_study()
        assert "The router has no index yet" in page_of(browser.get("/"))
        make_federation()
        assert "The router has no index yet" not in page_of(browser.get("/"))

    @pytest.mark.slow
    @pytest.mark.parametrize("count", [1, 6])
    def test_needs_ten_queries_however_much_there_is(
        self, browser: Client, person: User, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        study = make_shown_study()
        for number in range(count):
            deployment = make.make_deployment(f"model-{number}")
            make.make_response(make.make_prompt(), deployment, study=study, verdict="correct")
        with django_assert_num_queries(10):  # session, person, study, counts of answers, three for the tables, index
            browser.get("/")


@pytest.mark.django_db
class TestGreeting:
    @pytest.mark.parametrize("accept", ["*/*", "application/json", ""])
    def test_is_what_a_client_of_ollama_looks_for(self, client: Client, accept: str) -> None:
        response = client.get("/", headers={"Accept": accept})
        assert (response.status_code, response.content) == (200, b"Ollama is running")
        assert response["Content-Type"].startswith("text/plain")

    def test_answers_a_head(self, client: Client) -> None:
        assert client.head("/", headers=BROWSER).status_code == 200

    def test_needs_no_database(self, client: Client) -> None:
        with CaptureQueriesContext(connection) as queries:
            client.get("/", headers={"Accept": "*/*"})
        assert len(queries) == 0


@pytest.mark.django_db
class TestStudyFragment:
    POLLS = re.compile(r'hx-get="/dashboards/study" hx-trigger="every 2s"')

    @pytest.mark.parametrize(
        ("state", "polls"), [("running", True), ("paused", False), ("finished", False), ("cancelled", False)]
    )
    def test_renews_itself_only_while_the_study_runs(
        self, browser: Client, person: User, state: str, polls: bool
    ) -> None:
        make_shown_study(state)
        fragment = page_of(browser.get("/dashboards/study"))
        assert bool(self.POLLS.search(fragment)) is polls
        assert "<html" not in fragment

    def test_does_not_renew_itself_where_there_is_none(self, browser: Client, person: User) -> None:
        assert not self.POLLS.search(page_of(browser.get("/dashboards/study")))

    def test_tells_how_far_the_study_is(self, browser: Client, person: User) -> None:
        study = make_shown_study()
        waiting = make.make_response(make.make_prompt(), make.make_deployment("other"), study=study)
        waiting.state = "failed"
        waiting.error = "it failed"
        waiting.save()
        assert "2 of 2 responses, 1 failed" in page_of(browser.get("/dashboards/study"))

    def test_is_closed_to_a_stranger(self, browser: Client) -> None:
        assert browser.get("/dashboards/study").status_code == 403

    def test_is_never_kept_by_a_browser(self, browser: Client, person: User) -> None:
        assert "no-store" in browser.get("/dashboards/study")["Cache-Control"]


@pytest.mark.django_db
class TestAskRefusal:
    @pytest.mark.parametrize(
        ("prompt", "said"),
        [
            pytest.param("", "The prompt is empty", id="empty"),
            pytest.param(" \n", "The prompt is empty", id="blank"),
            pytest.param("x" * 20_001, "The prompt has 20,001 characters; at most 20,000", id="too long"),
            pytest.param("a\x00b", "The prompt holds a NUL character", id="NUL"),
            pytest.param("fine", "No index has been built yet", id="no index"),
        ],
    )
    @pytest.mark.parametrize("is_htmx", [True, False], ids=["htmx", "no JavaScript"])
    def test_says_what_is_wrong_and_keeps_the_prompt(
        self, browser: Client, person: User, settings: Settings, prompt: str, said: str, is_htmx: bool
    ) -> None:
        embedder = make.make_deployment(EMBEDDER_NAME, purpose="embedding")
        settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = EMBEDDER_NAME, embedder.server.base_url
        response = browser.post("/ask", {"prompt": prompt}, headers={"HX-Request": "true"} if is_htmx else {})
        page = page_of(response)
        assert f'<p class="problem" role="alert">{said}' in page
        assert response.status_code == (200 if is_htmx else 400)
        assert ("<html" in page) is not is_htmx
        assert is_htmx or f">{escape(prompt)}</textarea>" in page

    def test_is_told_to_a_stranger_by_the_sign_in_page(self, browser: Client) -> None:
        response = browser.post("/ask", {"prompt": "hello"})
        assert (response.status_code, response["Location"]) == (302, "/account/sign-in/?next=/")
        assert not GatewayRequest.objects.exists()

    def test_takes_the_whole_page_of_a_strangers_htmx_to_the_sign_in_page(self, browser: Client) -> None:
        response = browser.post("/ask", {"prompt": "hello"}, headers={"HX-Request": "true"})
        assert (response.status_code, response["HX-Redirect"]) == (200, "/account/sign-in/?next=/")

    def test_wants_a_post(self, browser: Client, person: User) -> None:
        assert browser.get("/ask").status_code == 405

    def test_wants_the_token_of_the_form(self, person: User) -> None:
        strict = Client(enforce_csrf_checks=True)
        strict.force_login(person)
        assert strict.post("/ask", {"prompt": "hello"}).status_code == 403


OpenPage = Callable[..., tuple[Client, Federation]]


@pytest.fixture
def open_page(db: None, browser: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenPage]:
    """Open the page with a scripted server and a small index behind it, for someone on this machine."""
    with ExitStack() as servers:

        def opening(
            *faults: Fault, answers: Any = None, models: tuple[ScriptedModel, ...] = SCRIPTED_MODELS
        ) -> tuple[Client, Federation]:
            server = ScriptedOllama(models, answers=answers or {LIKE_MATH: "It is five."}, faults=faults)
            servers.enter_context(server)
            federation = make_federation(server.base_url)
            settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = EMBEDDER_NAME, server.base_url
            settings.ANONYMOUS_ACCESS = "loopback"
            monkeypatch.setattr("router.wiring.vector_store", lambda: federation.store)
            return browser, federation

        yield opening


@pytest.mark.django_db(transaction=True)  # answering gives its connection back, and with it a transaction
class TestAsk:
    @pytest.mark.slow
    def test_shows_the_answer_the_model_and_why(self, open_page: OpenPage) -> None:
        browser, federation = open_page()
        fragment = page_of(browser.post("/ask", {"prompt": LIKE_MATH}, headers={"HX-Request": "true"}))
        assert '<pre class="answer-text">It is five.</pre>' in fragment
        assert '<span class="badge strong">small</span>' in fragment
        assert '<span class="badge">math</span>' in fragment
        assert "mgCO₂e expected (estimated, n&nbsp;=&nbsp;1)" in fragment
        assert "2 of 2 models answered the nearest known prompt right" in fragment
        assert federation.math.item_text in fragment
        assert "3 tokens in " in fragment
        assert "<html" not in fragment

    @pytest.mark.slow
    def test_keeps_the_request_of_the_page(self, open_page: OpenPage) -> None:
        browser, _ = open_page()
        fragment = page_of(browser.post("/ask", {"prompt": LIKE_MATH}, headers={"HX-Request": "true"}))
        request = GatewayRequest.objects.get()
        assert (request.surface, request.state, request.user) == ("page", "answered", None)
        assert request.prompt_text == ""
        assert f"Request {request.public_id}" in fragment

    @pytest.mark.slow
    def test_comes_with_the_whole_page_without_javascript(self, open_page: OpenPage) -> None:
        browser, _ = open_page()
        response = browser.post("/ask", {"prompt": LIKE_MATH})
        page = page_of(response)
        assert response.status_code == 200
        assert "<html" in page
        assert "It is five." in page
        assert f">{LIKE_MATH}</textarea>" in page

    @pytest.mark.slow
    def test_says_that_the_server_failed(self, open_page: OpenPage) -> None:
        browser, _ = open_page(Fault(FaultKind.CUT, model="small"))
        fragment = page_of(browser.post("/ask", {"prompt": LIKE_MATH}, headers={"HX-Request": "true"}))
        assert 'role="alert">The answer broke off' in fragment
        assert GatewayRequest.objects.get().state == "failed"

    @pytest.mark.slow
    def test_says_so_where_the_answer_is_empty(self, open_page: OpenPage) -> None:
        browser, _ = open_page(answers={LIKE_MATH: ""})
        fragment = page_of(browser.post("/ask", {"prompt": LIKE_MATH}, headers={"HX-Request": "true"}))
        assert "(The model gave an empty answer.)" in fragment

    @pytest.mark.slow
    @pytest.mark.parametrize("attack", ATTACKS)
    def test_shows_what_a_model_or_a_person_wrote_as_text(self, open_page: OpenPage, attack: str) -> None:
        browser, federation = open_page(
            answers={attack: attack},
            models=(*SCRIPTED_MODELS, ScriptedModel(attack)),
        )
        federation.math.item_text = attack
        federation.math.save()
        Category.objects.filter(pk=federation.math.category_id).update(name=attack[:40])
        federation.small.language_model.name = attack
        federation.small.language_model.save()
        make.make_response(federation.math, make.make_deployment(f"{attack}:other"), verdict="incorrect")
        page = page_of(browser.post("/ask", {"prompt": attack}))
        assert attack not in page
        assert page.count(escape(attack)) >= 4  # the box, the answer, the model, the neighbour
        assert "<script>" not in page


@pytest.mark.django_db
class TestAttacksInTables:
    @pytest.mark.slow
    @pytest.mark.parametrize("attack", ATTACKS)
    def test_are_shown_as_text(self, browser: Client, person: User, attack: str) -> None:
        study = make.make_study(started_at=make.NOW)
        Study.objects.filter(pk=study.pk).update(name=attack)
        deployment = make.make_deployment(attack)
        make.make_response(make.make_prompt(), deployment, study=study, verdict="correct")
        Category.objects.update(name=attack[:40])
        User.objects.filter(pk=person.pk).update(username=attack)
        page = page_of(browser.get("/"))
        assert attack not in page
        assert page.count(escape(attack)) >= 3


@pytest.mark.django_db
class TestHeaders:
    @pytest.mark.parametrize("path", ["/", "/account/sign-in/", "/admin/login/", "/health", "/v1/models"])
    def test_allow_nothing_inline_and_nothing_from_elsewhere(self, browser: Client, path: str) -> None:
        policy = browser.get(path)["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert "*" not in policy

    def test_allow_no_frame_and_no_guessing_of_types(self, browser: Client) -> None:
        response = browser.get("/account/sign-in/")
        assert (response["X-Frame-Options"], response["X-Content-Type-Options"]) == ("DENY", "nosniff")
        assert response["Referrer-Policy"] == "same-origin"


@pytest.mark.django_db
class TestMarkup:
    def test_holds_no_inline_script_style_or_foreign_address(self, browser: Client, person: User) -> None:
        make_shown_study()
        for path in ("/", "/account/sign-in/"):
            page = page_of(browser.get(path))
            assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
            assert not re.search(r"<script(?![^>]*\ssrc=\"/static/)", page)
            assert not re.search(r"(src|href|action)=\"(https?:)?//", page)

    def test_names_no_file_that_is_not_there(self, browser: Client, person: User, settings: Settings) -> None:
        settings.SERVESTATIC_USE_FINDERS = True
        page = page_of(browser.get("/"))
        paths = re.findall(r'(?:src|href)="(/static/[^"?]+)', page)
        assert len(paths) >= 4
        for path in paths:
            response = browser.get(path)
            assert response.status_code == 200, path
            response.close()
