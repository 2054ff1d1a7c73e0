"""Does the SQL query of an answer run on the tables that stand in the prompt?"""

import contextlib
import re
import sqlite3
import tempfile
import time
from pathlib import Path

from labeling.grading.queries import QueryRefused, run_query
from labeling.grading.sql import extract_query
from router.checking.base import Check, Checked, accept, reject, unknown

_STATEMENT = re.compile(r"\bcreate\s+table\s.{1,5000}?\)\s*(?:;|(?=\n\s*\n)|\Z)", re.IGNORECASE | re.DOTALL)
_ROWS = re.compile(r"\binsert\s+into\s.{1,5000}?\)\s*;", re.IGNORECASE | re.DOTALL)
_LISTED = re.compile(r"^#\s*(\w+)\s*\(([^()\n]*)\)", re.MULTILINE)  # "# singer(name, age);", as PET-SQL lists them
_ALLOWED = {sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_INSERT, sqlite3.SQLITE_SELECT,
            sqlite3.SQLITE_READ, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_REINDEX}  # fmt: skip
_TIMEOUT_S = 1.0  # to make the tables
_INSTRUCTIONS_A_LOOK = 10_000
_MOST_PAGES = 4096  # of 4 KiB
_MOST_CHARACTERS = 200_000  # of all statements together


class QueryChecker:
    """Makes the tables of a prompt in SQLite and runs the query of the answer on them.

    Accepts a query that runs. Where the prompt carries no rows the tables are empty, so that only names and syntax are
    checked; how much that says is measured.
    """

    name = "sql_execution"
    version = 1
    covers = "prompts that carry tables: CREATE TABLE statements, or lists as PET-SQL has them"
    wants_second_answer = False
    reads_conversations = False  # what it reads stands in earlier turns as a rule

    def check(self, checked: Checked) -> Check:
        """Accept where the query runs; nothing is known where the prompt carries no usable table."""
        statements = tables_in(checked.prompt)
        if not statements:
            return unknown("The prompt carries no table.")
        query = extract_query(checked.answer)
        if query is None:
            return reject("It holds no query.")
        with tempfile.TemporaryDirectory(prefix="greenllm-tables-") as folder:
            database = Path(folder) / "tables.sqlite"
            try:
                _make(database, statements)
            except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
                return unknown(f"The tables of the prompt cannot be made: {error}.")
            try:
                found = run_query(database, query)
            except QueryRefused as error:
                return reject(f"The query does not run: {str(error).rstrip('.')}.")
        count = len(found.rows)
        return accept(f"The query runs on the tables of the prompt and returns {count} row{'' if count == 1 else 's'}.")


def tables_in(prompt: str) -> list[str]:
    """Return the statements that make what a prompt carries: its tables, then their rows."""
    made = [found[0] for found in _STATEMENT.finditer(prompt)]
    if made:
        statements = [*made, *(found[0] for found in _ROWS.finditer(prompt))]
    else:
        listed = [(name, columns.split(",")) for name, columns in _LISTED.findall(prompt)]
        statements = [_statement(name, columns) for name, columns in listed]
    return statements if sum(map(len, statements)) <= _MOST_CHARACTERS else []


def _statement(name: str, columns: list[str]) -> str:
    return f"CREATE TABLE {_quoted(name)} ({', '.join(_quoted(column.strip()) for column in columns)})"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _make(database: Path, statements: list[str]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute(f"PRAGMA max_page_count = {_MOST_PAGES}")
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _INSTRUCTIONS_A_LOOK)
        connection.set_authorizer(_authorize)
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def _authorize(action: int, *_: object) -> int:
    """Let tables and rows be made, and nothing else: no other file, no pragma, no function."""
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
