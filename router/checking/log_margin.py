"""Was the model sure of its words?"""

from collections.abc import Sequence

from router.checking.base import Check, Checked, accept, reject, unknown

# nats: how much likelier the likeliest token was than the next one, on average. How much that says differs from model
# to model, so that several are measured for each, and a cascade takes the one that serves it best.
_THRESHOLDS = (2, 4, 6)


class LogMarginChecker:
    """Accepts an answer whose tokens were likelier than the next best ones by a mean margin of log probabilities.

    A model can be sure of a mistake; how often it is is measured for each model, category and threshold.
    """

    version = 1
    covers = "answers of servers that give log probabilities: llama.cpp, vLLM, Ollama from 0.12.11"
    wants_second_answer = False
    reads_conversations = True

    def __init__(self, threshold_nats: int) -> None:
        self.threshold_nats = threshold_nats
        self.name = f"log_margin_{threshold_nats}"

    def check(self, checked: Checked) -> Check:
        """Accept where the mean margin reaches the threshold, reject below it."""
        margin = checked.mean_margin_nats
        if margin is None:
            return unknown(
                "Its server gave no log probabilities (a study asks for them with the parameter top_logprobs=2; "
                "llama.cpp, vLLM and Ollama from 0.12.11 give them)."
            )
        found = accept if margin >= self.threshold_nats else reject
        return found(f"Its tokens beat the next best by {margin:.2f} nats on average, of {self.threshold_nats} wanted.")


def log_margin_checkers() -> Sequence[LogMarginChecker]:
    """Return one checker a threshold."""
    return [LogMarginChecker(threshold) for threshold in _THRESHOLDS]
