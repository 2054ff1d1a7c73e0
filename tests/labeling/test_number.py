from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.grading import UnusableCheck
from labeling.grading.number import NumberGrader, extract_number, parse_number

READ = {
    # marked as the answer
    "#### 42": 42,
    "Let me see: 17 apples.\n#### -1,234.50": Fraction("-1234.5"),
    "\\boxed{7}": 7,
    "The final answer is $\\boxed{12}$, from 3 * 4.": 12,
    "First \\boxed{3}, no: \\boxed{4}": 4,
    "The answer is 12. Check: 3*4=12": 12,
    "The answer is 12. Check: 3*5=15": 12,
    "the ANSWER IS: **18** eggs": 18,
    "Answer: $1,000,000 (a million)": 1_000_000,
    "The answer is 1/2.": Fraction(1, 2),
    "The answer is \u22125": -5,
    "The answer is 3 + 4 = 7.": 7,
    "The answer is 3 x 4 = 12": 12,
    "The answer is 5-year-old wine": 5,
    "The answer is not 5 but 6": 6,
    # behind the last equals sign
    "3 + 4 = 7, as step 2 says in line 3.": 7,
    "x = 5\ny = x + 1 = 6": 6,
    "1/2 + 1/4 = 3/4": Fraction(3, 4),
    "16-3 = 13": 13,
    # the last number
    "$18.00": 18,
    "18 eggs (out of 16+3)": 18,
    "(7)": 7,
    "(3 + 4 = 7)": 7,
    "so the total is 1,234.": 1234,
    "3/4": Fraction(3, 4),
    "3 / 4 of it": Fraction(3, 4),
    "-5": -5,
    "\u22125 degrees": -5,
    "+5": 5,
    "10 - 5": 5,
    "- 5 apples": 5,
    "The total is 7, as shown in step 2.": 7,
    "A discount of 50%.": 50,
    "It weighs 4kg.": 4,
    "The SmolLM2 says 8": 8,
    "It was 12,345, not 12,346": 12_346,
    "0.50": Fraction(1, 2),
    "3/0 of 8/0 is 9": 9,
    "It costs $ 18": 18,
    "Between 3 and 4": 4,
}
UNREADABLE = ["", "No idea.", "Step 2.", "twelve", "3/0", "SmolLM2", "NaN", "\u00bd", "9" * 5000]


def suggest(answer: str, **checks: Any) -> tuple[str, float | None]:
    suggestion = NumberGrader().grade(answer=answer, checks={"kind": "number", **checks})
    return suggestion.verdict, suggestion.score


class TestExtractNumber:
    @pytest.mark.parametrize(("answer", "number"), READ.items(), ids=[repr(answer) for answer in READ])
    def test_reads_the_number_that_an_answer_ends_on(self, answer: str, number: Fraction) -> None:
        found = extract_number(answer)

        assert found is not None
        assert found[2] == number

    @pytest.mark.parametrize("answer", UNREADABLE, ids=[repr(answer[:10]) for answer in UNREADABLE])
    def test_finds_none_where_there_is_none(self, answer: str) -> None:
        assert extract_number(answer) is None

    def test_says_what_it_read_and_how(self) -> None:
        assert extract_number("So 3 + 4 = $7.00!") == ("$7.00", "after the last =", Fraction(7))

    @given(number=st.integers(-(10**12), 10**12))
    def test_reads_whole_numbers_with_and_without_commas(self, number: int) -> None:
        for written in (str(number), f"{number:,}"):
            found = extract_number(f"In total that makes {written} eggs.")
            assert found is not None
            assert found[2] == number

    @given(answer=st.text(alphabet="0123456789 .,=/$-+#()xstep{}\\*:", max_size=60))
    def test_never_stumbles(self, answer: str) -> None:
        found = extract_number(answer)

        assert found is None or parse_number(found[0]) == found[2]

    @pytest.mark.parametrize("start", ["answer is", "answer", "=", "####", "3"])
    def test_is_quick_with_endless_white_space(self, start: str) -> None:
        assert extract_number(start + " " * 100_000 + "x") in {None, ("3", "last number", Fraction(3))}


class TestParseNumber:
    @pytest.mark.parametrize(
        ("text", "number"),
        [("1,234.5", Fraction("1234.5")), ("$ 7", 7), ("-3/4", Fraction(-3, 4)), ("\u22123", -3), (" 8 ", 8)],
    )
    def test_is_exact(self, text: str, number: Fraction) -> None:
        assert parse_number(text) == number

    @pytest.mark.parametrize("text", ["", "x", "1/0", "nan", "inf", "1 2/x"])
    def test_knows_what_is_no_number(self, text: str) -> None:
        assert parse_number(text) is None


class TestNumberGrader:
    @pytest.mark.parametrize("value", ["18", 18, 18.0, "18.00", "36/2", "$18"])
    def test_suggests_correct_for_the_right_number_however_it_is_written(self, value: object) -> None:
        assert suggest("She makes $18.00 every day.", value=value) == ("correct", 1.0)

    @pytest.mark.parametrize("answer", ["19", "1.8", "-18", "180", "18.000001", "I do not know."])
    def test_suggests_incorrect_for_any_other(self, answer: str) -> None:
        assert suggest(answer, value="18") == ("incorrect", 0.0)

    @pytest.mark.parametrize(
        ("answer", "verdict"), [("0.33", "correct"), ("0.34", "correct"), ("0.35", "incorrect"), ("1/3", "correct")]
    )
    def test_allows_for_the_tolerance_of_the_check(self, answer: str, verdict: str) -> None:
        assert suggest(answer, value="1/3", tolerance=0.01)[0] == verdict

    def test_compares_without_rounding(self) -> None:
        assert suggest("0.1", value="1/10") == ("correct", 1.0)
        assert suggest("9007199254740993", value="9007199254740992") == ("incorrect", 0.0)

    def test_gives_its_evidence(self) -> None:
        suggestion = NumberGrader().grade(answer="3 + 4 = 8", checks={"value": "7"})

        assert suggestion.reason == "It gives 8 (after the last =); the reference is 7."
        assert suggestion.extracted == {"number": "8", "how": "after the last ="}

    @pytest.mark.parametrize(
        ("checks", "message"),
        [
            ({}, "needs a 'value'"),
            ({"value": "seven"}, "is not a number"),
            ({"value": None}, "is not a number"),
            ({"value": True}, "is not a number"),
            ({"value": "7", "tolerance": "much"}, "is not a number"),
        ],
    )
    def test_leaves_a_check_that_it_cannot_use_to_people(self, checks: dict[str, Any], message: str) -> None:
        with pytest.raises(UnusableCheck, match=message):
            suggest("7", **checks)
