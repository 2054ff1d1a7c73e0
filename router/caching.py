"""What the answer cache goes by: when it may be asked, and under which keys an answer is kept. Pure.

Everything that was asked is part of a key but how it is delivered, so that a field that is new to the wire makes
another key by itself. Two prompts are alike only where they have the same numbers: embeddings hardly tell these apart.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from benchmarks.inference.base import ChatMessage, Generation, TextChunk
from router.wire import ChatRequest
from router.wires.fields import CacheWish

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_WHOLE = ("stop", "length")  # why an answer ended that may be given again
_PIECE = re.compile(r"\S*\s*")
_PIECE_CHARACTERS = 24  # about what a piece of a stream has where servers send some tokens at a time


@dataclass(frozen=True)
class CacheRules:
    """What the settings want of the cache."""

    is_on: bool = False
    is_semantic: bool = False
    is_shared: bool = False
    takes_any_temperature: bool = False
    lifetime_s: float = 86_400.0
    most: int = 10_000
    most_distance: float = 0.01

    def scope(self, api_key_id: int | None) -> str:
        """Return within which an answer counts; empty: for a caller who is nobody nothing is kept."""
        if self.is_shared:
            return "everybody"
        return "" if api_key_id is None else f"key {api_key_id}"

    def takes(self, asked: ChatRequest) -> bool:
        """Tell whether such a request may have the same answer again: text alone, at temperature 0 unless set."""
        wanted = asked.cache.is_read or asked.cache.is_kept
        return (
            self.is_on
            and wanted
            and asked.is_plain
            and (self.takes_any_temperature or asked.parameters.temperature == 0)
        )


@dataclass(frozen=True)
class CacheKeys:
    """Digests of what was asked: of everything, and of everything but the one prompt (empty: of a conversation)."""

    exact: str
    kind: str


def keys_of(asked: ChatRequest, *, scope: str, wishes: str) -> CacheKeys:
    """Return the keys of a request; `wishes` is what its key wants of the router."""
    plain = replace(
        asked, is_streamed=False, is_usage_included=False, is_keeping_allowed=False, cache=CacheWish(), messages=()
    )
    around = f"{scope}\n{wishes}\n{plain!r}\n"
    exact = _digest(around + repr(asked.messages))
    prompt = asked.messages[-1].content if asked.messages else ""
    if asked.messages != (ChatMessage("user", prompt),):  # a conversation, or more than text
        return CacheKeys(exact, "")
    return CacheKeys(exact, _digest(around + repr(sorted(_NUMBER.findall(prompt)))))


def is_repeatable(generation: Generation) -> bool:
    """Tell whether an answer may be given again: a whole one that says something, and calls no tool."""
    return generation.done_reason in _WHOLE and bool(generation.text.strip()) and not generation.tool_calls


def pieces_of(generation: Generation) -> Iterator[TextChunk]:
    """Return an answer in the pieces of a stream, none of which ends within a word."""
    for text, is_thinking in ((generation.thinking or "", True), (generation.text, False)):
        piece = ""
        for word in _PIECE.findall(text):
            piece += word
            if len(piece) >= _PIECE_CHARACTERS:
                yield TextChunk(piece, is_thinking)
                piece = ""
        if piece:
            yield TextChunk(piece, is_thinking)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
