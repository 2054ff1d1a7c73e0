import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from labeling.grading import Suggestion, UnusableCheck
from labeling.grading.queries import QueryRefused, Table, run_query, same_rows
from labeling.grading.sql import SqlExecutionGrader, extract_query
from tests.labeling.shared_data import SHARED, items, needs_shared_data

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database of clubs that nobody may write to."""
    made = tmp_path_factory.mktemp("databases")
    with closing(sqlite3.connect(made / "clubs.sqlite")) as connection:
        connection.executescript(
            """
            CREATE TABLE club (id INTEGER, name TEXT, founded INTEGER, budget REAL);
            INSERT INTO club VALUES (1, 'Arsenal', 1886, 0.1), (2, 'Aston Villa', 1874, 0.2), (3, 'Fulham', 1879, 0.3);
            CREATE TABLE player (name TEXT, club_id INTEGER);
            """
        )
    return made


@pytest.fixture(scope="module")
def database(folder: Path) -> Path:
    return folder / "clubs.sqlite"


class TestExtractQuery:
    @pytest.mark.parametrize(
        ("answer", "query"),
        [
            ("SELECT 1", "SELECT 1"),
            ("select name from club;", "select name from club"),
            ("```sql\nSELECT 1;\n```\nIt returns one.", "SELECT 1"),
            ("Sure! `SELECT 1` does it.", "SELECT 1"),
            ("Use this:\nSELECT a;\nIt works.", "SELECT a"),
            ("SELECT a\nFROM b\n\nThis selects a with care.", "SELECT a\nFROM b"),
            ("WITH c AS (SELECT 1) SELECT * FROM c", "WITH c AS (SELECT 1) SELECT * FROM c"),
            ("SELECT ';' FROM a; Done", "SELECT ';' FROM a"),
            ("SELECT 1; DROP TABLE club", "SELECT 1; DROP TABLE club"),
            ("```\nno query\n```\n```sql\nSELECT 2\n```", "SELECT 2"),
            ("```sql\nSELECT 3", "SELECT 3"),
        ],
    )
    def test_finds_the_query(self, answer: str, query: str) -> None:
        assert extract_query(answer) == query

    @pytest.mark.parametrize("answer", ["", "I cannot.", "DELETE FROM club", "PRAGMA table_info(club)", "selct 1"])
    def test_finds_none(self, answer: str) -> None:
        assert extract_query(answer) is None


class TestRunQuery:
    def test_returns_columns_and_rows(self, database: Path) -> None:
        assert run_query(database, "SELECT name AS n FROM club WHERE id = 3") == Table(("n",), (("Fulham",),))

    def test_takes_text_in_double_quotes_as_sqlite_does(self, database: Path) -> None:
        assert run_query(database, 'SELECT id FROM club WHERE name = "Fulham"').rows == ((3,),)

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ("SELECT load_extension('x')", "load_extension"),
            ("ATTACH 'other.sqlite' AS other", "not authorized"),
            ("PRAGMA writable_schema = 1", "not authorized"),
            ("SELECT * FROM pragma_table_info('club')", "not authorized"),
            ("INSERT INTO club VALUES (4, 'x', 1, 1)", "not authorized"),
            ("UPDATE club SET name = 'x'", "not authorized"),
            ("DELETE FROM club", "not authorized"),
            ("DROP TABLE club", "not authorized"),
            ("CREATE TABLE x (y)", "not authorized"),
            ("CREATE TEMP TABLE x (y)", "not authorized"),
            ("VACUUM INTO 'copy.sqlite'", "authorization denied"),
            ("SELECT 1; DROP TABLE club", "one statement"),
            ("PRAGMA query_only = 0", "not authorized"),
            ("DETACH main", "not authorized"),
            ("REINDEX club", "not authorized|unable to identify|no query"),
            ("ANALYZE", "not authorized"),
            ("SAVEPOINT a", "not authorized"),
            ("BEGIN", "not authorized"),
            ("CREATE VIRTUAL TABLE x USING fts5(y)", "not authorized"),
            ("SELECT readfile('/etc/passwd')", "readfile|no such function"),
            ("SELECT writefile('/tmp/x', 'y')", "writefile|no such function"),
            ("SELECT edit('x')", "edit|no such function"),
            ("SELECT format('%900000d', 1)", "format"),
            ("SELECT * FROM dbstat", "dbstat|not authorized"),
            ("WITH x AS (DELETE FROM club RETURNING *) SELECT * FROM x", "syntax error"),
            ("REPLACE INTO club SELECT * FROM club", "not authorized"),
            ("SELECT printf('%.*c', 900000000, 'x')", "printf"),
            ("SELECT zeroblob(1000000000)", "too big"),
            ("selct 1", "syntax error"),
            ("SELECT colour FROM club", "no such column"),
            ("SELECT name FROM nobody", "no such table"),
            ("", "no query"),
            ("-- nothing", "no query"),
            ("SELECT '\x00'", "null character"),
        ],
    )
    def test_refuses_and_says_why(self, database: Path, query: str, reason: str) -> None:
        with pytest.raises(QueryRefused, match=reason):
            run_query(database, query)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "query", [ENDLESS, f"SELECT count(*) FROM {', '.join(f'club c{number}' for number in range(30))}"]
    )
    def test_ends_a_query_at_its_time(self, database: Path, query: str) -> None:
        started = time.monotonic()

        with pytest.raises(QueryRefused, match=r"more than 0\.2 s"):
            run_query(database, query, timeout_s=0.2)
        assert time.monotonic() - started < 30  # without its guard it would take years

    @pytest.mark.slow
    @pytest.mark.parametrize("function", ["instr({0}, {1} || '1')", "length(replace({0}, {1} || '1', ''))"])
    def test_ends_a_query_whose_functions_take_long(self, database: Path, function: str) -> None:
        """Each call takes the product of two lengths inside one instruction, where the clock is not looked at."""
        wide = function.format("hex(zeroblob(9900 + x % 2))", "hex(zeroblob(4900))")
        query = f"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT sum({wide}) FROM c"
        started = time.process_time()

        with pytest.raises(QueryRefused, match=r"more than 0\.2 s"):
            run_query(database, query, timeout_s=0.2)
        assert time.process_time() - started < 10  # with values of 100,000 bytes it took minutes

    @pytest.mark.parametrize(
        "query",
        [
            "SELECT hex(zeroblob(100000))",
            "SELECT group_concat(hex(zeroblob(9000))) FROM club",
            "SELECT replace(hex(zeroblob(9000)), '0', hex(zeroblob(9000)))",
        ],
    )
    def test_refuses_large_values(self, database: Path, query: str) -> None:
        with pytest.raises(QueryRefused, match="too big"):
            run_query(database, query)

    def test_refuses_many_large_rows(self, database: Path) -> None:
        query = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT hex(zeroblob(9000)) FROM c"

        with pytest.raises(QueryRefused, match="more than 16 MB"):
            run_query(database, query, timeout_s=60)

    def test_refuses_too_many_rows(self, database: Path) -> None:
        query = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c"

        with pytest.raises(QueryRefused, match="more than 10 rows"):
            run_query(database, query, row_limit=10)

    def test_changes_no_byte(self, database: Path) -> None:
        before = database.read_bytes()
        for query in ("DELETE FROM club", "CREATE TABLE x (y)", "SELECT * FROM club"):
            try:
                run_query(database, query)
            except QueryRefused:
                continue

        assert database.read_bytes() == before
        assert [path.name for path in database.parent.iterdir()] == ["clubs.sqlite"]


def table(*rows: tuple[object, ...]) -> Table:
    width = len(rows[0]) if rows else 1
    return Table(tuple(f"c{place}" for place in range(width)), rows)


class TestSameRows:
    @pytest.mark.parametrize(
        ("first", "second", "order"),
        [
            (table((1,), (2,)), table((2,), (1,)), (0,)),
            (table((1, "a"), (2, "b")), table((2, "b"), (1, "a")), (0, 1)),
            (table(("a", 1), ("b", 2)), table((2, "b"), (1, "a")), (1, 0)),
            (table((1, 1, 2)), table((1, 2, 1)), (0, 2, 1)),
            (table((0.1 + 0.2,)), table((0.3,)), (0,)),
            (table((3.0,)), table((3,)), (0,)),
            (table((0.1 + 0.2, "a"), (0.3, "b")), table((0.3, "a"), (0.3, "b")), (0, 1)),
            (table((None,), (1,)), table((1,), (None,)), (0,)),
            (table(), table(), (0,)),
        ],
    )
    def test_takes_the_same_bag(self, first: Table, second: Table, order: tuple[int, ...]) -> None:
        assert same_rows(first, second, is_ordered=False) == order

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (table((1,), (1,), (2,)), table((1,), (2,), (2,))),
            (table((1,)), table((1,), (1,))),
            (table((1, 2)), table((1,))),
            (table(("a",)), table(("A",))),
            (table(("1",)), table((1,))),
            (table((None,)), table((0,))),
            (table((5551234567,)), table((5551234568,))),
            (table((1, "a"), (2, "b")), table((1, "b"), (2, "a"))),
            (table((0.3001,)), table((0.3,))),
        ],
    )
    def test_refuses_another_bag(self, first: Table, second: Table) -> None:
        assert same_rows(first, second, is_ordered=False) is None

    def test_takes_a_list_only_in_its_order(self) -> None:
        assert same_rows(table((1,), (2,)), table((2,), (1,)), is_ordered=True) is None
        assert same_rows(table((1, "a"), (2, "b")), table(("a", 1), ("b", 2)), is_ordered=True) == (1, 0)

    def test_is_quick_with_many_columns_alike(self) -> None:
        rows = [tuple(range(12)) for _ in range(50)]
        started = time.monotonic()

        assert same_rows(table(*rows), table(*(row[::-1] for row in rows)), is_ordered=False) is not None
        assert time.monotonic() - started < 30  # without its guard it would take years


def grade(folder: Path, answer: str, gold: str = "SELECT count(*) FROM club", **checks: Any) -> Suggestion:
    return SqlExecutionGrader(folder).grade(answer=answer, checks={"database": "clubs", "gold": gold, **checks})


class TestSqlExecutionGrader:
    def test_takes_another_query_with_the_same_rows(self, folder: Path) -> None:
        found = grade(folder, "```sql\nSELECT sum(1) FROM club;\n```")

        assert (found.verdict, found.score) == ("correct", 1.0)
        assert found.extracted["query"] == "SELECT sum(1) FROM club"
        assert found.extracted["found"] == {"columns": ["sum(1)"], "rows": [[3]], "row_count": 1}

    def test_says_when_columns_stand_in_another_order(self, folder: Path) -> None:
        found = grade(folder, "SELECT name, id FROM club", "SELECT id, name FROM club")

        assert found.verdict == "correct"
        assert found.extracted["column_order"] == [1, 0]
        assert "columns in another order" in found.reason

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            ("SELECT 4", "Other rows: it returns 1 rows of 1 columns; wanted 1 of 1."),
            ("SELECT id FROM club", "Other rows: it returns 3 rows"),
            ("SELECT count(*), 1 FROM club", "Other rows"),
            ("I cannot say.", "The answer holds no query."),
            ("SELECT load_extension('x')", "The query is refused: not authorized to use function: load_extension."),
            ("SELECT 1; DROP TABLE club", "The query is refused: You can only execute one statement at a time."),
        ],
    )
    def test_refuses_a_wrong_one(self, folder: Path, answer: str, reason: str) -> None:
        found = grade(folder, answer)

        assert (found.verdict, found.score) == ("incorrect", 0.0)
        assert found.reason.startswith(reason)

    def test_minds_the_order_where_it_matters(self, folder: Path) -> None:
        gold, answer = "SELECT name FROM club ORDER BY name", "SELECT name FROM club ORDER BY name DESC"

        assert grade(folder, answer, gold, order_matters=False).verdict == "correct"
        found = grade(folder, answer, gold, order_matters=True)
        assert (found.verdict, found.reason) == ("incorrect", "Other rows: the rows are right, their order is not.")

    def test_is_unsure_where_neither_returns_a_row(self, folder: Path) -> None:
        gold = "SELECT name FROM player"

        assert grade(folder, "SELECT name FROM club WHERE id = 99", gold).verdict == "unsure"
        assert grade(folder, "select  name from player;", gold).verdict == "correct"

    def test_takes_the_reference_where_the_check_has_no_query(self, folder: Path) -> None:
        checks = {"database": "clubs", "order_matters": False}
        grader = SqlExecutionGrader(folder)

        assert (
            grader.grade(answer="SELECT 3", checks=checks, reference="SELECT count(*) FROM club").verdict == "correct"
        )

    def test_does_not_grade_without_the_database(self, tmp_path: Path) -> None:
        found = grade(tmp_path, "SELECT 1")

        assert (found.verdict, found.is_settled) == ("unsure", False)
        assert found.reason.startswith("not graded: there is no database clubs.sqlite")

    @pytest.mark.parametrize("name", ["", "../clubs", "clubs.sqlite", "/etc/passwd"])
    def test_needs_the_name_of_a_database(self, folder: Path, name: str) -> None:
        with pytest.raises(UnusableCheck, match="database"):
            grade(folder, "SELECT 1", database=name)

    def test_needs_a_reference_that_runs(self, folder: Path) -> None:
        with pytest.raises(UnusableCheck, match="no such table"):
            grade(folder, "SELECT 1", "SELECT * FROM nobody")


@needs_shared_data
class TestSpider:
    def graded(self, answer: str, item: dict[str, Any]) -> Suggestion:
        checks = {
            "database": item["db_id"],
            "gold": item["reference"],
            "order_matters": item["checks"]["order_matters"],
        }
        return SqlExecutionGrader(SHARED / "spider_databases").grade(answer=answer, checks=checks)

    @pytest.mark.parametrize("form", ["{}", "Here:\n```sql\n{};\n```\nIt works.", "The query is\n{};\n\nIt counts."])
    def test_every_gold_query_matches_itself(self, form: str) -> None:
        questions = items("petsql_spider")

        found = {item["id"]: self.graded(form.format(item["reference"]), item) for item in questions}

        assert len(found) == 439
        assert {name: one.reason for name, one in found.items() if one.verdict != "correct"} == {}
        assert not [name for name, one in found.items() if "column_order" in one.extracted]

    def test_no_gold_query_passes_for_one_with_other_rows(self) -> None:
        questions = items("petsql_spider")
        by_database: dict[str, list[dict[str, Any]]] = {}
        for item in questions:
            by_database.setdefault(item["db_id"], []).append(item)

        passed = [
            (item["id"], other["id"])
            for group in by_database.values()
            for item, other in zip(group, group[2:], strict=False)
            if self.graded(item["reference"], other).verdict == "correct"
            and self.rows(item) != self.rows(other)
            and sorted(self.rows(item), key=repr) != sorted(self.rows(other), key=repr)
        ]

        assert passed == []

    def rows(self, item: dict[str, Any]) -> list[Any]:
        return list(run_query(SHARED / "spider_databases" / f"{item['db_id']}.sqlite", item["reference"]).rows)
