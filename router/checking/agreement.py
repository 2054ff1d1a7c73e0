"""Do the answers of two cheap models say the same?"""

from labeling.grading.answers import fold_answer
from labeling.grading.number import parse_number
from labeling.grading.text import contains_words
from router.checking.base import Check, Checked, accept, reject, unknown
from router.checking.number_format import asks_for_number, final_number

_MOST_WORDS = 12  # of a short answer; longer ones say the same in too many ways


class AgreementChecker:
    """Accepts an answer that another model's answer agrees with: the same final number, or the same few words.

    Two models can agree on the same mistake; how often they do is measured for each pair.
    """

    name = "agreement"
    version = 1
    covers = f"prompts that ask for a number, and answers of at most {_MOST_WORDS} words"
    wants_second_answer = True
    reads_conversations = True

    def check(self, checked: Checked) -> Check:
        """Accept where both say the same, reject where they do not or one says nothing."""
        if checked.other_answer is None:
            return unknown("There is no second answer to compare with.")
        if asks_for_number(checked.prompt):
            return _same_number(checked.answer, checked.other_answer)
        one, other = fold_answer(checked.answer), fold_answer(checked.other_answer)
        if max(len(one.split()), len(other.split())) > _MOST_WORDS:
            return unknown("The answers are too long to be compared word by word.")
        if not one or not other:
            return reject("One of the two answers is empty.")
        if contains_words(one, other) or contains_words(other, one):
            return accept("Both answers say the same.")
        return reject("The two answers differ.")


def _same_number(answer: str, other_answer: str) -> Check:
    one, other = final_number(answer), final_number(other_answer)
    if one is None or other is None:
        return reject("One of the two answers ends on no number.")
    if parse_number(one) == parse_number(other):
        return accept(f"Both answers end on {one}.")
    return reject(f"One answer ends on {one}, the other on {other}.")
