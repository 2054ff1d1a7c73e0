"""The study pages in a real browser: seen in both themes and widths, used by keyboard, and watched while they live."""

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from pytest_django import Settings
from rq import SimpleWorker

from benchmarks import jobs
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.models import Machine, Study
from benchmarks.queueing import queue_of
from benchmarks.recording import recorder_for
from greenllm.models import User
from greenllm.roles import Role
from greenllm.studies import watching
from tests import factories as make
from tests.browsing import BROWSING, Site, axe_violations, check_page
from tests.greenllm.studies import shown

pytestmark = BROWSING


@pytest.fixture
def researcher(transactional_db: None) -> User:
    return shown.make_person(Role.RESEARCHER)


class TestLook:
    def test_of_the_list(self, site: Site, researcher: User) -> None:
        shown.make_shown_study("first", title="Three small models on sums")
        shown.add_failed(shown.make_shown_study("second", state="paused"))
        check_page(site, "/studies/", user=researcher)

    def test_of_the_list_without_a_study(self, site: Site, researcher: User) -> None:
        check_page(site, "/studies/?empty", user=researcher)

    def test_of_a_study_that_is_over(self, site: Site, researcher: User) -> None:
        shown.add_failed(shown.make_shown_study("over", prompt_count=6))
        check_page(site, "/studies/over/?sort=-energy", user=researcher)

    def test_of_a_study_that_runs_without_a_worker(self, site: Site, researcher: User) -> None:
        study = shown.make_shown_study("runs", state="running")
        shown.add_running(study)
        shown.add_pending(study)
        shown.add_attempt(study.responses.in_order()[0], 4.0)
        check_page(site, "/studies/runs/", user=researcher)

    def test_of_a_study_that_runs_on_another_machine(self, site: Site, researcher: User) -> None:
        shown.add_pending(shown.make_shown_study("far", state="running", machine=make.make_machine("far-away")))
        check_page(site, "/studies/far/", user=researcher)

    def test_of_a_machine_that_is_sampled_and_cools_down(
        self, site: Site, researcher: User, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps = [[0.7, 42], [1.1, 95], [0.4, 150], [2.0, 88]]
        gpu = {"kind": "simulated_nvml", "options": {"steps": [[1.3, 12], [2.1, 70]]}}
        machine = make.make_machine(f"test-look-{os.getpid()}")
        machine.meters = [{"kind": "replay", "options": {"steps": steps}}, gpu]
        machine.save()
        study = shown.make_shown_study("warm", state="running", machine=machine)
        shown.add_running(study).attempts.update(cooldown_note="cooling down from 71 °C to 55 °C, for 300 s at most")
        readers = (lambda: {"coretemp Package id 0": 67.0, "coretemp Core 0": 66.0}, lambda: {"gpu GPU-5f9a": 71.0})
        monkeypatch.setattr(watching, "process_thermometers", lambda: readers)
        recorder = recorder_for(machine)
        recorder.ensure_running(period_ns=20_000_000)

        def is_drawn(page: Page) -> None:
            chart = page.locator("#power-now")
            chart.scroll_into_view_if_needed()
            expect(page.locator("#power-now[data-drawn=yes] .main-svg").first).to_be_visible()

        try:
            page = site.open("/studies/warm/", user=researcher)
            is_drawn(page)
            page.evaluate("document.querySelector('#power-now-area').dataset.mark = 'kept'")
            before = page.locator("#power-now-figure").text_content()
            expect(page.locator("#power-now-figure")).not_to_have_text(before or "", timeout=10_000)  # without a reload
            is_drawn(page)
            expect(page.locator("#power-now-area[data-mark=kept] .main-svg").first).to_be_visible()
            expect(page.locator("#live")).to_contain_text("cooling down from 71 °C to 55 °C")
            check_page(site, "/studies/warm/", user=researcher, wait_for=is_drawn)
        finally:
            recorder.stop()

    def test_of_a_study_without_a_response(self, site: Site, researcher: User) -> None:
        make.make_study("bare", state="draft")
        check_page(site, "/studies/bare/", user=researcher)

    def test_of_the_form(self, site: Site, researcher: User) -> None:
        shown.make_shown_study()
        check_page(site, "/studies/new/", user=researcher)

    def test_of_a_sweep(self, site: Site, researcher: User) -> None:
        shown.make_shown_sweep("warmth")

        def all_drawn(page: Page) -> None:
            for chart in page.locator("figure.chart").all():
                chart.scroll_into_view_if_needed()
            expect(page.locator("figure.chart[data-drawn]")).to_have_count(3)

        check_page(site, "/studies/warmth/sweep/", user=researcher, wait_for=all_drawn)
        page = site.open("/studies/warmth/", user=researcher)
        press(page, "Sweep")
        page.get_by_label("Against", exact=True).select_option("num_ctx")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("columnheader", name="num_ctx", exact=True)).to_be_visible()
        expect(page.get_by_role("row", name="small temperature=0.5 1024")).to_be_visible()

    @pytest.mark.parametrize("view", ["cells", "prompts"])
    def test_of_the_spread(self, site: Site, researcher: User, view: str) -> None:
        shown.make_shown_repeats("apart")

        def is_drawn(page: Page) -> None:
            for chart in page.locator("figure.chart").all():
                chart.scroll_into_view_if_needed()
            expect(page.locator("figure.chart[data-drawn]")).to_have_count(1 if view == "cells" else 0)

        check_page(site, f"/studies/apart/spread/?per={view}", user=researcher, wait_for=is_drawn)
        page = site.open("/studies/apart/", user=researcher)
        page.get_by_role("link", name="Spread", exact=True).click()
        page.get_by_role("link", name="By prompt", exact=True).click()
        expect(page.get_by_text("outlier", exact=True)).to_be_visible()

    def test_of_a_drift(self, site: Site, researcher: User) -> None:
        study = shown.make_shown_study("drifts", prompt_count=6)
        shown.add_control_runs(study, 100.0, 102.1, None, 104.0, 106.1, 107.2, 108.0)

        def is_drawn(page: Page) -> None:
            page.locator("figure.chart").scroll_into_view_if_needed()
            expect(page.locator("figure.chart[data-drawn]")).to_be_visible()

        check_page(site, "/studies/drifts/spread/?per=control", user=researcher, wait_for=is_drawn)
        check_page(site, "/studies/drifts/", user=researcher)

    def test_of_the_form_with_nothing_to_choose(self, site: Site, researcher: User) -> None:
        check_page(site, "/studies/new/?empty", user=researcher)

    @pytest.mark.parametrize("question", ["cancel", "accept"])
    def test_of_a_question(self, site: Site, researcher: User, question: str) -> None:
        shown.make_shown_study("asked", state="running")
        check_page(site, f"/studies/asked/{question}/", user=researcher)

    def test_of_a_response_with_its_curve(self, site: Site, researcher: User) -> None:
        response = shown.make_shown_response()
        check_page(site, f"/responses/{response.pk}/", user=researcher, wait_for=drawn)

    def test_of_a_response_that_is_missing_its_energy(self, site: Site, researcher: User) -> None:
        study = make.make_study("gap")
        response = make.make_response(make.make_prompt(), make.make_deployment(), study=study, energy_j=None)
        check_page(site, f"/responses/{response.pk}/", user=researcher)


def drawn(page: Page) -> None:
    """Scroll to the chart and wait until it is drawn."""
    page.locator("figure.chart").scroll_into_view_if_needed()
    expect(page.locator("figure.chart[data-drawn]")).to_be_visible()
    assert page.locator("figure.chart .scatterlayer .trace").count() == 2


def work(machine: Machine, *, job_count: int | None = None) -> None:
    """Let a worker of this process do some or all of what waits on a machine's queue."""
    queue = queue_of(machine)
    SimpleWorker([queue], connection=queue.connection).work(burst=True, max_jobs=job_count, logging_level="WARNING")


def press(page: Page, name: str) -> None:
    """Press a button or follow a link by keyboard."""
    target = page.get_by_role("button", name=name).or_(page.get_by_role("link", name=name))
    target.focus()
    page.keyboard.press("Enter")


class TestUse:
    @pytest.fixture
    def machine(self, settings: Settings, transactional_db: None) -> Iterator[Machine]:
        """Work on a machine of this process alone: its sampler and its queue go by its name."""
        settings.MACHINE_NAME = f"test-pages-{os.getpid()}"
        machine = make.make_machine(settings.MACHINE_NAME)
        queue_of(machine).empty()  # type: ignore[no-untyped-call]  # rq leaves it without types
        yield machine
        queue_of(machine).empty()  # type: ignore[no-untyped-call]  # rq leaves it without types
        if jobs.process_recorder.cache_info().currsize:
            jobs.process_recorder(machine.pk).stop()
        jobs.process_recorder.cache_clear()

    @pytest.fixture
    def server(self, machine: Machine) -> Iterator[ScriptedOllama]:
        """A server with one model, and four prompts to ask."""
        answers = {f"Question {number}?": f"Answer {number}." for number in range(4)}
        with ScriptedOllama([ScriptedModel("tiny")], answers=answers) as running:
            make.make_deployment("tiny", server=make.make_server(machine, running.base_url), state="candidate")
            for question in answers:
                make.make_prompt(question)
            yield running

    @pytest.mark.usefixtures("server")
    def test_makes_watches_pauses_and_ends_a_study_by_keyboard(
        self, site: Site, researcher: User, machine: Machine
    ) -> None:
        page = site.open("/studies/", user=researcher)
        press(page, "New study")
        page.get_by_label("Name").focus()
        page.keyboard.type("by-keyboard")
        page.get_by_label("tiny").focus()
        page.keyboard.press("Space")
        page.get_by_label("validation: math").focus()
        page.keyboard.press("Space")
        expect(page.locator("#estimate")).to_contain_text("= 4 responses, for an unknown time")
        page.get_by_label("Sampling period").focus()
        page.keyboard.press("Control+A")
        page.keyboard.type("20")
        press(page, "Create study")

        expect(page.get_by_text("Nothing is measured before you start it.")).to_be_visible()
        press(page, "Start")
        expect(page.get_by_text("4 responses put on the queue")).to_be_visible()
        expect(page.get_by_text(f"No worker is listening on the queue {machine.queue_name}")).to_be_visible()
        work(machine, job_count=1)
        expect(page.locator("#live")).to_contain_text("1 of 4 responses")  # without a reload
        expect(page.locator("#live")).to_contain_text("n = 1)")
        expect(page.locator("#tables")).to_contain_text(re.compile(r"n = 1 of 1\s*estimated"))

        press(page, "Pause")
        expect(page.get_by_text("by-keyboard is paused")).to_be_visible()
        work(machine)  # takes the jobs off the queue, and leaves the study as it is
        press(page, "Resume")
        expect(page.get_by_text("3 responses put on the queue")).to_be_visible()
        work(machine)
        expect(page.locator("#live")).to_contain_text("4 of 4 responses")
        expect(page.locator("#live .badge")).to_have_text("Finished")
        expect(page.locator("[hx-trigger='every 2s']")).to_have_count(0)  # nothing is asked any more
        assert Study.objects.get().state == "finished"

        page.reload()
        page.get_by_role("link", name="Question 2?").focus()
        page.keyboard.press("Enter")
        expect(page.locator("pre[aria-label='Answer']")).to_have_text("Answer 2.")
        page.locator("figure.chart").scroll_into_view_if_needed()
        expect(page.locator("figure.chart[data-drawn]")).to_be_visible()

    @pytest.mark.usefixtures("server")
    def test_cancels_a_study_after_a_question(self, site: Site, researcher: User) -> None:
        study = shown.make_shown_study("given-up", state="running")
        shown.add_pending(study)
        page = site.open("/studies/given-up/", user=researcher)
        press(page, "Cancel…")
        press(page, "Keep it")
        press(page, "Cancel…")
        press(page, "Cancel the study")
        expect(page.get_by_text("given-up is cancelled; what was measured stays.")).to_be_visible()
        expect(page.locator("#live")).to_contain_text("4 of 5 responses, 1 cancelled")

    def test_shows_the_estimate_and_errors_without_javascript(self, site: Site, researcher: User) -> None:
        shown.make_shown_study()
        page = site.open("/studies/new/", user=researcher, java_script_enabled=False)
        page.get_by_label("small").check()
        page.get_by_role("button", name="Check").click()
        expect(page.get_by_role("alert")).to_contain_text("Choose at least one data set.")
        page.get_by_label("Name").fill("without")
        page.get_by_label("validation: code").check()
        page.get_by_role("button", name="Check").click()
        expect(page.locator("#estimate")).to_contain_text("= 2 responses")
        expect(page.get_by_label("small")).to_be_checked()
        expect(page.get_by_label("Name")).to_have_value("without")

    def test_looks_right_with_errors(self, site: Site, researcher: User) -> None:
        page = site.open("/studies/new/", user=researcher)
        page.get_by_role("button", name="Create study").click()
        expect(page.get_by_role("alert")).to_contain_text("Give the study a name")
        assert axe_violations(page) == []
        folder = os.environ.get("GREENLLM_SCREENSHOTS")
        if folder:
            page.screenshot(path=f"{folder}/studies-new-errors.png", full_page=True)
