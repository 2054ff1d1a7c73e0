"""Split an answer that holds its reasoning in `<think>` tags into thinking and text, piece by piece.

Most servers send reasoning in a field of its own. One that does not know a model's tags sends them as text:
then the answer begins with `<think>`, and its text follows `</think>`. Tags further on are part of the answer.
"""

from collections.abc import Iterator
from enum import Enum

from benchmarks.inference.base import TextChunk

_OPENING = "<think>"
_CLOSING = "</think>"


class _State(Enum):
    START = "start"
    THINKING = "thinking"
    AFTER_THINKING = "after thinking"
    ANSWER = "answer"


class ThinkingSplitter:
    """Takes the pieces of one answer as they come and gives them back as text or thinking.

    What may still become a tag is held back until it is one, or is none; `rest` gives it at the end.
    """

    def __init__(self) -> None:
        self._state = _State.START
        self._held = ""

    def take(self, piece: str) -> Iterator[TextChunk]:
        """Give what is certain after another piece."""
        self._held += piece
        if self._state is _State.START:
            self._open()
        if self._state is _State.THINKING:
            yield from self._think()
        if self._state is _State.AFTER_THINKING:
            # The white space between the reasoning and the answer belongs to the template.
            self._held = self._held.lstrip()
            self._state = _State.ANSWER if self._held else _State.AFTER_THINKING
        if self._state is _State.ANSWER and self._held:
            yield TextChunk(self._take_held())

    def rest(self) -> Iterator[TextChunk]:
        """Give what was held back, once no piece follows."""
        if self._held:
            yield TextChunk(self._take_held(), is_thinking=self._state is _State.THINKING)

    def _open(self) -> None:
        begun = self._held.lstrip()
        if begun.startswith(_OPENING):
            self._held = begun.removeprefix(_OPENING)
            self._state = _State.THINKING
        elif not _OPENING.startswith(begun):
            self._state = _State.ANSWER

    def _think(self) -> Iterator[TextChunk]:
        thought, closing, after = self._held.partition(_CLOSING)
        if not closing:
            kept = _length_of_begun_tag(thought)
            thought, after = thought[: len(thought) - kept], thought[len(thought) - kept :]
        self._held = after
        if closing:
            self._state = _State.AFTER_THINKING
        if thought:
            yield TextChunk(thought, is_thinking=True)

    def _take_held(self) -> str:
        held, self._held = self._held, ""
        return held


def _length_of_begun_tag(text: str) -> int:
    """Give how many characters at the end may be the beginning of the closing tag."""
    return next((size for size in range(len(_CLOSING) - 1, 0, -1) if text.endswith(_CLOSING[:size])), 0)
