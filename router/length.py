"""What the length of a live prompt means: its tokens, whether a model's context holds it, and what it costs more. Pure.

Neighbours tell what an answer costs where the prompt is about as long as theirs. A prompt beyond `FAR` times the
longest of them is scaled by the model's energy fit, from the neighbours' mean length to its own; embodied emissions are
taken to grow as the energy does, because time does. Tokens of a live prompt are estimated from its characters, as the
model tokenized known prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.inference.base import ChatMessage, GenerationParameters

FAR = 1.5  # times the characters of the longest neighbour; up to there the neighbours speak for themselves
USUAL_CHARACTERS_PER_TOKEN = 4.0  # of English in the tokenizers of today, where no known prompt tells


class Fit(Protocol):
    """A fit of energy against lengths, as `benchmarks.models.EnergyFit` stores it."""

    characters_per_token: float
    template_tokens: float
    j_per_prompt_token: float | None

    def energy_j(self, prompt_tokens: float, output_tokens: float) -> float:
        """Return the energy (J) that it expects of an answer."""


@dataclass(frozen=True)
class Asked:
    """What a live request brings: the characters of everything that is sent, and its own limits in tokens."""

    sent_characters: int
    num_predict: int | None = None
    num_ctx: int | None = None

    @classmethod
    def of_prompt(cls, text: str) -> "Asked":
        """Return what a prompt alone brings."""
        return cls(len(text))

    @classmethod
    def of(cls, messages: Sequence[ChatMessage], parameters: GenerationParameters, added: int = 0) -> "Asked":
        """Return what a conversation brings, with `added` characters of what is sent beside it."""
        sent = sum(len(message.content) for message in messages)
        return cls(sent + added, num_predict=parameters.num_predict, num_ctx=parameters.num_ctx)


@dataclass(frozen=True)
class KnownLengths:
    """What a model's answers to the neighbours were like, in tokens."""

    mean_prompt_tokens: float
    most_prompt_tokens: int
    mean_output_tokens: float


@dataclass(frozen=True)
class Scaled:
    """By what the expected SCI is multiplied, and why."""

    factor: float
    note: str


def estimated_tokens(characters: int, fit: Fit | None) -> int:
    """Return about how many tokens a model reads of so many characters, its template included."""
    if fit is None:
        return max(1, round(characters / USUAL_CHARACTERS_PER_TOKEN))
    return max(1, round(fit.template_tokens + characters / fit.characters_per_token))


def is_far_longer(asked: Asked, longest_neighbour_characters: int) -> bool:
    """Tell whether what is sent is far longer than every neighbour."""
    return asked.sent_characters > FAR * longest_neighbour_characters


def scaled_for_length(asked: Asked, fit: Fit | None, known: KnownLengths | None) -> Scaled:
    """Return what a far longer prompt makes of the SCI that the neighbours tell; 1 where nobody knows, and why."""
    if fit is None or known is None:
        return Scaled(1.0, "Not scaled for the long prompt: how its energy grows with length is not known.")
    if fit.j_per_prompt_token is None:
        return Scaled(1.0, "Not scaled for the long prompt: its known prompts are of about one length.")
    tokens = estimated_tokens(asked.sent_characters, fit)
    expected = fit.energy_j(known.mean_prompt_tokens, known.mean_output_tokens)
    if expected <= 0 or tokens <= known.most_prompt_tokens:
        return Scaled(1.0, "")
    factor = fit.energy_j(tokens, known.mean_output_tokens) / expected
    return Scaled(
        factor, f"Scaled for about {tokens:,} prompt tokens (estimated), known up to {known.most_prompt_tokens:,}."
    )


def why_too_long(asked: Asked, fit: Fit | None, context_length: int | None) -> str:
    """Return why a model's context cannot hold a request and its answer, and nothing where it can or nobody knows.

    `num_ctx` of the request lowers the context, never raises it; without `num_predict` one token of answer must fit.
    """
    known = [limit for limit in (asked.num_ctx, context_length) if limit]
    if not known:
        return ""
    context, tokens = min(known), estimated_tokens(asked.sent_characters, fit)
    room = asked.num_predict if asked.num_predict and asked.num_predict > 0 else 1
    if tokens + room <= context:
        return ""
    return (
        f"Its context of {context:,} tokens cannot hold about {tokens:,} prompt tokens (estimated) and {room:,} of "
        "answer."
    )
