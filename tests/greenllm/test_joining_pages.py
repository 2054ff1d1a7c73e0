"""The pages on which a model joins: asked for, taken back, looked at in a dry run, and activated."""

from collections.abc import Iterator

import pytest
from django.test import Client
from playwright.sync_api import expect
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import ScriptedOllama
from benchmarks.models import Machine, ModelEvaluation, Study
from benchmarks.queueing import queue_of
from greenllm.roles import Role
from router.joining import request_evaluation
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.greenllm.test_federation_pages import page_of, person, signed_in
from tests.router.joining_federation import Wide, answer_all, make_wide
from tests.router.standins import EMBEDDER_NAME, SCRIPTED_MODELS

pytestmark = pytest.mark.slow


@pytest.fixture
def wide(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wide]:
    made = make_wide()
    monkeypatch.setattr("router.wiring.vector_store", lambda: made.federation.store)
    yield made
    empty_queues(made.federation.server.machine)


def empty_queues(machine: Machine) -> None:
    queue_of(machine).empty()  # type: ignore[no-untyped-call]  # rq leaves it without types


def path_of(wide: Wide, step: str = "") -> str:
    return f"/federation/models/{wide.new.pk}/{step}"


class TestDoors:
    def test_of_changing_want_an_admin_a_post_and_the_token(self, wide: Wide) -> None:
        for step in ("evaluate/", "take-back/"):
            path = path_of(wide, step)
            assert Client().post(path)["Location"].startswith("/account/sign-in/")
            assert signed_in(Role.RESEARCHER).post(path).status_code == 403
            assert signed_in().get(path).status_code == 405
            assert signed_in(strict=True).post(path).status_code == 403
        wide.new.refresh_from_db()
        assert wide.new.state == "candidate"

    def test_of_the_dry_run_want_somebody_who_may_see_results(self, wide: Wide) -> None:
        path = path_of(wide, "preview/")
        assert Client().get(path)["Location"].startswith("/account/sign-in/")
        assert signed_in(Role.ANNOTATOR).get(path).status_code == 403
        page = signed_in(Role.RESEARCHER).get(path)
        assert page.status_code == 200
        assert "Activate it?" not in page_of(page)
        assert signed_in().post(path).status_code == 405


class TestEvaluating:
    def test_waits_for_the_machine_and_says_that_nobody_works_there(self, wide: Wide) -> None:
        page = page_of(signed_in().post(path_of(wide, "evaluate/"), {"test_stop": "yes"}, follow=True))
        wide.new.refresh_from_db()
        evaluation = ModelEvaluation.objects.get()
        assert (wide.new.state, evaluation.step, evaluation.is_stop_tested) == ("evaluating", "requested", True)
        assert "as soon as its machine is free" in page
        assert "No worker runs on the machine test" in page
        assert queue_of(wide.federation.server.machine).get_job_ids() == [f"try-model-{evaluation.pk}"]

    def test_shows_a_problem_and_tries_again(self, wide: Wide) -> None:
        request_evaluation(deployment=wide.new, now=make.NOW)
        ModelEvaluation.objects.update(problem="The server is away. Start it.")
        assert "The server is away. Start it." in page_of(signed_in().get(path_of(wide)))
        signed_in().post(path_of(wide, "evaluate/"))
        assert ModelEvaluation.objects.get().problem == ""

    def test_shows_how_far_the_study_is(self, wide: Wide) -> None:
        evaluation = request_evaluation(deployment=wide.new, now=make.NOW)
        study = make.make_study("evaluate-new-1")
        make.make_response(wide.federation.math, wide.new, study=study)
        findings = {"version": "0.12", "seconds": 2.5, "answer": "Blue.", "context_length": 2048, "notes": []}
        ModelEvaluation.objects.filter(pk=evaluation.pk).update(step="measuring", study=study, findings=findings)
        page = page_of(signed_in().get(path_of(wide)))
        assert "0.12 answered in 2.5 s, 2048 tokens of context: “Blue.”" in page
        assert '<a href="/studies/evaluate-new-1/">evaluate-new-1</a>, running: 1 of 1 answers' in page

    def test_needs_as_many_queries_however_much_was_answered(
        self, wide: Wide, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        answer_all(wide)
        client = signed_in()
        # session, person, three for permissions, notices; the model; count, answers, verdicts and routed (2); count,
        # answers and verdicts by category; studies; evaluation, index, answers, verdicts; two figures are
        # looked for and kept
        with django_assert_num_queries(24):
            client.get(path_of(wide))

    def test_takes_back(self, wide: Wide) -> None:
        request_evaluation(deployment=wide.new, now=make.NOW)
        page = page_of(signed_in().post(path_of(wide, "take-back/"), follow=True))
        wide.new.refresh_from_db()
        assert wide.new.state == "candidate"
        assert "is a candidate again" in page
        page = page_of(signed_in().post(path_of(wide, "take-back/"), follow=True))
        assert "There is nothing to take back" in page

    def test_follows_adding_where_that_is_ticked(self, wide: Wide) -> None:
        with ScriptedOllama(SCRIPTED_MODELS, answers={}) as ollama:
            body = {"address": ollama.base_url, "kind": "ollama", "step": "add", "evaluate": "yes"}
            listed = page_of(signed_in().post("/federation/add/", {**body, "step": "list"}))
            page = page_of(
                signed_in().post("/federation/add/", {**body, "model": ["small", EMBEDDER_NAME]}, follow=True)
            )
        assert "measured over the 42 known prompts" in listed
        assert "is tried and measured over the known prompts" in page
        evaluation = ModelEvaluation.objects.get()  # none of the embedder
        assert evaluation.deployment.language_model.name.removesuffix(":latest") == "small"
        empty_queues(evaluation.deployment.server.machine)


class TestDryRun:
    def test_waits_for_the_verdicts_or_an_admins_word(self, wide: Wide) -> None:
        answer_all(wide, verdict="")
        client = signed_in()
        page = page_of(client.get(path_of(wide, "preview/")))
        assert "42 answers wait for a verdict" in page
        assert "Over the known prompts" not in page
        assert "Activate it?" not in page
        page = page_of(client.get(path_of(wide, "preview/?as_it_is=yes")))
        assert "42 of its 42 answers have no verdict" in page
        assert "Over the known prompts" in page

    def test_shows_what_moves_and_what_it_is_worth(self, wide: Wide) -> None:
        answer_all(wide, energy_j=30.0)
        page = page_of(signed_in().get(path_of(wide, "preview/")))
        assert "<b>50\u00a0%</b> of the prompts would move (21 of n = 42" in page
        assert '<th scope="row">large</th><td>new</td><td class="number">21</td>' in page
        assert 'n = 42</small><small><span class="badge estimated">' in page
        assert "all 42 known prompts" in page
        assert "it is not among its own neighbours" in page

    def test_of_an_active_model_is_what_would_be_without_it(self, wide: Wide) -> None:
        page = page_of(signed_in().get(f"/federation/models/{wide.federation.small.pk}/preview/"))
        assert "What would change without small" in page
        assert '<th scope="row">small</th><td>large</td><td class="number">21</td>' in page
        assert "Activate it?" not in page

    def test_asks_over_live_prompts_afterwards(self, wide: Wide, settings: Settings) -> None:
        answer_all(wide, energy_j=30.0)
        request = make.make_gateway_request(prompt_text="write a python function for me")
        make.make_decision(request=request, chosen=wide.federation.large)
        page = page_of(signed_in().get(path_of(wide, "preview/")))
        assert 'hx-get="?part=live"' in page
        with ScriptedOllama(SCRIPTED_MODELS, answers={}) as ollama:
            wide.federation.server.base_url = ollama.base_url
            wide.federation.server.save()
            settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = EMBEDDER_NAME, ollama.base_url
            whole = page_of(signed_in().get(path_of(wide, "preview/?part=live")))
            part = page_of(signed_in().get(path_of(wide, "preview/?part=live"), headers={"HX-Request": "true"}))
            active = f"/federation/models/{wide.federation.large.pk}/preview/?part=live"
            without = page_of(signed_in().get(active, headers={"HX-Request": "true"}))
        assert '<th scope="row">Without large</th>' in without
        for shown in (whole, part):
            assert "Over the latest 1 decision whose prompt is kept" in shown
        assert "<html" not in part

    def test_says_that_live_prompts_are_not_kept_or_the_embedder_is_away(self, wide: Wide) -> None:
        answer_all(wide)
        page = page_of(signed_in().get(path_of(wide, "preview/?part=live")))
        assert "is not in the federation" in page
        assert "Over the known prompts" in page

    def test_says_that_there_is_no_index(self, wide: Wide) -> None:
        wide.index.delete()
        assert "build one with manage.py build_index" in page_of(signed_in().get(path_of(wide, "preview/")))


class TestActivating:
    def test_after_a_dry_run(self, wide: Wide) -> None:
        answer_all(wide)
        page = page_of(signed_in().post(path_of(wide, "activate/"), {"confirm": "yes", "accepted": "0"}, follow=True))
        wide.new.refresh_from_db()
        assert wide.new.state == "active"
        assert "the router may choose it from now on" in page

    @pytest.mark.parametrize("accepted", ["", "41", "many", "9" * 40])
    def test_wants_as_many_missing_verdicts_accepted_as_there_are(self, wide: Wide, accepted: str) -> None:
        answer_all(wide, verdict="")
        body = {"confirm": "yes", "accepted": accepted}
        page = page_of(signed_in().post(path_of(wide, "activate/"), body, follow=True))
        wide.new.refresh_from_db()
        assert wide.new.state == "candidate"
        assert "42 answers of new" in page

    def test_takes_an_admins_word_for_the_missing_ones(self, wide: Wide) -> None:
        answer_all(wide, verdict="")
        signed_in().post(path_of(wide, "activate/"), {"confirm": "yes", "accepted": "42"})
        wide.new.refresh_from_db()
        assert wide.new.state == "active"


class TestInTheBrowser:
    pytestmark = BROWSING

    def test_judges_the_dry_run_and_activates(self, site: Site, wide: Wide) -> None:
        answer_all(wide, energy_j=30.0)
        request_evaluation(deployment=wide.new, now=make.NOW)
        wide.new.state = "labeling"
        wide.new.save()
        page = site.open(path_of(wide), user=person(Role.ADMIN))
        page.get_by_role("link", name="See what would change").click()
        expect(page.get_by_text("of the prompts would move")).to_be_visible()
        expect(page.locator("#live")).to_contain_text("is not in the federation")
        page.get_by_label("The router may choose new from now on.").check()
        page.get_by_role("button", name="Activate").click()
        expect(page.locator("#messages")).to_contain_text("is active")

    def test_is_accessible(self, site: Site, wide: Wide) -> None:
        answer_all(wide, energy_j=30.0)
        evaluation = request_evaluation(deployment=wide.new, now=make.NOW)
        study = Study.objects.exclude(pk=wide.reference.pk).latest("pk")
        findings = {"version": "Ollama 0.12", "seconds": 2.5, "answer": "Blue.", "context_length": 2048, "notes": []}
        ModelEvaluation.objects.filter(pk=evaluation.pk).update(
            step="measuring", study=study, findings=findings, problem="2 of 42 answers failed. Start the study again."
        )
        admin = person(Role.ADMIN)
        check_page(site, path_of(wide), user=admin)
        check_page(site, path_of(wide, "preview/"), user=admin)
        check_page(site, f"/federation/models/{wide.federation.small.pk}/retire/", user=admin)
