"""The page of one response, and its samples as CSV."""

import csv
import io
import re
from typing import Any

import pytest
from django.test import Client
from django.utils.html import escape
from pyarrow import parquet
from pytest_django import DjangoAssertNumQueries

from benchmarks.meters.base import Quantity
from benchmarks.models import EnergyTrace, Response
from benchmarks.scoring import rescore_study
from greenllm.roles import Role
from labeling.evidence import has_seen_evidence, remember_look
from tests import factories as make
from tests.greenllm.studies import shown

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture(autouse=True)
def signed_in(client: Client) -> None:
    client.force_login(shown.make_person(Role.RESEARCHER))


def page_of(client: Client, response: Response) -> str:
    """Return a response's page with single spaces."""
    return re.sub(r"\s+", " ", client.get(f"/responses/{response.pk}/").content.decode())


class TestResponse:
    def test_shows_what_was_asked_answered_and_thought(self, client: Client) -> None:
        response = shown.make_shown_response()
        page = page_of(client, response)
        for word in (response.prompt.item_text, "The answer is 42.", "Let me think.", ">42</pre>", "ended: stop"):
            assert word in page, word

    def test_says_whose_word_the_verdict_is(self, client: Client) -> None:
        page = page_of(client, shown.make_shown_response())
        assert "It counts as <b>correct</b> by the word of people (n = 1)." in page
        for word in ("person 1", "Short, but right.", "test@1", "A grader"):
            assert word in page, word

    def test_says_that_judges_disagree(self, client: Client) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        make.make_label(response, "correct")
        make.make_label(response, "incorrect")
        assert "Its judges disagree" in page_of(client, response)

    def test_says_where_the_intensity_is_from(self, client: Client) -> None:
        response = shown.make_shown_response()
        rescore_study(
            study=response.study, carbon_intensity_gco2e_per_kwh=57, carbon_intensity_source="FR 2023: Ember, CC BY 4.0"
        )

        assert "57.0 gCO₂e/kWh (FR 2023: Ember, CC BY 4.0)" in page_of(client, response)
        study_page = client.get(f"/studies/{response.study.name}/").content.decode()
        assert "57.0 gCO₂e/kWh (FR 2023: Ember, CC BY 4.0)" in study_page

    def test_shows_the_score_with_every_input(self, client: Client) -> None:
        response = shown.make_shown_response()
        page = page_of(client, response)
        operational, embodied = 20.0 / 3.6e6 * 385, 574_100 / 126_144_000  # of 20 J and 1 s
        for words in (
            f"<b>{1000 * (operational + embodied):.3g}</b> mgCO₂e <small>SCI of this answer",
            "n&nbsp;=&nbsp;1, estimated",
            "20.0 J",
            "385.0 gCO₂e/kWh",
            f"{1000 * operational:.3g} mgCO",
            f"{1000 * embodied:.3g} mgCO",
            "574,100 gCO",
            "4 years",
            "sci-1.1/1",
            "12 tokens in 0.0500 s",
            "100.0 tokens/s",  # 20 tokens in 0.2 s
            "1.00 J per output token",  # 20 J for 20 tokens
        ):
            assert words in page, words

    def test_draws_every_channel_and_has_its_numbers_beneath(self, client: Client) -> None:
        page = page_of(client, shown.make_shown_response())
        assert page.count('"mode": "lines"') == 2
        assert '"x": [-0.1, 0.0, 0.1, 0.2, 0.3], "y": [10.0, 10.0, 50.0, 50.0, 12.0]' in page
        assert "machine: 4 samples, 10.0 W to 50.0 W" in page
        assert "100 %" in page

    def test_marks_the_phases_and_says_that_they_are_estimated(self, client: Client) -> None:
        page = page_of(client, shown.make_shown_response())
        rows = [
            ("Load", "0.000", "0.010", "0.010"),
            ("Prefill", "0.010", "0.060", "0.050"),
            ("Decode", "0.060", "0.260", "0.200"),
        ]
        for name, start, end, length in rows:
            cells = "".join(f'<td class="number">{value}&nbsp;s</td>' for value in (start, end, length))
            assert f'<tr><th scope="row">{name}</th>{cells}<td>estimated</td></tr>' in page, name
        assert "0.0400 s of the answer belong to none" in page  # of 0.3 s

    def test_says_why_no_phase_is_marked(self, client: Client) -> None:
        response = shown.make_shown_response()
        Response.objects.filter(pk=response.pk).update(prompt_eval_duration_ns=None)
        assert "did not report durations that fit into this answer" in page_of(client, response)

    def test_shows_the_temperature_at_the_start(self, client: Client) -> None:
        response = shown.make_shown_response()
        assert "temperature at the start: no sensor was read" in page_of(client, response)
        response.attempts.update(start_temperature_c=47.2, cooldown_s=12.0)
        page = page_of(client, response)
        assert "<b>47&nbsp;°C</b> <small>hottest sensor at the start; limit 60&nbsp;°C</small>" in page
        assert "Hottest sensor 47&nbsp;°C at the start, after 12.0 s of cooling down." in page

    def test_lists_what_was_checked(self, client: Client) -> None:
        page = page_of(client, shown.make_shown_response())
        assert (
            '<span class="badge strong">fine</span> <span><b>No gap</b>: none; samples cover 100 % of the time' in page
        )
        assert '<span class="badge">unknown</span> <span><b>Like its repeats</b>: 1 repeat;' in page

    def test_says_that_a_trace_of_another_version_cannot_be_read(self, client: Client) -> None:
        response = shown.make_shown_response()
        EnergyTrace.objects.filter(channel="machine").update(format_version=9)
        page = page_of(client, response)
        assert "cannot be read here: format version 9 is neither 1 nor 2." in page
        assert "37.3 W" in page  # what was made of it stays
        refused = client.get(f"/responses/{response.pk}/samples.csv")
        assert (refused.status_code, b"format version 9" in refused.content) == (422, True)

    def test_says_why_an_energy_is_missing(self, client: Client) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment(), energy_j=None)
        page = page_of(client, response)
        assert "The energy is missing: a gap." in page
        assert "manage.py check_meters" in page
        assert 'measure the prompt again in <a href="/studies/new/">' in page
        assert "<b>\u2013</b> <small>energy, idle included, missing" in page
        assert "0.00" not in page.split("Power")[0]

    def test_of_one_that_is_still_to_come_says_so(self, client: Client) -> None:
        study = shown.make_shown_study(state="running")
        page = page_of(client, shown.add_pending(study))
        assert "There is no measurement: the response is pending." in page
        assert "The curve appears once the response is measured." in page
        assert "There is no score before there is a measurement." in page

    def test_of_one_that_failed_says_why(self, client: Client) -> None:
        page = page_of(client, shown.add_failed(shown.make_shown_study(), error="The stream broke."))
        assert '<p class="problem">The stream broke.</p>' in page
        assert "2026-01-02 03:04:05 UTC</time>: failed \u2013 The stream broke." in page

    def test_leads_to_the_one_before_and_the_one_after(self, client: Client) -> None:
        first, second, third, last = shown.make_shown_study().responses.in_order()
        make.make_response(make.make_prompt(), make.make_deployment("else"), sequence=2)  # of another study
        page = page_of(client, second)
        assert f'rel="prev" href="/responses/{first.pk}/"' in page
        assert f'rel="next" href="/responses/{third.pk}/"' in page
        assert 'rel="prev"' not in page_of(client, first)
        assert 'rel="next"' not in page_of(client, last)

    def test_keeps_the_order_of_responses_without_a_place(self, client: Client) -> None:
        study = make.make_study()
        one, two = (make.make_response(make.make_prompt(), make.make_deployment(n), study=study) for n in ("a", "b"))
        assert f'rel="next" href="/responses/{two.pk}/"' in page_of(client, one)
        assert f'rel="prev" href="/responses/{one.pk}/"' in page_of(client, two)

    @pytest.mark.parametrize("attack", ["<script>alert(1)</script>", "</pre><img src=x onerror=alert(1)>"])
    def test_shows_what_a_model_wrote_as_text(self, client: Client, attack: str) -> None:
        page = page_of(client, shown.make_shown_response(text=attack))
        assert attack not in page
        assert escape(attack) in page

    @pytest.mark.parametrize("count", [1, 4])
    def test_needs_a_pinned_number_of_queries(
        self, client: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        response = shown.make_shown_response()
        assert response.measurement is not None
        for number in range(count):
            shown.add_trace(response.measurement, channel=f"gpu-{number}")
            make.make_label(response)
        # session, person, permissions; response, verdict, labels, grades, attempts, both neighbours,
        # readings, traces
        with django_assert_num_queries(13):
            client.get(f"/responses/{response.pk}/")


class TestJudged:
    def test_names_judges_to_those_who_manage_people_only(self, client: Client) -> None:
        response = shown.make_shown_response()
        assert "grace" not in page_of(client, response)
        admin = shown.make_person(Role.ADMIN)
        remember_look(person_id=admin.pk, response_id=response.pk, now=make.NOW)
        client.force_login(admin)
        assert "<td>grace</td>" in page_of(client, response)

    def test_is_folded_for_those_who_may_judge_until_they_ask(self, client: Client) -> None:
        response = shown.make_shown_response()
        judge = shown.make_person(Role.RESEARCHER, Role.ANNOTATOR)
        client.force_login(judge)
        page = page_of(client, response)
        assert "verdict folded" in page
        for told in ("Short, but right.", "counts as <b>correct", "test@1", "by person"):
            assert told not in page, told

        answer = client.post(f"/responses/{response.pk}/judged/")

        assert answer["Location"] == f"/responses/{response.pk}/#judged-title"
        assert has_seen_evidence(person_id=judge.pk, response_id=response.pk)
        assert "Short, but right." in page_of(client, response)

    def test_is_shown_to_those_who_have_judged_it(self, client: Client) -> None:
        response = shown.make_shown_response()
        judge = shown.make_person(Role.RESEARCHER, Role.ANNOTATOR)
        make.make_label(response, "incorrect", labeler=judge)
        client.force_login(judge)
        page = page_of(client, response)
        assert "<td>you</td>" in page
        assert "Short, but right." in page

    def test_that_a_researcher_asks_for_keeps_nothing(self, client: Client) -> None:
        response = shown.make_shown_response()
        client.post(f"/responses/{response.pk}/judged/")
        assert not response.evidence_looks.exists()


class TestSamples:
    def rows(self, client: Client, response: Response) -> list[list[str]]:
        answer: Any = client.get(f"/responses/{response.pk}/samples.csv")
        assert answer["Content-Type"] == "text/csv; charset=utf-8"
        assert f'filename="response-{response.pk}-samples.csv"' in answer["Content-Disposition"]
        return list(csv.reader(io.StringIO(answer.content.decode())))

    def test_give_every_window_on_both_clocks(self, client: Client) -> None:
        rows = self.rows(client, shown.make_shown_response())
        assert rows[0] == [
            "channel", "start_ns", "end_ns", "start_since_mark_ns", "end_since_mark_ns", "power_mw", "quality",
        ]  # fmt: skip
        assert len(rows) == 1 + 2 * 4
        assert ["machine", "1000000000", "1100000000", "0", "100000000", "50000", "simulated"] in rows
        assert ["cpu-package-0", "900000000", "1000000000", "-100000000", "0", "3000", "simulated"] in rows

    def test_turn_energies_into_mean_powers(self, client: Client) -> None:
        response = make.make_response(make.make_prompt(), make.make_deployment())
        assert response.measurement is not None
        shown.add_trace(response.measurement, (5_000_000,), quantity=Quantity.ENERGY_UJ)  # 5 J in 0.1 s
        assert self.rows(client, response)[1][-2] == "50000.0"

    def test_of_a_response_without_a_trace_are_a_heading(self, client: Client) -> None:
        study = shown.make_shown_study(state="running")
        assert len(self.rows(client, shown.add_pending(study))) == 1

    def test_are_the_same_in_parquet(self, client: Client) -> None:
        response = shown.make_shown_response()
        answer: Any = client.get(f"/responses/{response.pk}/samples.parquet")
        assert answer["Content-Type"] == "application/vnd.apache.parquet"
        assert f'filename="response-{response.pk}-samples.parquet"' in answer["Content-Disposition"]
        table = parquet.read_table(io.BytesIO(answer.content))
        rows = self.rows(client, response)
        assert table.column_names == rows[0]
        names = ("channel", "start_ns", "end_ns", "power_mw", "quality")
        expected = {
            (channel, int(start), int(end), float(power), quality)
            for channel, start, end, _, _, power, quality in rows[1:]
        }
        assert {tuple(row[name] for name in names) for row in table.to_pylist()} == expected

    def test_of_a_response_without_a_trace_are_an_empty_table_in_parquet(self, client: Client) -> None:
        study = shown.make_shown_study(state="running")
        answer: Any = client.get(f"/responses/{shown.add_pending(study).pk}/samples.parquet")
        assert parquet.read_table(io.BytesIO(answer.content)).num_rows == 0
