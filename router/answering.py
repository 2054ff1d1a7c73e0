"""Answer a request: decide, generate, and keep a row of all of it.

No transaction and no query is open while a model generates, so that a slow answer holds no database connection.
"""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from benchmarks.federating import find_deployment
from benchmarks.inference.base import (
    ChatMessage,
    Generation,
    GenerationParameters,
    GenerationRequest,
    InferenceClient,
)
from benchmarks.models import Deployment, InferenceServer
from router.embedding import Embedder
from router.index import VectorStore
from router.models import GatewayRequest, RoutingDecision, UpstreamAttempt
from router.routing import Route, record_pinned, record_route, route

AUTO_MODEL = "auto"


@dataclass(frozen=True)
class Caller:
    """Who asks, and through which door."""

    surface: str
    api_key_id: int | None = None
    user_id: int | None = None


@dataclass(frozen=True)
class Gateway:
    """What answering needs of the outside."""

    embedder: Callable[[], Embedder]
    store: VectorStore
    connect: Callable[[InferenceServer], InferenceClient]
    clock: Callable[[], datetime]
    is_prompt_text_kept: bool
    release: Callable[[], None]  # gives the database connection back before a generation


@dataclass(frozen=True)
class Answer:
    """One answered request; `route` is None where the caller named the model."""

    request: GatewayRequest
    decision: RoutingDecision
    deployment: Deployment
    generation: Generation
    route: Route | None


def answer(
    *,
    gateway: Gateway,
    caller: Caller,
    requested_model: str,
    messages: tuple[ChatMessage, ...],
    parameters: GenerationParameters,
) -> Answer:
    """Answer a conversation with the model that the caller named, or with the one that the router chooses.

    The last message of the user is what is routed.

    Raises:
        UnknownModel, RetiredModel: the named model cannot answer.
        EmptyPrompt, NoIndex, EmbedderMismatch, DimensionMismatch, IndexStoreError, NoCandidate: it cannot be routed.
        InferenceError: the chosen model's server failed. The row of the request says so each time.
    """
    prompt_text = last_user_text(messages)
    request = _open_request(gateway, caller, requested_model, prompt_text)
    try:
        chosen, decision, found = _decide(gateway, request, requested_model, prompt_text)
        generation = _generate(gateway, request, chosen, messages, parameters)
    except Exception as error:
        _close_request(request, GatewayRequest.State.FAILED, gateway.clock(), error)
        raise
    _close_request(request, GatewayRequest.State.ANSWERED, gateway.clock())
    return Answer(request, decision, chosen, generation, found)


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
    gateway: Gateway, request: GatewayRequest, requested_model: str, prompt_text: str
) -> tuple[Deployment, RoutingDecision, Route | None]:
    if requested_model.removesuffix(":latest") == AUTO_MODEL:
        found = route(prompt_text=prompt_text, embedder=gateway.embedder(), store=gateway.store)
        return found.chosen, record_route(route=found, now=gateway.clock(), request_id=request.pk), found
    pinned = find_deployment(name=requested_model)
    return pinned, record_pinned(deployment=pinned, now=gateway.clock(), request_id=request.pk), None


def _generate(
    gateway: Gateway,
    request: GatewayRequest,
    deployment: Deployment,
    messages: tuple[ChatMessage, ...],
    parameters: GenerationParameters,
) -> Generation:
    attempt = UpstreamAttempt.objects.create(request=request, deployment=deployment, started_at=gateway.clock())
    try:
        client = gateway.connect(deployment.server)
        gateway.release()
        generation = client.generate(GenerationRequest(deployment.language_model.name, messages, parameters))
    except Exception as error:
        attempt.outcome = UpstreamAttempt.Outcome.FAILED
        attempt.error_kind = type(error).__name__
        attempt.error = _storable(error)
        attempt.finished_at = gateway.clock()
        attempt.save()
        raise
    attempt.outcome = UpstreamAttempt.Outcome.FINISHED
    attempt.take_figures(generation)
    attempt.finished_at = gateway.clock()
    attempt.save()
    return generation


def _close_request(
    request: GatewayRequest, state: GatewayRequest.State, now: datetime, error: Exception | None = None
) -> None:
    with transaction.atomic():
        request.state = state
        request.error_code = type(error).__name__ if error else ""
        request.error = _storable(error) if error else ""
        request.finished_at = now
        request.save(update_fields=["state", "error_code", "error", "finished_at"])


def _storable(error: Exception) -> str:
    """Return an error's message without what Postgres cannot hold; a server's own words may have it."""
    return str(error).encode(errors="backslashreplace").decode().replace("\x00", "\\x00")
