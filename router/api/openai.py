"""The OpenAI-compatible endpoint: /v1/chat/completions and /v1/models."""

import json
import logging
from collections.abc import Callable, Coroutine
from functools import wraps
from http import HTTPStatus
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import RequestDataTooBig
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from benchmarks.federating import RetiredModel, UnknownModel
from benchmarks.inference.base import EmptyPrompt, InferenceError, PromptTooLong, RequestRefused
from benchmarks.models import Deployment
from router.answering import AUTO_MODEL, Answer, Caller, answer, new_public_id
from router.api.doors import is_anonymous_allowed
from router.index import IndexStoreError
from router.indexing import EmbedderMismatch, NoIndex
from router.keys import find_key, note_use
from router.models import GatewayRequest
from router.policy import NoCandidate
from router.routing import candidates_as_json
from router.vectors import DimensionMismatch, UnusableEmbedding
from router.wire import MAX_BODY_BYTES, WireError, chat_completion, model_entry, model_list, parse_chat_request
from router.wiring import gateway

logger = logging.getLogger(__name__)

_SyncView = Callable[..., HttpResponse]
_AsyncView = Callable[..., Coroutine[Any, Any, HttpResponse]]


def _endpoint(*methods: str) -> Callable[[_SyncView], _AsyncView]:
    """Make an async view of a blocking one: checks method and key, and turns every error into OpenAI's shape.

    The blocking part runs in a thread of its own, not in the request's; its database connection ends with it.
    """

    def decorate(view: _SyncView) -> _AsyncView:
        @csrf_exempt
        @wraps(view)
        async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            def run() -> HttpResponse:
                try:
                    if request.method not in methods:
                        raise WireError(f"{request.method} is not allowed here; use {methods[0]}.", status=405)
                    return view(request, _caller(request), *args, **kwargs)
                except Exception as error:  # noqa: BLE001  the outer edge: every failure gets an answer
                    return _error_response(error)
                finally:
                    connection.close()

            response = await sync_to_async(run, thread_sensitive=False)()
            response.headers.setdefault("x-request-id", new_public_id())
            if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                response.headers["Allow"] = ", ".join(methods)
            return response

        return wrapped

    return decorate


@_endpoint("POST")
def chat_completions(request: HttpRequest, caller: Caller) -> HttpResponse:
    asked = parse_chat_request(request.body)
    answered = answer(
        gateway=gateway(release=connection.close),
        caller=caller,
        requested_model=asked.model,
        messages=asked.messages,
        parameters=asked.parameters,
    )
    return _chat_response(answered)


def _chat_response(answered: Answer) -> HttpResponse:
    decision = answered.decision
    body = chat_completion(
        request_id=answered.request.public_id,
        created=int(answered.request.started_at.timestamp()),
        model=answered.deployment.language_model.name,
        generation=answered.generation,
        greenllm=carbon_of(answered),
    )
    response = JsonResponse(body)
    headers = {
        "x-request-id": answered.request.public_id,
        "X-GreenLLM-Request-Id": answered.request.public_id,
        "X-GreenLLM-Model": answered.deployment.language_model.name,
        "X-GreenLLM-Route": "auto" if answered.route else "pinned",
        "X-GreenLLM-Policy": decision.policy,
    }
    if answered.route is not None:
        nearest = answered.route.neighbours[0]
        headers["X-GreenLLM-Category"] = answered.route.nearest_prompt.category.name
        headers["X-GreenLLM-Nearest-Prompt"] = answered.route.nearest_prompt.external_id
        headers["X-GreenLLM-Distance"] = f"{nearest.squared_distance:.6f}"
    if decision.predicted_sci_gco2e is not None:
        headers["X-GreenLLM-Predicted-GCO2e"] = f"{decision.predicted_sci_gco2e:.6g}"
    for name, value in headers.items():
        response.headers[name] = _one_line(value)
    return response


def _one_line(text: str) -> str:
    """Return a name as a header can hold it; prompts and models may be called anything."""
    return "".join(character if character.isprintable() else " " for character in text)


def carbon_of(answered: Answer) -> dict[str, Any]:
    """Return our own part of an answer: the choice and what it is expected to cost."""
    decision = answered.decision
    found = answered.route
    return {
        "request_id": answered.request.public_id,
        "requested": answered.request.requested_model,
        "model": answered.deployment.language_model.name,
        "category": found.nearest_prompt.category.name if found else None,
        "policy": decision.policy,
        "reason": decision.explanation,
        "neighbours": decision.neighbours,
        "candidates": candidates_as_json(found.choice) if found else [],
        "predicted_sci_gco2e": decision.predicted_sci_gco2e,
        "quality": decision.predicted_quality or "missing",
    }


@_endpoint("GET")
def models(request: HttpRequest, caller: Caller) -> HttpResponse:
    return JsonResponse(model_list([(AUTO_MODEL, _auto_created()), *_active_names()]))


@_endpoint("GET")
def model(request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
    if name.removesuffix(":latest") == AUTO_MODEL:
        return JsonResponse(model_entry(AUTO_MODEL, _auto_created()))
    created = dict(_active_names()).get(name)
    if created is None:
        raise UnknownModel(f"The model {name!r} does not exist here; see GET /v1/models.")
    return JsonResponse(model_entry(name, created))


@_endpoint("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
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


def _caller(request: HttpRequest) -> Caller:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        key = find_key(secret=secret.strip())
        if key is not None:
            note_use(key=key, now=timezone.now())
            return Caller(GatewayRequest.Surface.OPENAI, api_key_id=key.pk, user_id=key.owner_id)
        message = "The API key is unknown or was revoked."
    else:
        message = "An API key is needed: send it as 'Authorization: Bearer KEY'."
        if is_anonymous_allowed(request) and request.method == "GET":
            return Caller(GatewayRequest.Surface.OPENAI)
    raise WireError(message, status=401, code="invalid_api_key")


def _error_response(error: Exception) -> HttpResponse:
    wire = _as_wire_error(error)
    if wire.status >= 500:
        logger.error("%s: %s", type(error).__name__, error, exc_info=None if wire.status == 503 else error)
    response = HttpResponse(json.dumps(wire.as_json()), status=wire.status, content_type="application/json")
    if wire.status in {502, 503, 504} and not getattr(error, "is_retryable", True):
        response.headers["x-should-retry"] = "false"
    return response


def _as_wire_error(error: Exception) -> WireError:
    if isinstance(error, WireError):
        return error
    if isinstance(error, RequestDataTooBig):
        return WireError(f"The body is larger than {MAX_BODY_BYTES} bytes.", status=413)
    if isinstance(error, UnknownModel | RetiredModel):
        return WireError(str(error), status=404, code="model_not_found", param="model")
    if isinstance(error, EmptyPrompt):
        return WireError(str(error), param="messages")
    if isinstance(error, PromptTooLong):
        return WireError(str(error), code="context_length_exceeded", param="messages")
    if isinstance(error, RequestRefused) and not error.is_retryable:
        return WireError(str(error), code="request_refused")
    if isinstance(error, InferenceError | UnusableEmbedding):
        return WireError(str(error), status=502, kind="server_error", code="upstream_error")
    if isinstance(error, NoIndex | NoCandidate | EmbedderMismatch | DimensionMismatch | IndexStoreError):
        return WireError(str(error), status=503, kind="server_error", code="no_model_available")
    return WireError("Something went wrong here; it was logged.", status=500, kind="server_error", code="internal")
