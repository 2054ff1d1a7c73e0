"""The operations page: figures by hand, doors, CSV, events, and how it looks."""

import csv
import io
import math
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import django_rq
import pytest
from django.test import AsyncRequestFactory, Client
from django.utils import timezone
from playwright.sync_api import expect
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings
from rq import Queue

from greenllm.models import User
from greenllm.operations import figures, views
from greenllm.operations.calibration import calibrations
from greenllm.operations.latencies import Bucket, latency_of
from greenllm.operations.panels import panel_sheet
from greenllm.operations.reading import (
    Traffic,
    latencies,
    names,
    routed_shares,
    saving_over_time,
    total_saving,
    traffic,
)
from greenllm.operations.spans import STRONG, Asked, Span, usual_span
from greenllm.operations.standing import budgets
from greenllm.roles import Role, grant_role
from greenllm.rollups import check_rollups, fold_rollups
from router.models import ApiKey, KeyDay, UpstreamAttempt
from tests import factories as make
from tests import shots
from tests.benchmarks.inference.asking import eventually
from tests.browsing import BROWSING, Site, check_page

PAGE = "/dashboards/operations/"


def person(role: Role) -> User:
    user = make.make_user()
    grant_role(user=user, role=role)
    return user


@pytest.fixture
def long_queue() -> Iterator[str]:
    """A queue of a machine whose long name has no place to be broken at."""
    queue = Queue(f"measure_{'0123456789' * 5}", connection=django_rq.get_connection())
    queue.enqueue(len, [])
    yield queue.name
    queue.delete(delete_jobs=True)


def signed_in(role: Role = Role.RESEARCHER) -> Client:
    client = Client()
    client.force_login(person(role))
    return client


def make_traffic() -> dict[str, Any]:
    """Make three routed requests of today and one of the week before, one failed one and one measured one."""
    now = timezone.now()
    small, large = make.make_deployment("small"), make.make_deployment("large")
    math, code = make.make_prompt(category="math").category, make.make_prompt(category="code").category
    candidates = [
        {"deployment_id": one.pk, "sci_gco2e": sci, "quality": "measured", "p": 0.8, "is_chosen": False}
        for one, sci in ((small, 0.001), (large, 0.004))
    ]
    for category, chosen, sci, days in (
        (math, small, 0.001, 0),
        (math, small, 0.001, 0),
        (code, large, 0.004, 0),
        (math, large, 0.004, 8),
    ):
        at = now - timedelta(days=days)
        request = make.make_gateway_request(
            state="answered", started_at=at, finished_at=at + timedelta(milliseconds=300)
        )
        make.make_decision(
            request=request, chosen=chosen, category=category, candidates=candidates, predicted_sci_gco2e=sci,
            predicted_quality="measured", baseline=large, choice_ms=3.0, decided_at=at, reason="dial", policy="knn",
        )  # fmt: skip
        UpstreamAttempt.objects.create(
            request=request, deployment=chosen, outcome="finished", started_at=at,
            finished_at=at + timedelta(milliseconds=250), output_token_count=40, time_to_first_token_ns=90_000_000,
        )  # fmt: skip
    make.make_gateway_request(state="failed", error_code="ServerUnreachable", started_at=now, finished_at=now)
    key = ApiKey.objects.create(owner=make.make_user(), name="lab", prefix="glm_x", digest="d", hard_gco2e_per_day=0.01)
    KeyDay.objects.create(api_key=key, day=now.date(), spent_gco2e=0.004, request_count=3)
    known = make.make_prompt("What is 2 + 2?")
    make.make_response(known, small, verdict="correct")
    make.make_decision(prompt=known, chosen=small, candidates=candidates, decided_at=now)
    return {"small": small, "large": large}


@pytest.mark.django_db
class TestFigures:
    def test_are_those_of_the_time(self) -> None:
        deployments = make_traffic()
        week = usual_span("7d", now=timezone.now())
        found, earlier = traffic([week, week.before])
        assert (found.request_count, found.failed_count, found.output_token_count, found.carbon_count) == (4, 1, 120, 3)
        assert found.predicted_gco2e == pytest.approx(0.006)
        assert found.qualities == ("measured",)
        assert routed_shares(week, names()) == {("math", "small"): 2, ("code", "large"): 1}
        saving = total_saving(saving_over_time(STRONG, week))
        assert (saving.n, saving.saved_gco2e, saving.share) == (3, pytest.approx(0.006), pytest.approx(0.5))
        against_small = total_saving(saving_over_time(str(deployments["small"].pk), week))
        assert against_small.saved_gco2e == pytest.approx(-0.003)
        assert earlier.request_count == 1

    @pytest.mark.parametrize("is_folded", [False, True])
    def test_of_traffic_count_each_kind_by_itself(self, is_folded: bool) -> None:
        now = timezone.now()
        kinds: tuple[tuple[int, dict[str, Any]], ...] = (
            (1, {"state": "failed", "error_code": "Timeout"}), (2, {"state": "abandoned"}),
            (4, {"background_task": "title"}), (5, {"cache_hit": "exact", "cache_saved_gco2e": 0.25}),
            (1, {"cache_hit": "semantic"}), (7, {}),
        )  # fmt: skip
        for count, fields in kinds:
            for _ in range(count):
                latest = make.make_gateway_request(**{"state": "answered", "started_at": now, **fields})
        for _ in range(8):
            make.make_gateway_request(state="answered", started_at=now, instead_of=latest)
        deployment = make.make_deployment()
        for number, output_count in enumerate((30, 60, None), start=1):
            UpstreamAttempt.objects.create(
                request=latest, number=number, deployment=deployment, outcome="finished", started_at=now,
                finished_at=now, output_token_count=output_count,
            )  # fmt: skip
        if is_folded:
            fold_rollups()
        assert traffic([usual_span("7d", now=now)]) == [Traffic(
            request_count=28, failed_count=3, cached_count=6, background_count=4, replaced_count=8,
            output_token_count=90, output_counted=2, cache_saved_count=5, cache_saved_gco2e=1.25,
            predicted_gco2e=0.0, carbon_count=0, qualities=(),
        )]  # fmt: skip

    @pytest.mark.parametrize("is_folded", [False, True])
    def test_of_whole_days_and_of_the_hours_around_them_are_those_of_each_request(self, is_folded: bool) -> None:
        begins_at = datetime(2026, 3, 1, 6, tzinfo=UTC)
        span = Span(begins_at, begins_at + timedelta(days=3))
        chance = random.Random(1)
        took: list[float] = []
        for hours in [-0.1, 0, 17.9, 18, 42, 65.9, 66, 71.9, 72, *(chance.uniform(-9, 80) for _ in range(40))]:
            ms = chance.randrange(1, 4000)
            at = begins_at + timedelta(hours=hours)
            make.make_gateway_request(state="answered", started_at=at, finished_at=at + timedelta(milliseconds=ms))
            took += [ms] if 0 <= hours < 72 else []
        if is_folded:
            fold_rollups()
        [total] = [one for one in latencies(span) if one.part == "total"]
        buckets: dict[int, Bucket] = {}
        for ms in took:
            place = math.floor(4 * math.log2(ms))
            buckets[place] = buckets.get(place, Bucket(0, 0.0)) + Bucket(1, ms)
        assert total == latency_of("total", buckets)
        assert not [one for one in check_rollups() if one.wrong_count]

    def test_of_calibration_are_those_of_kept_answers_too(self) -> None:
        now, model = timezone.now(), make.make_deployment("small")
        study = make.make_study(kind="live")
        for number, verdict in enumerate(("correct", "incorrect", "")):
            request = make.make_gateway_request(started_at=now, finished_at=now, state="answered")
            make.make_decision(
                request=request, chosen=model, decided_at=now, candidates=[{"deployment_id": model.pk, "p": 0.8}]
            )
            kept = make.make_response(
                make.make_prompt(f"Kept {number}"), model, study=study, gateway_request_public_id=request.public_id
            )
            if verdict:
                make.make_label(kept, verdict)
        for _ in range(2):
            [found] = calibrations(usual_span("7d", now=now))
            assert (found.n, found.right_count, found.supposed) == (2, 1, pytest.approx(0.8))
            fold_rollups()

    def test_of_carbon_are_missing_where_no_decision_had_any_and_tell_how_they_came_about(self) -> None:
        now, small, large = timezone.now(), make.make_deployment("small"), make.make_deployment("large")
        for chosen, sci, quality in ((small, 0.001, "measured"), (small, 0.002, "simulated"), (large, None, "")):
            make.make_decision(
                request=make.make_gateway_request(), chosen=chosen, predicted_sci_gco2e=sci, predicted_quality=quality,
                baseline=small if sci else None, decided_at=now, reason="dial",
                candidates=[{"deployment_id": small.pk, "sci_gco2e": sci, "quality": quality}] if sci else [],
            )  # fmt: skip
        asked = Asked(usual_span("7d", now=now))
        carbon = {row[1]: row[2:] for row in panel_sheet("carbon", asked).rows}
        assert carbon["small"] == (pytest.approx(0.003), 2, "measured simulated")
        assert carbon["large"] == (None, 0, "missing")
        [saving] = panel_sheet("saving", asked).rows
        assert (saving[1], saving[-1]) == (2, "measured simulated")

    def test_tell_what_is_left_of_a_budget(self) -> None:
        make_traffic()
        [budget] = budgets(now=timezone.now())
        assert (budget.span, budget.share, budget.request_count) == ("day", pytest.approx(0.4), 3)


@pytest.mark.slow
@pytest.mark.django_db
class TestPage:
    def test_is_open_to_who_may_see_results(self) -> None:
        for path in (PAGE, f"{PAGE}carbon.csv"):
            assert Client().get(path)["Location"].startswith("/account/sign-in/")
            assert signed_in(Role.ANNOTATOR).get(path).status_code == 403
            assert signed_in().post(path).status_code == 405
            assert signed_in().get(path).status_code == 200

    def test_says_what_is_missing_where_nothing_happened(self) -> None:
        page = signed_in().get(PAGE).content.decode()
        assert "No prompt was routed in this time." in page
        assert "No key has a carbon budget." in page
        assert "figure class" not in page

    def test_takes_the_same_queries_however_much_there_is(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        make_traffic()
        client = signed_in()
        client.get(PAGE)
        with django_assert_num_queries(20):
            page = client.get(f"{PAGE}?compare=before").content.decode()
        assert "The time before" in page
        assert "25" in page

    def test_keeps_what_was_typed_and_says_what_is_wrong(self) -> None:
        answer = signed_in().get(f"{PAGE}?from=2026-02-30&to=2026-03-01")
        assert answer.status_code == 400
        assert "From: write a day as year-month-day" in answer.content.decode()
        assert 'value="2026-02-30"' in answer.content.decode()

    @pytest.mark.parametrize(
        ("chart", "header", "count"),
        [("routed-share", "category", 2), ("carbon", "begins_at", 2), ("saving", "begins_at", 1),
         ("latency", "part", 4), ("calibration", "begins_at", 1), ("carbon-calibration", "begins_at", 0)],
    )  # fmt: skip
    def test_gives_the_numbers_of_every_chart(self, chart: str, header: str, count: int) -> None:
        make_traffic()
        text = signed_in().get(f"{PAGE}{chart}.csv").content.decode()
        rows = list(csv.reader(io.StringIO(text)))
        assert rows[0][0] == header
        assert len(rows) == 1 + count
        assert signed_in().get(f"{PAGE}nothing.csv").status_code == 404


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestLive:
    async def test_sends_how_things_stand_and_then_only_what_changed(self) -> None:
        events = [event async for event in views.live_events(0.0, 3)]
        assert "<b>0</b><small>requests under way</small>" in events[0]
        assert all(line.startswith("data: ") for line in events[0].rstrip("\n").split("\n"))
        assert events[1:] == [": nothing new\n\n"] * 2

    async def test_is_closed_to_strangers(self, settings: Settings) -> None:
        from django.contrib.auth.models import AnonymousUser

        request = AsyncRequestFactory().get(f"{PAGE}live")
        request.user = AnonymousUser()
        assert (await views.live(request)).status_code == 403


class TestLooks:
    pytestmark = BROWSING

    def test_good_with_traffic_and_renews_itself(self, site: Site) -> None:
        make_traffic()
        researcher = person(Role.RESEARCHER)
        check_page(site, f"{PAGE}?compare=before&span=30d", user=researcher)
        page = site.open(PAGE, user=researcher)
        page.get_by_text("Live: renewed whenever something changes.").wait_for()

    def test_is_pictured_and_what_cannot_be_is_noted(
        self, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Charts are waited for from outside: the pages' policy forbids what a wait inside them would run."""
        make_traffic()
        monkeypatch.setattr(shots, "WIDTHS", (1280,))
        page = site.open("/look/", user=person(Role.RESEARCHER))
        assert shots.take_or_note(page, PAGE, tmp_path) == []
        pictures = sorted(one.name for one in tmp_path.iterdir())
        assert pictures == ["dashboards-operations-dark-1280.png", "dashboards-operations-light-1280.png"]
        monkeypatch.setattr(shots, "_PATIENCE_MS", 300)
        stuck = '<figure class="chart" data-chart="none">'
        page.route("**/stuck/", lambda route: route.fulfill(body=stuck, content_type="text/html"))
        assert shots.take_or_note(page, "/stuck/", tmp_path)[0].startswith("/stuck/: ")
        wide = '<p style="width: 3000px">No title, no language, and wider than the window'
        page.route("**/wide/", lambda route: route.fulfill(body=wide, content_type="text/html"))
        wrong = " ".join(shots.take_or_note(page, "/wide/", tmp_path))
        assert "html-has-lang" in wrong
        assert "scrolls sideways at 1280 px" in wrong
        page.route("**/broken/", lambda route: route.fulfill(body="Sorry", content_type="text/html", status=500))
        assert shots.take_or_note(page, "/broken/", tmp_path) == ["/broken/: answers with status 500"]
        site.complaints[:] = [one for one in site.complaints if "status of 500" not in one]  # of the browser itself

    def test_push_no_table_sideways_on_a_phone(self, site: Site, long_queue: str) -> None:
        make_traffic()
        page = site.open(f"{PAGE}?compare=before&span=30d", user=person(Role.RESEARCHER), width="phone")
        expect(page.get_by_role("table", name="Queues")).to_contain_text(long_queue)
        expect(page.locator("#live-state")).to_contain_text("renewed")  # by what comes then, too
        tables = page.locator(".scroll:has(> table)")
        assert tables.count() >= 7
        wide = (
            "[...document.querySelectorAll('.scroll:has(> table)')].filter((one) => one.scrollWidth > one.clientWidth)"
            ".map((one) => one.innerText)"
        )
        eventually(lambda: not page.evaluate(wide), 20)  # a script makes lists of those that are too wide
        assert page.evaluate(wide) == []
        share = page.get_by_role("table", name="Routed share")
        assert share.locator("td").first.evaluate("one => getComputedStyle(one, '::before').content") == '"large"'

    def test_keep_the_title_of_an_axis_off_its_numbers_on_a_phone(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        make_traffic()
        shown = figures.latency
        slow = [600.0, 2000.0, 6000.0]
        monkeypatch.setattr(figures, "latency", lambda parts, *_: shown(parts[:3], slow, slow))
        page = site.open(PAGE, user=person(Role.RESEARCHER), width="phone")
        chart = page.locator("figure.chart", has_text="How long each part takes")
        chart.scroll_into_view_if_needed()
        numbers = chart.locator(".ytick text")
        expect(numbers.filter(has_text="1000")).to_have_count(1)
        title = chart.locator(".ytitle").bounding_box()
        boxes = [one.bounding_box() for one in numbers.all()]
        assert title is not None
        assert all(box is not None and box["x"] >= title["x"] + title["width"] for box in boxes)

    def test_good_while_nothing_happened(self, site: Site) -> None:
        check_page(site, PAGE, user=person(Role.RESEARCHER))
