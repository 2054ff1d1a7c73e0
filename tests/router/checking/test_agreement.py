import pytest

from router.checking.agreement import AgreementChecker
from router.checking.base import Checked, Finding

ASKED = "How many apples does she have?"


class TestAgreement:
    @pytest.mark.parametrize(
        ("prompt", "answer", "other", "finding"),
        [
            (ASKED, "It is 1,000.", "The answer is 1000.00", Finding.ACCEPT),
            (ASKED, "So 7.", "So 8.", Finding.REJECT),
            (ASKED, "So 7.", "I do not know.", Finding.REJECT),
            ("Who wrote Faust?", "Goethe.", "It was Goethe", Finding.ACCEPT),
            ("Who wrote Faust?", "Goethe.", "Schiller", Finding.REJECT),
            ("Who wrote Faust?", "Goethe.", "", Finding.REJECT),
            ("Who wrote Faust?", "Goethe.", " ".join(["word"] * 13), Finding.UNKNOWN),
        ],
        ids=["same number", "other number", "no number", "same words", "other words", "empty", "long"],
    )
    def test_compares_two_answers(self, prompt: str, answer: str, other: str, finding: Finding) -> None:
        check = AgreementChecker().check(Checked(prompt, "any", answer, other_answer=other))
        assert check.finding is finding
        assert check.reason

    def test_says_nothing_of_one_answer_alone(self) -> None:
        assert AgreementChecker().check(Checked(ASKED, "any", "7")).finding is Finding.UNKNOWN
