from pathlib import Path

import pytest

from benchmarks.datasets.base import PromptFileError, PromptLine
from benchmarks.datasets.published import parse_published
from tests.benchmarks.datasets.raw_files import GSM8K_RECORDS, small, write_lines


def parse(folder: Path, records: list[dict[str, str]]) -> list[PromptLine]:
    write_lines(folder / "test.jsonl", records)
    return list(parse_published(dataset=small("gsm8k", len(records)), folder=folder).lines)


class TestGsm8k:
    def test_asks_for_the_number_behind_the_question(self, tmp_path: Path) -> None:
        line = parse(tmp_path, GSM8K_RECORDS)[0]

        assert line.item_text == "Ann has 2 pens and buys 3. How many has she?"
        assert line.text == (
            "Ann has 2 pens and buys 3. How many has she?\n\nSolve the problem step by step, then write the final "
            'answer as a single number on the last line after "####".'
        )

    def test_takes_the_number_at_the_end_without_its_commas(self, tmp_path: Path) -> None:
        lines = parse(tmp_path, GSM8K_RECORDS)

        assert [line.reference for line in lines] == ["5", "2400", "-4"]
        assert lines[1].checks == {"kind": "number", "value": "2400", "tolerance": 1e-6}

    def test_keeps_the_worked_solution(self, tmp_path: Path) -> None:
        assert parse(tmp_path, GSM8K_RECORDS)[0].source_fields == {"answer": "2+3=<<2+3=5>>5 pens\n#### 5"}

    @pytest.mark.parametrize("answer", ["5", "#### five", "#### 5 pens", "#### 5\nOr 6."])
    def test_refuses_a_solution_that_does_not_end_in_its_number(self, tmp_path: Path, answer: str) -> None:
        with pytest.raises(PromptFileError, match="line 1, answer: it does not end in '####' and a number"):
            parse(tmp_path, [{"question": "How many?", "answer": answer}])
