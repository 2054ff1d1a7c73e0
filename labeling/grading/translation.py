"""Score a translation against its reference, to sort the work of people; no score makes it right."""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from labeling.grading.base import Suggestion, UnusableCheck

if TYPE_CHECKING:
    from sacrebleu.metrics import CHRF

_NEARLY_THE_SAME = 0.8


class TranslationGrader:
    """Gives every translation its chrF against the reference, and the verdict `unsure`.

    A wrong noun or a lost "not" changes chrF less than a good paraphrase does, so the score orders the queue and
    nothing more. An empty answer and one that repeats the source are said to be so.
    """

    name = "translation"
    version = 1

    def grade(self, *, answer: str, checks: Mapping[str, Any], reference: str = "", item: str = "") -> Suggestion:
        """Suggest `unsure` with the chrF of the answer, from 0 to 1."""
        if not reference.strip():
            raise UnusableCheck("a check of kind 'translation' needs the prompt's reference")
        if not answer.strip():
            return Suggestion("unsure", "The answer is empty.", 0.0, {"is_empty": True})
        score = chrf(answer, reference)
        evidence: dict[str, Any] = {"chrf": round(score, 4)}
        if item.strip():
            evidence["chrf_to_source"] = round(chrf(answer, item), 4)
        if evidence.get("chrf_to_source", 0.0) >= max(_NEARLY_THE_SAME, score):
            reason = "The answer repeats the source untranslated."
            return Suggestion("unsure", reason, score, {**evidence, "is_untranslated": True})
        return Suggestion("unsure", f"chrF {score:.2f} to the reference; people decide.", score, evidence)


def chrf(text: str, reference: str) -> float:
    """Return the character n-gram F-score (Popović 2015, n = 6, beta = 2) of a text, from 0 to 1."""
    return min(1.0, max(0.0, float(_metric().sentence_score(text.strip(), [reference.strip()]).score) / 100))


@cache
def _metric() -> "CHRF":
    from sacrebleu.metrics import CHRF  # takes a tenth of a second to import

    return CHRF()
