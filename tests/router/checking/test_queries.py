import pytest

from router.checking.base import Checked, Finding
from router.checking.queries import QueryChecker

LISTED = """### Tables:
#
# singer(singer_id, name, age);
# song(title, singer_id);
#
### Question: How many singers?
### SQL:"""
MADE = """CREATE TABLE singer (name VARCHAR(20), age INT);
INSERT INTO singer VALUES ('Ann', 30), ('Bob', 40);
How old is Ann?"""


class TestQueries:
    @pytest.mark.parametrize(
        ("prompt", "answer", "finding"),
        [
            (LISTED, "SELECT count(*) FROM singer", Finding.ACCEPT),
            (LISTED, "```sql\nSELECT name FROM singer JOIN song USING (singer_id)\n```", Finding.ACCEPT),
            (LISTED, "SELECT count(*) FROM singers", Finding.REJECT),
            (LISTED, "SELECT height FROM singer", Finding.REJECT),
            (LISTED, "DELETE FROM singer", Finding.REJECT),
            (LISTED, "I do not know.", Finding.REJECT),
            (MADE, "SELECT age FROM singer WHERE name = 'Ann'", Finding.ACCEPT),
            ("How many singers are there?", "SELECT 1", Finding.UNKNOWN),
            ("CREATE TABLE broken (a b c, , );", "SELECT 1", Finding.UNKNOWN),
        ],
        ids=["runs", "joins", "no table", "no column", "changes", "prose", "made", "no tables", "unusable"],
    )
    def test_runs_the_query_on_the_tables_of_the_prompt(self, prompt: str, answer: str, finding: Finding) -> None:
        check = QueryChecker().check(Checked(prompt, "sql", answer))
        assert check.finding is finding
        assert check.reason

    def test_fills_the_tables_where_the_prompt_has_rows(self) -> None:
        assert (
            "returns 1 row." in QueryChecker().check(Checked(MADE, "sql", "SELECT * FROM singer WHERE age > 35")).reason
        )

    @pytest.mark.parametrize(
        "rows",
        [
            "INSERT INTO t SELECT readfile('/etc/passwd') FROM (t);",
            "INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n WHERE (x);",
            "INSERT INTO t VALUES (zeroblob(1000000000));",
        ],
        ids=["function", "endless", "large"],
    )
    def test_lets_a_prompt_do_nothing_but_make_tables_and_rows(self, rows: str) -> None:
        check = QueryChecker().check(Checked(f"CREATE TABLE t (a INT);\n{rows}", "sql", "SELECT a FROM t"))
        assert check.finding is Finding.UNKNOWN
