"""`manage.py evaluate_router` on a folder and on a study."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import ScriptedOllama
from benchmarks.models import Measurement
from labeling.models import Label
from router.models import Evaluation
from tests.router.judged import judged_study, measured_index, write_outcomes
from tests.router.standins import EMBEDDER_NAME, SCRIPTED_MODELS, make_federation
from tests.router.test_commands import told

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def embedding(settings: Settings, tmp_path: Path, db: None) -> Iterator[None]:
    """A federation whose embedder is a scripted server, with a folder of its own for what it remembers."""
    with ScriptedOllama(SCRIPTED_MODELS, answers={}) as server:
        make_federation(server.base_url)
        settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = EMBEDDER_NAME, server.base_url
        settings.VAR_DIR = tmp_path / "var"
        yield


class TestOutcomes:
    @pytest.mark.slow
    def test_prints_every_control_and_policy_and_writes_the_report(self, tmp_path: Path) -> None:
        target = tmp_path / "report.json"
        folder = write_outcomes(tmp_path / "outcomes")
        said = told("evaluate_router", outcomes=folder, splits=2, json=target, policy=["nearest", "guarded", "floor"])
        assert "60 prompts (60 different), 2 categories; 2 splits from seed 0" in said
        for title in ("cheap", "dear", "best single", "random", "oracle", "nearest", "guarded", "floor 0.6"):
            assert f"\n{title}" in said, title
        assert "category, label known" not in said
        written = json.loads(target.read_text())
        assert (written["unit"], written["split_count"]) == ("J", 2)
        oracle = next(row for row in written["rows"] if row["title"] == "oracle")
        assert oracle["accuracy"]["value"] == 1.0

    @pytest.mark.slow
    def test_tells_what_typos_do(self, tmp_path: Path) -> None:
        said = told(
            "evaluate_router", outcomes=write_outcomes(tmp_path / "outcomes"), splits=1, policy=["knn"], written=True
        )
        assert "knn, neighbours, typos: " in said
        assert "knn, regression, framing: " in said
        assert "% of 15 choices unchanged" in said

    def test_embeds_each_text_once(self, tmp_path: Path) -> None:
        folder = write_outcomes(tmp_path / "outcomes")
        told("evaluate_router", outcomes=folder, splits=1, policy=["nearest"])
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("router.embedding.Embedder._ask", lambda *_: pytest.fail("asked again"))
            told("evaluate_router", outcomes=folder, splits=1, policy=["nearest"])

    def test_of_too_few_prompts_says_so_and_prints_no_number(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="prompts: 3 different ones are too few to split"):
            told("evaluate_router", outcomes=write_outcomes(tmp_path / "outcomes", count=3))

    def test_names_what_cannot_be_used(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match=r"prompts.csv"):
            told("evaluate_router", outcomes=tmp_path)

    @pytest.mark.parametrize(("option", "value"), [("splits", 0), ("splits", 1001), ("points", -1), ("floor", 1.5)])
    def test_refuses_what_makes_no_sense(self, option: str, value: float, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match=f"--{option}: .* is not between"):
            told("evaluate_router", outcomes=write_outcomes(tmp_path / "outcomes"), **{option: value})

    def test_needs_a_study_or_a_folder(self) -> None:
        with pytest.raises(CommandError, match=r"one of the arguments --study --outcomes is required"):
            call_command("evaluate_router")


class TestStudy:
    @pytest.mark.slow
    def test_is_evaluated_by_its_labels_and_measurements(self) -> None:
        study = judged_study()
        said = told("evaluate_router", study=study.name, splits=2, policy=["nearest"])
        assert "Cost in gCO2e per prompt" in said
        best = next(line for line in said.splitlines() if line.startswith("best single"))
        assert best.split()[2] == "1.000"

    @pytest.mark.slow
    def test_leaves_out_a_model_that_was_measured_otherwise(self) -> None:
        study = judged_study()
        Measurement.objects.filter(response__deployment__language_model__name="cheap").update(quality="simulated")
        said = told("evaluate_router", study=study.name, splits=1, policy=["nearest"])
        assert "\ndear " in said
        assert "\ncheap " not in said

    @pytest.mark.slow
    def test_takes_an_sci_that_a_file_gave_without_energy(self, tmp_path: Path) -> None:
        folder = write_outcomes(tmp_path / "outcomes")
        table = folder / "outcomes.csv"
        table.write_text(table.read_text().replace("energy_j", "sci_gco2e"))
        told("import_outcomes", folder, name="given")
        said = told("evaluate_router", study="given", splits=1, policy=["nearest"], keep=True)
        assert "\ndear " in said
        assert Evaluation.objects.get().report["qualities"] == {"estimated": 120}

    def test_without_labels_says_what_to_do(self) -> None:
        study = judged_study(count=2)
        Label.objects.all().delete()
        with pytest.raises(CommandError, match="no model with judged and estimated answers; label its answers"):
            told("evaluate_router", study=study.name)

    @pytest.mark.slow
    def test_is_kept_where_one_wants(self, admin_client: Client) -> None:
        study = judged_study()
        said = told("evaluate_router", study=study.name, splits=1, policy=["knn"], keep=True)
        kept = Evaluation.objects.get()
        address = f"/routing/evaluations/{kept.pk}/"
        assert address in said
        assert "knn, regression" in str(admin_client.get(address).content)
        assert (kept.state, kept.study, kept.outcomes, kept.plan["split_count"]) == ("finished", study, study.name, 1)
        assert kept.report["qualities"] == {"estimated": 96}
        assert {row["dial_of"] for row in kept.report["rows"]} == {"", "knn, neighbours", "knn, regression"}

    @pytest.mark.slow
    def test_is_not_kept_unless_asked(self) -> None:
        told("evaluate_router", study=judged_study().name, splits=1, policy=["nearest"])
        assert not Evaluation.objects.exists()


class TestOwnEnergy:
    @pytest.mark.slow
    def test_is_missing_where_no_index_was_measured(self) -> None:
        said = told("evaluate_router", study=judged_study().name, splits=1, policy=["nearest"])
        assert "The router's own energy is missing, and in no row. No index of" in said
        assert "build_index --measure" in said

    @pytest.mark.slow
    def test_is_booked_on_what_routes(self, tmp_path: Path) -> None:
        folder, options = write_outcomes(tmp_path / "outcomes"), {"splits": 1, "policy": ["nearest", "category"]}
        costs = []
        for _ in range(2):
            told("evaluate_router", outcomes=folder, json=tmp_path / "report.json", **options)
            rows = json.loads((tmp_path / "report.json").read_text())["rows"]
            costs.append({row["title"]: row["cost"]["value"] for row in rows})
            measured_index(energy_j=50.0, prompt_count=100)
        assert costs[1]["nearest"] - costs[0]["nearest"] == pytest.approx(0.5)
        for title in ("category, label known", "oracle", "dear", "random"):
            assert costs[1][title] == costs[0][title], title
        said = told("evaluate_router", outcomes=folder, **options)
        assert "The router's own 0.5 J per prompt (measured, n = 100 prompts)" in said
