"""How the answers of a conversation are to be: its instructions and parameters, as a person sets them. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.inference.base import ChatMessage, GenerationParameters

MOST_OUTPUT_TOKENS = 8192
MOST_SYSTEM_CHARACTERS = 8000
_LARGEST_SEED = 2**31 - 1


class MannerRefused(ValueError):
    """A field cannot be taken; the message names it and what is allowed."""


@dataclass(frozen=True)
class Manner:
    """Instructions and parameters of a conversation; None leaves a choice to the server."""

    system_prompt: str = ""
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_output_tokens: int = 1024

    @property
    def parameters(self) -> GenerationParameters:
        """Return what the inference server is told."""
        return GenerationParameters(
            seed=self.seed,
            temperature=self.temperature,
            top_p=self.top_p,
            num_predict=self.max_output_tokens,
        )

    @property
    def opening(self) -> tuple[ChatMessage, ...]:
        """Return what is said before the first turn: the instructions, or nothing."""
        return (ChatMessage("system", self.system_prompt),) if self.system_prompt else ()

    @property
    def is_plain(self) -> bool:
        """Tell whether nothing is set."""
        return self == Manner()


def read_manner(fields: Mapping[str, str]) -> Manner:
    """Read the fields of the form; an empty one, or one that is not there, is as it stands.

    Raises:
        MannerRefused: a field is no number, or out of its range.
    """
    system_prompt = fields.get("system_prompt", "").replace("\r\n", "\n").strip()
    if len(system_prompt) > MOST_SYSTEM_CHARACTERS:
        raise MannerRefused(
            f"The instructions have {len(system_prompt):,} characters; at most {MOST_SYSTEM_CHARACTERS:,} are taken. "
            f"Shorten them."
        )
    if "\x00" in system_prompt:
        raise MannerRefused("The instructions hold a NUL character; remove it.")
    longest = _whole(fields, "max_output_tokens", "The longest answer", 1, MOST_OUTPUT_TOKENS)
    return Manner(
        system_prompt=system_prompt,
        temperature=_decimal(fields, "temperature", "The temperature", 2.0),
        top_p=_decimal(fields, "top_p", "Top p", 1.0),
        seed=_whole(fields, "seed", "The seed", 0, _LARGEST_SEED),
        max_output_tokens=Manner.max_output_tokens if longest is None else longest,
    )


def _decimal(fields: Mapping[str, str], name: str, label: str, highest: float) -> float | None:
    written = fields.get(name, "").strip()
    if not written:
        return None
    try:
        value = float(written.replace(",", "."))
    except ValueError:
        value = math.nan
    if not 0 <= value <= highest:
        raise MannerRefused(f"{label} must be a number from 0 to {highest:g}, or empty: the server's own.")
    return value


def _whole(fields: Mapping[str, str], name: str, label: str, lowest: int, highest: int) -> int | None:
    written = fields.get(name, "").strip()
    if not written:
        return None
    if not (written.isascii() and written.isdecimal() and len(written) < 19 and lowest <= int(written) <= highest):
        raise MannerRefused(f"{label} must be a whole number from {lowest:,} to {highest:,}, or empty.")
    return int(written)
