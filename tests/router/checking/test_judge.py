import pytest

from router.checking import Checked, Finding, question_for_second
from router.checking.judge import JudgeChecker

ASKED = Checked("What is 2 + 3?", "math", "5")


class TestJudgeChecker:
    @pytest.mark.parametrize(
        ("said", "finding"),
        [
            ("yes", Finding.ACCEPT), ("Yes, it is.", Finding.ACCEPT), ("**Yes**", Finding.ACCEPT),
            ("No.", Finding.REJECT), ("Not sure", Finding.UNKNOWN), ("yesterday", Finding.UNKNOWN),
            ("", Finding.UNKNOWN), ("The answer is yes", Finding.UNKNOWN), (None, Finding.UNKNOWN),
        ],
    )  # fmt: skip
    def test_goes_by_the_first_word(self, said: str | None, finding: Finding) -> None:
        checked = Checked(ASKED.prompt, ASKED.category, ASKED.answer, other_answer=said)
        assert JudgeChecker().check(checked).finding is finding


class TestQuestion:
    def test_holds_the_prompt_and_the_answer(self) -> None:
        question = question_for_second("llm_judge", ASKED)
        assert question is not None
        assert "What is 2 + 3?" in question
        assert "This answer was given:\n\n5\n" in question

    def test_holds_what_was_said_before(self) -> None:
        question = question_for_second("llm_judge", Checked("And 2 more?", "math", "7", earlier="User: What is 2 + 3?"))
        assert question is not None
        assert question.startswith("This was said before:\n\nUser: What is 2 + 3?\n\nA question was asked:\n\nAnd 2")

    def test_of_a_comparison_is_the_prompt_itself(self) -> None:
        assert question_for_second("agreement", ASKED) is None
