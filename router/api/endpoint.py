"""What every address of the OpenAI-compatible endpoint has: methods, a key, errors in one shape, a request id."""

import json
import logging
from collections.abc import Callable, Coroutine
from functools import wraps
from http import HTTPStatus
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import RequestDataTooBig
from django.db import connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from benchmarks.federating import NoEmbedder, RetiredModel, UnknownModel
from benchmarks.inference.base import EmptyPrompt, InferenceError, PromptTooLong, RequestRefused
from router.answering import Caller, new_public_id
from router.api.doors import is_anonymous_allowed
from router.index import IndexStoreError
from router.indexing import EmbedderMismatch, NoIndex
from router.keys import find_key, note_use
from router.models import GatewayRequest
from router.policy import NoCandidate
from router.vectors import DimensionMismatch, UnusableEmbedding
from router.wire import MAX_BODY_BYTES, WireError

logger = logging.getLogger(__name__)

_View = Callable[..., HttpResponse]
_AsyncView = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def async_endpoint(*methods: str) -> Callable[[_AsyncView], _AsyncView]:
    """Give an async view the checks of the endpoint: its methods, and every error in OpenAI's shape."""

    def decorate(view: _AsyncView) -> _AsyncView:
        @csrf_exempt
        @wraps(view)
        async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            response: HttpResponseBase
            try:
                if request.method not in methods:
                    raise WireError(f"{request.method} is not allowed here; use {methods[0]}.", status=405)
                response = await view(request, *args, **kwargs)
            except Exception as error:  # noqa: BLE001  the outer edge: every failure gets an answer
                response = error_response(error)
            response.headers.setdefault("x-request-id", new_public_id())
            if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                response.headers["Allow"] = ", ".join(methods)
            return response

        return wrapped

    return decorate


def endpoint(*methods: str) -> Callable[[_View], _AsyncView]:
    """Make an async view of a blocking one that gets the caller.

    The blocking part runs in a thread of its own, not in the request's; its database connection ends with it.
    """

    def decorate(view: _View) -> _AsyncView:
        @async_endpoint(*methods)
        @wraps(view)
        async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            def run() -> HttpResponse:
                try:
                    return view(request, caller_of(request), *args, **kwargs)
                finally:
                    connection.close()

            return await sync_to_async(run, thread_sensitive=False)()

        return wrapped

    return decorate


def caller_of(request: HttpRequest) -> Caller:
    """Return who asks.

    Raises:
        WireError: there is no key, or it opens nothing.
    """
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


def error_response(error: Exception) -> HttpResponse:
    """Answer with an error, before a byte of an answer has left."""
    wire = told_error(error)
    response = HttpResponse(json.dumps(wire.as_json()), status=wire.status, content_type="application/json")
    if wire.status in {502, 503, 504} and not getattr(error, "is_retryable", True):
        response.headers["x-should-retry"] = "false"
    return response


def told_error(error: Exception) -> WireError:
    """Return an error as the wire has it, and log what is not the caller's doing."""
    wire = _as_wire_error(error)
    if wire.status >= 500:
        logger.error("%s: %s", type(error).__name__, error, exc_info=None if wire.status == 503 else error)
    return wire


def _as_wire_error(error: Exception) -> WireError:
    if isinstance(error, WireError):
        return error
    if isinstance(error, RequestDataTooBig):
        return WireError(f"The body is larger than {MAX_BODY_BYTES} bytes.", status=413)
    if isinstance(error, NoEmbedder):
        return WireError(str(error), status=503, kind="server_error", code="no_model_available")
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
