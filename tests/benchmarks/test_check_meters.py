import os
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from benchmarks.models import Machine
from tests.factories import make_machine

GPU = {"kind": "simulated_nvml", "options": {"steps": [[1, 40], [1, 80]], "uuid": "GPU-1"}}


def run(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def machine(settings: Settings) -> Machine:
    settings.MACHINE_NAME = f"test-check-{os.getpid()}"
    return make_machine(settings.MACHINE_NAME)


@pytest.mark.django_db
@pytest.mark.slow
class TestCheckMeters:
    def test_shows_what_each_channel_reads_and_what_it_costs(self, machine: Machine) -> None:
        machine.meters = [{"kind": "estimate"}, GPU]
        machine.save()

        told = run("check_meters", "--seconds", "1")

        assert "missing  wall meter MCP39F511N" in told
        assert "remedy:" in told
        assert "machine by estimate: " in told
        assert "W (estimated, machine, n=" in told
        assert "gpu-GPU-1 by simulated_nvml: " in told
        assert "(simulated, component, n=" in told
        assert "of one core and" in told

    def test_fails_where_a_configured_meter_is_away_and_still_shows_the_others(
        self, machine: Machine, tmp_path: Path
    ) -> None:
        machine.meters = [{"kind": "estimate"}, {"kind": "rapl", "options": {"root": str(tmp_path)}}]
        machine.save()
        out = StringIO()

        with pytest.raises(CommandError, match="Configured and away: rapl"):
            call_command("check_meters", "--seconds", "1", stdout=out)

        assert f"missing  rapl: there are no RAPL zones in {tmp_path}" in out.getvalue()
        assert "machine by estimate: " in out.getvalue()


@pytest.mark.django_db
class TestOptions:
    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (["--seconds", "0"], "--seconds is from 1 to 600"),
            (["--period-ms", "1"], "--period-ms is from 10"),
            (["--machine", "nowhere"], "There is no machine 'nowhere'"),
        ],
        ids=["seconds", "period", "machine"],
    )
    def test_are_checked(self, machine: Machine, arguments: list[str], reason: str) -> None:
        with pytest.raises(CommandError, match=reason):
            run("check_meters", *arguments)
