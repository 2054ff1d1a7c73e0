"""Write a prompt slightly otherwise, as people do, to see whether the router keeps its choice. Seeded and pure."""

import random
import re
from collections.abc import Callable

_SENTENCE = re.compile(r"[^.!?\n]+[.!?\n]*|[.!?\n]+")
_WORD = re.compile(r"[A-Za-z]{4,}")
_FRAMES = (
    "Please help me with this. {}",
    "I have a question.\n\n{}",
    "{}\n\nThank you!",
    "Hi! {}",
    "Can you answer this for me? {}",
    "{} Please be brief.",
)


def with_typos(text: str, *, seed: int) -> str:
    """Return a text with one slip of the keyboard in each sentence: two letters swapped, one left out or doubled.

    A sentence without a word of four letters stays as it is. The same text and seed give the same slips.
    """
    chance = random.Random(f"{seed}:{text}")
    return "".join(_with_typo(sentence, chance) for sentence in _SENTENCE.findall(text))


def reworded(text: str, *, seed: int) -> str:
    """Return a text as another person would have framed it: with a greeting, thanks or a plea around it."""
    return random.Random(f"{seed}:{text}").choice(_FRAMES).format(text)


PERTURBATIONS: dict[str, Callable[..., str]] = {"typos": with_typos, "framing": reworded}


def _with_typo(sentence: str, chance: random.Random) -> str:
    words = list(_WORD.finditer(sentence))
    if not words:
        return sentence
    word = chance.choice(words)
    at = chance.randrange(word.start() + 1, word.end() - 1)  # the first and the last letter are seldom missed
    kind = chance.choice(("swapped", "left out", "doubled"))
    if kind == "swapped":
        return sentence[:at] + sentence[at + 1] + sentence[at] + sentence[at + 2 :]
    return sentence[:at] + sentence[at + 1 :] if kind == "left out" else sentence[:at] + sentence[at] + sentence[at:]
