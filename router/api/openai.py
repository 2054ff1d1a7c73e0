"""The OpenAI-compatible endpoint: /v1/chat/completions and /v1/models."""

from collections.abc import Generator
from contextlib import closing
from functools import partial
from typing import Any, cast

from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone

from benchmarks.federating import UnknownModel
from benchmarks.inference.base import TextChunk
from benchmarks.inference.interruption import Interruption
from benchmarks.models import Deployment
from router.answering import AUTO_MODEL, Answer, AnswerEvent, Caller, Decided, is_auto, stream_answer
from router.api.endpoint import async_endpoint, caller_of, endpoint, told_error
from router.api.streaming import PING_INTERVAL_S, StreamBody, read_within, stream_response
from router.connections import DatabasePlace
from router.piping import Pipe
from router.routing import candidates_as_json
from router.wire import ChatRequest, WireError, chat_completion, model_entry, model_list, parse_chat_request
from router.wire_chunks import PING, ChunkWriter, failure
from router.wiring import interruptible_gateway


@async_endpoint("POST")
async def chat_completions(request: HttpRequest) -> HttpResponseBase:
    interruption = Interruption()
    pipe = Pipe(partial(_answer, request, interruption), on_leave=interruption.interrupt, name="chat-completion")
    is_handed_over = False
    try:
        asked = cast(ChatRequest, await pipe.read())  # these two come first
        decided = cast(Decided, await pipe.read())
        if asked.is_streamed:
            response = await _stream(pipe, asked, decided)
            is_handed_over = True
            return response
        event: object = decided
        while not isinstance(event, Answer):
            event = await pipe.read()
        return _whole(event)
    finally:
        if not is_handed_over:
            pipe.leave()  # also where the client has left, which cancels this view


def _answer(request: HttpRequest, interruption: Interruption) -> Generator[ChatRequest | AnswerEvent, None, None]:
    """Answer in a thread of its own; its database connection is closed while it waits, and at the end."""
    place = DatabasePlace()
    try:
        place.claim()
        caller = caller_of(request)
        asked = parse_chat_request(request.body)
        yield asked
        events = stream_answer(
            gateway=interruptible_gateway(interruption, place),
            caller=caller,
            requested_model=asked.model,
            messages=asked.messages,
            parameters=asked.parameters,
            is_keeping_allowed=asked.is_keeping_allowed,
        )
        with closing(events):
            yield from events
    finally:
        place.release()


async def _stream(pipe: Pipe[ChatRequest | AnswerEvent], asked: ChatRequest, decided: Decided) -> HttpResponseBase:
    """Begin a stream once its first piece is there, so that a server that refuses is a status and not an event.

    Where that takes long, the stream begins without it, so that nobody between here and the client gives up.
    """
    writer = ChunkWriter(
        request_id=decided.request.public_id,
        created=_created(decided),
        model=decided.deployment.language_model.name,
        is_usage_included=asked.is_usage_included,
        greenllm=carbon_of(decided),
    )

    def written(event: ChatRequest | AnswerEvent) -> bytes:
        if isinstance(event, TextChunk):
            return writer.piece(event)
        return writer.last(event.generation) if isinstance(event, Answer) else b""

    first = await read_within(pipe, PING_INTERVAL_S)
    body = StreamBody(
        pipe,
        head=writer.first() + (b"" if first is None else written(first)),
        written=written,
        failed=lambda error: failure(told_error(error)),
        ping=PING,
        ping_interval_s=PING_INTERVAL_S,
    )
    response = stream_response(body, content_type="text/event-stream")
    _tell_choice(response, decided)
    return response


def _whole(answered: Answer) -> HttpResponse:
    body = chat_completion(
        request_id=answered.request.public_id,
        created=_created(answered),
        model=answered.deployment.language_model.name,
        generation=answered.generation,
        greenllm=carbon_of(answered),
    )
    response = JsonResponse(body)
    _tell_choice(response, answered)
    return response


def _created(decided: Decided) -> int:
    return int(decided.request.started_at.timestamp())


def _tell_choice(response: HttpResponseBase, decided: Decided) -> None:
    headers = {
        "x-request-id": decided.request.public_id,
        "X-GreenLLM-Request-Id": decided.request.public_id,
        "X-GreenLLM-Model": decided.deployment.language_model.name,
        "X-GreenLLM-Route": "auto" if decided.route else "pinned",
        "X-GreenLLM-Policy": decided.decision.policy,
    }
    if decided.route is not None:
        nearest = decided.route.neighbours[0]
        headers["X-GreenLLM-Category"] = decided.route.nearest_prompt.category.name
        headers["X-GreenLLM-Nearest-Prompt"] = decided.route.nearest_prompt.external_id
        headers["X-GreenLLM-Distance"] = f"{nearest.squared_distance:.6f}"
    if decided.decision.predicted_sci_gco2e is not None:
        headers["X-GreenLLM-Predicted-GCO2e"] = f"{decided.decision.predicted_sci_gco2e:.6g}"
    for name, value in headers.items():
        response.headers[name] = _one_line(value)


def _one_line(text: str) -> str:
    """Return a name as a header can hold it; prompts and models may be called anything."""
    return "".join(character if character.isprintable() else " " for character in text)


def carbon_of(decided: Decided) -> dict[str, Any]:
    """Return our own part of an answer: the choice and what it is expected to cost."""
    decision = decided.decision
    found = decided.route
    return {
        "request_id": decided.request.public_id,
        "requested": decided.request.requested_model,
        "model": decided.deployment.language_model.name,
        "category": found.nearest_prompt.category.name if found else None,
        "policy": decision.policy,
        "reason": decision.explanation,
        "neighbours": decision.neighbours,
        "candidates": candidates_as_json(found.choice) if found else [],
        "predicted_sci_gco2e": decision.predicted_sci_gco2e,
        "quality": decision.predicted_quality or "missing",
    }


@endpoint("GET")
def models(request: HttpRequest, caller: Caller) -> HttpResponse:
    return JsonResponse(model_list([(AUTO_MODEL, _auto_created()), *_active_names()]))


@endpoint("GET")
def model(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    if is_auto(name):
        return JsonResponse(model_entry(AUTO_MODEL, _auto_created()))
    created = dict(_active_names()).get(name)
    if created is None:
        raise UnknownModel(f"The model {name!r} does not exist here; see GET /v1/models.")
    return JsonResponse(model_entry(name, created))


@endpoint("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
def unknown_url(request: HttpRequest, caller: Caller) -> HttpResponse:
    raise WireError(f"Unknown URL: {request.method} {request.path}.", status=404, code="unknown_url")


def _active_names() -> list[tuple[str, int]]:
    rows = Deployment.objects.active().order_by("language_model__name", "-added_at")
    added = dict(rows.values_list("language_model__name", "added_at"))
    return [(name, int(at.timestamp())) for name, at in added.items()]


def _auto_created() -> int:
    """Return when the federation began, which is when its router can be said to have been made."""
    first = Deployment.objects.order_by("added_at").values_list("added_at", flat=True).first()
    return int((first or timezone.now()).timestamp())
