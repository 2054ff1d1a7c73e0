"""The pages of routing: who may open and change what, what they show, and how they look."""

import csv
import io
from dataclasses import asdict

import numpy as np
import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings
from redis.exceptions import ConnectionError as RedisDown

from greenllm.evaluations.figures import Point, pareto_chart
from greenllm.roles import Role, grant_role
from router.checker_figures import measure_checkers
from router.checking.number_format import NumberFormatChecker
from router.evaluation.own_cost import OwnCost
from router.evaluation.report import report
from router.evaluation.running import dial_of, run, usual_approaches
from router.models import Evaluation, PolicyVersion
from router.reporting import Plan, Proposal, TuningPlan, title_of
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.router.judged import checked_study, judged_study
from tests.router.tables import outcomes_table

pytestmark = pytest.mark.django_db
PAGE = "/routing/"
_PARTS = ("", "progress/", "report.json", "approaches.csv")
READ = (PAGE, *(f"/routing/evaluations/{{pk}}/{part}" for part in _PARTS))
STARTS = "/routing/evaluate/"
CHANGES = ("/routing/tune/", "/routing/evaluations/{pk}/adopt/", "/routing/versions/{version}/restore/")
OWN = OwnCost(0.0002, "measured", 100, "Building index 3: embedding and insertion, whole machine.")


@pytest.fixture(scope="module")
def stored() -> dict[str, object]:
    """A whole report in the form that is stored."""
    table = outcomes_table(noise=0.2)
    approaches = usual_approaches()
    written = {"typos": table.written(seed=1)}
    found = run(table.table, approaches=[*approaches, *dial_of(approaches)], split_count=2, written=written)
    return report(found, own_cost=OWN, qualities={"estimated": 700, "missing": 20}).as_json()


@pytest.fixture(scope="module")
def proposed() -> dict[str, object]:
    """A tuning in the form that is stored."""
    approach = next(one for one in usual_approaches(target=-0.02) if one.title == "knn, neighbours")
    renamed = [type(approach)(title_of("knn"), approach.policy, target=-0.02)]
    found = run(outcomes_table(noise=0.2).table, approaches=renamed, split_count=1)
    tuned = next(one for one in found.ledgers if one.title == title_of("knn")).tuned[0]
    return Proposal(TuningPlan("knn", 2.0, 0), tuned, report(found, own_cost=OWN)).as_json()


def evaluation(report: dict[str, object] | None = None, **facts: object) -> Evaluation:
    values = {
        "outcomes": "small-models", "plan": Plan().as_json(), "created_at": make.NOW, "report": report,
        "state": "finished" if report else "queued", "finished_at": make.NOW if report else None,
    }  # fmt: skip
    return Evaluation.objects.create(**{**values, **facts})


def client_of(role: Role | None, **options: bool) -> Client:
    client, user = Client(**options), make.make_user()
    if role is not None:
        grant_role(user=user, role=role)
    client.force_login(user)
    return client


def posted(study: str = "judged", **changed: object) -> dict[str, object]:
    values = {"study": study, "splits": 3, "seed": 5, "points": 2, "floor": 0.7, "policies": ["knn", "nearest"]}
    return {f"evaluate-{name}": value for name, value in {**values, **changed}.items()}


class TestDoors:
    @pytest.fixture(autouse=True)
    def made(self, stored: dict[str, object]) -> None:
        self.names = {"pk": evaluation(stored).pk, "version": PolicyVersion.objects.create(policy="nearest").pk}

    def address(self, path: str) -> str:
        return path.format(**self.names)

    @pytest.mark.slow
    @pytest.mark.parametrize("path", READ)
    def test_of_reading(self, path: str, settings: Settings) -> None:
        address = self.address(path)
        assert Client().get(address)["Location"] == f"/account/sign-in/?next={address}"
        for role in (None, Role.ANNOTATOR, Role.ADJUDICATOR):
            assert client_of(role).get(address).status_code == 403
        for role in (Role.RESEARCHER, Role.ADMIN):
            assert client_of(role).get(address).status_code == 200
            assert client_of(role).post(address).status_code == 405
        settings.ANONYMOUS_ACCESS = "loopback"
        assert Client().get(address).status_code == 200

    @pytest.mark.slow
    @pytest.mark.parametrize("path", [STARTS, *CHANGES])
    def test_of_changing(self, path: str, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"
        address = self.address(path)
        assert Client().post(address)["Location"].startswith("/account/sign-in/")
        closed = [None, Role.ANNOTATOR, Role.ADJUDICATOR, *([] if path == STARTS else [Role.RESEARCHER])]
        for role in closed:
            assert client_of(role).post(address).status_code == 403
        assert client_of(Role.ADMIN).get(address).status_code == 405
        assert client_of(Role.ADMIN, enforce_csrf_checks=True).post(address).status_code == 403
        assert PolicyVersion.objects.count() == 1
        assert client_of(Role.ADMIN).post(address).status_code in {302, 422}

    @pytest.mark.slow
    def test_are_linked_and_offered_by_role(self) -> None:
        for role, offered in ((Role.RESEARCHER, {STARTS}), (Role.ADMIN, {STARTS, "/routing/tune/"})):
            page = client_of(role).get(PAGE).content.decode()
            assert f'href="{PAGE}"' in page
            if offered == {STARTS}:
                assert "/routing/tune/" not in page
                assert "Add by hand" not in page
        assert "Tune" in page


class TestOverview:
    def test_says_what_to_do_first(self) -> None:
        page = client_of(Role.ADMIN).get(PAGE).content.decode()
        assert "guarded: the most accurate model" in page
        assert "There is no study with answers yet" in page
        assert "evaluate_router --study NAME --keep" in page

    def test_shows_what_is_in_force_and_what_was(self) -> None:
        PolicyVersion.objects.create(policy="guarded", novelty=0.9, note="careful")
        latest = PolicyVersion.objects.create(policy="knn", sci_price=12.5)
        page = client_of(Role.RESEARCHER).get(PAGE).content.decode()
        assert "12.5 per gCO₂e" in page
        assert f"(version {latest.pk})" in page
        assert "novelty: 0.9" in page
        assert "careful" in page

    def test_shows_how_far_checkers_can_be_trusted(self) -> None:
        study = checked_study()
        measure_checkers(study=study, checkers=[NumberFormatChecker()], now=make.NOW)
        page = client_of(Role.RESEARCHER).get(PAGE).content.decode()
        assert "number_format" in page
        assert "20 of 24 answers" in page
        assert "75\u00a0%" in page
        assert "53\u00a0% to 89\u00a0%" in page
        assert ">counts</span>" in page

    def test_says_how_to_measure_checkers(self) -> None:
        assert "manage.py measure_checkers --study NAME" in client_of(Role.RESEARCHER).get(PAGE).content.decode()

    def test_draws_the_latest_finished_evaluation(self, stored: dict[str, object]) -> None:
        evaluation(stored, outcomes="older")
        latest = evaluation(stored, outcomes="newer")
        evaluation(state="running", outcomes="under-way", told_at=timezone.now())
        page = client_of(Role.RESEARCHER).get(PAGE).content.decode()
        assert f'href="/routing/evaluations/{latest.pk}/">Evaluation {latest.pk} in full' in page
        for chart in ("pareto", "reliability", "steadiness"):
            assert f'id="evaluation-{chart}-figure"' in page
            assert page.count(f'id="evaluation-{chart}"') == 1
        for word in ("best single", "oracle", "expected calibration error", "Same choice", "estimated, n = 700"):
            assert word in page
        assert f'href="/routing/evaluations/{latest.pk}/calibration.csv"' in page

    @pytest.mark.slow
    def test_tells_what_counted_before_and_leads_back_to_it(self) -> None:
        former = PolicyVersion.objects.create(policy="knn", sci_price=4.0)
        assert "Roll back" not in client_of(Role.ADMIN).get(PAGE).content.decode()
        PolicyVersion.objects.create(policy="nearest")
        told = f"Before it counted version {former.pk}, knn (price of SCI: 4.00 per gCO₂e"
        page = client_of(Role.ADMIN).get(PAGE).content.decode()
        assert told in page
        assert f"Roll back to version {former.pk}" in page
        page = client_of(Role.RESEARCHER).get(PAGE).content.decode()
        assert told in page
        assert "Roll back to version" not in page

    def test_takes_as_many_queries_for_many(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        person = make.make_user()
        for number in range(25):
            version = PolicyVersion.objects.create(policy="floor", fallback=None, made_by=person)
            evaluation({"x": 1}, kind="tuning", version=version, made_by=person, outcomes=f"study-{number}")
        client = client_of(Role.ADMIN)
        # session, person, roles, 2 lists with counts, latest evaluation, studies, checkers, notices
        with django_assert_num_queries(12):
            page = client.get(PAGE).content.decode()
        assert "Page 1 of 2" in page
        assert "Page 1 of 3" in page
        assert "in force" in client.get(f"{PAGE}?versions=3&page=2").content.decode()

    def test_offers_only_studies_that_compare_models(self) -> None:
        make.make_study("draft", state="draft")
        make.make_study("through-the-router", kind="router")
        make.make_study("measured")
        page = client_of(Role.RESEARCHER).get(PAGE).content.decode()
        assert '<option value="measured">' in page
        assert "draft" not in page
        assert "through-the-router" not in page


class TestStart:
    def test_makes_a_row_and_leads_to_it(self) -> None:
        study = judged_study(count=2, name="judged")
        client = client_of(Role.RESEARCHER)
        response = client.post(STARTS, posted())
        made = Evaluation.objects.get()
        assert response["Location"] == f"/routing/evaluations/{made.pk}/"
        assert (made.state, made.study, made.made_by) == ("queued", study, study and made.made_by)
        assert Plan.from_json(made.plan) == Plan(("nearest", "knn"), 3, 5, 2.0, 0.7, is_written=False)
        assert "Waits for the worker" in client.get(response["Location"]).content.decode()

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("study", "", "Choose the study whose answers count."),
            ("study", "none", "There is no such study with answers"),
            ("splits", 0, "greater than or equal to 1"),
            ("points", 101, "less than or equal to 100"),
            ("floor", "high", "Enter a number"),
            ("policies", [], "Choose at least one policy."),
        ],
    )
    def test_tells_what_is_wrong_and_loses_nothing(self, field: str, value: object, said: str) -> None:
        judged_study(count=2, name="judged")
        response = client_of(Role.RESEARCHER).post(STARTS, posted(**{"seed": 77, field: value}))
        page = response.content.decode()
        assert response.status_code == 422
        assert said in page
        assert 'value="77"' in page
        assert not Evaluation.objects.exists()

    def test_says_that_the_queue_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail() -> None:
            raise RedisDown("away")

        monkeypatch.setattr("router.evaluation_jobs.impatient_connection", fail)
        judged_study(count=2, name="judged")
        page = client_of(Role.RESEARCHER).post(STARTS, posted(), follow=True).content.decode()
        assert "cannot be reached, so that nothing was begun" in page
        assert Evaluation.objects.get().state == "failed"

    def test_of_a_tuning_stores_what_was_asked(self) -> None:
        judged_study(count=2, name="judged")
        asked = {"tune-study": "judged", "tune-policy": "floor", "tune-loss": "0.5", "tune-seed": "9"}
        asked |= {"tune-estimator": "neighbours"}
        client_of(Role.ADMIN).post("/routing/tune/", asked)
        made = Evaluation.objects.get()
        assert (made.kind, made.plan) == ("tuning", asdict(TuningPlan("floor", 0.5, 9, "neighbours")))


class TestProgress:
    def test_is_renewed_until_it_is_done(self) -> None:
        made = evaluation(state="running", stage="embedding", done_count=3, total_count=9, told_at=timezone.now())
        client, address = client_of(Role.RESEARCHER), f"/routing/evaluations/{made.pk}/progress/"
        response = client.get(address)
        assert "Embedding: 3 of 9" in response.content.decode()
        assert 'hx-trigger="every 2s"' in response.content.decode()
        assert "HX-Refresh" not in response
        made.fail("prompts: 3 different ones are too few to split.", timezone.now())
        response = client.get(address)
        assert response["HX-Refresh"] == "true"
        assert "Nothing was found: prompts: 3 different ones are too few to split." in response.content.decode()

    def test_says_that_its_worker_must_have_gone(self) -> None:
        made = evaluation(state="running", told_at=make.NOW)
        assert (
            "said nothing for a quarter of an hour"
            in client_of(Role.ADMIN).get(f"/routing/evaluations/{made.pk}/").content.decode()
        )


class TestReport:
    def page(self, report: dict[str, object], **facts: object) -> str:
        made = evaluation(report, **facts)
        return client_of(Role.ADMIN).get(f"/routing/evaluations/{made.pk}/").content.decode()

    def test_shows_controls_splits_quality_and_the_routers_own(self, stored: dict[str, object]) -> None:
        page = self.page(stored)
        for word in (
            "cheapest", "random", "best single", "oracle", "category, label known", "nearest", "guarded",
            "2, by prompt text, from seed 0: 60\u00a0% to learn from", "estimated (n = 700), missing (n = 20)",
            "0.200 mgCO₂e per prompt", "measured, n = 100 prompts", "of another quality", "that knows all the others",
            "expected calibration error", "Same choice", "knn, neighbours, loss 5",
            "knn, neighbours, loss 0", "Where prompts went",
        ):  # fmt: skip
            assert word in page, word

    def test_says_missing_where_the_routers_own_is(self, stored: dict[str, object]) -> None:
        own = {"value": None, "quality": "missing", "n": 0, "source": "No index was measured."}
        rows = [{**row, "own_cost": None} for row in stored["rows"]]
        page = self.page({**stored, "own_cost": own, "rows": rows})
        assert "No index was measured." in page
        assert "router&#x27;s own missing" in page

    def test_of_figures_that_are_missing_shows_none(self, stored: dict[str, object]) -> None:
        nothing = {"value": None, "low": None, "high": None, "n": 2}
        first = {**stored["rows"][0], **dict.fromkeys(("accuracy", "cost", "accuracy_change", "saving"), nothing)}
        page = self.page({**stored, "rows": [{**first, "worst_change": None}, *stored["rows"][1:]]})
        assert "missing</small>" in page

    @pytest.mark.slow
    def test_of_a_tuning_offers_to_put_it_into_force(self, proposed: dict[str, object]) -> None:
        made = evaluation(proposed, kind="tuning")
        client, address = client_of(Role.ADMIN), f"/routing/evaluations/{made.pk}/"
        assert "Put into force" in client.get(address).content.decode()
        assert "Put into force" not in client_of(Role.RESEARCHER).get(address).content.decode()
        page = client.post(f"{address}adopt/", follow=True).content.decode()
        version = PolicyVersion.objects.get()
        assert version.sci_price == pytest.approx(proposed["tuning"]["value"])
        assert f"In force now: version {version.pk}: knn" in page
        assert f"In force as version {version.pk}" in client.get(address).content.decode()

    def test_that_is_no_tuning_is_not_put_into_force(self, stored: dict[str, object]) -> None:
        made = evaluation(stored)
        page = client_of(Role.ADMIN).post(f"/routing/evaluations/{made.pk}/adopt/", follow=True).content.decode()
        assert "is no finished tuning" in page
        assert not PolicyVersion.objects.exists()

    def test_takes_few_queries(
        self, stored: dict[str, object], django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        made, client = evaluation(stored), client_of(Role.RESEARCHER)
        with django_assert_num_queries(5):  # session, person, permissions (2), evaluation
            client.get(f"/routing/evaluations/{made.pk}/")

    def test_that_is_not_there_is_not_found(self) -> None:
        client, made = client_of(Role.ADMIN), evaluation()
        for path in ("9999/", f"{made.pk}/report.json", f"{made.pk}/approaches.csv", "9999/adopt/"):
            method = client.post if path.endswith("adopt/") else client.get
            assert method(f"/routing/evaluations/{path}").status_code == 404


class TestRestore:
    def test_makes_a_former_version_the_latest(self) -> None:
        first = PolicyVersion.objects.create(policy="knn", sci_price=4.0)
        PolicyVersion.objects.create(policy="nearest")
        client = client_of(Role.ADMIN)
        page = client.post(f"/routing/versions/{first.pk}/restore/", follow=True).content.decode()
        assert "In force now" in page
        assert PolicyVersion.objects.latest().sci_price == 4.0
        assert client.post("/routing/versions/9999/restore/").status_code == 404


class TestDownloads:
    def test_hold_the_figures_as_they_are_stored(self, stored: dict[str, object]) -> None:
        made, client = evaluation(stored), client_of(Role.RESEARCHER)
        told = client.get(f"/routing/evaluations/{made.pk}/report.json").json()
        assert told["report"] == stored
        text = client.get(f"/routing/evaluations/{made.pk}/approaches.csv").content.decode()
        rows = {row["approach"]: row for row in csv.DictReader(io.StringIO(text))}
        nearest = next(row for row in stored["rows"] if row["title"] == "nearest")
        assert float(rows["nearest"]["accuracy"]) == nearest["accuracy"]["value"]
        assert float(rows["nearest"]["own_cost_gCO2e"]) == 0.0002
        assert rows["oracle"]["own_cost_gCO2e"] == ""
        assert {(row["n"], row["cost_quality"]) for row in rows.values()} == {
            (str(stored["prompt_count"]), "estimated")
        }
        assert set(rows) == {row["title"] for row in stored["rows"]}

    @pytest.mark.parametrize("table", ["calibration", "steadiness", "choices"])
    def test_have_every_table(self, stored: dict[str, object], table: str) -> None:
        made = evaluation(stored)
        response = client_of(Role.RESEARCHER).get(f"/routing/evaluations/{made.pk}/{table}.csv")
        assert len(response.content.decode().splitlines()) > 2
        assert client_of(Role.RESEARCHER).get(f"/routing/evaluations/{made.pk}/other.csv").status_code == 404

    @pytest.mark.parametrize(("file", "maker"), [("report.json", "_as_stored"), ("approaches.csv", "as_csv")])
    def test_are_announced_without_being_made(
        self, stored: dict[str, object], monkeypatch: pytest.MonkeyPatch, file: str, maker: str
    ) -> None:
        made, client = evaluation(stored), client_of(Role.RESEARCHER)
        told = client.get(f"/routing/evaluations/{made.pk}/{file}")
        monkeypatch.setattr(f"greenllm.evaluations.views.{maker}", lambda *_: pytest.fail(f"{maker} was called"))
        announced = client.head(f"/routing/evaluations/{made.pk}/{file}")
        for header in ("Content-Type", "Content-Disposition"):
            assert announced[header] == told[header]


class TestPareto:
    def test_marks_the_axis_in_full_numbers(self) -> None:
        points = [Point(name, name, 50.0, 40.0, 60.0, cost) for name, cost in (("a", 2.0), ("b", 30.0))]
        chart = pareto_chart(points, {"a": points}, points, "J")
        assert chart.figure["layout"]["xaxis"]["ticktext"] == ["1", "2", "5", "10", "20", "50", "100", "200", "500"]
        near = pareto_chart([points[0], Point("c", "c", 50.0, 40.0, 60.0, 3.0)], {}, [], "J")
        assert {"2", "2.5", "3"} <= set(near.figure["layout"]["xaxis"]["ticktext"])
        free = pareto_chart([*points, Point("free", "free", 50.0, 40.0, 60.0, 0.0)], {}, [], "J")
        assert free.figure["layout"]["xaxis"]["ticktext"] == chart.figure["layout"]["xaxis"]["ticktext"]
        assert free.description.endswith("no place for what costs nothing: free.")
        mix, dial, *marks = chart.figure["data"]
        assert (mix["x"][0], mix["x"][-1]) == (2.0, 30.0)
        assert np.interp(16.0, mix["x"], mix["y"]) == pytest.approx(50.0)
        assert dial["line"]["color"] == marks[0]["marker"]["color"]


@pytest.mark.slow
class TestLooks:
    pytestmark = BROWSING

    def test_of_every_page(self, site: Site, stored: dict[str, object], proposed: dict[str, object]) -> None:
        admin = make.make_user("admin")
        grant_role(user=admin, role=Role.ADMIN)
        check_page(site, PAGE, user=admin, picture="routing-empty")
        make.make_study("small-models")
        version = PolicyVersion.objects.create(policy="guarded", note="Careful to begin with", made_by=admin)
        PolicyVersion.objects.create(policy="knn", sci_price=2.7, note="Tuned on small-models", made_by=admin)
        running = evaluation(
            state="running", stage="embedding", done_count=120, total_count=300, told_at=timezone.now()
        )
        tuning, done = evaluation(proposed, kind="tuning", made_by=admin), evaluation(stored, made_by=admin)
        evaluation(state="failed", error="prompts: 3 different ones are too few to split; at least 30 are needed.")
        assert version.pk
        for right in (15, 3):
            measure_checkers(study=checked_study(right=right), checkers=[NumberFormatChecker()], now=make.NOW)
        check_page(site, PAGE, user=admin, picture="routing")
        for made, name in ((running, "running"), (tuning, "tuning"), (done, "report")):
            check_page(site, f"/routing/evaluations/{made.pk}/", user=admin, picture=f"routing-{name}")
