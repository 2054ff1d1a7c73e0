"""Which of a study's models stands for which of the paper's, as a reader says it: OURS=PAPER. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.published_study import published_name_of


class WrongPair(ValueError):
    """A pair is not written OURS=PAPER."""


@dataclass(frozen=True)
class PairChoice:
    """One model of the study: what a reader chose, and what holds where nothing is chosen."""

    model: str
    chosen: str
    otherwise: str


def read_pairs(given: Iterable[str]) -> dict[str, str]:
    """Return pairs written OURS=PAPER; empty ones are left out.

    Raises:
        WrongPair: there is no equals sign in one, or nothing on a side of it.
    """
    pairs = {}
    for text in given:
        if not text.strip():
            continue
        ours, _, theirs = (part.strip() for part in text.rpartition("="))
        if not ours or not theirs:
            raise WrongPair(f"{text!r} is no pair; write OURS=PAPER, for example my-llama=llama3.")
        pairs[ours] = theirs
    return pairs


def choices(models: Iterable[str], chosen: dict[str, str]) -> list[PairChoice]:
    """Return a choice for each model."""
    return [PairChoice(one, chosen.get(one, ""), published_name_of(one) or "no model of the paper") for one in models]
