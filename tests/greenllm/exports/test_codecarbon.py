"""CodeCarbon's emissions.csv, read back as its users read it."""

import csv
import io
import math
from uuid import UUID

import pytest

from benchmarks.models import Measurement, Study
from greenllm.exports.codecarbon import COLUMNS, codecarbon_rows
from tests import factories as make
from tests.greenllm.exports.mixed import energies_of, make_mixed_study

pytestmark = pytest.mark.django_db


def read_back(study: Study) -> list[dict[str, str]]:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(codecarbon_rows(study))
    return list(csv.DictReader(io.StringIO(text.getvalue())))


class TestEmissions:
    def test_add_up_to_the_energy_of_the_database(self) -> None:
        study = make_mixed_study()
        known = [float(row["energy_consumed"]) for row in read_back(study) if row["energy_consumed"]]
        assert known == [energy_j / 3_600_000 for energy_j in energies_of(study)]
        assert math.fsum(known) == pytest.approx(71.874 / 3_600_000, rel=1e-15)

    def test_are_operational_and_in_kilograms(self) -> None:
        study = make_mixed_study()
        found = [float(row["emissions"]) for row in read_back(study) if row["emissions"]]
        measured = Measurement.objects.filter(response__study=study, energy_j__isnull=False)
        grams = measured.order_by("response__sequence").values_list("operational_emissions_gco2e", flat=True)
        assert found == [gram / 1_000 for gram in grams if gram is not None]
        assert found[0] == pytest.approx(10.1 / 3.6e6 * 385 / 1_000)

    def test_stay_empty_where_the_energy_is_missing(self) -> None:
        row = read_back(make_mixed_study())[2]
        assert [row[name] for name in ("energy_consumed", "emissions", "emissions_rate", "cpu_energy")] == [""] * 4
        assert row["tracking_mode"] == "machine, missing"
        assert row["duration"] == "1.0"

    def test_are_told_apart_by_part_of_the_machine(self) -> None:
        row = read_back(make_mixed_study(answer_count=4))[0]
        assert float(row["cpu_energy"]) == pytest.approx(10.1 * 0.75 / 3.6e6)  # of one answer, not of all four
        assert float(row["ram_energy"]) == pytest.approx(10.1 * 0.25 / 3.6e6)
        assert float(row["cpu_power"]) == pytest.approx(10.1 * 0.75)
        assert (row["gpu_energy"], row["gpu_power"]) == ("", "")

    @pytest.mark.slow
    def test_of_a_part_are_missing_where_one_of_its_channels_is(self) -> None:
        study = make_mixed_study()
        first = Measurement.objects.filter(response__study=study, energy_j__isnull=False).earliest("pk")
        first.readings.create(
            channel="cpu-package-1", meter="rapl", is_in_boundary=True, quality="missing", missing_reason="a gap",
            sample_count=0, coverage=0.0,
        )  # fmt: skip
        row = read_back(study)[0]
        assert (row["cpu_energy"], row["cpu_power"]) == ("", "")
        assert float(row["ram_energy"]) > 0

    def test_say_where_and_on_what(self) -> None:
        row = read_back(make_mixed_study())[0]
        names = ("country_name", "country_iso_code", "region", "cpu_model", "cpu_count", "ram_total_size")
        assert [row[name] for name in names] == ["Germany", "DEU", "", "EPYC", "2", "32.0"]

    def test_are_a_run_for_each_answer(self) -> None:
        study = make_mixed_study()
        rows = read_back(study)
        assert len({UUID(row["run_id"]) for row in rows}) == 6
        assert {row["experiment_id"] for row in rows} == {str(study.uuid)}
        assert rows[0]["timestamp"] == make.NOW.strftime("%Y-%m-%dT%H:%M:%S")

    def test_say_what_is_simulated(self) -> None:
        row = read_back(make_mixed_study(quality="simulated"))[0]
        assert (row["project_name"], row["tracking_mode"]) == ("mixed/tiny (simulated)", "machine, simulated")

    def test_cannot_be_run_by_a_spreadsheet(self) -> None:
        study = make_mixed_study()
        study.machine_snapshot["cpu_model"] = "=1+1"
        assert read_back(study)[0]["cpu_model"] == "'=1+1"
