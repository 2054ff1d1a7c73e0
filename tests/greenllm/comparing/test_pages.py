import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from benchmarks.models import Study
from greenllm.comparing import views
from greenllm.roles import Role, grant_role
from router.models import RoutingDecision
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.greenllm.comparing.test_studies import answered
from tests.router.standins import make_federation
from tests.router.test_evaluating import make_validation

pytestmark = pytest.mark.slow

COMPARE = "/studies/compare/"


def make_two_studies() -> tuple[Study, Study]:
    prompts = [make.make_prompt() for _ in range(12)]
    a, b = make.make_study("before"), make.make_study("after", carbon_intensity_gco2e_per_kwh=100.0)
    for study, factor in ((a, 10.0), (b, 9.0)):
        for model, size in (("tiny", 1.0), ("large", 4.0)):
            energies = [factor * size * number for number in range(1, 13)]
            answered(study, prompts, energies, model=model, output_token_count=12, verdict="correct")
    return a, b


def signed_in(role: Role | None) -> Client:
    user = make.make_user()
    if role is not None:
        grant_role(user=user, role=role)
    client = Client(headers={"Accept": "text/html"})
    client.force_login(user)
    return client


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.mark.django_db
class TestComparePage:
    def test_asks_for_two_studies(self) -> None:
        make_two_studies()
        page = signed_in(Role.RESEARCHER).get(COMPARE).content.decode()
        assert '<option value="before">' in page

    def test_without_a_study_says_what_to_do(self) -> None:
        assert "/studies/import/" in signed_in(Role.RESEARCHER).get(COMPARE).content.decode()

    def test_shows_words_figures_and_notes(self) -> None:
        make_two_studies()
        page = signed_in(Role.RESEARCHER).get(COMPARE, {"a": "after", "b": "before"}).content.decode()
        assert "after used 10 % less energy than before (95 % interval 10 to 10 %), 12 pairs, p = " in page
        assert "all models" in page
        assert "estimated" in page

    @pytest.mark.parametrize(
        ("asked", "told"),
        [
            ({"a": "after", "b": "x"}, "There is no study &#x27;x&#x27;; choose one of the list."),
            ({"a": "after", "b": "before", "intensity": "much"}, "The carbon intensity is a number"),
            ({"a": "after", "b": "before", "intensity": "nan"}, "The carbon intensity is a number"),
            ({"a": "after", "b": "before", "intensity": "-1"}, "The carbon intensity is a number"),
            ({"a": "after", "b": "before", "model_a": "tiny"}, "Name a model for both sides, or for none."),
            ({"a": "after", "b": "before", "model_a": "x", "model_b": "y"}, "after has no answers of &#x27;x&#x27;"),
        ],
    )
    def test_tells_what_is_wrong_and_keeps_what_was_asked(self, asked: dict[str, str], told: str) -> None:
        make_two_studies()
        response = signed_in(Role.RESEARCHER).get(COMPARE, asked)
        page = response.content.decode()
        assert response.status_code == 400
        assert told in page
        assert '<option value="after" selected>' in page

    def test_queries_do_not_grow_with_the_answers(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        make_two_studies()
        client = signed_in(Role.RESEARCHER)
        with django_assert_num_queries(21):  # two a study see whether and which of its answers changed
            client.get(COMPARE, {"a": "after", "b": "before"})

    @pytest.mark.parametrize("path", [COMPARE, "/studies/before/break-even/"])
    def test_is_for_those_who_read_results(self, path: str) -> None:
        make_two_studies()
        assert Client().get(path).status_code == 302
        assert [signed_in(role).get(path).status_code for role in (None, Role.ANNOTATOR, Role.RESEARCHER)] == [
            403, 403, 200,
        ]  # fmt: skip
        assert signed_in(Role.ADMIN).post(path).status_code == 405


@pytest.fixture
def federation(monkeypatch: pytest.MonkeyPatch, db: None) -> Any:
    made = make_federation()
    monkeypatch.setattr(views, "embedder", lambda: made.embedder)
    monkeypatch.setattr(views, "vector_store", lambda: made.store)
    return made


class TestBreakEvenPage:
    def test_shows_what_the_study_emitted_first(self, federation: Any) -> None:
        study = make_validation(federation)
        page = signed_in(Role.RESEARCHER).get(f"/studies/{study}/break-even/").content.decode()
        assert "8 answers with a score, estimated" in page
        assert "Idle time was not measured." in page

    def test_reckons_and_leaves_nothing_behind(self, federation: Any) -> None:
        study = make_validation(federation)
        page = signed_in(Role.RESEARCHER).get(f"/studies/{study}/break-even/?baseline=").content.decode()
        assert "Baseline: large alone, 3 of 4 judged answers right" in page
        assert "own energy is not counted" in page
        assert not RoutingDecision.objects.exists()

    def test_tells_what_is_wrong(self, federation: Any) -> None:
        study = make_validation(federation)
        response = signed_in(Role.RESEARCHER).get(f"/studies/{study}/break-even/?baseline=x")
        assert response.status_code == 400
        assert "has no answers of &#x27;x&#x27;" in response.content.decode()

    def test_tells_of_an_embedder_that_is_not_there(self, db: None) -> None:
        study = make.make_study("s")
        make.make_response(make.make_prompt(role="validation"), make.make_deployment(), study=study)
        response = signed_in(Role.RESEARCHER).get("/studies/s/break-even/?baseline=")
        assert response.status_code == 400
        assert "is not in the federation" in response.content.decode()

    def test_of_an_unknown_study_is_not_found(self, db: None) -> None:
        assert signed_in(Role.RESEARCHER).get("/studies/x/break-even/").status_code == 404


@pytest.mark.django_db
class TestCommands:
    def test_compare_studies_prints_and_writes(self, tmp_path: Path) -> None:
        make_two_studies()
        path = tmp_path / "compared.json"
        said = run("compare_studies", "after", "before", "--json", str(path))
        assert "after used 10 % less energy than before" in said
        written = json.loads(path.read_text())
        energy = next(row for row in written["rows"] if (row["model"], row["measure"]) == ("tiny", "energy"))
        assert energy["paired"]["ratio"]["value"] == pytest.approx(0.9)
        assert energy["n"] == 12

    def test_compare_studies_pairs_across_models(self) -> None:
        make_two_studies()
        said = run("compare_studies", "after", "after", "--across-models", "tiny", "large")
        assert "tiny / large" in said

    def test_compare_studies_tells_what_is_wrong(self, tmp_path: Path) -> None:
        make_two_studies()
        with pytest.raises(CommandError, match="There is no study 'x'"):
            run("compare_studies", "after", "x")
        with pytest.raises(CommandError, match="has no answers of 'x'"):
            run("compare_studies", "after", "before", "--across-models", "x", "tiny")
        with pytest.raises(CommandError, match="cannot be written"):
            run("compare_studies", "after", "before", "--json", str(tmp_path / "no" / "file"))

    def test_break_even_prints(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from greenllm.management.commands import break_even

        made = make_federation()
        monkeypatch.setattr(break_even, "embedder", lambda: made.embedder)
        monkeypatch.setattr(break_even, "vector_store", lambda: made.store)
        study = make_validation(made)
        assert "Baseline: large alone" in run("break_even", "--study", study.name)
        assert json.loads(run("break_even", "--study", study.name, "--json"))["baseline"] == "large"


class TestInABrowser:
    pytestmark = BROWSING

    def test_pages_are_well(self, site: Site) -> None:
        make_two_studies()
        reader = make.make_user("reader")
        grant_role(user=reader, role=Role.RESEARCHER)
        check_page(site, f"{COMPARE}?a=after&b=before", user=reader)
        check_page(site, "/studies/before/break-even/", user=reader)
