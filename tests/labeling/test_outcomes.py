from io import BytesIO, StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from benchmarks.federating import NobodyToAsk, activate
from benchmarks.models import Deployment, Measurement, Response, Study
from benchmarks.scoring import rescore_study
from benchmarks.studying import StudyError, start
from greenllm.bundles.carriage import pack_study, unpack_study
from greenllm.dashboards.queries import study_tables
from greenllm.federation.queries import deployments_in_order, servers_with_counts
from greenllm.studies.forms import available_deployments
from labeling.choosing import filters
from labeling.models import Label
from labeling.waiting import QueueFilter, count_in
from router.candidates import evidence_on
from router.indexing import training_prompts
from tests.benchmarks.outcome_files import OUTCOMES, PROMPTS, TABLES, needs_published_tables, write_outcomes
from tests.factories import NOW, make_deployment, make_intensity, make_prompt, make_response, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _intensity() -> None:
    make_intensity(gco2e_per_kwh=360)  # 10 J are 1 mg


def run(folder: Path, *options: str) -> str:
    out = StringIO()
    call_command("import_outcomes", str(folder), *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def imported(folder: Path, *options: str) -> Study:
    run(folder, *options)
    return Study.objects.get(kind=Study.Kind.IMPORTED)


class TestImportOutcomes:
    def test_makes_a_finished_study_that_cannot_run(self, tmp_path: Path) -> None:
        study = imported(write_outcomes(tmp_path / "mine"))
        assert (study.name, study.state, study.responses.count()) == ("mine", "finished", 6)
        with pytest.raises(StudyError, match="was imported"):
            start(study=study, now=NOW)

    def test_keeps_each_score_exactly_as_a_label(self, tmp_path: Path) -> None:
        study = imported(write_outcomes(tmp_path / "mine"))
        found = Label.objects.filter(response__study=study).values_list(
            "response__deployment__language_model__name", "response__prompt__external_id", "score", "verdict", "source"
        )
        assert ("small", "c", 0.25, "incorrect", "imported") in set(found)
        assert ("large", "c", 0.5, "correct", "imported") in set(found)
        assert len(found) == 6

    def test_scores_energy_at_the_fixed_intensity_without_embodied_emissions(self, tmp_path: Path) -> None:
        study = imported(write_outcomes(tmp_path / "mine"))
        measurement = Measurement.objects.get(
            response__prompt__external_id="a", response__deployment__language_model__name="small"
        )
        assert measurement.sci_gco2e == pytest.approx(0.001)
        assert (measurement.energy_j, measurement.quality, measurement.embodied_emissions_gco2e) == (
            10,
            "estimated",
            None,
        )
        assert study.carbon_intensity_gco2e_per_kwh == 360

    def test_keeps_energy_missing_where_only_sci_is_told(self, tmp_path: Path) -> None:
        outcomes = [OUTCOMES[0].replace("energy_j", "sci_gco2e"), "a,small,1,0.25"]
        study = imported(write_outcomes(tmp_path / "mine", outcomes=outcomes))
        measurement = study.responses.get().measurement
        assert measurement is not None
        assert (measurement.sci_gco2e, measurement.energy_j, measurement.quality) == (0.25, None, "missing")

    def test_leaves_missing_cells_missing(self, tmp_path: Path) -> None:
        outcomes = [OUTCOMES[0], "a,small,1,10", "b,small,,10", "c,small,1,"]
        study = imported(write_outcomes(tmp_path / "mine", outcomes=outcomes))
        assert study.responses.count() == 3
        assert Label.objects.count() == 2
        assert study.responses.filter(measurement__quality="missing", measurement__sci_gco2e=None).count() == 1

    def test_tells_that_the_same_outcomes_are_here(self, tmp_path: Path) -> None:
        run(write_outcomes(tmp_path / "mine"))
        with pytest.raises(CommandError, match="here already, as the study mine"):
            run(write_outcomes(tmp_path / "again"))
        assert (Study.objects.count(), Response.objects.count()) == (1, 6)

    def test_refuses_a_name_that_is_taken(self, tmp_path: Path) -> None:
        run(write_outcomes(tmp_path / "mine"))
        with pytest.raises(CommandError, match="a study 'mine' already"):
            run(write_outcomes(tmp_path / "other", outcomes=OUTCOMES[:4]), "--name", "mine")

    def test_takes_some_models_only_and_shares_the_prompts(self, tmp_path: Path) -> None:
        folder = write_outcomes(tmp_path / "mine")
        run(folder, "--models", "small", "--name", "first")
        run(folder, "--models", "large", "--name", "second")
        first, second = Study.objects.order_by("pk")
        assert set(first.prompts.all()) == set(second.prompts.all())
        with pytest.raises(CommandError, match="there is no 'huge'"):
            run(folder, "--models", "small,huge")

    def test_of_a_dry_run_stores_nothing(self, tmp_path: Path) -> None:
        told = run(write_outcomes(tmp_path / "mine"), "--dry-run")
        assert "small: mean score 0.417 (n = 3), mean energy_j 11.17 (n = 3)" in told
        assert not Study.objects.exists()

    def test_of_a_wrong_file_stores_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match=r"outcomes.csv, line 8, score: 7 is not from 0"):
            run(write_outcomes(tmp_path / "mine", outcomes=[*OUTCOMES, "a,third,7,1"]))
        assert not Study.objects.exists()

    def test_names_a_zone_without_an_intensity(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="No carbon intensity is known for the zone 'XX'"):
            run(write_outcomes(tmp_path / "mine"), "--zone", "XX")


class TestImportedStudy:
    def test_never_counts_for_a_model_of_the_federation(self, tmp_path: Path) -> None:
        own = make_deployment("small")
        study = imported(write_outcomes(tmp_path / "mine"))
        prompt = study.prompts.get(external_id="a")
        assert [(one.deployment_id, one.response_count) for one in evidence_on([prompt.pk])[prompt.pk]] == [(own.pk, 0)]
        assert training_prompts(None) == []

    def test_has_models_that_cannot_be_chosen_or_asked(self, tmp_path: Path) -> None:
        study = imported(write_outcomes(tmp_path / "mine"))
        deployment = study.deployments.first()
        assert deployment is not None
        with pytest.raises(NobodyToAsk):
            activate(deployment=deployment, now=NOW)
        Deployment.objects.update(state="candidate")  # as a bundle brings them
        assert list(available_deployments()) == deployments_in_order() == servers_with_counts() == []

    def test_never_waits_for_a_judge(self, tmp_path: Path) -> None:
        make_response(make_prompt(), make_deployment())
        study = imported(write_outcomes(tmp_path / "mine"))
        assert count_in(QueueFilter()).total_count == 1
        assert count_in(QueueFilter(study=study)).total_count == 0
        assert study not in filters(may_adjudicate=False)["studies"]  # type: ignore[operator]

    def test_keeps_its_scores_as_they_were_imported(self, tmp_path: Path) -> None:
        with pytest.raises(StudyError, match="stands as it was imported"):
            rescore_study(study=imported(write_outcomes(tmp_path / "mine")), carbon_intensity_gco2e_per_kwh=1)

    def test_has_the_tables_of_any_study(self, tmp_path: Path) -> None:
        tables = study_tables(imported(write_outcomes(tmp_path / "mine")))
        cell = tables.cells["math", "small"]
        assert (cell.correct_count, cell.judged_count, cell.sources) == (1, 2, ("imported",))
        assert cell.sum_sci_gco2e == pytest.approx(0.00225)

    @pytest.mark.slow
    def test_has_a_badge_and_nothing_to_start_or_grade(self, tmp_path: Path, client: Client) -> None:
        study = imported(write_outcomes(tmp_path / "mine", prompts=[line.replace("code", "math") for line in PROMPTS]))
        client.force_login(make_user(is_superuser=True))
        page = client.get(f"/studies/{study.name}/").content.decode()
        assert '<span class="badge">imported</span>' in page
        assert "category: there is one only" in page
        assert 'id="start"' not in page
        assert 'id="grade"' not in page
        assert '<span class="badge">imported</span>' in client.get("/studies/").content.decode()
        response = study.responses.order_by("pk").first()
        assert response is not None
        assert "no text of the answer" in client.get(reverse("studies:response", args=[response.pk])).content.decode()

    @pytest.mark.slow
    def test_travels_in_a_bundle_whole(self, tmp_path: Path) -> None:
        study = imported(write_outcomes(tmp_path / "mine"))
        file = BytesIO()
        pack_study(study=study, file=file, now=NOW)
        Study.objects.filter(pk=study.pk).update(name="elder", uuid=uuid4())
        for label in Label.objects.filter(response__study=study):
            Label.objects.filter(pk=label.pk).update(uuid=uuid4())
        carried = unpack_study(file=file, now=NOW).study
        assert (carried.kind, carried.uuid, carried.responses.count()) == ("imported", study.uuid, 6)
        scores = Label.objects.filter(response__study=carried, source="imported").values_list("score", flat=True)
        assert sorted(scores) == [0, 0.25, 0.5, 1, 1, 1]  # type: ignore[type-var]


@pytest.mark.slow
@needs_published_tables
def test_a_published_table_is_imported_whole() -> None:
    study = imported(TABLES / "llmrouter9")
    assert study.responses.count() == 54_972
    tables = study_tables(study)
    best = max(tables.total_row(), key=lambda cell: cell.correct_count)
    assert best.accuracy is not None
    assert best.accuracy.value == pytest.approx(0.624, abs=0.002)
