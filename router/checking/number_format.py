"""Does an answer end on a number that can be read, where the prompt asks for one?"""

import re

from labeling.grading.number import extract_number
from router.checking.base import Check, Checked, accept, reject, unknown

_QUANTITY = (
    r"total|sum|number|amount|average|mean|median|percentage|ratio|cost|price|profit|loss|difference|product|quotient|"
    r"remainder|area|perimeter|volume|value|probability|speed|distance|age|length|width|height|weight"
)
_ASKS_NUMBER = re.compile(
    r"\bhow\s+(?:many|much|old|far|long|tall|fast|often|high|deep|wide)\b"
    rf"|\b(?:what|find|calculate|compute|determine)\b[^.?!\n]{{0,40}}\b(?:{_QUANTITY})\b"
    r"|\bwhat\s+(?:percent|fraction)\b|\b(?:calculate|compute)\b|\bwhat\s+is\s+[-\d(]"
    r"|\bfinal\s+(?:numeric(?:al)?\s+)?answer\b|####|\\boxed",
    re.IGNORECASE,
)
_ASKS_CODE = re.compile(r"\b(?:python|function|program|code|sql|query|script|regex)\b|^[ \t]*assert\s", re.I | re.M)
_MARKS = ("####", "\\boxed", "answer is")


class NumberFormatChecker:
    """Accepts an answer that marks a number as its answer, or ends on a line with one. It does not know the right one.

    It catches answers that break off, refuse or talk around the question; how much that says is measured.
    """

    name = "number_format"
    version = 1
    covers = "prompts that ask for a number"
    wants_second_answer = False
    reads_conversations = True

    def check(self, checked: Checked) -> Check:
        """Accept where a final number can be read, reject where none can."""
        if not asks_for_number(checked.prompt):
            return unknown("The prompt asks for no number.")
        found = final_number(checked.answer)
        if found is None:
            return reject("It ends on no number.")
        return accept(f"It ends on a number, {found}.")


def asks_for_number(prompt: str) -> bool:
    """Tell whether a prompt asks for a number, by its words, and not for a program that would find it."""
    return _ASKS_NUMBER.search(prompt) is not None and _ASKS_CODE.search(prompt) is None


def final_number(answer: str) -> str | None:
    """Return the number that an answer marks as its own or has in its last line, as it is written there."""
    found = extract_number(answer)
    if found is not None and found[1] in _MARKS:
        return found[0]
    lines = [line for line in answer.splitlines() if line.strip()]
    last = extract_number(lines[-1]) if lines else None
    return None if last is None else last[0]
