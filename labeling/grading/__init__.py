"""Graders: each suggests a verdict for one kind of check."""

from labeling.grading.base import Grader, Suggestion, UnusableCheck
from labeling.grading.number import NumberGrader
from labeling.grading.text import ContainsGrader, ExactGrader

GRADERS: dict[str, Grader] = {
    "number": NumberGrader(),
    "exact": ExactGrader(),
    "contains": ContainsGrader(),
}

__all__ = ["GRADERS", "Grader", "Suggestion", "UnusableCheck"]
