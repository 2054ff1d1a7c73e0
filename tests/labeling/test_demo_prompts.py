"""The demo's own prompts: each can be graded, and its reference is an answer that its grader accepts."""

from collections import Counter
from pathlib import Path

import pytest

import benchmarks
from benchmarks.datasets.files import PromptLine, parse_prompts
from labeling.grading import GRADERS

FILES = sorted((Path(benchmarks.__file__).parent / "datasets" / "demo").glob("*.jsonl"))
CATEGORIES = ["code", "math", "questions", "sql", "translation"]
LINES = [line for path in FILES for line in parse_prompts(path=path, category_name=path.stem)]


class TestDemoPrompts:
    def test_are_of_five_categories(self) -> None:
        assert [path.stem for path in FILES] == CATEGORIES

    @pytest.mark.parametrize("category", CATEGORIES)
    def test_are_enough_to_train_and_to_validate(self, category: str) -> None:
        roles = Counter(line.role for line in LINES if line.category == category)

        assert roles["train"] >= 10
        assert roles["validation"] >= 2

    def test_differ_from_each_other(self) -> None:
        texts, ids = {line.text for line in LINES}, {line.external_id for line in LINES}

        assert len(texts) == len(ids) == len(LINES)

    @pytest.mark.parametrize("line", LINES, ids=[line.external_id for line in LINES])
    def test_have_references_that_satisfy_their_own_check(self, line: PromptLine) -> None:
        suggestion = GRADERS[line.checks["kind"]].grade(answer=line.reference, checks=line.checks)

        assert (line.reference, suggestion.verdict) == (line.reference, "correct")

    @pytest.mark.parametrize("line", LINES, ids=[line.external_id for line in LINES])
    def test_cannot_be_passed_by_repeating_the_question(self, line: PromptLine) -> None:
        suggestion = GRADERS[line.checks["kind"]].grade(answer=line.item_text, checks=line.checks)

        assert suggestion.verdict == "incorrect"
