from pathlib import Path

import pytest

from benchmarks.datasets.downloading import DownloadError
from benchmarks.grid.yearly import OUR_WORLD_IN_DATA, TableError
from benchmarks.models import CarbonIntensity, Study
from benchmarks.studying import intensity_for
from benchmarks.tabulating import ImportedTable, download_table, import_table
from tests.benchmarks.datasets.raw_server import RawServer, running
from tests.benchmarks.grid.tables import ROWS, write_table
from tests.environment import free_port
from tests.factories import make_intensity, make_machine, make_study

pytestmark = pytest.mark.django_db


def brought(path: Path, **options: list[str]) -> ImportedTable:
    return import_table(table=OUR_WORLD_IN_DATA, path=path, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_table(tmp_path / "table.csv")


class TestImportTable:
    def test_stores_each_zone_and_year_with_source_and_licence(self, path: Path) -> None:
        imported = brought(path)

        rows = CarbonIntensity.objects.order_by("zone", "year")
        assert [(row.zone, row.year, row.gco2e_per_kwh) for row in rows] == [
            ("DE", 2022, 401.5), ("DE", 2023, 352.25), ("FR", 2023, 57), ("XK", 2023, 940),
        ]  # fmt: skip
        assert {row.source for row in rows} == {OUR_WORLD_IN_DATA.source}
        assert {row.kind for row in rows} == {"yearly_average"}
        assert "CC BY 4.0" in OUR_WORLD_IN_DATA.source
        assert (imported.created_count, imported.zone_count, imported.first_year, imported.last_year) == (
            4,
            3,
            2022,
            2023,
        )

    def test_changes_nothing_the_second_time(self, path: Path) -> None:
        brought(path)
        before = list(CarbonIntensity.objects.order_by("pk").values())

        again = brought(path)

        assert (again.created_count, again.changed_count, again.unchanged_count) == (0, 0, 4)
        assert list(CarbonIntensity.objects.order_by("pk").values()) == before

    def test_takes_corrections_and_new_years(self, path: Path) -> None:
        brought(path)
        write_table(path, ROWS[0], "Germany,2023,DEU,1,360,1", "Germany,2024,DEU,1,330,1")

        again = brought(path)

        assert (again.created_count, again.changed_count, again.unchanged_count) == (1, 1, 1)
        assert CarbonIntensity.objects.get(zone="DE", year=2023).gco2e_per_kwh == 360
        assert CarbonIntensity.objects.count() == 5

    def test_leaves_a_study_at_its_own_figure(self, path: Path) -> None:
        study = make_study()
        brought(path)

        assert Study.objects.get(pk=study.pk).carbon_intensity_gco2e_per_kwh == 385
        assert intensity_for(make_machine()).gco2e_per_kwh == 352.25

    def test_leaves_other_sources_alone(self, path: Path) -> None:
        other = make_intensity(gco2e_per_kwh=385, year=2022)

        brought(path)

        other.refresh_from_db()
        assert other.gco2e_per_kwh == 385
        assert CarbonIntensity.objects.filter(zone="DE", year=2022).count() == 2

    def test_takes_only_the_zones_that_are_wanted(self, path: Path) -> None:
        assert brought(path, zones=["FR"]).created_count == 1
        assert CarbonIntensity.objects.get().zone == "FR"

    def test_refuses_a_zone_that_the_table_lacks(self, path: Path) -> None:
        with pytest.raises(TableError, match="it holds no intensity of the zone 'ZZ'"):
            brought(path, zones=["FR", "ZZ"])
        assert not CarbonIntensity.objects.exists()

    def test_imports_all_or_nothing(self, path: Path) -> None:
        write_table(path, *ROWS, "Spain,2023,ESP,1,-3,1")

        with pytest.raises(TableError, match="line 10, carbon_intensity_elec"):
            brought(path)
        assert not CarbonIntensity.objects.exists()


class TestDownloadTable:
    def test_fetches_anew_each_time(self, path: Path, tmp_path: Path) -> None:
        with running(RawServer(path.read_bytes())) as home:
            first = fetched(home.url, tmp_path).read_bytes()
            home.content = b"a later version"
            second = fetched(home.url, tmp_path).read_bytes()

        assert (first, second) == (path.read_bytes(), b"a later version")

    def test_says_what_to_do_without_the_home(self, tmp_path: Path) -> None:
        with pytest.raises(DownloadError, match=r"cannot be reached .* name its file with --from FILE\.$"):
            fetched(f"http://127.0.0.1:{free_port()}/table.csv", tmp_path)

    def test_tells_a_refusal(self, tmp_path: Path) -> None:
        with running(RawServer(status=404)) as home, pytest.raises(DownloadError, match="answered 404 Not Found"):
            fetched(home.url, tmp_path)


def fetched(url: str, into: Path) -> Path:
    return download_table(table=OUR_WORLD_IN_DATA, url=url, into=into, report=lambda done, total: None)
