"""Texts that a spreadsheet would run: harmless in every CSV that people get, and exact again where one is read."""

import csv
import io
from pathlib import Path

import pytest

from benchmarks.management.writing import write_csv
from benchmarks.spreadsheets import harmless, harmless_row, original

RUN = [
    "=1+1",
    "+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "=HYPERLINK(1)",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff20a",
    "'=1",
    "''=1",
]
LEFT = ["", "tiny:1b", "a=b", "1+1", "'quoted'", " x", "é", "_=1"]


class TestHarmless:
    @pytest.mark.parametrize("text", RUN)
    def test_puts_an_apostrophe_before_what_is_run(self, text: str) -> None:
        assert harmless(text) == f"'{text}"

    @pytest.mark.parametrize("text", LEFT)
    def test_leaves_other_texts(self, text: str) -> None:
        assert harmless(text) == text

    @pytest.mark.parametrize("text", RUN + LEFT)
    def test_can_be_taken_back(self, text: str) -> None:
        assert original(harmless(text)) == text

    def test_leaves_numbers_of_a_row(self) -> None:
        assert harmless_row([-5, -0.5, None, "-5", True]) == [-5, -0.5, None, "'-5", True]


def test_commands_write_it_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"

    write_csv(columns=["model", "joules"], rows=[(text, -1.5) for text in RUN], output=io.StringIO(), path=path)

    with path.open(encoding="utf8", newline="") as file:
        rows = list(csv.reader(file))[1:]
    assert rows == [[f"'{text}", "-1.5"] for text in RUN]
