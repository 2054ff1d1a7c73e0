"""Suggest whether the number that an answer ends on is the right one."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from labeling.grading.base import Suggestion, UnusableCheck

# digits with or without thousands commas, an optional decimal part, or a plain fraction such as 3/4
_NUMBER = r"[-+\u2212]?(?:\$\s?)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s?/\s?\d+)?"
_START = r"(?<![\w.,])(?<!(?i:step)\s)"  # the number of a step is never an answer
_ANY_NUMBER = re.compile(rf"{_START}{_NUMBER}(?![\w])|{_START}{_NUMBER}")
_AFTER_EQUALS = re.compile(rf"=\s*({_NUMBER})")
_WHOLE = r"(?![.,]?\d|\s*[-+*/x\u00d7\u00f7\u2212]\s*\$?\d)"  # "the answer is 3 + 4 = 7" does not say 3
_MARKED = (
    ("####", re.compile(rf"####\s*({_NUMBER})")),
    ("\\boxed", re.compile(rf"\\boxed\{{\s*({_NUMBER})")),
    ("answer is", re.compile(rf"\banswer(?:\s+is|\s*:|\s*=)[\s:*]*({_NUMBER}){_WHOLE}", re.IGNORECASE)),
)
_IN_PARENTHESES = re.compile(r"\([^()]*\)")


class NumberGrader:
    """Compares the number an answer ends on with the reference, exactly, as a fraction.

    Checks: `value`, the right number as text or number; `tolerance`, optional, an absolute difference that is
    still right. A number marked as the answer (`####`, `\\boxed{}`, "answer is") goes before one behind the last
    equals sign, and that before the last number of the text. What stands in parentheses is read only where no
    number stands outside.
    """

    name = "number"
    version = 1

    def grade(self, *, answer: str, checks: Mapping[str, Any], reference: str = "", item: str = "") -> Suggestion:
        """Suggest `correct` where the extracted number equals the reference, `incorrect` otherwise."""
        try:
            wanted = parse_number(str(checks["value"]))
            tolerance = parse_number(str(checks.get("tolerance") or 0))
        except KeyError as error:
            raise UnusableCheck("a check of kind 'number' needs a 'value'") from error
        if wanted is None or tolerance is None:
            raise UnusableCheck(f"'value' or 'tolerance' is not a number: {dict(checks)}")
        found = extract_number(answer)
        if found is None:
            return Suggestion("incorrect", "The answer holds no number.", 0.0)
        text, how, number = found
        is_right = abs(number - wanted) <= tolerance
        said = f"It gives {text} ({how}); the reference is {checks['value']}."
        return Suggestion("correct" if is_right else "incorrect", said, float(is_right), {"number": text, "how": how})


def extract_number(answer: str) -> tuple[str, str, Fraction] | None:
    """Return the number an answer ends on: its text, how it was found, and its exact value."""
    for how, pattern in _MARKED:
        found = pattern.findall(answer)
        if found and (value := parse_number(found[-1])) is not None:
            return found[-1].strip(), how, value
    for part in (_IN_PARENTHESES.sub(" ", answer), answer):
        for how, pattern in (("after the last =", _AFTER_EQUALS), ("last number", _ANY_NUMBER)):
            for text in reversed(pattern.findall(part)):
                if (value := parse_number(text)) is not None:
                    return text.strip(), how, value
    return None


def parse_number(text: str) -> Fraction | None:
    """Return the exact value of a written number (thousands commas, $, decimals, fractions), or None."""
    plain = re.sub(r"[,$\s]", "", text).replace("\u2212", "-")
    try:
        return Fraction(plain)
    except (ValueError, ZeroDivisionError):
        return None
