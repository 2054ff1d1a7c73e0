"""Suggest whether the Python code in an answer passes its asserts, by running it in a sandbox."""

import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeling.grading.asserts import Assertion, name_of, parse_assertion
from labeling.grading.base import Suggestion, UnusableCheck, not_graded, text_in
from labeling.grading.evaluating import Outcome, Trouble, Value, evaluate
from labeling.grading.parsing import parse
from labeling.sandbox import Sandbox, SandboxError

_FENCED = re.compile(r"^[ \t]*(```+|~~~+)[^\n`]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.DOTALL | re.MULTILINE)
_CLAIM_TIMEOUT_S = 10.0
_SHOWN = 200


@dataclass(frozen=True)
class _Suite:
    assertions: Sequence[Assertion]
    setup: str
    entry_point: str
    timeout_s: float


class PythonAssertsGrader:
    """Runs the code of an answer in a sandbox and checks its asserts outside of it.

    Checks: `tests`, a list of single asserts; `setup`, code that runs after the solution and before them;
    `entry_point`, the function that is asked for; `timeout_s` for all together. The solution only computes values:
    whether they are the right ones is decided where it cannot reach.
    """

    name = "python_asserts"
    version = 1

    def __init__(self, find_sandbox: Callable[[], Sandbox]) -> None:
        self._find_sandbox = find_sandbox

    def grade(self, *, answer: str, checks: Mapping[str, Any], reference: str = "", item: str = "") -> Suggestion:
        """Suggest `correct` where every assert holds; `unsure` and not settled where there is no sandbox."""
        suite = _suite(checks)
        code = extract_code(answer, suite.entry_point)
        if code is None:
            return Suggestion("incorrect", "The answer holds no valid Python.", 0.0)
        try:
            sandbox = self._find_sandbox()
            outcomes = _outcomes(sandbox, code, suite)
        except SandboxError as error:
            return not_graded(str(error))
        return _judged(suite, outcomes, {"code": code, "sandbox": sandbox.name})


def extract_code(answer: str, entry_point: str = "") -> str | None:
    """Return the code of an answer: the longest fenced block of valid Python, else the whole text if it is valid.

    Blocks that define the function asked for go before others.
    """
    blocks = [textwrap.dedent(block) for _, block in _FENCED.findall(answer.replace("\r\n", "\n"))]
    valid = [block for block in blocks if block.strip() and _is_python(block)]
    if valid:
        return max(valid, key=lambda block: (_defines(block, entry_point), len(block)))
    return answer if answer.strip() and _is_python(answer) else None


def _is_python(text: str) -> bool:
    try:
        parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _defines(code: str, name: str) -> bool:
    return (
        re.search(rf"^(?:async\s+def|def|class)\s+{re.escape(name)}\b|^{re.escape(name)}\s*=", code, re.M) is not None
    )


def _suite(checks: Mapping[str, Any]) -> _Suite:
    tests = checks.get("tests")
    if not isinstance(tests, list) or not tests or not all(isinstance(test, str) for test in tests):
        raise UnusableCheck("a check of kind 'python_asserts' needs a list of asserts in 'tests'")
    timeout_s = checks.get("timeout_s", 10)
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not 0 < timeout_s <= 600:
        raise UnusableCheck("'timeout_s' of the check must be a number of seconds up to 600")
    entry_point = text_in(checks, "entry_point")
    assertions = [parse_assertion(test, entry_point=entry_point) for test in tests]
    return _Suite(assertions, text_in(checks, "setup"), entry_point, float(timeout_s))


def _outcomes(sandbox: Sandbox, code: str, suite: _Suite) -> list[Outcome]:
    """Return for each assert whether it holds, or why that cannot be said."""
    calls = [call for assertion in suite.assertions for call in assertion.calls]
    found = evaluate(sandbox=sandbox, code=code, setup=suite.setup, expressions=calls, timeout_s=suite.timeout_s)
    if isinstance(found, Trouble):
        return [found] * len(suite.assertions)
    values = iter(found)
    return [_holds(sandbox, assertion, [next(values) for _ in assertion.calls]) for assertion in suite.assertions]


def _holds(sandbox: Sandbox, assertion: Assertion, found: Sequence[Outcome]) -> Outcome:
    """Compare plain values here; a claim that must be computed runs in a sandbox that never saw the solution."""
    values: list[object] = []
    for outcome in found:
        if isinstance(outcome, Trouble):
            return outcome
        values.append(outcome.value)
    if assertion.expected is not None:
        is_equal = values[0] == assertion.expected.value
        return Value(True) if is_equal else Trouble(f"It gives {_short(values[0])}.")
    lines = ["inf = float('inf')", "nan = float('nan')", *(f"import {module}" for module in assertion.modules)]
    lines += [f"{name_of(place)} = {value!r}" for place, value in enumerate(values)]
    claim = evaluate(
        sandbox=sandbox,
        code="\n".join(lines),
        setup="",
        expressions=[f"bool({assertion.claim})"],
        timeout_s=_CLAIM_TIMEOUT_S,
    )
    if isinstance(claim, Trouble):
        return claim
    if claim == [Value(True)]:
        return Value(True)
    given = ", ".join(_short(value) for value in values)
    return claim[0] if isinstance(claim[0], Trouble) else Trouble(f"It gives {given}.")


def _judged(suite: _Suite, outcomes: Sequence[Outcome], evidence: dict[str, Any]) -> Suggestion:
    troubles = [outcome for outcome in outcomes if isinstance(outcome, Trouble)]
    passed, total = len(outcomes) - len(troubles), len(outcomes)
    tests = [
        {"test": assertion.text, "passed": isinstance(outcome, Value), "reason": getattr(outcome, "reason", "")}
        for assertion, outcome in zip(suite.assertions, outcomes, strict=True)
    ]
    reason = f"{passed} of {total} asserts hold." + (f" {troubles[0].reason}" if troubles else "")
    verdict = "incorrect" if troubles else "correct"
    return Suggestion(verdict, reason, passed / total, {**evidence, "tests": tests})


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:
        return "a number of more than 4300 digits"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
