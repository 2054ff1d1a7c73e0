"""Answer a request: decide, generate, and keep a row of all of it.

No transaction and no query is open while a model generates, so that a slow answer holds no database connection.
"""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, transaction

from benchmarks.federating import find_deployment
from benchmarks.inference.base import (
    ChatMessage,
    Generation,
    GenerationParameters,
    GenerationRequest,
    InferenceClient,
    StreamBroken,
    TextChunk,
)
from benchmarks.models import Deployment, InferenceServer
from benchmarks.units import seconds_to_nanoseconds
from router.baseline import strong_candidate
from router.embedding import Embedder
from router.index import VectorStore
from router.keeping import keep_live_answer, stands_alone
from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt
from router.routing import Route, record_pinned, record_route, route

logger = logging.getLogger(__name__)

AUTO_MODEL = "auto"


@dataclass(frozen=True)
class Caller:
    """Who asks, and through which door."""

    surface: str
    api_key_id: int | None = None
    user_id: int | None = None


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Gateway:
    """What answering needs of the outside.

    `claim` is called before the database is used, `release` before a wait that may be long; `is_interrupted` tells
    whether the caller has left, so that the failure that this caused is none.
    """

    embedder: Callable[[], Embedder]
    store: VectorStore
    connect: Callable[[InferenceServer], InferenceClient]
    clock: Callable[[], datetime]
    is_prompt_text_kept: bool
    release: Callable[[], None]
    claim: Callable[[], None] = _nothing
    is_interrupted: Callable[[], bool] = bool
    keeps_with_consent: bool = False


class Interrupted(Exception):
    """The caller left before the answer was whole; the rows say cancelled."""


@dataclass(frozen=True)
class Decided:
    """One request whose model is decided; `route` is None where the caller named the model."""

    request: GatewayRequest
    decision: RoutingDecision
    deployment: Deployment
    route: Route | None


@dataclass(frozen=True)
class Answer(Decided):
    """One answered request."""

    generation: Generation


AnswerEvent = Decided | TextChunk | Answer


def is_auto(requested_model: str) -> bool:
    """Tell whether the router shall choose the model."""
    return requested_model.removesuffix(":latest") == AUTO_MODEL


def answer(
    *,
    gateway: Gateway,
    caller: Caller,
    requested_model: str,
    messages: tuple[ChatMessage, ...],
    parameters: GenerationParameters,
) -> Answer:
    """Answer a conversation and return the answer whole; see `stream_answer`."""
    events = stream_answer(
        gateway=gateway, caller=caller, requested_model=requested_model, messages=messages, parameters=parameters
    )
    for event in events:
        if isinstance(event, Answer):
            return event
    raise AssertionError("a stream of events ends with its answer or an error")


def stream_answer(
    *,
    gateway: Gateway,
    caller: Caller,
    requested_model: str,
    messages: tuple[ChatMessage, ...],
    parameters: GenerationParameters,
    stay_on_id: int | None = None,
    is_keeping_allowed: bool = False,
) -> Generator[AnswerEvent, None, None]:
    """Answer a conversation with the model that the caller named, or with the one that the router chooses.

    First comes the decision, then the pieces as they arrive, last the answer, whose rows are closed by then. The
    last message of the user is what is routed; `stay_on_id` is the deployment that `auto` stays on. Closing the
    generator early ends the generation, and the rows say cancelled. `is_keeping_allowed` is the author's consent to
    keep prompt and answer for labels; without it, or where the gateway keeps nothing, neither is kept.

    Raises:
        UnknownModel, RetiredModel: the named model cannot answer.
        EmptyPrompt, NoIndex, EmbedderMismatch, DimensionMismatch, IndexStoreError, NoCandidate: it cannot be routed.
        InferenceError: the chosen model's server failed. The row of the request says so each time.
        Interrupted: the gateway was interrupted.
    """
    prompt_text = last_user_text(messages)
    gateway.claim()
    request = _open_request(gateway, caller, requested_model, prompt_text)
    try:
        decided = _decide(gateway, request, requested_model, prompt_text, stay_on_id)
        yield decided
        generation = yield from _generate(gateway, decided, messages, parameters)
    except GeneratorExit:
        _close_request(gateway, request, GatewayRequest.State.CANCELLED)
        raise
    except Exception as error:
        if gateway.is_interrupted():
            _close_request(gateway, request, GatewayRequest.State.CANCELLED)
            raise Interrupted from error
        _close_request(gateway, request, GatewayRequest.State.FAILED, error)
        raise
    _close_request(gateway, request, GatewayRequest.State.ANSWERED)
    if is_keeping_allowed and gateway.keeps_with_consent and stands_alone(messages):
        _keep(gateway, decided, prompt_text, generation)
    gateway.release()
    yield Answer(decided.request, decided.decision, decided.deployment, decided.route, generation)


def _keep(gateway: Gateway, decided: Decided, prompt_text: str, generation: Generation) -> None:
    """Keep what may be kept; where that fails the answer is whole all the same."""
    try:
        keep_live_answer(
            request=decided.request,
            decision=decided.decision,
            prompt_text=prompt_text,
            generation=generation,
            now=gateway.clock(),
        )
    except DatabaseError:
        logger.exception("the prompt of %s could not be kept for labels", decided.request.public_id)


def last_user_text(messages: tuple[ChatMessage, ...]) -> str:
    """Return the latest message of the user, or an empty text where there is none."""
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def new_public_id() -> str:
    """Return an id that sorts by time: 48 bits of milliseconds, then 80 random bits, as hexadecimal digits."""
    return f"req_{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def _open_request(gateway: Gateway, caller: Caller, requested_model: str, prompt_text: str) -> GatewayRequest:
    return GatewayRequest.objects.create(
        public_id=new_public_id(),
        surface=caller.surface,
        api_key_id=caller.api_key_id,
        user_id=caller.user_id,
        requested_model=requested_model[:200],
        prompt_text=prompt_text if gateway.is_prompt_text_kept else "",
        prompt_sha256=hashlib.sha256(prompt_text.encode()).hexdigest(),
        started_at=gateway.clock(),
    )


def _decide(
    gateway: Gateway, request: GatewayRequest, requested_model: str, prompt_text: str, stay_on_id: int | None
) -> Decided:
    if is_auto(requested_model):
        found = route(prompt_text=prompt_text, embedder=gateway.embedder(), store=gateway.store, stay_on_id=stay_on_id)
        baseline = strong_candidate(route=found, store=gateway.store)
        decision = record_route(route=found, now=gateway.clock(), request_id=request.pk, baseline=baseline)
        return Decided(request, decision, found.chosen, found)
    pinned = find_deployment(name=requested_model)
    decision = record_pinned(deployment=pinned, now=gateway.clock(), request_id=request.pk)
    return Decided(request, decision, pinned, None)


def _generate(
    gateway: Gateway, decided: Decided, messages: tuple[ChatMessage, ...], parameters: GenerationParameters
) -> Generator[TextChunk, None, Generation]:
    deployment = decided.deployment
    attempt = UpstreamAttempt.objects.create(request=decided.request, deployment=deployment, started_at=gateway.clock())
    generation: Generation | None = None
    try:
        client = gateway.connect(deployment.server)
        gateway.release()
        request = GenerationRequest(deployment.language_model.name, messages, parameters)
        with closing(client.stream(request)) as pieces:
            for piece in pieces:
                if isinstance(piece, Generation):
                    generation = piece
                else:
                    _note_piece(attempt, gateway.clock())
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


def _note_piece(attempt: UpstreamAttempt, now: datetime) -> None:
    """Count a piece, so that an answer that breaks off leaves what is known: a piece is at least one token."""
    if attempt.time_to_first_token_ns is None:
        waited = now - attempt.started_at
        attempt.time_to_first_token_ns = seconds_to_nanoseconds(waited.total_seconds())
    attempt.output_token_count = (attempt.output_token_count or 0) + 1


def _close_attempt(
    gateway: Gateway,
    attempt: UpstreamAttempt,
    outcome: UpstreamAttempt.Outcome,
    error: Exception | None = None,
) -> None:
    gateway.claim()
    attempt.outcome = outcome
    attempt.error_kind = type(error).__name__ if error else ""
    attempt.error = _storable(error) if error else ""
    attempt.finished_at = gateway.clock()
    attempt.save()


def _close_request(
    gateway: Gateway, request: GatewayRequest, state: GatewayRequest.State, error: Exception | None = None
) -> None:
    gateway.claim()
    with transaction.atomic():
        request.state = state
        request.error_code = type(error).__name__ if error else ""
        request.error = _storable(error) if error else ""
        request.finished_at = gateway.clock()
        request.save(update_fields=["state", "error_code", "error", "finished_at"])


def _storable(error: Exception) -> str:
    """Return an error's message without what Postgres cannot hold; a server's own words may have it."""
    return str(error).encode(errors="backslashreplace").decode().replace("\x00", "\\x00")
