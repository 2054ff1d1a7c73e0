"""What changed between two texts, word by word."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

_WORD = re.compile(r"\n+|[^\s]+")
_MOST_WORDS = 2_000  # the comparison grows with the square


@dataclass(frozen=True)
class Piece:
    """Some words in a row that both texts have, or only the first (`removed`), or only the second (`added`)."""

    kind: Literal["same", "removed", "added"]
    text: str


def compare_words(before: str, after: str) -> tuple[Piece, ...]:
    """Return the pieces that lead from one text to the other; blanks count for nothing, line breaks count.

    Of texts beyond 2,000 words each is one piece, because comparing them would take long.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    if max(len(old), len(new)) > _MOST_WORDS:
        return tuple(_pieces("removed", old) + _pieces("added", new))
    found: list[Piece] = []
    for tag, old_start, old_end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            found += _pieces("same", old[old_start:old_end])
        else:
            found += _pieces("removed", old[old_start:old_end]) + _pieces("added", new[new_start:new_end])
    return tuple(found)


def _pieces(kind: Literal["same", "removed", "added"], words: Sequence[str]) -> list[Piece]:
    text = re.sub(r" *(\n+) *", r"\1", " ".join(words))
    return [Piece(kind, text)] if words else []
