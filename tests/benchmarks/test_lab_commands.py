"""The commands of a measuring machine that keep and give away figures: calibrate, export_measurements."""

import csv
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings

from benchmarks.locking import machine_lock
from benchmarks.management.commands import calibrate as command
from benchmarks.meters.stress import cores_busy
from benchmarks.models import Calibration, ChannelReading, Machine, Measurement
from tests.factories import NOW, make_deployment, make_machine, make_prompt, make_response, make_study


def run(name: str, *arguments: str | Path) -> str:
    out = StringIO()
    call_command(name, *map(str, arguments), stdout=out)
    return out.getvalue()


@pytest.fixture
def machine(settings: Settings) -> Iterator[Machine]:
    settings.MACHINE_NAME = f"test-lab-{os.getpid()}"
    return make_machine(settings.MACHINE_NAME)


@pytest.mark.django_db
class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (("calibrate", "--machine", "nowhere"), "There is no machine 'nowhere'"),
            (("calibrate", "--seconds", "1"), "--seconds is from 3 to 600"),
            (("calibrate", "--period-ms", "1"), "--period-ms is from 10"),
            (("export_measurements", "--study", "none"), "There is no study 'none'"),
        ],
        ids=lambda value: value[0] if isinstance(value, tuple) else "",
    )
    def test_name_the_option(self, machine: Machine, arguments: tuple[str, ...], reason: str) -> None:
        with pytest.raises(CommandError, match=reason):
            run(*arguments)


@pytest.mark.django_db(transaction=True)
@pytest.mark.slow
class TestCalibrate:
    def test_stores_idle_overhead_and_measurements(self, machine: Machine) -> None:
        told = run("calibrate", "--seconds", "3")

        made = Calibration.objects.get()
        assert made.machine == machine
        assert (made.quality, made.block_count >= 2) == ("estimated", True)
        assert made.idle_power_low_mw <= made.idle_power_mw <= made.idle_power_high_mw
        assert made.peak_power_mw > 0.8 * 1000 * machine.thermal_design_power_w  # both cores work
        purposes = [made.baseline.purpose, made.idle.purpose, made.stress.purpose]
        assert purposes == ["idle_baseline", "calibration", "calibration"]
        assert [one.readings.get().quality for one in (made.baseline, made.idle, made.stress)] == ["estimated"] * 3
        assert made.idle.traces.get().sample_count > made.baseline.traces.get().sample_count
        for part in ("of (peak - idle)", "of idle", "Estimated from the processor's load, not measured", "Cooldown:"):
            assert part in told

    def test_is_refused_while_the_machine_measures(self, machine: Machine) -> None:
        other = connection.copy()
        try:
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_lock(%s, %s)", [0x6772656E, machine.pk])
            with pytest.raises(CommandError, match="Another worker measures on this machine"):
                run("calibrate", "--seconds", "3")
        finally:
            other.close()
        assert not Calibration.objects.exists()

    def test_stores_nothing_when_it_is_stopped(self, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        def interrupted(*, seconds: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(command, "cores_busy", interrupted)
        with pytest.raises(CommandError, match="Stopped; nothing was stored"):
            run("calibrate", "--seconds", "3")
        assert not Measurement.objects.exists()
        with machine_lock(machine.pk):  # it was let go
            pass


@pytest.mark.django_db
class TestIdleBaseline:
    def test_is_that_of_the_latest_calibration_and_its_channels(self, machine: Machine) -> None:
        assert Calibration.objects.latest_idle_baseline(machine) is None
        for idle_mw in (10_000, 12_000):
            make_calibration(machine, idle_mw)

        found = Calibration.objects.latest_idle_baseline(machine)

        assert found is not None
        assert (found.power_mw, found.counted) == (12_000, frozenset({"machine"}))


def make_calibration(machine: Machine, idle_mw: float) -> Calibration:
    phases = [
        Measurement.objects.create(purpose="calibration", machine=machine, energy_j=1, quality="estimated")
        for _ in range(3)
    ]
    for channel, is_in_boundary in (("machine", True), ("gpu", False)):
        ChannelReading.objects.create(
            measurement=phases[1], channel=channel, meter="estimate", is_in_boundary=is_in_boundary, energy_j=1,
            sample_count=1, coverage=1, quality="estimated",
        )  # fmt: skip
    return Calibration.objects.create(
        machine=machine, made_at=NOW, baseline=phases[0], idle=phases[1], stress=phases[2], quality="estimated",
        block_count=3, baseline_power_mw=idle_mw, idle_power_mw=idle_mw, idle_power_low_mw=idle_mw,
        idle_power_high_mw=idle_mw, peak_power_mw=60_000, overhead_power_mw=0, overhead_low_mw=0, overhead_high_mw=0,
    )  # fmt: skip


@pytest.mark.slow
class TestCoresBusy:
    def test_leaves_nobody_behind(self) -> None:
        import psutil

        before = {child.pid for child in psutil.Process().children()}
        with cores_busy(seconds=30, count=2):
            assert len({child.pid for child in psutil.Process().children()} - before) == 2
        assert {child.pid for child in psutil.Process().children()} == before


@pytest.mark.django_db
class TestExportMeasurements:
    @pytest.fixture
    def rows(self) -> list[dict[str, str]]:
        study = make_study("seen")
        prompt, deployment = make_prompt("One?"), make_deployment("tiny")
        measured = make_response(prompt, deployment, study=study, energy_j=20.0)
        measurement = measured.measurement
        assert measurement is not None
        measurement.started_at = NOW
        measurement.started_monotonic_ns, measurement.finished_monotonic_ns = 1_000_000_000, 3_000_000_000
        measurement.save()
        ChannelReading.objects.create(
            measurement=measurement, channel="machine", meter="mcp", is_in_boundary=True, energy_j=20,
            mean_power_mw=10_000, sample_count=20, coverage=0.9, quality="measured",
            meter_facts={"interval_p95_ms": 131.0, "is_irregular": True},
        )  # fmt: skip
        ChannelReading.objects.create(
            measurement=measurement, channel="gpu-1", meter="nvml", is_in_boundary=False, sample_count=0, coverage=0,
            gap_count=1, quality="missing", missing_reason="no reading for 2 s",
        )  # fmt: skip
        make_response(make_prompt("Two?"), deployment, study=study, energy_j=7.0)
        return list(csv.DictReader(StringIO(run("export_measurements", "--study", "seen"))))

    def test_has_a_row_for_each_channel(self, rows: list[dict[str, str]]) -> None:
        assert [(row["channel"], row["meter"], row["energy_j"], row["quality"]) for row in rows] == [
            ("gpu-1", "nvml", "", "missing"), ("machine", "mcp", "20.0", "measured"), ("", "", "7.0", "estimated"),
        ]  # fmt: skip

    def test_marks_irregular_samples_where_there_are_enough_to_tell(self, rows: list[dict[str, str]]) -> None:
        assert [row["irregular"] for row in rows] == ["", "True", ""]

    def test_never_tells_a_missing_energy_as_zero(self, rows: list[dict[str, str]]) -> None:
        gpu = rows[0]
        assert (gpu["energy_j"], gpu["energy_low_j"], gpu["mean_power_w"]) == ("", "", "")
        assert gpu["missing_reason"] == "no reading for 2 s"

    def test_gives_both_clocks_in_nanoseconds(self, rows: list[dict[str, str]]) -> None:
        row = rows[1]
        assert (row["start_monotonic_ns"], row["end_monotonic_ns"]) == ("1000000000", "3000000000")
        assert row["start_wall_ns"] == "1767323045000000000"  # date -u -d 2026-01-02T03:04:05 +%s
        assert int(row["end_wall_ns"]) - int(row["start_wall_ns"]) == 2_000_000_000

    def test_writes_a_file_whole_or_not_at_all(self, tmp_path: Path) -> None:
        make_study("empty")
        path = tmp_path / "out.csv"
        assert "0 lines of empty written" in run("export_measurements", "--study", "empty", "--out", path)
        assert path.read_text().startswith("study,response,")
        with pytest.raises(CommandError, match="cannot be written"):
            run("export_measurements", "--study", "empty", "--out", tmp_path / "none" / "out.csv")
        assert list(tmp_path.iterdir()) == [path]
