from pathlib import Path

import pytest

from benchmarks.grid.yearly import OUR_WORLD_IN_DATA, TableError, YearlyTable, read_table
from tests.benchmarks.grid.tables import HEADER, ROWS, write_table


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.csv"


def read(path: Path) -> YearlyTable:
    return read_table(path=path, table=OUR_WORLD_IN_DATA)


def mistakes(path: Path) -> tuple[str, ...]:
    with pytest.raises(TableError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: nothing was imported, because of\n")
    return caught.value.errors


class TestReadTable:
    def test_gives_zones_and_years_by_two_letters(self, path: Path) -> None:
        table = read(write_table(path))

        assert [(row.line, row.zone, row.year, row.gco2e_per_kwh) for row in table.rows] == [
            (2, "DE", 2022, 401.5),
            (3, "DE", 2023, 352.25),
            (4, "FR", 2023, 57),
            (5, "XK", 2023, 940),
        ]

    def test_says_what_it_passed_over(self, path: Path) -> None:
        table = read(write_table(path))

        assert table.other_codes == ("ANT", "OWID_WRL")
        assert table.empty_count == 1

    def test_reads_a_file_that_a_spreadsheet_saved(self, path: Path) -> None:
        path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join([HEADER, *ROWS]).encode())

        assert len(read(path).rows) == 4

    def test_minds_no_order_of_columns(self, path: Path) -> None:
        assert (
            read(write_table(path, "44.5,FRA,2022", header="carbon_intensity_elec,iso_code,year")).rows[0].zone == "FR"
        )

    @pytest.mark.parametrize(
        ("row", "told"),
        [
            ("Germany,2024,DEU,1,much,1", "line 3, carbon_intensity_elec: 'much' is not a number of gCO2e/kWh"),
            ("Germany,2024,DEU,1,-1,1", "line 3, carbon_intensity_elec: '-1' is not"),
            ("Germany,2024,DEU,1,nan,1", "line 3, carbon_intensity_elec: 'nan' is not"),
            ("Germany,2024,DEU,1,inf,1", "line 3, carbon_intensity_elec: 'inf' is not"),
            ("Germany,2024,DEU,1,350000,1", "line 3, carbon_intensity_elec: '350000' is not"),
            ("Germany,24,DEU,1,350,1", "line 3, year: '24' is no year from 1900 to 2100"),
            ("Germany,,DEU,1,350,1", "line 3, year: '' is no year"),
            ("Germany,٢٠٢٤,DEU,1,350,1", "line 3, year: '٢٠٢٤' is no year"),
            ("Germany,2022,DEU,1,350,1", "line 3: DEU in 2022 stands on line 2 already"),
        ],
        ids=str,
    )
    def test_names_each_mistake_by_its_line(self, path: Path, row: str, told: str) -> None:
        (mistake,) = mistakes(write_table(path, ROWS[0], row))

        assert mistake.startswith(told)

    def test_names_all_mistakes(self, path: Path) -> None:
        bad = [f"Germany,{year},DEU,1,-1,1" for year in range(1950, 1980)]

        assert len(mistakes(write_table(path, *bad))) == 30
        with pytest.raises(TableError, match="and 10 more"):
            read(path)

    def test_names_the_columns_that_are_missing(self, path: Path) -> None:
        told = mistakes(write_table(path, "1,2", header="country,year"))

        assert told == (
            "line 1: the column 'iso_code' is missing",
            "line 1: the column 'carbon_intensity_elec' is missing",
        )

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b"", "line 1: the column 'iso_code' is missing"),
            (HEADER.encode(), "file: it holds no intensity of any country"),
            (HEADER.encode() + b"\nWorld,2023,OWID_WRL,1,480,1", "file: it holds no intensity of any country"),
            (HEADER.encode() + b"\n\xff\xfe", "file: it is not UTF-8"),
            (HEADER.encode() + b'\n"Germany,2022', "file: it is no CSV"),
            (b"<html>Not found</html>", "line 1: the column 'iso_code' is missing"),
        ],
        ids=["empty", "no rows", "no country", "not UTF-8", "no CSV", "a page"],
    )
    def test_refuses_what_is_no_table(self, path: Path, content: bytes, told: str) -> None:
        path.write_bytes(content)

        assert mistakes(path)[0].startswith(told)

    def test_refuses_a_file_that_is_not_there(self, path: Path) -> None:
        assert mistakes(path) == ("file: it cannot be read: No such file or directory",)

    @pytest.mark.parametrize(("row", "told"), [("Germany,2023,DEU,83", "fewer"), ("a,2,DEU,1,2,3,4", "more")])
    def test_refuses_a_row_of_another_length(self, path: Path, row: str, told: str) -> None:
        assert mistakes(write_table(path, ROWS[0], row)) == (f"line 3: it has {told} cells than there are columns",)
