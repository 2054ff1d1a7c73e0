from pathlib import Path
from typing import Any

import pytest

from benchmarks.datasets.base import PromptFileError, PromptLine
from benchmarks.datasets.databases import NeededDatabase
from benchmarks.datasets.petsql import PETSQL
from benchmarks.datasets.published import parse_published
from tests.benchmarks.datasets.raw_files import PETSQL_RECORDS, small, write_array

PROMPT = """\
### Answer the question by sqlite SQL query only and with no explanation. You must minimize SQL execution time while \
ensuring correctness.
### Sqlite SQL tables, with their properties:
#
# Boat(id, name);
# Crew(id, boat_id).
#
### Foreign key information of Sqlite SQL tables, used for table joins:\x20
#
# Crew(boat_id) REFERENCES Boat(id);
# Crew(id) REFERENCES Boat(id)
#
### Question: How many boats are there?
### SQL:"""


def parse(folder: Path, records: list[dict[str, Any]]) -> list[PromptLine]:
    write_array(folder / "ppl_dev.json", records)
    return list(parse_published(dataset=small("petsql", len(records)), folder=folder).lines)


class TestPetsql:
    def test_uses_the_prompt_of_its_makers(self, tmp_path: Path) -> None:
        line = parse(tmp_path, PETSQL_RECORDS)[0]

        assert (line.external_id, line.item_text) == ("petsql-0001", "How many boats are there?")
        assert line.text == PROMPT

    def test_gives_a_grader_the_database_and_the_query(self, tmp_path: Path) -> None:
        lines = parse(tmp_path, PETSQL_RECORDS)

        assert lines[0].checks == {
            "kind": "sql_execution",
            "database": "harbour_1",
            "gold": "SELECT count(*) FROM boat",
            "order_matters": False,
        }
        assert [line.checks["order_matters"] for line in lines] == [False, True, False]

    def test_tells_which_databases_are_needed_from_where_on(self, tmp_path: Path) -> None:
        lines = parse(tmp_path, PETSQL_RECORDS)

        assert PETSQL.databases is not None
        assert PETSQL.databases(lines) == {
            "harbour_1": NeededDatabase(frozenset({"Boat", "Crew"}), 1),
            "harbour_2": NeededDatabase(frozenset({"Boat", "Crew"}), 3),
        }
        assert PETSQL.databases(lines[:2]).keys() == {"harbour_1"}

    @pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "a.b", "größe"])
    def test_refuses_a_database_that_is_no_plain_name(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(PromptFileError, match="line 2, db: .* is not a name of letters"):
            parse(tmp_path, [{**PETSQL_RECORDS[0], "db": name}])

    def test_refuses_an_item_that_names_no_table(self, tmp_path: Path) -> None:
        with pytest.raises(PromptFileError, match="line 2, simplified_ddl: it names no table"):
            parse(tmp_path, [{**PETSQL_RECORDS[0], "simplified_ddl": "Boat(id)"}])
