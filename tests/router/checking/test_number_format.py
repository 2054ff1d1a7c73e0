import pytest

from router.checking.base import Checked, Finding
from router.checking.number_format import NumberFormatChecker

ASKED = "Ann has 3 apples and buys 4. How many apples does she have?"


class TestNumberFormat:
    @pytest.mark.parametrize(
        ("answer", "finding"),
        [
            ("3 + 4 = 7", Finding.ACCEPT),
            ("#### 7", Finding.ACCEPT),
            ("The answer is 7. I hope this helps!", Finding.ACCEPT),
            ("\\boxed{7}\nwhich is what was asked.", Finding.ACCEPT),
            ("Ann has 3 apples.\nThen she buys some more, and", Finding.REJECT),
            ("I cannot help with that.", Finding.REJECT),
            ("", Finding.REJECT),
        ],
        ids=["sum", "marked", "said", "boxed", "broken off", "refusal", "empty"],
    )
    def test_looks_for_a_final_number(self, answer: str, finding: Finding) -> None:
        check = NumberFormatChecker().check(Checked(ASKED, "math", answer))
        assert check.finding is finding
        assert check.reason

    @pytest.mark.parametrize(
        "prompt",
        ["Who wrote Faust?", "Write a Python function to find the sum of a list.", "Write a SQL query: how many dogs?"],
    )
    def test_says_nothing_of_other_prompts(self, prompt: str) -> None:
        assert NumberFormatChecker().check(Checked(prompt, "any", "7")).finding is Finding.UNKNOWN

    @pytest.mark.parametrize(
        "prompt",
        ["What is 12 * 4?", "Find the area of a circle of radius 2.", "Calculate 3/4 of 80.", "x? Use \\boxed{}."],
    )
    def test_knows_what_asks_for_a_number(self, prompt: str) -> None:
        assert NumberFormatChecker().check(Checked(prompt, "any", "It is 48.")).finding is Finding.ACCEPT
