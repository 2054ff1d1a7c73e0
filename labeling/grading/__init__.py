"""Graders: each suggests a verdict for one kind of check (docs/grading.md)."""

from collections.abc import Callable, Mapping
from pathlib import Path

from labeling.grading.answers import AnswerListGrader
from labeling.grading.base import Grader, Suggestion, UnusableCheck
from labeling.grading.code import PythonAssertsGrader
from labeling.grading.number import NumberGrader
from labeling.grading.sql import SqlExecutionGrader
from labeling.grading.text import ContainsGrader, ExactGrader
from labeling.grading.translation import TranslationGrader
from labeling.sandbox import Sandbox

# what needs nothing of the machine; `all_graders` adds those that run code or queries
GRADERS: dict[str, Grader] = {
    "number": NumberGrader(),
    "exact": ExactGrader(),
    "contains": ContainsGrader(),
    "answer_list": AnswerListGrader(),
    "translation": TranslationGrader(),
}


def all_graders(*, find_sandbox: Callable[[], Sandbox], databases_dir: Path) -> Mapping[str, Grader]:
    """Return the grader of every kind of check; the sandbox is looked for when the first code is graded."""
    return {
        **GRADERS,
        "python_asserts": PythonAssertsGrader(find_sandbox),
        "sql_execution": SqlExecutionGrader(databases_dir),
    }


__all__ = ["GRADERS", "Grader", "Suggestion", "UnusableCheck", "all_graders"]
