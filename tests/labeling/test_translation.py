import pytest

from labeling.grading import GRADERS, Suggestion, UnusableCheck

GERMAN = "Die Katze saß nicht auf der Matte neben der alten Tür."
ENGLISH = "The cat did not sit on the mat beside the old door."
CHECKS = {"kind": "translation", "source_language": "de", "target_language": "en"}


def grade(answer: str, *, reference: str = ENGLISH, item: str = GERMAN) -> Suggestion:
    return GRADERS["translation"].grade(answer=answer, checks=CHECKS, reference=reference, item=item)


class TestTranslationGrader:
    @pytest.mark.parametrize(
        "answer", [ENGLISH, "The dog did not sit on the mat beside the old door.", GERMAN, "", "A cat was there."]
    )
    def test_never_decides(self, answer: str) -> None:
        assert grade(answer).verdict == "unsure"

    def test_gives_the_reference_itself_the_highest_score(self) -> None:
        assert grade(ENGLISH).score == 1.0

    def test_scores_a_near_text_above_a_far_one(self) -> None:
        near, far = grade("The cat did not sit on a mat near the old door."), grade("Something else entirely.")

        assert (near.score or 0) > 0.6 > (far.score or 0)

    def test_would_let_a_wrong_noun_pass_for_good(self) -> None:
        wrong = grade("The dog did not sit on the mat beside the old door.")
        paraphrase = grade("Next to the ancient door, no cat was sitting on the rug.")

        assert (wrong.score or 0) > (paraphrase.score or 0)

    def test_says_that_an_answer_is_empty(self) -> None:
        assert grade(" \n").reason == "The answer is empty."

    @pytest.mark.parametrize("answer", [GERMAN, GERMAN.replace("alten", "alte"), f" {GERMAN}\n"])
    def test_says_that_an_answer_is_untranslated(self, answer: str) -> None:
        found = grade(answer)

        assert (found.reason, found.extracted["is_untranslated"]) == (
            "The answer repeats the source untranslated.",
            True,
        )

    def test_takes_a_sentence_of_names_for_translated(self) -> None:
        names = "Berlin, Hamburg, Rostock"

        assert "untranslated" not in grade(f"{names}!", reference=f"{names}!", item=names).reason

    def test_needs_a_reference(self) -> None:
        with pytest.raises(UnusableCheck, match="reference"):
            grade(ENGLISH, reference="")
