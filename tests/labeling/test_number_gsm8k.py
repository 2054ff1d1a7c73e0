from itertools import pairwise

import pytest

from labeling.grading import GRADERS
from tests.labeling.shared_data import items, needs_shared_data


@needs_shared_data
class TestGsm8k:
    def test_reads_every_worked_solution_right(self) -> None:
        solutions = items("gsm8k")

        suggestions = {
            item["id"]: GRADERS["number"].grade(
                answer=item["reference_detail"], checks={"value": item["checks"]["value"], "tolerance": 1e-6}
            )
            for item in solutions
        }

        assert len(suggestions) == 1319
        assert [name for name, found in suggestions.items() if found.verdict != "correct"] == []
        assert {found.extracted["how"] for found in suggestions.values()} == {"####"}

    def test_takes_no_worked_solution_for_a_neighbour_of_another_value(self) -> None:
        solutions = items("gsm8k")

        taken = [
            item["id"]
            for item, other in pairwise(solutions)
            if item["checks"]["value"] != other["checks"]["value"]
            and GRADERS["number"].grade(answer=item["reference_detail"], checks=other["checks"]).verdict != "incorrect"
        ]

        assert taken == []


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("$18.00", "18"),
        ("18 eggs (out of 16+3)", "18"),
        ("18...", "18"),
        ("3/4", "0.75"),
        ("#### $1,234.50.", "1234.5"),
        ("#### **42**", "42"),
        ("The answer is 12. Check: 3*4=12, 5*5=25", "12"),
        ("It rises by \u22125 degrees.", "-5"),
    ],
)
def test_tricky_strings_are_read_right(answer: str, value: str) -> None:
    assert GRADERS["number"].grade(answer=answer, checks={"value": value}).verdict == "correct"


def test_the_number_of_a_step_is_no_answer() -> None:
    assert GRADERS["number"].grade(answer="This follows from step 2.", checks={"value": "2"}).verdict == "incorrect"
