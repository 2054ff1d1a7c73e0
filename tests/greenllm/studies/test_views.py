import re
import time
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test import Client
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from benchmarks.models import Measurement, StudyMeasurement
from benchmarks.pacing import Pace
from benchmarks.studying import Progress
from greenllm.models import User
from greenllm.roles import Role
from greenllm.studies.queries import time_left_s
from tests import factories as make
from tests.greenllm.studies import shown

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def researcher(client: Client) -> User:
    """Somebody who runs studies, signed in."""
    user = shown.make_person(Role.RESEARCHER)
    client.force_login(user)
    return user


def page_of(response: Any) -> str:
    """Return a page's text with single spaces."""
    return re.sub(r"\s+", " ", response.content.decode())


@pytest.mark.usefixtures("researcher")
class TestList:
    def test_says_what_to_do_where_there_is_none(self, client: Client) -> None:
        page = page_of(client.get("/studies/"))
        for word in ("import_dataset", "import_prompts", "add_model", 'href="/studies/new/"'):
            assert word in page

    def test_shows_progress_models_machine_and_quality(self, client: Client) -> None:
        shown.add_failed(shown.make_shown_study("first", title="Sums"))
        page = page_of(client.get("/studies/"))
        for word in ('href="/studies/first/"', "Sums", "4 of 5", "1 failed", "small, large", "test", "estimated"):
            assert word in page

    def test_filters_by_state_and_kind(self, client: Client) -> None:
        shown.make_shown_study("one", state="finished")
        make.make_study("two", state="draft", kind="imported")
        for query, names in (("state=draft", {"two"}), ("kind=measured", {"one"}), ("state=absurd", {"one", "two"})):
            found = set(re.findall(r'href="/studies/(\w+)/"', page_of(client.get(f"/studies/?{query}"))))
            assert found - {"new", "import", "compare"} == names, query
        assert "No study is in this state" in page_of(client.get("/studies/?state=paused"))

    def test_comes_in_pages_that_keep_the_filter(self, client: Client) -> None:
        for _ in range(26):
            make.make_study(state="draft")
        page = page_of(client.get("/studies/?state=draft"))
        assert "Page 1 of 2 (26 studies)" in page
        assert 'href="?state=draft&amp;page=2"' in page
        assert "Page 2 of 2" in page_of(client.get("/studies/?state=draft&page=2"))

    @pytest.mark.parametrize("count", [1, 5])
    def test_needs_nine_queries_however_much_there_is(
        self, client: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(count):
            shown.make_shown_study(f"s{number}")
        with django_assert_num_queries(8):  # session, person, permissions, count, studies, responses, models
            client.get("/studies/")


def _numbers(page: str) -> list[int]:
    return [int(one) for one in re.findall(r'aria-label="Response (\d+)"', page)]


@pytest.mark.usefixtures("researcher")
class TestDetail:
    def test_shows_state_design_tables_and_responses(self, client: Client) -> None:
        study = shown.make_shown_study("first", title="Sums", machine_snapshot={"name": "lab", "cpu_model": "Ryzen"})
        page = page_of(client.get("/studies/first/"))
        for word in (
            "Sums <span", "Finished", "4 of 4 responses", "Ryzen", "num_predict", "1 \u00d7 math, train", "from test",
            "Mean SCI of the correct answers", "Accuracy", "Sum of SCI", "4 responses",
        ):  # fmt: skip
            assert word in page, word
        for response in study.responses.all():
            assert f'href="/responses/{response.pk}/"' in page

    def test_gives_reasons_of_what_failed(self, client: Client) -> None:
        study = shown.make_shown_study("first")
        shown.add_failed(study, error="The stream <broke>.")
        page = page_of(client.get("/studies/first/"))
        assert "1 failed response" in page
        assert "after 1 attempt: The stream &lt;broke&gt;." in page

    @pytest.mark.parametrize(
        ("query", "count"),
        [("model=small", 4), ("category=math", 3), ("state=pending", 1), ("verdict=correct", 4), ("verdict=open", 0),
         ("verdict=incorrect", 1), ("verdict=disputed", 0), ("model=small&verdict=incorrect", 1), ("state=x", 6),
         ("model=absent", 0), ("category=absent", 0), ("prompts=training", 5), ("prompts=validation", 1),
         ("state=finished", 5), ("state=pending&verdict=open", 0), ("prompts=validation&verdict=incorrect", 1)],
    )  # fmt: skip
    def test_filters_its_responses(self, client: Client, query: str, count: int) -> None:
        study = shown.make_shown_study("first", state="paused")
        shown.add_pending(study)
        small = study.targets.order_by("position")[0].deployment
        asked = make.make_prompt(category="code", role="validation")
        make.make_response(asked, small, study=study, verdict="incorrect", sequence=9)
        page = page_of(client.get(f"/studies/first/?{query}"))
        assert len(_numbers(page)) == count
        assert (f">{count} response" if count else "No response is like that") in page

    def test_pages_its_responses(self, client: Client) -> None:
        shown.make_shown_study("first", prompt_count=60, verdict="")
        page = page_of(client.get("/studies/first/?state=finished"))
        assert "Page 1 of 3 (120 responses)" in page
        seen = [_numbers(page)]
        while following := re.search(r'href="(\?[^"]+)" rel="next"', page):
            page = page_of(client.get(f"/studies/first/{unescape(following[1])}"))
            seen.append(_numbers(page))
        assert [number for one in seen for number in one] == list(range(1, 121))
        assert "Page 3 of 3 (120 responses)" in page
        while leading := re.search(r'href="(\?[^"]+)" rel="prev"', page):
            seen.pop()
            page = page_of(client.get(f"/studies/first/{unescape(leading[1])}"))
            assert _numbers(page) == seen[-1]
        assert len(seen) == 1

    @pytest.mark.parametrize("column", ["sci", "energy", "took"])
    def test_sorts_its_responses_over_all_pages(self, client: Client, column: str) -> None:
        study = shown.make_shown_study("first", prompt_count=60)
        for place, one in enumerate(measured := list(Measurement.objects.order_by("response__sequence"))):
            figure = None if place % 40 == 7 else float(1 + place * 7 % 100)  # some are alike
            one.energy_j, one.sci_gco2e, one.time_reserved_s = figure, figure, figure or 1.0
            if figure is None:
                one.quality, one.missing_reason = "missing", "A gap."
        kept = {"sci": "sci_gco2e", "energy": "energy_j", "took": "time_reserved_s"}
        Measurement.objects.bulk_update(measured, [*kept.values(), "quality", "missing_reason"])
        with connection.cursor() as cursor:
            cursor.execute("SELECT labeling_fold_answers()")
        later = [one.pk for one in measured[::5]]  # what has changed since the fold stands among the others
        Measurement.objects.filter(pk__in=later, energy_j__isnull=False).update(
            **{name: 0.5 + F(name) for name in kept.values()}
        )
        figures = dict(study.responses.values_list("sequence", f"measurement__{kept[column]}"))
        for sign in ("", "-"):
            page = page_of(client.get(f"/studies/first/?state=finished&sort={sign}{column}"))
            direction = "descending" if sign else "ascending"
            assert page.count(f'aria-sort="{direction}"') == 1
            assert f'<input type="hidden" name="sort" value="{sign}{column}">' in page
            seen = _numbers(page)
            while following := re.search(r'href="(\?[^"]+)" rel="next"', page):
                assert f"state=finished&amp;sort={sign}{column}" in following[1]
                page = page_of(client.get(f"/studies/first/{unescape(following[1])}"))
                seen += _numbers(page)
            assert sorted(seen) == list(range(1, 121))
            known = [figures[one] for one in seen if figures[one] is not None]
            assert known == sorted(known, reverse=bool(sign))
            assert [figures[one] for one in seen[: len(known)]] == known  # what is missing comes last

    def test_leads_from_a_head_to_its_order_with_the_filters(self, client: Client) -> None:
        shown.make_shown_study("first")
        page = page_of(client.get("/studies/first/?state=finished&sort=energy"))
        assert 'href="?state=finished&amp;sort=-energy#responses-title">Energy</a>' in page
        assert 'href="?state=finished&amp;sort=took#responses-title">Took</a>' in page
        assert _numbers(page_of(client.get("/studies/first/?sort=-number"))) == [4, 3, 2, 1]
        assert "aria-sort" not in page_of(client.get("/studies/first/?sort=password"))

    @pytest.mark.parametrize(
        "query", ["after=0", "before=x", "after=99999999999999999999", "page=7", "before=1&page=9"]
    )
    def test_begins_its_list_anew_where_an_address_names_no_place(self, client: Client, query: str) -> None:
        shown.make_shown_study("first", prompt_count=26, verdict="")
        assert "of 2 (52 responses)" in page_of(client.get(f"/studies/first/?{query}"))

    @pytest.mark.parametrize("count", [1, 6])
    def test_needs_a_pinned_number_of_queries(
        self, client: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        shown.add_running(shown.make_shown_study("first", state="running", prompt_count=count))
        # session, person, permissions; study, counts of its answers, pace, running attempts; two for the
        # tables; prompt groups; which answers changed of late, keys of the others and of these, responses, verdicts;
        # parameters, models
        with django_assert_num_queries(18):
            client.get("/studies/first/")

    def test_without_a_response_says_so(self, client: Client) -> None:
        make.make_study("bare", state="draft")
        assert "This study has no responses" in page_of(client.get("/studies/bare/"))

    def test_of_imported_outcomes_offers_nothing_to_measure(self, client: Client) -> None:
        make.make_study("old", state="finished", kind="imported", machine=None)
        page = page_of(client.get("/studies/old/"))
        assert "No worker" not in page
        assert 'action="/studies/old/start/"' not in page

    @pytest.mark.parametrize("attack", ["<script>alert(1)</script>", "' onmouseover='alert(1)", "{{ 7|add:'7' }}"])
    def test_shows_what_anybody_wrote_as_text(self, client: Client, attack: str) -> None:
        study = shown.make_shown_study("first", title=attack)
        shown.add_failed(study, error=attack)
        page = page_of(client.get("/studies/first/"))
        assert attack not in page
        assert page.count(escape(attack)) >= 2


@pytest.mark.usefixtures("researcher")
class TestLive:
    POLLS = 'hx-get="/studies/first/live/" hx-trigger="every 2s"'

    @pytest.mark.parametrize(
        ("state", "polls"), [("draft", False), ("running", True), ("paused", False), ("finished", False)]
    )
    def test_renews_itself_only_while_the_study_runs(self, client: Client, state: str, polls: bool) -> None:
        shown.make_shown_study("first", state=state)
        for path in ("live", "tables"):
            fragment = page_of(client.get(f"/studies/first/{path}/"))
            assert (f'hx-get="/studies/first/{path}/" hx-trigger="every 2s"' in fragment) is polls
            assert "<html" not in fragment
        assert (self.POLLS in page_of(client.get("/studies/first/"))) is polls

    def test_tells_what_is_measured_and_how_long_it_takes(self, client: Client) -> None:
        study = shown.make_shown_study("first", state="running")
        response = shown.add_running(study)
        shown.add_pending(study)
        shown.add_attempt(study.responses.in_order()[0], 30.0)
        fragment = page_of(client.get("/studies/first/live/"))
        assert "about 1 min <small>(median 30 s per response, n = 1)" in fragment
        assert f"math prompt {response.prompt.external_id}</a> by small, attempt 2" in fragment

    def test_tells_from_what_to_what_a_machine_cools_down(self, client: Client) -> None:
        response = shown.add_running(shown.make_shown_study("first", state="running"))
        waits = "cooling down from 71 °C to 55 °C, for 300 s at most"
        response.attempts.update(cooldown_note=waits)
        assert f'<span class="badge">waits</span> {waits}' in page_of(client.get("/studies/first/live/"))
        response.attempts.update(cooldown_note="cooled from 71 °C to 55 °C in 9 s", cooldown_s=9)
        assert "waits</span>" not in page_of(client.get("/studies/first/live/"))

    def test_says_that_the_time_is_unknown_at_first(self, client: Client) -> None:
        shown.make_shown_study("first", state="running")
        assert "unknown until the first response is done" in page_of(client.get("/studies/first/live/"))

    def test_says_that_no_worker_listens_and_what_to_do(self, client: Client) -> None:
        shown.make_shown_study("first", state="running", machine=make.make_machine("lonely"))
        fragment = page_of(client.get("/studies/first/live/"))
        assert "No worker is listening on the queue measure-lonely, so nothing is measured." in fragment
        assert "GREENLLM_MACHINE=lonely manage.py work" in fragment

    def test_says_soon_that_the_queue_is_away(self, client: Client, settings: Settings) -> None:
        shown.make_shown_study("first", state="running")
        settings.REDIS_URL = "redis://127.0.0.1:1/0"
        begun = time.monotonic()
        fragment = page_of(client.get("/studies/first/live/"))
        assert "The queue cannot be reached" in fragment
        assert "manage.py services start" in fragment
        assert time.monotonic() - begun < 10  # no retries: those would take much longer

    @pytest.mark.parametrize(
        ("state", "offered", "not_offered"),
        [
            ("draft", [">Start<", "Cancel"], ["Pause", "Resume"]),
            ("running", ["Pause", "Cancel"], [">Start<", "Resume"]),
            ("paused", ["Resume", "Cancel"], ["Pause<", ">Start<"]),
            ("finished", ["Try the failed again", "Grade now"], ["Cancel", "Pause", ">Start<"]),
            ("cancelled", ["Grade now"], ["Cancel…", "Pause", ">Start<", "Resume", "Try the failed"]),
        ],
    )
    def test_offers_the_steps_that_can_be_taken(
        self, client: Client, state: str, offered: list[str], not_offered: list[str]
    ) -> None:
        shown.add_failed(shown.make_shown_study("first", state=state))
        fragment = page_of(client.get("/studies/first/live/"))
        assert [word for word in offered if word not in fragment] == []
        assert [word for word in not_offered if word in fragment] == []


class TestTimeLeft:
    def test_is_the_pace_times_what_remains(self) -> None:
        progress = Progress(total=10, finished=4, failed=1, cancelled=2)
        assert time_left_s(progress, Pace(2.5, 4)) == 7.5
        assert time_left_s(progress, None) is None


class TestDesign:
    def test_shows_warm_up_and_idle_with_quality(self, client: Client) -> None:
        client.force_login(shown.make_person(Role.RESEARCHER))
        study = shown.make_shown_study("idle", warm_up_count=2, idle_baseline_s=30.0)
        idle = make.make_measurement(150.0, quality="measured", seconds=30.0)
        idle.purpose = "idle_baseline"
        idle.save()
        StudyMeasurement.objects.create(study=study, measurement=idle, moment="before")
        page = client.get("/studies/idle/").content.decode()
        assert "2 answers of each model and set of parameters, thrown away" in page
        assert "before the first response: 5.00\u00a0W <small>(measured at the wall, n = 1)</small>" in page

    def test_says_where_no_net_energy_is_known(self, client: Client) -> None:
        client.force_login(shown.make_person(Role.RESEARCHER))
        study = shown.make_shown_study("idle", idle_baseline_s=30.0)
        response = study.responses.order_by("pk")[0]
        assert "no idle baseline of like channels" in client.get(f"/responses/{response.pk}/").content.decode()
        Measurement.objects.filter(response=response).update(net_energy_j=4.0)
        assert "gross, 4.00\u00a0J net of idle" in client.get(f"/responses/{response.pk}/").content.decode()

    def test_says_how_many_generations_stand_behind_a_figure(self, client: Client) -> None:
        client.force_login(shown.make_person(Role.RESEARCHER))
        study = shown.make_shown_study("short", back_to_back=5)
        response = study.responses.order_by("pk")[0]
        Measurement.objects.filter(response=response).update(answer_count=5)
        study.responses.filter(pk=response.pk).update(differing_text_count=2)
        page = page_of(client.get(f"/responses/{response.pk}/"))
        assert "the mean of n = 5" in page
        assert "2 of the others said something else" in page
        assert "5 generations within each measurement" in page_of(client.get("/studies/short/"))
