"""What a wire has to offer so that the endpoint can serve it: read a request, write an answer, tell an error. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from benchmarks.inference.base import Generation, TextChunk
from benchmarks.inference.demands import ToolCallPiece
from router.wire import ChatRequest
from router.wires.fields import WireError


@dataclass(frozen=True)
class Opening:
    """What is known of an answer before its text.

    Args:
        request_id: of the request, ours.
        created: when the request came, in seconds since 1970.
        created_at: the same moment as RFC 3339 has it.
        model: the model that answers.
        greenllm: our own part, choice and carbon; empty where the caller wants none of it.
        gco2e: what the answer is expected to cost, in gCO2e; None where nobody knows or the caller wants none of it.
        fingerprint: of what the model runs with, `fp_` and the beginning of the digest of its weights; empty where its
            server tells none.
    """

    request_id: str
    created: int
    created_at: str
    model: str
    greenllm: Mapping[str, Any]
    gco2e: float | None = None
    fingerprint: str = ""


class AnswerWriter(Protocol):
    """Writes one answer, in pieces or whole."""

    def first(self) -> bytes:
        """Return what a stream begins with."""
        ...

    def piece(self, piece: TextChunk | ToolCallPiece) -> bytes:
        """Return a piece of the answer, of the call of a tool, or of the reasoning before it, which stays apart."""
        ...

    def last(self, generation: Generation) -> bytes:
        """Return all that follows the text."""
        ...

    def ping(self) -> bytes:
        """Return what keeps the connection while the model is silent."""
        ...

    def whole(self, generation: Generation) -> dict[str, Any]:
        """Return the body of an answer that is not streamed."""
        ...


class ErrorShape(Protocol):
    """How a family of surfaces tells its errors, and by which name the rows know it."""

    @property
    def label(self) -> str:
        """Return the family's name, one of `GatewayRequest.Surface`."""
        ...

    @property
    def content_type(self) -> str:
        """Return the content type of a whole answer and of an error."""
        ...

    @property
    def duration_header(self) -> str:
        """Return the header that tells after how many milliseconds a reply began; empty where clients know none."""
        ...

    def error(self, error: WireError) -> dict[str, Any]:
        """Return the body of a refusal."""
        ...


class Surface(Protocol):
    """One address that generates."""

    @property
    def errors(self) -> ErrorShape:
        """Return how errors are told here."""
        ...

    @property
    def stream_type(self) -> str:
        """Return the content type of a stream."""
        ...

    def parse(self, body: bytes) -> ChatRequest:
        """Read a request.

        Raises:
            WireError: it is not JSON, a field is wrong or missing, or one is not supported; the error names it.
        """
        ...

    def writer(self, opening: Opening, asked: ChatRequest, /) -> AnswerWriter:
        """Return what writes the answer to a request."""
        ...

    def failure(self, error: WireError) -> bytes:
        """Return what tells of a failure in the middle of a stream; nothing follows."""
        ...
