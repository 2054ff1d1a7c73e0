"""Does the code of an answer pass the tests that stand in the prompt?"""

import ast
from collections.abc import Callable

from labeling.grading.base import UnusableCheck
from labeling.grading.code import PythonAssertsGrader
from labeling.grading.parsing import parse
from labeling.sandbox import Sandbox
from router.checking.base import Check, Checked, accept, reject, unknown

_TIMEOUT_S = 10
_MOST_LINES = 20  # of one assert
_MOST_TESTS = 20
_MOST_TRIED = 200  # lines that look like one


class PromptTestsChecker:
    """Runs the asserts of a prompt against the code of an answer, in the sandbox of the graders."""

    name = "unit_tests"
    version = 1
    covers = "prompts that carry Python asserts"
    wants_second_answer = False
    reads_conversations = False  # what it reads stands in earlier turns as a rule

    def __init__(self, find_sandbox: Callable[[], Sandbox]) -> None:
        self._grader = PythonAssertsGrader(find_sandbox)

    def check(self, checked: Checked) -> Check:
        """Accept where every assert holds; nothing is known where there is no test or no sandbox."""
        tests = asserts_in(checked.prompt)
        if not tests:
            return unknown("The prompt carries no test.")
        try:
            found = self._grader.grade(answer=checked.answer, checks={"tests": tests, "timeout_s": _TIMEOUT_S})
        except UnusableCheck as error:
            return unknown(f"The tests of the prompt cannot be run: {error}.")
        if not found.is_settled:
            return unknown(found.reason)
        return accept(found.reason) if found.verdict == "correct" else reject(found.reason)


def asserts_in(prompt: str) -> list[str]:
    """Return the asserts that stand in a text at the beginning of a line, one by one; 20 at most."""
    lines = prompt.splitlines()
    found: list[str] = []
    place = tried = 0
    while place < len(lines) and len(found) < _MOST_TESTS and tried < _MOST_TRIED:
        is_candidate = lines[place].lstrip().startswith("assert")
        tried += is_candidate
        length = _assert_length(lines[place : place + _MOST_LINES]) if is_candidate else 0
        if length:
            found.append("\n".join(lines[place : place + length]).strip())
        place += max(length, 1)
    return found


def _assert_length(lines: list[str]) -> int:
    """Return how many lines the assert at the beginning takes; 0 where there is none."""
    for length in range(1, len(lines) + 1):
        text = "\n".join(lines[:length]).strip()
        try:
            statements = parse(text).body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        return length if len(statements) == 1 and isinstance(statements[0], ast.Assert) else 0
    return 0
