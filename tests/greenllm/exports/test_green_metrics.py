"""The Green Metrics Tool's phase statistics, read back."""

import csv
import io

import pytest

from benchmarks.models import Study
from greenllm.exports.green_metrics import COLUMNS, green_metrics_rows
from tests.greenllm.exports.mixed import energies_of, make_mixed_study

pytestmark = pytest.mark.django_db


def read_back(study: Study) -> list[dict[str, str]]:
    text = io.StringIO()
    csv.writer(text).writerows([COLUMNS, *green_metrics_rows(study)])
    return list(csv.DictReader(io.StringIO(text.getvalue())))


def totals(rows: list[dict[str, str]], metric: str) -> list[int]:
    return [int(row["value"]) for row in rows if row["metric"] == metric]


class TestPhaseStatistics:
    def test_add_up_to_the_energy_of_the_database_in_microjoules(self) -> None:
        study = make_mixed_study()
        found = totals(read_back(study), "energy_greenllm_machine")
        assert found == [round(energy_j * 1_000_000) for energy_j in energies_of(study)]
        assert sum(found) == 71_874_000

    def test_give_each_channel_under_the_name_of_the_tools_own_provider(self) -> None:
        rows = read_back(make_mixed_study(answer_count=2))
        found = totals(rows, "cpu_energy_rapl_msr_component")
        assert found[:2] == [7_575_000, 2_525_000]  # of one answer
        assert {row["detail_name"] for row in rows if row["metric"].startswith("cpu_")} == {
            "cpu-package-0", "cpu-package-0-dram",
        }  # fmt: skip

    def test_tell_time_and_carbon(self) -> None:
        rows = read_back(make_mixed_study())
        assert totals(rows, "phase_time_syscall_system") == [1_000_000] * 6
        assert totals(rows, "carbon_greenllm_machine")[0] == round(10.1 / 3.6e6 * 385 * 1_000_000)
        assert totals(rows, "embodied_carbon_share_machine")[0] == round(574_100 / 126_144_000 * 1_000_000)

    def test_have_no_energy_of_an_answer_without_one(self) -> None:
        rows = [row for row in read_back(make_mixed_study()) if row["phase"].startswith("003_")]
        assert [row["metric"] for row in rows if row["unit"] == "uJ"] == []
        assert {row["quality"] for row in rows} == {"missing"}

    def test_say_what_is_simulated(self) -> None:
        assert {row["quality"] for row in read_back(make_mixed_study(quality="simulated"))} == {"simulated", "missing"}
