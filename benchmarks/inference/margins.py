"""How sure a model was of its answer: by how much the likeliest token beat the next one, over the tokens of the answer.

    margin of a token = min(log p(likeliest) - log p(second), 10)     in nats

Servers tell the log probabilities of the likeliest tokens where they are asked to (`logprobs`, `top_logprobs`):
llama.cpp, vLLM, Ollama from 0.12.11, and the server that GreenLLM brings along. Working them out costs time and energy
for each token (6 % less speed was reported of a model of 32 billion parameters), so that they are asked for only where
wanted.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TOP_LOGPROBS = "top_logprobs"  # the parameter of a study, and its name on every wire
WANTED = 2  # of the likeliest tokens

_CERTAIN_NATS = 10.0  # 22,000 to 1; whatever is surer must not outweigh the doubts about all other tokens


@dataclass(slots=True)
class Margins:
    """The margins of an answer's tokens as they come."""

    total_nats: float = 0.0
    token_count: int = 0

    def take(self, tokens: Iterable[Sequence[float | None]]) -> None:
        """Take the log probabilities of the likeliest tokens at some places; a place with fewer than two tells nothing.

        A token that cannot come has minus infinity, or None, which is how JSON has that.
        """
        for told in tokens:
            if len(told) < WANTED:
                continue
            first, second = sorted((-math.inf if one is None else one for one in told), reverse=True)[:WANTED]
            if math.isfinite(first):
                self.total_nats += min(first - second, _CERTAIN_NATS)
                self.token_count += 1

    @property
    def mean_nats(self) -> float | None:
        """Give the mean margin; None where the server told none."""
        return self.total_nats / self.token_count if self.token_count else None
