"""The commands about carbon intensity, from the words of a person to the rows."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

import benchmarks
from benchmarks.grid.scripted import GridFault, GridScript, ScriptedGrid
from benchmarks.models import CarbonIntensity, IntensityFeed
from tests.benchmarks.datasets.raw_server import RawServer, running
from tests.benchmarks.grid.tables import ROWS, write_table
from tests.benchmarks.grid.twins import KEY
from tests.factories import make_feed, make_intensity, make_user

pytestmark = pytest.mark.slow

ROOT = Path(benchmarks.__file__).parent.parent


def run(name: str, *arguments: str) -> tuple[str, str]:
    out, err = StringIO(), StringIO()
    call_command(name, *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def said(name: str, *arguments: str) -> str:
    return run(name, *arguments)[0]


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> GridScript:
    monkeypatch.setenv("ELECTRICITY_MAPS_API_KEY", KEY)
    return GridScript({"DE": 310.5, "GB": 120, "13": 95}, clock=timezone.now, key=KEY)


@pytest.fixture
def grid(played: GridScript) -> Iterator[ScriptedGrid]:
    with ScriptedGrid(played) as running_grid:
        yield running_grid


@pytest.mark.django_db
class TestImportIntensity:
    def test_tells_what_came_from_where_under_which_licence(self, tmp_path: Path) -> None:
        path = write_table(tmp_path / "table.csv")

        assert said("import_intensity", "owid", "--from", str(path)).splitlines() == [
            "Data on Energy by Our World in Data: 4 intensities imported, 0 corrected, 0 were there; "
            "3 zones, 2022 to 2023.",
            "1 rows of countries have no intensity and were passed over.",
            "No country of today, passed over: ANT, OWID_WRL.",
            f"Read from {path}.",
            "Licence: CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)",
            "Source: Hannah Ritchie, Pablo Rosado, Edouard Mathieu and Max Roser, Data on Energy, Our World in Data "
            "(https://github.com/owid/energy-data), with data of Ember's Yearly Electricity Data.",
        ]

    def test_fetches_it_from_an_address(self, tmp_path: Path, settings: Settings) -> None:
        settings.VAR_DIR = tmp_path / "var"
        content = write_table(tmp_path / "table.csv").read_bytes()
        with running(RawServer(content)) as home:
            said("import_intensity", "owid", "--from", home.url, "--zone", "FR")

        assert CarbonIntensity.objects.get().gco2e_per_kwh == 57

    def test_tells_mistakes_without_a_traceback(self, tmp_path: Path) -> None:
        path = write_table(tmp_path / "table.csv", ROWS[0], "Spain,2023,ESP,1,much,1")

        with pytest.raises(CommandError, match="line 3, carbon_intensity_elec: 'much'"):
            run("import_intensity", "owid", "--from", str(path))

    def test_tells_that_a_home_cannot_be_reached(self, tmp_path: Path, settings: Settings) -> None:
        settings.VAR_DIR = tmp_path
        with running(RawServer(status=500)) as home, pytest.raises(CommandError, match="answered 500"):
            run("import_intensity", "owid", "--from", home.url)


@pytest.mark.django_db
class TestFollowIntensity:
    def test_has_a_service_asked(self) -> None:
        told = said("follow_intensity", "GB-13", "great_britain", "--every", "30", "--stale-after", "90")

        feed = IntensityFeed.objects.get()
        assert (feed.zone, feed.provider, feed.refresh_minutes, feed.stale_after_minutes) == (
            "GB-13", "great_britain", 30, 90,
        )  # fmt: skip
        assert "asked by manage.py refresh_intensities, at most every 30 min" in told

    def test_stops_it(self) -> None:
        make_feed()

        said("follow_intensity", "DE", "--stop")

        assert not IntensityFeed.objects.exists()

    @pytest.mark.parametrize(
        ("arguments", "told"),
        [
            (("DE",), "Name the service"),
            (("DE", "electricity_maps", "--stop"), "Name the service"),
            (("DE", "great_britain"), "Nothing was changed. provider_zone: 'DE' is neither GB nor the number"),
            (("DE", "electricity_maps", "--every", "0"), "refresh_minutes: Ensure this value is greater"),
            (("DE", "electricity_maps", "--url", "nowhere"), "base_url: Enter a valid URL"),
            (("DE", "watt_time"), "invalid choice"),
            (("DE", "--stop"), "No live service is asked about the zone 'DE'"),
        ],
        ids=str,
    )
    def test_refuses_what_cannot_be(self, arguments: tuple[str, ...], told: str) -> None:
        with pytest.raises(CommandError, match=told):
            run("follow_intensity", *arguments)


@pytest.mark.django_db
class TestRefreshIntensities:
    def test_asks_each_zone_whose_time_has_come(self, grid: ScriptedGrid, played: GridScript) -> None:
        make_feed("DE", base_url=grid.url)
        make_feed("GB-13", provider="great_britain", base_url=grid.url)
        make_feed("FR", base_url=grid.url, attempted_at=timezone.now())

        lines = said("refresh_intensities").splitlines()

        assert lines == [
            "DE from Electricity Maps (with a key): 310.5 gCO2e/kWh.",
            "FR from Electricity Maps (with a key): asked a short while ago, not again yet.",
            "GB-13 from Carbon Intensity API of Great Britain: 95 gCO2e/kWh.",
        ]
        assert len(played.paths) == 2

    def test_goes_on_after_a_failure_and_ends_with_one(self, grid: ScriptedGrid) -> None:
        make_feed("AA", base_url=grid.url)
        make_feed("DE", base_url=grid.url)

        with pytest.raises(CommandError, match="1 of the live services gave no figure"):
            run("refresh_intensities")
        assert CarbonIntensity.objects.get().zone == "DE"
        assert IntensityFeed.objects.get(zone="AA").problem_kind == "unknown zone"

    def test_has_nothing_to_say_where_nothing_is_followed(self) -> None:
        assert run("refresh_intensities") == ("", "")


@pytest.mark.django_db
class TestIntensity:
    def test_tells_what_would_be_used_and_why(self, grid: ScriptedGrid) -> None:
        make_intensity(gco2e_per_kwh=300)
        make_feed(base_url=grid.url)

        told = said("intensity", "DE", "--refresh")

        assert "Now: 310.5 gCO2e/kWh [simulated], DE, live average, " in told
        assert "     The live figure is " in told
        assert "A new study: 300 gCO2e/kWh, fixed (DE 2024: test)\n" in told
        assert "Live service: Electricity Maps (with a key), zone DE, at most every 15 min, stale after 120 min" in told
        assert "Known, the latest first:\n" in told
        assert "  2024                  300 gCO2e/kWh  Average of a year: test\n" in told

    def test_tells_a_failure_and_falls_back(self, grid: ScriptedGrid, played: GridScript) -> None:
        played.fault = GridFault.BUSY
        make_intensity(gco2e_per_kwh=300)
        make_feed(base_url=grid.url)

        told, warned = run("intensity", "DE", "--refresh")

        assert warned.startswith("The live service failed (busy): 127.0.0.1:")
        assert "Now: 300 gCO2e/kWh [stale], DE, average of a year, 2024: test" in told
        assert "The latest question failed (busy)" in told

    def test_says_when_it_did_not_ask(self, grid: ScriptedGrid) -> None:
        make_intensity()
        make_feed(base_url=grid.url, attempted_at=timezone.now())

        assert "asked a short while ago" in said("intensity", "DE", "--refresh")

    def test_points_to_the_command_that_follows_a_zone(self) -> None:
        make_intensity()

        told, warned = run("intensity", "DE", "--refresh")

        assert "manage.py follow_intensity" in warned
        assert "No live service is asked about DE." in told

    def test_tells_of_a_live_figure_without_an_average(self) -> None:
        make_feed(live=111)

        told = said("intensity", "DE")

        assert "[stale]" in told
        assert "A new study: none. No carbon intensity is known for the zone 'DE'" in told

    def test_shows_a_dozen_and_says_that_there_are_more(self) -> None:
        for year in range(2000, 2020):
            make_intensity(year=year)

        told = said("intensity", "DE")

        assert told.count("Average of a year: test") == 12
        assert told.endswith("  and older ones, in the admin\n")

    def test_of_an_unknown_zone_says_what_to_do(self) -> None:
        with pytest.raises(CommandError, match="manage.py import_intensity owid"):
            run("intensity", "ZZ")


class TestSimulateGrid:
    @pytest.mark.parametrize("zone", ["DE", "=3", "DE=much", "DE=-1", "DE=nan", "DE=310000"])
    def test_refuses_a_zone_without_grams(self, zone: str) -> None:
        with pytest.raises(CommandError, match="is no ZONE=GRAMS"):
            run("simulate_grid", "--zone", zone)

    def test_tells_that_a_port_is_taken(self) -> None:
        taken = ScriptedGrid(GridScript({}, clock=timezone.now))
        with taken, pytest.raises(CommandError, match="cannot be used"):
            run("simulate_grid", "--zone", "DE=1", "--port", taken.url.rpartition(":")[2])

    @pytest.mark.slow
    def test_serves_until_it_is_stopped(self) -> None:
        import httpx

        with subprocess.Popen(
            [sys.executable, "manage.py", "simulate_grid", "--zone", "DE=310", "--zone", "GB=120"],
            cwd=ROOT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            try:
                url = process.stdout.readline().removeprefix("Simulated services at ").strip()
                answer = httpx.get(f"{url}/carbon-intensity/latest?zone=DE", timeout=10)
            finally:
                process.send_signal(signal.SIGINT)
                rest = process.stdout.read()
        assert answer.json()["carbonIntensity"] == 310
        assert answer.headers["Server"].startswith("greenllm-simulated-grid")
        assert (rest, process.returncode) == ("Stopped after 1 questions.\n", 0)


@pytest.mark.django_db
class TestAdmin:
    @pytest.fixture
    def admin(self, client: Client) -> Client:
        client.force_login(make_user(is_staff=True, is_superuser=True))
        return client

    def test_shows_intensities_with_source_and_year(self, admin: Client) -> None:
        make_intensity("FR", 57, source="Somebody, CC BY 4.0", year=2023)

        page = admin.get("/admin/benchmarks/carbonintensity/").content.decode()

        assert all(word in page for word in ("FR", "57", "Somebody, CC BY 4.0", "2023"))

    def test_shows_what_became_of_a_question(self, admin: Client) -> None:
        feed = make_feed(live=111, problem_kind="busy", problem="refused for now (429)")

        assert "busy" in admin.get("/admin/benchmarks/intensityfeed/").content.decode()
        assert (
            "refused for now (429)" in admin.get(f"/admin/benchmarks/intensityfeed/{feed.pk}/change/").content.decode()
        )

    def test_refuses_a_zone_that_the_service_cannot_know(self, admin: Client) -> None:
        fields = {"zone": "DE", "provider": "great_britain", "refresh_minutes": 15, "stale_after_minutes": 120}

        page = admin.post("/admin/benchmarks/intensityfeed/add/", fields).content.decode()

        assert "neither GB nor the number of a region" in page
        assert not IntensityFeed.objects.exists()
