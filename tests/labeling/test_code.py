import json
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from labeling.grading import Suggestion, UnusableCheck
from labeling.grading.asserts import Literal, parse_assertion
from labeling.grading.code import PythonAssertsGrader, extract_code
from labeling.grading.evaluating import Trouble, Value, evaluate
from labeling.sandbox import SandboxResult
from tests.labeling.sandboxes import RecordingSandbox, no_sandbox, real_sandbox
from tests.labeling.shared_data import items, needs_shared_data

pytestmark = pytest.mark.slow

DOUBLE = "def double(x):\n    return 2 * x"


class TestExtractCode:
    def test_takes_the_longest_valid_block(self) -> None:
        answer = f"First:\n```python\nx = 1\n```\nThen:\n```python\n{DOUBLE}\n```\nBad:\n```\n{'not python ' * 30}\n```"

        assert extract_code(answer) == f"{DOUBLE}\n"

    def test_prefers_the_block_that_defines_what_is_asked_for(self) -> None:
        usage = "print(double(1))\n" * 10

        assert extract_code(f"```\n{DOUBLE}\n```\n```\n{usage}```", "double") == f"{DOUBLE}\n"

    @pytest.mark.parametrize(
        "answer",
        [
            DOUBLE,
            f"```\n{DOUBLE}\n```",
            f"```py\n{DOUBLE}\n```",
            f"~~~python\n{DOUBLE}\n~~~",
            f"Well:\n````\n{DOUBLE}\n````",
            f"Cut off:\n```python\n{DOUBLE}",
            "1. Listed:\n   ```python\n   def double(x):\n       return 2 * x\n   ```",
            f"```python\r\n{DOUBLE.replace(chr(10), chr(13) + chr(10))}\r\n```",
        ],
    )
    def test_reads_every_way_of_fencing(self, answer: str) -> None:
        assert (extract_code(answer) or "").strip() == DOUBLE

    @pytest.mark.parametrize("answer", ["", "  ", "I cannot do that.", "```python\ndef double(x:\n```", "x = '\x00'"])
    def test_finds_none(self, answer: str) -> None:
        assert extract_code(answer) is None


class TestParseAssertion:
    def test_parts_what_the_solution_computes_from_what_is_claimed(self) -> None:
        found = parse_assertion("assert f(1, x=[2]) == (3, 'a')", entry_point="f")

        assert (found.calls, found.expected) == (("f(1, x=[2])",), Literal((3, "a")))

    @pytest.mark.parametrize(
        ("text", "calls", "claim"),
        [
            ("assert int(f(1)) == 2", ("f(1)",), "int(__value_0__) == 2"),
            ("assert f(1) == f(2)", ("f(1)", "f(2)"), "__value_0__ == __value_1__"),
            ("assert not f(Pair(1, 2))", ("f(Pair(1, 2))",), "not __value_0__"),
            ("assert f(1).x[2] in (1, 2)", ("f(1).x[2]",), "__value_0__ in (1, 2)"),
            ("assert abs(f(1) - 0.5) < 1e-6, 'far'", ("f(1)",), "abs(__value_0__ - 0.5) < 1e-06"),
            ("assert f(1) == sys.getsizeof((1, 2))", ("f(1)",), "__value_0__ == sys.getsizeof((1, 2))"),
        ],
    )
    def test_leaves_a_claim_that_must_be_computed(self, text: str, calls: tuple[str, ...], claim: str) -> None:
        found = parse_assertion(text, entry_point="f")

        assert (found.calls, found.claim, found.expected) == (calls, claim, None)

    def test_names_the_modules_of_a_claim(self) -> None:
        assert parse_assertion("assert math.isclose(f(1), 2)", entry_point="f").modules == ("math",)

    def test_gives_a_built_in_name_to_the_solution_that_is_asked_for_it(self) -> None:
        assert parse_assertion("assert sum(1, 2) == 3", entry_point="sum").calls == ("sum(1, 2)",)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("f(1) == 2", "one assert"),
            ("assert f(1)\nassert f(2)", "one assert"),
            ("assert f(", "no Python"),
            ("assert 1 == 1", "does not use"),
            ("assert all(f(x) for x in [1, 2]) and f(1)", "loops over"),
        ],
    )
    def test_refuses_what_it_cannot_part(self, text: str, reason: str) -> None:
        with pytest.raises(UnusableCheck, match=reason):
            parse_assertion(text, entry_point="f")


class TestEvaluate:
    @pytest.mark.parametrize(
        "expression",
        [
            "None",
            "[True, 0, -5, 10**5000, 1.5, -0.0, 2j]",
            "('a', '\\u20ac', '\\ud800', b'\\x00', ())",
            "{1: {2, 3}, 'x': frozenset([4])}",
            "[float('inf'), 1e-320]",
            "set()",
        ],
    )
    def test_brings_plain_values_back_as_they_are(self, expression: str) -> None:
        found = evaluate(sandbox=RecordingSandbox(), code="", setup="", expressions=[expression], timeout_s=10)

        assert found == [Value(eval(expression))]
        assert [type(one.value) for one in found if isinstance(one, Value)] == [type(eval(expression))]

    def test_brings_the_content_of_an_extended_built_in(self) -> None:
        code = (
            "import collections\nclass Five(int):\n    __eq__ = lambda self, other: True\n    __hash__ = int.__hash__"
        )
        expressions = ["collections.Counter('aab')", "Five(5)", "collections.namedtuple('P', 'x')(1)"]

        found = evaluate(sandbox=RecordingSandbox(), code=code, setup="", expressions=expressions, timeout_s=10)

        assert found == [Value({"a": 2, "b": 1}), Value(5), Value((1,))]

    @pytest.mark.parametrize("expression", ["object()", "map(str, [])", "range(3)", "[object()]"])
    def test_brings_no_other_object_back(self, expression: str) -> None:
        found = evaluate(sandbox=RecordingSandbox(), code="", setup="", expressions=[expression], timeout_s=10)

        assert isinstance(found, list)
        assert isinstance(found[0], Trouble)
        assert "cannot be compared" in found[0].reason

    @pytest.mark.parametrize(
        "stdout",
        [
            b"",
            b"passed",
            b"('', '', [('value', ('int', '2a'))])",
            b"(" * 9000,
            b"[" * 60 + b"]" * 60,
            b"\xff\x00",
            b"(1, 2, 3, 4)",
        ],
    )
    def test_believes_no_line_without_the_nonce(self, stdout: bytes) -> None:
        class Forging:
            name, is_isolated = "forging", True

            def run(self, code: str, *, timeout_s: float, memory_bytes: int) -> SandboxResult:
                return SandboxResult(0, stdout, b"", 0.1)

        assert isinstance(evaluate(sandbox=Forging(), code="", setup="", expressions=["1"], timeout_s=1), Trouble)

    @pytest.mark.parametrize(
        "outcome", ["5", "('value',)", "('value', ('int', 'zz'))", "('value', ('set', [('list', [])]))", "('value', 3)"]
    )
    def test_takes_a_forged_outcome_for_none(self, outcome: str) -> None:
        class Forging:
            name, is_isolated = "forging", True

            def run(self, code: str, *, timeout_s: float, memory_bytes: int) -> SandboxResult:
                nonce = code.rpartition("report(nonce=")[2].split(",")[0]
                return SandboxResult(0, f"({nonce}, '', [{outcome}])".encode(), b"", 0.1)

        assert evaluate(sandbox=Forging(), code="", setup="", expressions=["1"], timeout_s=1) == Trouble(
            "It ended before its tests did."
        )


def grade(code: str, *tests: str, sandbox: Any = None, **checks: Any) -> Suggestion:
    found = sandbox or real_sandbox()
    asked = {"entry_point": "double", "timeout_s": 5, "setup": "", **checks, "tests": list(tests)}
    return PythonAssertsGrader(lambda: found).grade(answer=code, checks=asked)


class TestPythonAssertsGrader:
    def test_takes_code_that_passes(self) -> None:
        found = grade(f"Sure:\n```python\n{DOUBLE}\n```", "assert double(2) == 4", "assert double('a') == 'aa'")

        assert (found.verdict, found.score, found.reason) == ("correct", 1.0, "2 of 2 asserts hold.")
        assert found.extracted["code"] == f"{DOUBLE}\n"
        assert found.extracted["sandbox"] == "bubblewrap"
        assert [test["passed"] for test in found.extracted["tests"]] == [True, True]

    def test_says_which_assert_fails_and_what_it_gives(self) -> None:
        found = grade(DOUBLE, "assert double(2) == 4", "assert double(2) == 5")

        assert (found.verdict, found.score) == ("incorrect", 0.5)
        assert found.reason == "1 of 2 asserts hold. It gives 4."
        assert found.extracted["tests"][1] == {
            "test": "assert double(2) == 5",
            "passed": False,
            "reason": "It gives 4.",
        }

    @pytest.mark.parametrize(
        ("code", "reason"),
        [
            ("def double(x): return x / 0", "It raises ZeroDivisionError: division by zero"),
            ("def triple(x): return 3 * x", "It raises NameError: name 'double' is not defined"),
            ("import numpy", "It does not run: ModuleNotFoundError: No module named 'numpy'"),
            ("def double(x): return map(str, [x])", "It gives a map, which cannot be compared."),
            ("def double(x): return [0] * 10**5", "Its results are too long."),
            ("def double(x): return 10**9000", "It gives a number of more than 4300 digits."),
            ("def double(x):\n    while True: pass", "It took more than 1 s."),
            ("def double(x): return double(x)", "It raises RecursionError"),
        ],
    )
    def test_refuses_code_that_fails(self, code: str, reason: str) -> None:
        found = grade(code, "assert double(2) == 4", timeout_s=1)

        assert found.verdict == "incorrect"
        assert reason in found.reason

    @pytest.mark.parametrize(
        "claim",
        [
            "assert abs(double(2) - 4) < 1e-9",
            "assert double(2) in (4, 5)",
            "assert double(double(1)) == 4 and double(0) == 0",
            "assert math.isclose(double(2), 4)",
            "assert str(double(2)) == '4'",
            "assert double(float('inf')) > 5",
        ],
    )
    def test_computes_a_claim_away_from_the_solution(self, claim: str) -> None:
        assert grade(DOUBLE, claim).verdict == "correct"
        assert grade("def double(x): return -1.0", claim).verdict == "incorrect"

    def test_shows_a_claim_nothing_of_the_solution(self) -> None:
        sandbox = RecordingSandbox()

        grade("SECRET = 1\ndef double(x): return 4", "assert int(double(2)) == 4", sandbox=sandbox)

        assert ["SECRET" in program for program in sandbox.programs] == [True, False]
        assert ["int(__value_0__)" in program for program in sandbox.programs] == [False, True]

    def test_runs_the_set_up_after_the_solution(self) -> None:
        code = "class Node:\n    def __init__(self, v): self.v = v\ndef double(n): return 2 * n.v"

        assert grade(code, "assert double(root) == 6", setup="root = Node(3)").verdict == "correct"

    @pytest.mark.parametrize(
        "code",
        [
            "import sys; sys.exit(0)",
            "import os; os._exit(0)",
            "def double(x):\n    import os\n    os._exit(0)",
            "class Yes:\n    def __eq__(self, other): return True\ndef double(x): return Yes()",
            "class Yes(int):\n    def __eq__(self, other): return True\ndef double(x): return Yes(5)",
            "class Yes(list):\n    def __eq__(self, other): return True\n    __iter__ = lambda self: iter([4])\n"
            "def double(x): return Yes()",
            "import builtins\nbuiltins.AssertionError = ValueError\ndef double(x): return 5",
            "import atexit\natexit.register(print, 'passed')\ndef double(x): return 5",
            "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)",
            "raise KeyboardInterrupt",
            "raise BaseException",
        ],
    )
    def test_refuses_to_be_cheated(self, code: str) -> None:
        for claim in ("assert double(2) == 4", "assert int(double(2)) == 4"):
            assert grade(code, claim).verdict == "incorrect"

    def test_is_not_misled_by_what_a_solution_prints(self) -> None:
        assert grade(f"print('x' * 10**6)\n{DOUBLE}", "assert double(2) == 4").verdict == "correct"

    def test_runs_no_main_block(self) -> None:
        assert grade(f"{DOUBLE}\nif __name__ == '__main__':\n    input()", "assert double(1) == 2").verdict == "correct"

    def test_does_not_grade_without_a_sandbox(self) -> None:
        checks = {"tests": ["assert double(2) == 4"], "entry_point": "double"}

        found = PythonAssertsGrader(no_sandbox).grade(answer=DOUBLE, checks=checks)

        assert (found.verdict, found.is_settled, found.score) == ("unsure", False, None)
        assert found.reason.startswith("not graded: no sandbox")

    def test_refuses_an_answer_without_code_even_there(self) -> None:
        checks = {"tests": ["assert double(2) == 4"], "entry_point": "double"}

        found = PythonAssertsGrader(no_sandbox).grade(answer="I cannot do that.", checks=checks)

        assert (found.verdict, found.reason) == ("incorrect", "The answer holds no valid Python.")

    @pytest.mark.parametrize(
        "checks",
        [
            {},
            {"tests": []},
            {"tests": "assert f(1)"},
            {"tests": ["f(1)"]},
            {"tests": ["assert f(1)"], "timeout_s": 0},
            {"tests": ["assert f(1)"], "timeout_s": "10"},
            {"tests": ["assert f(1)"], "setup": 5},
        ],
    )
    def test_needs_usable_asserts(self, checks: dict[str, Any]) -> None:
        with pytest.raises(UnusableCheck):
            PythonAssertsGrader(no_sandbox).grade(answer=DOUBLE, checks=checks)

    def test_leaves_evidence_that_json_can_hold(self) -> None:
        found = grade("def double(x): return float('nan')", "assert double(2) == 4")

        assert json.loads(json.dumps(found.extracted))["tests"][0]["reason"] == "It gives nan."


def grade_reference(item: dict[str, Any], sandbox: Any) -> Suggestion:
    checks = {
        "tests": [*item["test_list"], *item["challenge_test_list"]],
        "setup": item["test_setup_code"],
        "entry_point": item["checks"]["entry_point"],
        "timeout_s": item["checks"]["timeout_s"],
    }
    return PythonAssertsGrader(lambda: sandbox).grade(answer=f"```python\n{item['reference']}\n```", checks=checks)


@needs_shared_data
class TestMbpp:
    @pytest.mark.slow
    def test_every_reference_passes(self) -> None:
        sandbox = real_sandbox()
        tasks = [item for item in items("mbpp") if item["id"] != "mbpp-0123"]

        with ThreadPoolExecutor(2) as pool:  # each thread waits for the process that it started
            graded = dict(
                zip(
                    (item["id"] for item in tasks),
                    pool.map(lambda item: grade_reference(item, sandbox), tasks),
                    strict=True,
                )
            )

        assert len(graded) == 973
        assert {name: found.reason for name, found in graded.items() if found.verdict != "correct"} == {}

    @pytest.mark.slow
    def test_the_slow_reference_passes_too(self) -> None:
        (task,) = [item for item in items("mbpp") if item["id"] == "mbpp-0123"]

        found = grade_reference(task, real_sandbox())

        assert (found.verdict, found.reason) == ("correct", "3 of 3 asserts hold.")

    def test_no_reference_passes_for_the_next_task(self) -> None:
        sandbox = real_sandbox()
        tasks = items("mbpp")[:40]

        for item, other in pairwise(tasks):
            found = grade_reference({**other, "reference": item["reference"]}, sandbox)
            assert found.verdict == "incorrect", (item["id"], other["id"])
