"""Suggest whether the query in an answer returns what the reference query returns, by running both."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labeling.grading.base import Suggestion, UnusableCheck, not_graded, text_in
from labeling.grading.queries import DatabaseMissing, QueryRefused, Table, run_query, same_rows

_FENCED = re.compile(r"```+[^\n`]*\n(.*?)(?:```|\Z)", re.DOTALL)
_ONE_LINE_CODE = re.compile(r"`([^`\n]+)`")
_BEGINNING = re.compile(r"\b(?:select|with)\b(?=[\s\"'`(*\[])", re.IGNORECASE)
_STATEMENT = re.compile(
    r"\s*(?:select|with|insert|update|delete|drop|create|alter|attach|detach|pragma|vacuum|replace)\b", re.IGNORECASE
)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|--[^\n]*|/\*.*?\*/", re.DOTALL)
_PROSE_BEGINS = re.compile(r"\n\s*\n")
_DATABASE_NAME = re.compile(r"[\w-]+")
_SHOWN_ROWS = 20


class SqlExecutionGrader:
    """Runs the query of an answer and the reference query on the same read-only database and compares the rows.

    Checks: `database`, its name; `gold`, the reference query (the prompt's reference where absent);
    `order_matters`, whether the rows are a list.
    """

    name = "sql_execution"
    version = 1

    def __init__(self, databases_dir: Path) -> None:
        self._databases_dir = databases_dir

    def grade(self, *, answer: str, checks: Mapping[str, Any], reference: str = "", item: str = "") -> Suggestion:
        """Suggest `correct` where the rows are the same, `unsure` where both queries return none."""
        database = self._database(text_in(checks, "database"))
        gold = text_in(checks, "gold") or reference
        is_ordered = bool(checks.get("order_matters"))
        query = extract_query(answer)
        try:
            wanted = run_query(database, gold)
        except DatabaseMissing as error:
            return not_graded(f"{error} (manage.py import_dataset petsql --databases DIR brings it)")
        except QueryRefused as error:
            raise UnusableCheck(f"the reference query does not run: {error}") from error
        if query is None:
            return Suggestion("incorrect", "The answer holds no query.", 0.0)
        evidence: dict[str, Any] = {"query": query, "wanted": _shown(wanted)}
        try:
            found = run_query(database, query)
        except QueryRefused as error:
            return Suggestion("incorrect", f"The query is refused: {str(error).rstrip('.')}.", 0.0, evidence)
        evidence["found"] = _shown(found)
        if not wanted.rows and not found.rows and _folded(query) != _folded(gold):
            return Suggestion("unsure", "Both queries return no row, which proves little.", None, evidence)
        return _compared(found, wanted, is_ordered=is_ordered, evidence=evidence)

    def _database(self, name: str) -> Path:
        if not _DATABASE_NAME.fullmatch(name):
            raise UnusableCheck(f"a check of kind 'sql_execution' needs the name of a 'database', not {name!r}")
        return self._databases_dir / f"{name}.sqlite"


def extract_query(answer: str) -> str | None:
    """Return the query of an answer: of its first code block that holds one, else from the first SELECT or WITH on.

    A text without code blocks ends at the semicolon or the first empty line. What follows a semicolon stays where it
    is another statement, so that SQLite refuses both.
    """
    for block in (*_FENCED.findall(answer), *_ONE_LINE_CODE.findall(answer)):
        if _BEGINNING.search(_unquoted(block)):
            return str(block).strip().rstrip("; \n")
    beginning = _BEGINNING.search(answer)
    if beginning is None:
        return None
    text = _PROSE_BEGINS.split(answer[beginning.start() :])[0]
    semicolon = _unquoted(text).find(";")
    if semicolon >= 0 and not _STATEMENT.match(text[semicolon + 1 :]):
        text = text[:semicolon]
    return text.strip().rstrip("; \n")


def _unquoted(text: str) -> str:
    """Return a text of the same length whose quoted parts and comments are blank."""
    return _QUOTED.sub(lambda quoted: " " * len(quoted[0]), text)


def _folded(query: str) -> str:
    return re.sub(r"\s+", " ", query).strip(" ;").casefold()


def _compared(found: Table, wanted: Table, *, is_ordered: bool, evidence: dict[str, Any]) -> Suggestion:
    order = same_rows(found, wanted, is_ordered=is_ordered)
    if order is None:
        sizes = f"{len(found.rows)} rows of {len(found.columns)} columns"
        wanted_sizes = f"{len(wanted.rows)} of {len(wanted.columns)}"
        is_misordered = is_ordered and same_rows(found, wanted, is_ordered=False) is not None
        why = (
            "the rows are right, their order is not" if is_misordered else f"it returns {sizes}; wanted {wanted_sizes}"
        )
        return Suggestion("incorrect", f"Other rows: {why}.", 0.0, evidence)
    said = "The rows are the same" + (", in the same order" if is_ordered else "")
    if order != tuple(range(len(order))):
        evidence["column_order"] = list(order)
        said += ", with the columns in another order"
    return Suggestion("correct", f"{said}.", 1.0, evidence)


def _shown(table: Table) -> dict[str, Any]:
    """Return the first rows of a table as JSON can hold them."""
    rows = [[_cell(cell) for cell in row] for row in table.rows[:_SHOWN_ROWS]]
    return {"columns": list(table.columns), "rows": rows, "row_count": len(table.rows)}


def _cell(cell: object) -> object:
    if isinstance(cell, bytes):
        return cell[:100].hex()
    return cell[:200] if isinstance(cell, str) else cell
