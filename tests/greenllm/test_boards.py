import csv
import io
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from playwright.sync_api import Page, expect
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from benchmarks.inference.base import ServerUnreachable
from benchmarks.models import Study, StudyDeployment
from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.models import Label
from router.evaluating import compare
from router.models import RoutingDecision
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.router.standins import Federation, WordClient, make_embedder, make_federation, make_index
from tests.router.test_evaluating import make_router_study

pytestmark = pytest.mark.slow

PAGE = "/dashboards/"
SHOWN = f"{PAGE}?study=shown"
CSVS = ("mean-sci", "accuracy", "sum-sci", "accuracy-against-sci", "figure-2")


def person(role: Role | None) -> User:
    user = make.make_user()
    if role is not None:
        grant_role(user=user, role=role)
    return user


def signed_in(role: Role | None = Role.RESEARCHER, *, strict: bool = False) -> Client:
    client = Client(enforce_csrf_checks=strict)
    client.force_login(person(role))
    return client


def page_of(response: Any) -> str:  # Django's test client has a type of its own for every kind of answer
    return str(response.content.decode())


def make_shown_study(federation: Federation, name: str = "shown") -> Study:
    """Make a study of two models with training answers in two categories and two validation prompts."""
    study = make.make_study(name, state="finished", started_at=make.NOW)
    for position, deployment in enumerate((federation.small, federation.large)):
        StudyDeployment.objects.create(study=study, deployment=deployment, position=position)
    for role, count in (("train", 4), ("validation", 2)):
        for category, text in (("math", "what is two plus"), ("code", "write a python")):
            for number in range(count):
                prompt = make.make_prompt(f"{text} {role} {number}", category=category, role=role)
                small = "correct" if category == "math" else "incorrect"
                make.make_response(prompt, federation.small, study=study, energy_j=10.0 + number, verdict=small)
                make.make_response(prompt, federation.large, study=study, energy_j=90.0 - number, verdict="correct")
    return study


def compare_now(study: Study, federation: Federation) -> None:
    compare(study=study, embedder=federation.embedder, store=federation.store, clock=lambda: make.NOW)


@pytest.mark.django_db
class TestDoors:
    @pytest.mark.parametrize("path", [SHOWN, *(f"{PAGE}{name}.csv?study=shown" for name in CSVS)])
    def test_send_a_stranger_to_sign_in_and_an_annotator_away(self, path: str) -> None:
        make_shown_study(make_federation())
        assert Client().get(path)["Location"] == f"/account/sign-in/?next={quote(path)}"
        assert signed_in(Role.ANNOTATOR).get(path).status_code == 403
        assert signed_in(None).get(path).status_code == 403
        assert signed_in(Role.RESEARCHER).get(path).status_code == 200
        assert signed_in(Role.RESEARCHER).post(path).status_code == 405

    def test_are_open_to_read_on_this_machine_where_switched_on(self, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        make_shown_study(make_federation())
        page = page_of(Client().get(SHOWN))
        assert "Figure 2" in page
        assert "Let the router decide" not in page

    def test_of_comparing_want_a_researcher_and_a_token(self) -> None:
        study = make_shown_study(make_federation())
        path, body = "/dashboards/compare", {"study": study.name}
        assert Client().post(path, body)["Location"].startswith("/account/sign-in/")
        assert signed_in(Role.ANNOTATOR).post(path, body).status_code == 403
        assert signed_in(strict=True).post(path, body).status_code == 403
        assert signed_in().get(path).status_code == 405
        assert not RoutingDecision.objects.exists()


@pytest.mark.django_db
class TestPage:
    def test_says_what_to_do_where_no_study_has_begun(self) -> None:
        assert "No study has begun" in page_of(signed_in().get(PAGE))

    def test_says_that_no_answer_is_finished(self) -> None:
        make.make_study("young", started_at=make.NOW)
        assert "No answer of this study is finished" in page_of(signed_in().get(PAGE))

    def test_shows_the_chosen_study(self) -> None:
        make_shown_study(make_federation())
        make.make_study("later", state="running", started_at=make.NOW)
        client = signed_in()
        assert "What answers cost in later" in page_of(client.get(PAGE))
        assert "What answers cost in shown" in page_of(client.get(f"{PAGE}?study=shown"))
        assert client.get(f"{PAGE}?study=nothing").status_code == 404

    def test_shows_imported_studies_too(self) -> None:
        make.make_study("brought", kind="imported", machine=None, state="finished", started_at=make.NOW)
        assert "What answers cost in brought" in page_of(signed_in().get(PAGE))

    def test_shows_totals_over_all_categories(self) -> None:
        make_shown_study(make_federation())
        page = page_of(signed_in().get(SHOWN))
        assert page.count("All categories") == 3
        assert "n = 8, by graders" in page  # four of math and four of code

    def test_warns_where_energies_are_of_unlike_quality(self) -> None:
        federation = make_federation()
        study = make_shown_study(federation)
        assert "unlike quality" not in page_of(signed_in().get(SHOWN))
        make.make_response(make.make_prompt(), federation.small, study=study, quality="measured")
        assert "unlike quality (estimated, measured)" in page_of(signed_in().get(SHOWN))

    @pytest.mark.parametrize("count", [1, 5])
    def test_needs_the_same_queries_however_much_there_is(
        self, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        federation = make_federation()
        study = make_shown_study(federation)
        compare_now(study, federation)
        for number in range(count):
            make.make_response(make.make_prompt(), make.make_deployment(f"model-{number}"), study=study)
        client = signed_in()
        # session, person, three for permissions; studies, the chosen one, four for the tables, four for the
        # comparison, the index
        with django_assert_num_queries(15):
            client.get(SHOWN)


@pytest.mark.django_db
class TestRouterOnThePage:
    def test_is_missing_until_it_has_decided(self) -> None:
        make_shown_study(make_federation())
        page = page_of(signed_in().get(SHOWN))
        assert "The router has not decided on these prompts yet" in page
        assert "Let the router decide on these prompts" in page

    def test_says_where_nothing_is_judged_instead_of_an_empty_chart(self) -> None:
        make_shown_study(make_federation())
        assert 'data-chart="figure-2-figure"' in page_of(signed_in().get(SHOWN))
        Label.objects.all().delete()
        page = page_of(signed_in().get(SHOWN))
        assert "figure-2-figure" not in page
        assert "so that nothing has a point" in page
        assert "Numbers of Figure 2" in page

    def test_shows_what_the_stored_decisions_were_worth(self) -> None:
        federation = make_federation()
        study = make_shown_study(federation)
        compare_now(study, federation)
        page = page_of(signed_in().get(SHOWN))
        assert "The router decided on 4 of 4 prompts, on " in page
        assert ">2026-01-02 03:04\u00a0UTC</time>" in page
        assert "earlier index" not in page

    def test_says_when_the_index_has_changed_since(self) -> None:
        federation = make_federation()
        compare_now(make_shown_study(federation), federation)
        make_index([federation.math], embedder=federation.embedder, store=federation.store)
        assert "made with an earlier index" in page_of(signed_in().get(SHOWN))

    def test_decides_when_told_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        federation = make_federation()
        study = make_shown_study(federation)
        monkeypatch.setattr("router.wiring.embedder", lambda: federation.embedder)
        monkeypatch.setattr("router.wiring.vector_store", lambda: federation.store)
        response = signed_in().post("/dashboards/compare", {"study": study.name}, follow=True)
        assert "The router decided on 4 validation prompts." in page_of(response)
        assert RoutingDecision.objects.filter(prompt__role="validation").count() == 8  # in both forms

    def test_tells_why_it_could_not_decide(self, monkeypatch: pytest.MonkeyPatch) -> None:
        federation = make_federation()
        study = make_shown_study(federation)
        broken = make_embedder(WordClient(failure=ServerUnreachable("http://127.0.0.1:1", "refused")))
        monkeypatch.setattr("router.wiring.embedder", lambda: broken)
        monkeypatch.setattr("router.wiring.vector_store", lambda: federation.store)
        page = page_of(signed_in().post("/dashboards/compare", {"study": study.name}, follow=True))
        assert "The router could not be compared: The inference server at http://127.0.0.1:1 does not answer" in page
        assert "has not decided" in page


@pytest.mark.django_db
class TestCsv:
    def rows(self, name: str) -> list[dict[str, str]]:
        response = signed_in().get(f"{PAGE}{name}.csv?study=shown")
        assert response["Content-Type"] == "text/csv; charset=utf-8"
        assert response["Content-Disposition"] == f'attachment; filename="shown-{name}.csv"'
        return list(csv.DictReader(io.StringIO(page_of(response))))

    def test_has_the_numbers_of_each_table(self) -> None:
        federation = make_federation()
        compare_now(make_shown_study(federation), federation)
        accuracy = {(row["category"], row["model"]): row for row in self.rows("accuracy")}
        assert (accuracy["code", "small"]["accuracy"], accuracy["code", "small"]["n"]) == ("0.0", "4")
        assert accuracy["all", "small"]["accuracy"] == "0.5"
        mean = {(row["category"], row["model"]): row for row in self.rows("mean-sci")}
        assert (mean["code", "small"]["mean_sci_gco2e"], mean["code", "small"]["n"]) == ("", "0")
        assert {row["quality"] for row in self.rows("sum-sci")} == {"estimated"}
        assert [row["model"] for row in self.rows("accuracy-against-sci")] == ["small", "large"]
        assert [row["approach"] for row in self.rows("figure-2")] == [
            "large", "small", "router (nearest), bare items", "router (nearest), whole prompts", "oracle",
        ]  # fmt: skip

    def test_does_not_exist_for_what_there_is_not(self) -> None:
        make.make_study("shown", state="finished", started_at=make.NOW)
        client = signed_in()
        assert client.get(f"{PAGE}figure-2.csv").status_code == 404
        assert client.get(f"{PAGE}pie.csv").status_code == 404
        Study.objects.all().delete()
        assert client.get(f"{PAGE}accuracy.csv").status_code == 404


def all_drawn(page: Page) -> None:
    for chart in page.locator("figure.chart").all():
        chart.scroll_into_view_if_needed()
        expect(chart).to_have_attribute("data-drawn", "yes")
    page.evaluate("window.scrollTo(0, 0)")


class TestInTheBrowser:
    pytestmark = BROWSING

    def test_draws_its_charts(self, site: Site) -> None:
        federation = make_federation()
        compare_now(make_shown_study(federation), federation)
        page = site.open(SHOWN, user=person(Role.RESEARCHER))
        all_drawn(page)
        assert page.locator("figure.chart[data-drawn]").count() == 3
        expect(page.get_by_role("table", name="Numbers of Figure 2")).to_contain_text("oracle")

    def test_is_accessible_with_data_and_empty(self, site: Site) -> None:
        user = person(Role.RESEARCHER)
        check_page(site, PAGE, user=user)
        federation = make_federation()
        compare_now(make_shown_study(federation), federation)
        check_page(site, f"{PAGE}?study=shown", user=user, wait_for=all_drawn)


@pytest.mark.django_db
class TestMeasuredRouterOnThePage:
    def test_is_a_point_of_its_own_with_its_n_and_its_choices(self) -> None:
        study = make_shown_study(make_federation())
        assert "run_study NAME --router" in page_of(signed_in().get(SHOWN))
        of_router = make_router_study(study)
        response = signed_in().get(SHOWN)
        page = page_of(response)
        assert f'href="/studies/{of_router.name}/"' in page
        assert "n = 4 whole prompts sent to the router over HTTP" in page
        assert "Answered by small (3), large (1)." in page
        assert '<tr class="chosen"><th scope="row">router, measured</th>' in page
        traces = response.context["figure_2"].figure["data"]
        [point] = [trace for trace in traces if trace["name"] == "router, measured"]
        assert point["y"] == [50.0]


class TestMeasuredRouterInABrowser:
    pytestmark = BROWSING

    def test_can_be_read_by_everyone(self, site: Site) -> None:
        federation = make_federation()
        study = make_shown_study(federation)
        compare_now(study, federation)
        make_router_study(study)
        check_page(site, SHOWN, user=person(Role.RESEARCHER), wait_for=all_drawn)
