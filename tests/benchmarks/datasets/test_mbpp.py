from pathlib import Path
from typing import Any

import pytest

from benchmarks.datasets.base import PromptFileError, PromptLine
from benchmarks.datasets.published import parse_published
from tests.benchmarks.datasets.raw_files import MBPP_RECORDS, small, write_lines


def parse(folder: Path, records: list[dict[str, Any]]) -> list[PromptLine]:
    write_lines(folder / "mbpp.jsonl", records)
    return list(parse_published(dataset=small("mbpp", len(records)), folder=folder).lines)


class TestMbpp:
    def test_shows_the_asserts_one_a_line(self, tmp_path: Path) -> None:
        line = parse(tmp_path, MBPP_RECORDS)[0]

        assert line.external_id == "mbpp-0001"
        assert line.text == (
            "You are an expert Python programmer, and here is your task: Write a function to add two numbers. "
            "Your code should pass these tests:\n\nassert int(add(1, 2)) == 3\nassert add (0, 0) == 0\n"
        )

    def test_keeps_the_code_as_it_is(self, tmp_path: Path) -> None:
        assert parse(tmp_path, MBPP_RECORDS)[0].reference == MBPP_RECORDS[0]["code"]

    def test_gives_a_grader_tests_setup_and_entry_point(self, tmp_path: Path) -> None:
        first, second = parse(tmp_path, MBPP_RECORDS)

        assert first.checks == {
            "kind": "python_asserts",
            "tests": ["assert int(add(1, 2)) == 3", "assert add (0, 0) == 0"],
            "setup": "",
            "entry_point": "add",
            "timeout_s": 10,
        }
        assert (second.checks["setup"], second.checks["entry_point"]) == ("import math", "sum")

    def test_keeps_the_further_tests(self, tmp_path: Path) -> None:
        fields = parse(tmp_path, MBPP_RECORDS)[0].source_fields

        assert fields["task_id"] == 1
        assert fields["challenge_test_list"] == ["assert add(-1, 1) == 0"]

    def test_gives_the_slow_task_more_time(self, tmp_path: Path) -> None:
        records = [{**MBPP_RECORDS[1], "task_id": number} for number in range(1, 125)]

        slow = {line.position: line.checks["timeout_s"] for line in parse(tmp_path, records)}

        assert {number for number, seconds in slow.items() if seconds != 10} == {123}
        assert slow[123] == 120

    def test_refuses_a_task_out_of_order(self, tmp_path: Path) -> None:
        with pytest.raises(PromptFileError, match="line 2, task_id: it is 3 where 2 should follow"):
            parse(tmp_path, [MBPP_RECORDS[0], {**MBPP_RECORDS[1], "task_id": 3}])

    def test_refuses_tests_of_another_function(self, tmp_path: Path) -> None:
        record = {**MBPP_RECORDS[0], "test_list": ["assert subtract(1, 2) == -1"]}

        with pytest.raises(PromptFileError, match="line 1, test_list: no test calls a function that the code defines"):
            parse(tmp_path, [record])
