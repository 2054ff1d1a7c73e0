"""Suggest whether an answer is, or contains, one of the accepted answers."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from labeling.grading.base import Suggestion, UnusableCheck

_CODE_FENCE = re.compile(r"^```[\w+-]*\n(.*?)\n?```$", re.DOTALL)
_EDGES = " \t\r\n.,;:!?\"'`*_()[]<>\u201c\u201d\u2018\u2019\u00ab\u00bb"


class ExactGrader:
    """Accepts an answer that equals one of `answers` after folding case, white space and outer punctuation."""

    name = "exact"
    version = 1

    def grade(self, *, answer: str, checks: Mapping[str, Any], reference: str = "", item: str = "") -> Suggestion:
        """Suggest `correct` where the folded answer equals a folded accepted answer."""
        folded = fold(answer)
        for accepted in accepted_answers(checks, "answers"):
            if folded == fold(accepted):
                return Suggestion("correct", f"It equals {accepted!r}.", 1.0, {"matched": accepted})
        return Suggestion("incorrect", "It equals none of the accepted answers.", 0.0, {"folded": folded[:200]})


class ContainsGrader:
    """Accepts an answer that contains one of `answers` as whole words, and none of `forbidden`."""

    name = "contains"
    version = 1

    def grade(self, *, answer: str, checks: Mapping[str, Any], reference: str = "", item: str = "") -> Suggestion:
        """Suggest `correct` where an accepted answer is contained and nothing forbidden is."""
        folded = fold(answer)
        for refused in accepted_answers(checks, "forbidden", is_required=False):
            if contains_words(folded, fold(refused)):
                return Suggestion("incorrect", f"It contains {refused!r}.", 0.0, {"forbidden": refused})
        for accepted in accepted_answers(checks, "answers"):
            if contains_words(folded, fold(accepted)):
                return Suggestion("correct", f"It contains {accepted!r}.", 1.0, {"matched": accepted})
        return Suggestion("incorrect", "It contains none of the accepted answers.", 0.0)


def fold(text: str) -> str:
    """Return a text without differences of case, width, white space, code fence and outer punctuation."""
    plain = unicodedata.normalize("NFKC", text).strip()
    if fenced := _CODE_FENCE.match(plain):
        plain = fenced[1]
    return re.sub(r"\s+", " ", plain.strip(_EDGES)).casefold()


def contains_words(text: str, words: str) -> bool:
    """Tell whether a folded text contains folded words, not as part of a longer word."""
    if not words:
        return False
    left = r"(?<!\w)" if words[0].isalnum() or words[0] == "_" else ""
    right = r"(?!\w)" if words[-1].isalnum() or words[-1] == "_" else ""
    return re.search(left + re.escape(words) + right, text) is not None


def accepted_answers(checks: Mapping[str, Any], field: str, *, is_required: bool = True) -> Sequence[str]:
    """Return a list of texts of a check.

    Raises:
        UnusableCheck: the list is missing, empty or not of texts.
    """
    answers = checks.get(field, [])
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise UnusableCheck(f"{field!r} of the check must be a list of texts")
    if is_required and not any(fold(answer) for answer in answers):
        raise UnusableCheck(f"the check needs at least one text in {field!r}")
    return answers
