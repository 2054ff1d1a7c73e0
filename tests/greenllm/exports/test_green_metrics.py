"""The Green Metrics Tool's phase statistics, read back."""

import csv
import io

import pytest

from benchmarks.models import ChannelReading, Study
from greenllm.exports.green_metrics import COLUMNS, green_metrics_rows, metric_of
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
        found = totals(read_back(study), "psu_energy_greenllm_machine")
        assert found == [round(energy_j * 1_000_000) for energy_j in energies_of(study)]
        assert sum(found) == 71_874_000

    def test_give_each_channel_under_the_name_of_the_tools_own_provider(self) -> None:
        rows = read_back(make_mixed_study(answer_count=2))
        assert totals(rows, "cpu_energy_rapl_msr_component")[0] == 7_575_000  # of one answer
        assert totals(rows, "memory_energy_rapl_msr_component")[0] == 2_525_000
        assert {row["detail_name"] for row in rows if row["metric"].startswith("cpu_")} == {"cpu-package-0"}

    @pytest.mark.parametrize(
        ("meter", "channel", "metric"),
        [
            ("mcp", "machine", "psu_energy_ac_mcp_machine"),
            ("mcp", "wall", "psu_energy_ac_mcp_machine"),
            ("mcp", "outlet-1", "outlet_energy_ac_mcp_component"),
            ("rapl", "psys", "psu_energy_dc_rapl_msr_machine"),
            ("rapl", "cpu-package-1-dram", "memory_energy_rapl_msr_component"),
            ("nvml", "gpu-GPU-1", "gpu_energy_nvidia_nvml_component"),
            ("estimate", "machine", "psu_energy_estimate_machine"),
        ],
    )
    def test_name_each_channel_as_the_tool_looks_for_it(self, meter: str, channel: str, metric: str) -> None:
        assert metric_of(ChannelReading(meter=meter, channel=channel)) == metric

    def test_tell_the_whole_once_where_a_meter_saw_it(self) -> None:
        study = make_mixed_study()
        ChannelReading.objects.filter(channel="cpu-package-0").update(channel="machine", meter="mcp")
        ChannelReading.objects.exclude(channel="machine").update(is_in_boundary=False)
        rows = [row for row in read_back(study) if row["phase"].startswith("001_")]
        assert [row["metric"] for row in rows if row["metric"].endswith("_machine")] == [
            "psu_energy_ac_mcp_machine", "psu_carbon_ac_mcp_machine", "embodied_carbon_share_machine",
        ]  # fmt: skip

    def test_tell_time_and_carbon(self) -> None:
        rows = read_back(make_mixed_study())
        assert totals(rows, "phase_time_syscall_system") == [1_000_000] * 6
        assert totals(rows, "psu_carbon_greenllm_machine")[0] == round(10.1 / 3.6e6 * 385 * 1_000_000)
        assert totals(rows, "embodied_carbon_share_machine")[0] == round(574_100 / 126_144_000 * 1_000_000)
        details = {row["metric"]: row["detail_name"] for row in rows}
        assert details["embodied_carbon_share_machine"] == details["phase_time_syscall_system"] == "[SYSTEM]"

    def test_have_no_energy_of_an_answer_without_one(self) -> None:
        rows = [row for row in read_back(make_mixed_study()) if row["phase"].startswith("003_")]
        assert [row["metric"] for row in rows if row["unit"] == "uJ"] == []
        assert {row["quality"] for row in rows} == {"missing"}

    def test_say_what_is_simulated(self) -> None:
        assert {row["quality"] for row in read_back(make_mixed_study(quality="simulated"))} == {"simulated", "missing"}
