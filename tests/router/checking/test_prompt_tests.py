"""The checker of unit tests, with the real sandbox of this machine."""

import pytest

from labeling.sandbox import NoSandbox, Sandbox, choose_sandbox
from router.checking.base import Checked, Finding
from router.checking.prompt_tests import PromptTestsChecker, asserts_in

PROMPT = """Write a function that doubles. Your code should pass these tests:

assert double(2) == 4
assert double([
    1,
]) == [1, 1]
assert that nothing else is needed
"""


def no_sandbox() -> Sandbox:
    raise NoSandbox("no sandbox here")


@pytest.fixture(scope="module")
def checker() -> PromptTestsChecker:
    sandbox = choose_sandbox(allow_weak=False)
    return PromptTestsChecker(lambda: sandbox)


class TestPromptTests:
    @pytest.mark.parametrize(
        ("code", "finding"),
        [
            ("def double(x): return x * 2", Finding.ACCEPT),
            ("def double(x): return x + x if isinstance(x, int) else x", Finding.REJECT),
            ("import os\ndef double(x): os._exit(0)", Finding.REJECT),
            ("I would multiply by two.", Finding.REJECT),
        ],
        ids=["right", "half right", "leaves", "prose"],
    )
    def test_runs_the_asserts_of_the_prompt(self, checker: PromptTestsChecker, code: str, finding: Finding) -> None:
        answer = f"Here it is:\n```python\n{code}\n```" if "def" in code else code
        check = checker.check(Checked(PROMPT, "code", answer))
        assert check.finding is finding
        assert check.reason

    def test_says_nothing_without_tests(self, checker: PromptTestsChecker) -> None:
        check = checker.check(Checked("Write a function that doubles.", "code", "def double(x): return x * 2"))
        assert check.finding is Finding.UNKNOWN

    def test_says_nothing_where_a_test_cannot_be_run(self, checker: PromptTestsChecker) -> None:
        assert checker.check(Checked("assert 1 == 1", "code", "x = 1")).finding is Finding.UNKNOWN

    def test_says_nothing_without_a_sandbox(self) -> None:
        check = PromptTestsChecker(no_sandbox).check(Checked(PROMPT, "code", "def double(x): return x * 2"))
        assert check.finding is Finding.UNKNOWN
        assert "no sandbox here" in check.reason


class TestAssertsIn:
    def test_finds_each_assert_also_over_several_lines(self) -> None:
        assert asserts_in(PROMPT) == ["assert double(2) == 4", "assert double([\n    1,\n]) == [1, 1]"]

    def test_ends_in_time_on_what_only_looks_like_tests(self) -> None:
        assert asserts_in("assert (\n" * 50_000) == []
