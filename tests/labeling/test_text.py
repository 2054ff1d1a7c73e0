from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.grading import UnusableCheck
from labeling.grading.text import ContainsGrader, ExactGrader, contains_words, fold


def exact(answer: str, **checks: Any) -> str:
    return ExactGrader().grade(answer=answer, checks={"kind": "exact", **checks}).verdict


def contains(answer: str, **checks: Any) -> str:
    return ContainsGrader().grade(answer=answer, checks={"kind": "contains", **checks}).verdict


class TestFold:
    @pytest.mark.parametrize(
        "text",
        [
            "Paris",
            "  paris\n",
            "PARIS.",
            '"Paris!"',
            "**Paris**",
            "`Paris`",
            "\u201cParis\u201d",
            "```\nParis\n```",
            "```text\nParis\n```",
            "\uff30\uff41\uff52\uff49\uff53",  # full width
            "(Paris)",
        ],
    )
    def test_takes_away_what_does_not_matter(self, text: str) -> None:
        assert fold(text) == "paris"

    @pytest.mark.parametrize(
        ("text", "folded"),
        [
            ("SELECT  *\n FROM t;", "select * from t"),
            ("Stra\u00dfe", "strasse"),
            ("e\u0301t\u00e9", "\u00e9t\u00e9"),
            ("it's", "it's"),
            ("?!", ""),
            ("3.5", "3.5"),
        ],
    )
    def test_keeps_what_does(self, text: str, folded: str) -> None:
        assert fold(text) == folded

    @pytest.mark.slow
    @given(st.text(max_size=40))
    def test_does_not_mind_white_space_around(self, text: str) -> None:
        assert fold(f" \n{text}\t ") == fold(text)


class TestContainsWords:
    @pytest.mark.parametrize(
        ("text", "words", "is_contained"),
        [
            ("the capital is rome today", "rome", True),
            ("rome", "rome", True),
            ("rome, italy", "rome", True),
            ("romeo", "rome", False),
            ("chrome", "rome", False),
            ("the answer is 42", "42", True),
            ("the answer is 142", "42", False),
            ("use def_name", "def", False),
            ("max(height) from tower", "max(height", True),
            ("maximal", "max", False),
            ("c++ or c", "c++", True),
            ("anything", "", False),
            ("new york city", "york city", True),
        ],
    )
    def test_finds_whole_words_only(self, text: str, words: str, is_contained: bool) -> None:
        assert contains_words(text, words) is is_contained

    def test_takes_no_word_as_a_pattern(self) -> None:
        assert not contains_words("abc", "a.c")


class TestExactGrader:
    @pytest.mark.parametrize("answer", ["Paris", "paris.", " The City of Light "])
    def test_suggests_correct_for_any_accepted_answer(self, answer: str) -> None:
        assert exact(answer, answers=["Paris", "the city of light"]) == "correct"

    @pytest.mark.parametrize("answer", ["It is Paris", "Pari", "", "Paris, Rome"])
    def test_suggests_incorrect_for_anything_else(self, answer: str) -> None:
        assert exact(answer, answers=["Paris"]) == "incorrect"

    def test_says_what_it_matched(self) -> None:
        suggestion = ExactGrader().grade(answer="PARIS", checks={"answers": ["Rome", "Paris"]})

        assert (suggestion.reason, suggestion.extracted) == ("It equals 'Paris'.", {"matched": "Paris"})


class TestContainsGrader:
    def test_suggests_correct_where_an_accepted_answer_stands(self) -> None:
        assert contains("I think it is Rome, in Italy.", answers=["Roma", "Rome"]) == "correct"

    def test_suggests_incorrect_where_none_does(self) -> None:
        assert contains("I think it is Milan.", answers=["Roma", "Rome"]) == "incorrect"

    def test_suggests_incorrect_where_something_forbidden_stands_too(self) -> None:
        assert contains("It is Rome or Milan.", answers=["Rome"], forbidden=["Milan"]) == "incorrect"

    def test_does_not_mind_a_forbidden_word_inside_of_another(self) -> None:
        assert contains("It is Rome, not Milano.", answers=["Rome"], forbidden=["Milan"]) == "correct"


class TestUnusableCheck:
    @pytest.mark.parametrize("grade", [exact, contains])
    @pytest.mark.parametrize(
        "checks", [{}, {"answers": []}, {"answers": "Paris"}, {"answers": [7]}, {"answers": ["", " . "]}]
    )
    def test_is_one_without_an_accepted_answer(self, grade: Any, checks: dict[str, Any]) -> None:
        with pytest.raises(UnusableCheck, match="'answers'"):
            grade("Paris", **checks)

    def test_is_one_whose_forbidden_words_are_no_list(self) -> None:
        with pytest.raises(UnusableCheck, match="'forbidden' of the check must be a list"):
            contains("Paris", answers=["Paris"], forbidden="Rome")
