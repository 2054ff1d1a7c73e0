"""A streamed answer without its transport: what to send, and how the bytes that come back are read.

For whoever has an HTTP client of its own, as on an event loop. The rules are those of `InferenceClient.stream`.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

from benchmarks.inference.base import ChatMessage, ChatPiece, GenerationRequest
from benchmarks.inference.errors import InferenceError, StreamBroken
from benchmarks.inference.exchange import Exchange
from benchmarks.inference.prompt_length import require_whole_prompt_read

_LONGEST_LINE = 16 * 1024 * 1024


@dataclass(slots=True)
class ChatWire(ABC):
    """One answer on the wire of its server: `body` goes to `url` as JSON, and what comes is fed in as it comes."""

    path: ClassVar[str]

    exchange: Exchange
    base_url: str
    headers: Mapping[str, str]
    body: Mapping[str, object]
    messages: Sequence[ChatMessage]
    is_finished: bool = False
    _rest: bytes = field(default=b"", repr=False)

    @property
    def url(self) -> str:
        """Give the address to post to."""
        return self.base_url + self.path

    @abstractmethod
    def refusal(self, status: int, body: bytes) -> InferenceError:
        """Tell what an answer with an error's status means."""

    @abstractmethod
    def _read(self, line: bytes) -> Iterator[ChatPiece]:
        """Give the pieces of one line that is not empty."""

    def _end(self) -> Iterator[ChatPiece]:
        """Give what was held back until the connection ended."""
        yield from ()

    def feed(self, data: bytes) -> Iterator[ChatPiece]:
        """Give the pieces that became whole, the `Generation` last of all; then `is_finished` is set.

        Raises what `InferenceClient.stream` raises while iterating.
        """
        self.exchange.budget.byte_count += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _LONGEST_LINE:
            raise StreamBroken("a line has no end", partial_text=self.exchange.text)
        for line in lines:
            yield from self._taken(line)

    def close(self) -> Iterator[ChatPiece]:
        """Give what was held back, at the end of the connection.

        Raises `StreamBroken` where the answer is not whole.
        """
        rest, self._rest = self._rest, b""
        yield from self._taken(rest)
        if not self.is_finished:
            yield from self._end()
        if not self.is_finished:
            raise StreamBroken("it ended without its last line", partial_text=self.exchange.text)

    def _taken(self, line: bytes) -> Iterator[ChatPiece]:
        line = line.strip()
        if not line or self.is_finished:
            return
        self.exchange.has_answer = True
        try:
            yield from self._read(line)
        except self.exchange.package_errors as error:
            raise self.exchange.failure(error) from error

    def _require_whole_prompt(self, prompt_token_count: int | None) -> None:
        require_whole_prompt_read(self.messages, prompt_token_count, self.exchange.context)


@runtime_checkable
class PreparingClient(Protocol):
    """A client that gives an answer's wire without its transport."""

    def prepare(self, request: GenerationRequest) -> ChatWire:
        """Check a request and give its wire; the time budget of the answer begins.

        The server may be asked about the model before, which blocks; raises what `InferenceClient.stream` raises.
        """
        ...

    def is_ready_for(self, request: GenerationRequest) -> bool:
        """Say whether all that `prepare` needs is known, so that it does not block."""
        ...
