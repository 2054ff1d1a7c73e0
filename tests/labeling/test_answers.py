from itertools import pairwise

import pytest

from labeling.grading import GRADERS, Suggestion, UnusableCheck
from labeling.grading.answers import dates_in, fold_answer
from tests.labeling.shared_data import items, needs_shared_data

KINGDOM = ["England", "Scotland", "Wales", "Northern Ireland"]


def grade(answer: str, *answers: str) -> Suggestion:
    return GRADERS["answer_list"].grade(answer=answer, checks={"kind": "answer_list", "answers": list(answers)})


class TestFoldAnswer:
    @pytest.mark.parametrize(
        ("text", "folded"),
        [
            ("The  Old Bridge!", "old bridge"),
            ("Padm\u00e9 Amidala", "padme amidala"),
            ("U.S.", "us"),
            ("King's Cross", "kings cross"),
            ("UTC\u221206:00", "utc 06 00"),
            ("2003\u201304 season", "2003 04 season"),
            ("The The", "the the"),
            ("3/4/1841", "3 4 1841 18410304"),
        ],
    )
    def test_leaves_what_matters(self, text: str, folded: str) -> None:
        assert fold_answer(text) == folded


class TestDatesIn:
    @pytest.mark.parametrize(
        "text", ["March 4, 1841", "4 March 1841", "the 4th of March, 1841", "Mar. 4th 1841", "1841-03-04", "3/4/1841"]
    )
    def test_reads_a_day_in_any_way_of_writing(self, text: str) -> None:
        assert list(dates_in(f"It was {text}.")) == ["18410304"]

    @pytest.mark.parametrize("text", ["31/12/1841", "1841", "March 1841", "February 30, 1841", "1841-13-01"])
    def test_leaves_what_is_no_day(self, text: str) -> None:
        assert list(dates_in(text)) == []


class TestAnswerListGrader:
    @pytest.mark.parametrize(
        ("answer", "answers"),
        [
            ("Lawyer", ["Lawyer"]),
            ("He was a lawyer.", ["Lawyer"]),
            ("**Lawyer**", ["lawyer"]),
            ("It was on the 4th of March 1841.", ["3/4/1841"]),
            ("England, Scotland, Wales and Northern Ireland", KINGDOM),
            ("- Wales\n- Scotland\n- England\n- Northern Ireland", KINGDOM),
            ("The answer is England; Scotland; Wales; Northern Ireland.", KINGDOM),
            ("Henry, Duke of Cornwall", ["Henry, Duke of Cornwall"]),
            ("padme amidala", ["Padm\u00e9 Amidala"]),
        ],
    )
    def test_takes_all_answers_and_little_else(self, answer: str, answers: list[str]) -> None:
        found = grade(answer, *answers)

        assert (found.verdict, found.score) == ("correct", 1.0)

    @pytest.mark.parametrize(
        ("answer", "answers"),
        [
            ("", ["Lawyer"]),
            ("I do not know.", ["Lawyer"]),
            ("Englander", ["England"]),
            ("March 5, 1841", ["3/4/1841"]),
            ("A lawyers' friend", ["Lawyer"]),
            ("42", ["4"]),
        ],
    )
    def test_refuses_an_answer_with_none(self, answer: str, answers: list[str]) -> None:
        found = grade(answer, *answers)

        assert (found.verdict, found.score) == ("incorrect", 0.0)

    @pytest.mark.parametrize(
        ("answer", "answers", "reason"),
        [
            ("England and Wales", KINGDOM, "It holds 2 of 4 accepted answers"),
            ("lawyer, doctor, teacher, farmer", ["Lawyer"], "among much else"),
            ("He was not a lawyer.", ["Lawyer"], "deny 'Lawyer'"),
            ("Jamaican Creole", ["Jamaican Creole English Language"], "something near"),
        ],
    )
    def test_leaves_the_rest_to_people(self, answer: str, answers: list[str], reason: str) -> None:
        found = grade(answer, *answers)

        assert found.verdict == "unsure"
        assert reason in found.reason

    def test_scores_by_f1_over_the_facts(self) -> None:
        # 2 of 4 found, 2 of 3 items right: P = 2/3, R = 1/2
        found = grade("England, Wales, France", *KINGDOM)

        assert found.score == pytest.approx(4 / 7)
        assert found.extracted == {
            "found": ["England", "Wales"],
            "missing": ["Scotland", "Northern Ireland"],
            "is_exact": False,
        }

    def test_tells_an_exact_answer_from_a_contained_one(self) -> None:
        assert grade("lawyer", "Lawyer").reason == "It equals the reference."
        assert grade("A lawyer from Ohio", "Lawyer").reason == "It holds every accepted answer."

    def test_lets_a_title_with_not_in_it_pass(self) -> None:
        assert grade("Don't Pass Me By", "Don\u2019t Pass Me By").verdict == "correct"

    def test_reads_an_answer_with_our_own_marks_in_it(self) -> None:
        assert grade("\ue0007\ue000 Lawyer", "Lawyer").verdict == "correct"

    @pytest.mark.parametrize("checks", [{}, {"answers": 2}, {"answers": []}, {"answers": ["..."]}, {"answers": [1]}])
    def test_needs_answers(self, checks: dict[str, object]) -> None:
        with pytest.raises(UnusableCheck, match="answers"):
            GRADERS["answer_list"].grade(answer="Lawyer", checks=checks)


@needs_shared_data
class TestWebQuestions:
    def test_takes_every_reference(self) -> None:
        questions = items("webquestions")

        refused = [
            item["id"]
            for item in questions
            if grade(", ".join(item["reference"]), *item["reference"]).verdict != "correct"
        ]

        assert len(questions) == 2032
        assert refused == []

    def test_takes_no_reference_of_the_next_question(self) -> None:
        questions = items("webquestions")
        pairs = list(pairwise(questions))

        taken = [
            item["id"]
            for item, other in pairs
            if not {*item["reference"]} & {*other["reference"]}
            and grade(", ".join(item["reference"]), *other["reference"]).verdict == "correct"
        ]

        assert taken == []
