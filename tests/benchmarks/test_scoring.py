import math
from typing import Any

import pytest

from benchmarks.models import Machine, Measurement, Response, Study
from benchmarks.sci import METHOD_VERSION, SciInputError
from benchmarks.scoring import CarbonBasis, Rescored, apply_score, basis_of, rescore_study
from benchmarks.units import SECONDS_PER_YEAR
from tests.factories import make_deployment, make_machine, make_prompt, make_response, make_study

pytestmark = pytest.mark.django_db

SCORE_FIELDS = (
    "carbon_intensity_gco2e_per_kwh", "total_embodied_emissions_gco2e", "expected_lifespan_s", "resource_share",
    "operational_emissions_gco2e", "embodied_emissions_gco2e", "sci_gco2e", "method_version",
)  # fmt: skip


@pytest.fixture
def study() -> Study:
    """Make a study of two scored responses (36 kJ and 72 kJ, each of 1 s) and one without energy."""
    study = make_study()
    deployment = make_deployment()
    for energy_j in (36_000.0, 72_000.0, None):
        make_response(make_prompt(), deployment, study=study, energy_j=energy_j)
    return study


def scores(study: Study) -> list[dict[str, Any]]:
    return list(Measurement.objects.filter(response__study=study).order_by("pk").values(*SCORE_FIELDS))


class TestApplyScore:
    def test_keeps_every_input_beside_the_score(self) -> None:
        measurement = Measurement(energy_j=2329.8, time_reserved_s=10.59)

        apply_score(measurement, CarbonBasis(385.0, 574_100.0, 126_144_000, 1.0))

        assert measurement.sci_gco2e == pytest.approx(0.29736, abs=0.00001)
        assert measurement.operational_emissions_gco2e == pytest.approx(0.249159, abs=1e-6)
        assert measurement.embodied_emissions_gco2e == pytest.approx(0.048196, abs=1e-6)
        assert (measurement.carbon_intensity_gco2e_per_kwh, measurement.resource_share) == (385, 1)
        assert (measurement.total_embodied_emissions_gco2e, measurement.expected_lifespan_s) == (574_100, 126_144_000)
        assert measurement.method_version == METHOD_VERSION

    @pytest.mark.parametrize("facts", [{"time_reserved_s": 1.0}, {"energy_j": 1.0}], ids=["no energy", "no time"])
    def test_leaves_what_is_missing_without_a_score(self, facts: dict[str, float]) -> None:
        measurement = Measurement(**facts, sci_gco2e=1, operational_emissions_gco2e=1, embodied_emissions_gco2e=1)

        apply_score(measurement, CarbonBasis(385.0, 574_100.0, 126_144_000, 1.0))

        assert measurement.sci_gco2e is None
        assert measurement.operational_emissions_gco2e is None
        assert measurement.embodied_emissions_gco2e is None
        assert measurement.carbon_intensity_gco2e_per_kwh == 385

    def test_refuses_a_wrong_basis_even_without_energy(self) -> None:
        with pytest.raises(SciInputError, match="carbon_intensity_gco2e_per_kwh"):
            apply_score(Measurement(), CarbonBasis(-1.0, 574_100.0, 126_144_000, 1.0))


class TestBasisOf:
    def test_takes_the_facts_of_the_machine(self) -> None:
        machine = Machine(total_embodied_emissions_gco2e=1000, expected_lifespan_s=60, resource_share=0.5)

        assert basis_of(machine, 40.0) == CarbonBasis(40.0, 1000, 60, 0.5)


class TestRescoreStudy:
    def test_for_another_intensity_changes_the_operational_part_only(self, study: Study) -> None:
        before = scores(study)

        rescored = rescore_study(study=study, carbon_intensity_gco2e_per_kwh=100)

        after = scores(study)
        assert rescored == Rescored(scored_count=2, missing_count=1)
        # 36 kJ are 0.01 kWh
        assert [row["operational_emissions_gco2e"] for row in after] == [pytest.approx(1.0), pytest.approx(2.0), None]
        assert [row["embodied_emissions_gco2e"] for row in after] == [row["embodied_emissions_gco2e"] for row in before]
        assert {row["carbon_intensity_gco2e_per_kwh"] for row in after} == {100}

    def test_for_another_lifespan_changes_the_embodied_part_only(self, study: Study) -> None:
        before = scores(study)

        rescore_study(study=study, expected_lifespan_s=8 * SECONDS_PER_YEAR)

        for old, new in zip(before[:2], scores(study)[:2], strict=True):
            assert new["embodied_emissions_gco2e"] == pytest.approx(old["embodied_emissions_gco2e"] / 2)
            assert new["operational_emissions_gco2e"] == old["operational_emissions_gco2e"]
            assert new["expected_lifespan_s"] == 8 * SECONDS_PER_YEAR

    def test_for_other_embodied_emissions_may_leave_none(self, study: Study) -> None:
        rescore_study(study=study, total_embodied_emissions_gco2e=0)

        assert [row["embodied_emissions_gco2e"] for row in scores(study)] == [0, 0, None]

    def test_with_nothing_given_gives_the_same_scores(self, study: Study) -> None:
        before = scores(study)

        rescore_study(study=study)

        assert scores(study) == before

    def test_there_and_back_gives_the_same_scores(self, study: Study) -> None:
        before = scores(study)

        rescore_study(study=study, carbon_intensity_gco2e_per_kwh=1000)
        rescore_study(study=study, carbon_intensity_gco2e_per_kwh=385)

        assert scores(study) == before

    def test_keeps_what_is_missing_missing(self, study: Study) -> None:
        rescore_study(study=study, carbon_intensity_gco2e_per_kwh=100)

        missing = Measurement.objects.get(energy_j__isnull=True)
        assert (missing.sci_gco2e, missing.quality) == (None, "missing")

    def test_fixes_the_intensity_for_what_the_study_still_measures(self, study: Study) -> None:
        rescore_study(study=study, carbon_intensity_gco2e_per_kwh=100)
        rescore_study(study=study, expected_lifespan_s=60)

        study.refresh_from_db()
        assert study.carbon_intensity_gco2e_per_kwh == 100

    def test_keeps_beside_each_score_where_the_intensity_is_from(self, study: Study) -> None:
        rescore_study(study=study, carbon_intensity_gco2e_per_kwh=57, carbon_intensity_source="FR 2023: test")
        rescore_study(study=study, expected_lifespan_s=60)

        study.refresh_from_db()
        sources = set(Measurement.objects.values_list("carbon_intensity_source", flat=True))
        assert (study.carbon_intensity_source, sources) == ("FR 2023: test", {"FR 2023: test"})

    def test_never_leaves_a_former_source_beside_another_intensity(self, study: Study) -> None:
        rescore_study(study=study, carbon_intensity_gco2e_per_kwh=57, carbon_intensity_source="FR 2023: test")
        rescore_study(study=study, carbon_intensity_gco2e_per_kwh=100)

        study.refresh_from_db()
        assert study.carbon_intensity_source == ""
        assert not Measurement.objects.exclude(carbon_intensity_source="").exists()

    def test_leaves_other_studies_and_imported_outcomes_alone(self, study: Study) -> None:
        other = make_response(make_prompt(), make_deployment("other"))
        imported = Response.objects.filter(study=study).order_by("pk")[0].measurement
        assert imported is not None
        Measurement.objects.filter(pk=imported.pk).update(purpose="imported")
        before = scores(other.study)

        rescored = rescore_study(study=study, carbon_intensity_gco2e_per_kwh=100)

        assert rescored.scored_count == 1
        assert scores(other.study) == before
        assert Measurement.objects.get(pk=imported.pk).carbon_intensity_gco2e_per_kwh == 385

    @pytest.mark.parametrize(
        "options",
        [
            {"carbon_intensity_gco2e_per_kwh": -1}, {"carbon_intensity_gco2e_per_kwh": math.nan},
            {"carbon_intensity_gco2e_per_kwh": math.inf}, {"expected_lifespan_s": 0}, {"expected_lifespan_s": -60},
            {"total_embodied_emissions_gco2e": -1}, {"total_embodied_emissions_gco2e": math.nan},
            {"carbon_intensity_gco2e_per_kwh": 100, "expected_lifespan_s": 0},
        ],
    )  # fmt: skip
    def test_refuses_a_bad_value_and_changes_nothing(self, study: Study, options: dict[str, float]) -> None:
        before = scores(study)

        with pytest.raises(SciInputError):
            rescore_study(study=study, **options)  # type: ignore[arg-type]  # wrong on purpose

        assert scores(study) == before
        study.refresh_from_db()
        assert study.carbon_intensity_gco2e_per_kwh == 385

    def test_refuses_a_bad_value_also_where_nothing_is_measured_yet(self) -> None:
        study = make_study()
        make_machine()

        with pytest.raises(SciInputError, match="carbon_intensity_gco2e_per_kwh"):
            rescore_study(study=study, carbon_intensity_gco2e_per_kwh=-1)
