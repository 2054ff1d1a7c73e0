"""Have one model generate one answer, and keep a row of the attempt.

No transaction and no query is open while a model generates, so that a slow answer holds no database connection.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.inference.base import (
    ChatMessage,
    Generation,
    GenerationParameters,
    GenerationRequest,
    InferenceClient,
    StreamBroken,
    TextChunk,
)
from benchmarks.inference.demands import ToolCallPiece
from benchmarks.models import Deployment, InferenceServer
from benchmarks.units import seconds_to_nanoseconds
from router.adjusting import LoadedModelsTeller, nobody_tells
from router.checking import Checker
from router.embedding import Embedder
from router.index import VectorStore
from router.models import GatewayRequest, UpstreamAttempt


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Gateway:
    """What answering needs of the outside; `loaded` tells what servers have in memory.

    `claim` is called before the database is used, `release` before a wait that may be long; `is_interrupted` tells
    whether the caller has left, so that the failure that this caused is none. `checkers` are those that a cascade has,
    by name.
    """

    embedder: Callable[[], Embedder]
    store: VectorStore
    connect: Callable[[InferenceServer], InferenceClient]
    clock: Callable[[], datetime]
    is_prompt_text_kept: bool
    release: Callable[[], None]
    claim: Callable[[], None] = _nothing
    loaded: LoadedModelsTeller = nobody_tells
    is_interrupted: Callable[[], bool] = bool
    keeps_with_consent: bool = False
    checkers: Mapping[str, Checker] = field(default_factory=dict)


class Interrupted(Exception):
    """The caller left before the answer was whole; the rows say cancelled."""


@dataclass(frozen=True)
class Inquiry:
    """What a request asks of whichever model answers it, and whether log probabilities are wanted with the answer."""

    request: GatewayRequest
    messages: tuple[ChatMessage, ...]
    parameters: GenerationParameters
    attempts: list[UpstreamAttempt] = field(default_factory=list)  # what it caused, as it goes on
    is_margin_wanted: bool = False


def generate(
    gateway: Gateway, inquiry: Inquiry, deployment: Deployment, *, number: int = 1
) -> Generator[TextChunk, None, Generation]:
    """Have one model answer, a piece at a time, and return the answer whole; its attempt is kept under a number.

    Raises:
        InferenceError: the model's server failed; the attempt says so.
    """
    attempt = UpstreamAttempt.objects.create(
        request=inquiry.request, number=number, deployment=deployment, started_at=gateway.clock()
    )
    inquiry.attempts.append(attempt)
    generation: Generation | None = None
    try:
        client = gateway.connect(deployment.server)
        gateway.release()
        request = GenerationRequest(
            deployment.language_model.name, inquiry.messages, inquiry.parameters,
            is_margin_wanted=inquiry.is_margin_wanted,
        )  # fmt: skip
        with closing(client.stream(request)) as pieces:
            for piece in pieces:
                if isinstance(piece, Generation):
                    generation = piece
                else:
                    note_piece(attempt, piece, gateway.clock(), is_text_kept=gateway.is_prompt_text_kept)
                    yield piece
        if generation is None:
            raise StreamBroken("it ended without its last line")
    except GeneratorExit:
        _close_attempt(gateway, attempt, UpstreamAttempt.Outcome.CANCELLED)
        raise
    except Exception as error:
        if gateway.is_interrupted():
            _close_attempt(gateway, attempt, UpstreamAttempt.Outcome.CANCELLED)
        else:
            _close_attempt(gateway, attempt, UpstreamAttempt.Outcome.FAILED, error)
        raise
    attempt.take_figures(generation)
    _close_attempt(gateway, attempt, UpstreamAttempt.Outcome.FINISHED)
    return generation


def note_piece(
    attempt: UpstreamAttempt, piece: TextChunk | ToolCallPiece, now: datetime, *, is_text_kept: bool
) -> None:
    """Count a piece, so that an answer that breaks off leaves what is known: a piece is at least one token.

    Its text is kept where the setting says so; what a model only thinks is not.
    """
    if attempt.time_to_first_token_ns is None:
        waited = now - attempt.started_at
        attempt.time_to_first_token_ns = seconds_to_nanoseconds(waited.total_seconds())
    attempt.output_token_count = (attempt.output_token_count or 0) + 1
    if is_text_kept and isinstance(piece, TextChunk) and not piece.is_thinking:
        attempt.answer_text += piece.text.encode(errors="replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _close_attempt(
    gateway: Gateway,
    attempt: UpstreamAttempt,
    outcome: UpstreamAttempt.Outcome,
    error: Exception | None = None,
) -> None:
    gateway.claim()
    attempt.outcome = outcome
    attempt.error_kind = type(error).__name__ if error else ""
    attempt.error = storable(error) if error else ""
    attempt.finished_at = gateway.clock()
    attempt.save()


def storable(said: object) -> str:
    """Return an error's message, or what a checker said, without what Postgres cannot hold; both may quote a server."""
    return str(said).encode(errors="backslashreplace").decode().replace("\x00", "\\x00")
