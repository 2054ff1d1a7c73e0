"""What every address of the endpoint has: methods, a key, errors in the shape of its surface, a request id."""

import json
import logging
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from http import HTTPStatus
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from benchmarks.federating import NoEmbedder, RetiredModel, UnknownModel
from benchmarks.inference.base import EmptyPrompt, InferenceError, PromptTooLong, RequestRefused, UnsupportedParameter
from router.answering import Caller, new_public_id
from router.api.doors import is_local, judges_blind
from router.connections import DatabaseAway
from router.denying import denials_counted
from router.embedding import EmbedderMismatch
from router.guessing import wrong_keys_limited
from router.index import IndexStoreError
from router.indexing import NoIndex
from router.keys import find_key, note_use
from router.metrics import ERROR_REPLIES
from router.models import GatewayRequest
from router.overriding import wish_of_key
from router.policy import NoCandidate
from router.rates import RateLimited
from router.spans import BudgetClosed
from router.vectors import DimensionMismatch, UnusableEmbedding
from router.wires.fields import MAX_BODY_BYTES, WireError
from router.wires.openai import OPENAI_ERRORS
from router.wires.surface import ErrorShape
from router.wishes import WishRefused

logger = logging.getLogger(__name__)

_View = Callable[..., HttpResponse]
AsyncView = Callable[..., Coroutine[Any, Any, HttpResponseBase]]


def async_endpoint(*methods: str, shape: ErrorShape = OPENAI_ERRORS) -> Callable[[AsyncView], AsyncView]:
    """Give an async view the checks of the endpoint: its methods, and every error in the shape of its surface."""

    def decorate(view: AsyncView) -> AsyncView:
        @csrf_exempt
        @wraps(view)
        async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
            response: HttpResponseBase
            came_at = time.monotonic()
            try:
                if request.method not in methods:
                    raise WireError(f"{request.method} is not allowed here; use {methods[0]}.", status=405)
                response = await view(request, *args, **kwargs)
            except Exception as error:  # noqa: BLE001  the outer edge: every failure gets an answer
                response = error_response(error, shape)
            response.headers.setdefault("x-request-id", new_public_id())
            if shape.duration_header:
                response.headers[shape.duration_header] = str(round((time.monotonic() - came_at) * 1000))
            if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
                response.headers["Allow"] = ", ".join(methods)
            return response

        return wrapped

    return decorate


def endpoint(*methods: str, shape: ErrorShape = OPENAI_ERRORS) -> Callable[[_View], AsyncView]:
    """Make an async view of a blocking one that gets the caller.

    The blocking part runs in a thread of its own, not in the request's; its database connection ends with it.
    """

    def decorate(view: _View) -> AsyncView:
        @async_endpoint(*methods, shape=shape)
        @wraps(view)
        async def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            def run() -> HttpResponse:
                try:
                    return view(request, caller_of(request, shape.label), *args, **kwargs)
                finally:
                    connection.close()

            return await sync_to_async(run, thread_sensitive=False)()

        return wrapped

    return decorate


def caller_of(request: HttpRequest, surface: str = GatewayRequest.Surface.OPENAI) -> Caller:
    """Return who asks.

    Raises:
        WireError: there is no key, or it opens nothing.
        TooManyWrongKeys: it opens nothing either, and many came from there.
    """
    secret = secret_of(request.headers.get("Authorization", ""))
    if not secret and may_be_anonymous(
        method=request.method or "", address=request.META.get("REMOTE_ADDR"), headers=request.headers, surface=surface
    ):
        return Caller(surface)
    remote, forwarded = request.META.get("REMOTE_ADDR"), request.headers.get("X-Forwarded-For", "")
    with denials_counted(Caller(surface)), wrong_keys_limited(secret, remote=remote, forwarded=forwarded):
        return caller_with(secret, surface)


def secret_of(authorization: str) -> str:
    """Return the key that a header `Authorization` bears, or an empty text."""
    scheme, _, secret = authorization.partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def caller_with(secret: str, surface: str) -> Caller:
    """Return whose key it is, and note that it was used.

    Raises:
        WireError: there is no key, or it opens nothing.
    """
    if not secret:
        message = "An API key is needed: send it as 'Authorization: Bearer KEY'."
        raise WireError(message, status=401, code="invalid_api_key")
    key = find_key(secret=secret)
    if key is None:
        raise WireError("The API key is unknown or was revoked.", status=401, code="invalid_api_key")
    note_use(key=key, now=timezone.now())
    return Caller(
        surface,
        api_key_id=key.pk,
        user_id=key.owner_id,
        key_wish=wish_of_key(key),
        has_budget=key.has_budget,
        terms=key.terms,
        key_name=key.name,
        key_prefix=key.prefix,
        is_cache_allowed=key.is_cache_allowed,
        is_keeping_agreed=key.is_keeping_agreed,
        judges_blind=judges_blind(key.owner),
    )


def may_be_anonymous(*, method: str, address: str | None, headers: Mapping[str, str], surface: str) -> bool:
    """Tell whether a request may come without a key: one that reads, and an Ollama client's, which often has none.

    A page of another site that a browser on this machine shows could ask too; browsers tell by two headers.
    """
    if not is_local(address, headers):
        return False
    is_of_a_page = "Origin" in headers or "Sec-Fetch-Site" in headers
    return method == "GET" or (surface == GatewayRequest.Surface.OLLAMA and not is_of_a_page)


def whole_response(body: dict[str, Any], shape: ErrorShape) -> HttpResponse:
    """Return a body as the family of a surface sends it."""
    return JsonResponse(body, content_type=shape.content_type)


@contextmanager
def naming(model: str, *, prompt_field: str) -> Iterator[None]:
    """Tell of the model that is not there, or of the prompt that is wrong, by the client's names; see `named`."""
    try:
        yield
    except (UnknownModel, RetiredModel, EmptyPrompt, PromptTooLong) as error:
        told = named(error, model, prompt_field=prompt_field)
        if told is error:
            raise
        raise told from error


def named(error: Exception, model: str, *, prompt_field: str) -> Exception:
    """Return the error that tells of a model that is not there, or of a prompt that is wrong, by the client's names.

    These are the name that it gave the model, and the field in which it sent the prompt. Any other error is returned
    as it is.
    """
    if isinstance(error, UnknownModel | RetiredModel) and not isinstance(error, NoEmbedder):
        return WireError(str(error), status=404, code="model_not_found", param="model", about=model)
    if isinstance(error, EmptyPrompt | PromptTooLong):
        code = "context_length_exceeded" if isinstance(error, PromptTooLong) else None
        return WireError(str(error), code=code, param=prompt_field)
    return error


def error_response(error: Exception, shape: ErrorShape = OPENAI_ERRORS) -> HttpResponse:
    """Answer with an error, before a byte of an answer has left."""
    wire = told_error(error)
    ERROR_REPLIES.labels(shape.label, str(wire.status)).inc()
    response = HttpResponse(json.dumps(shape.error(wire)), status=wire.status, content_type=shape.content_type)
    for name, value in retry_headers(error, wire).items():
        response.headers[name] = value
    return response


def retry_headers(error: Exception, wire: WireError) -> dict[str, str]:
    """Return the headers that tell a client whether and when another try is worth it."""
    if wire.status in {502, 503, 504} and not getattr(error, "is_retryable", True):
        return {"x-should-retry": "false"}
    told: dict[str, str] = dict(getattr(error, "headers", {}))
    if isinstance(error, RateLimited | BudgetClosed):
        told["x-should-retry"] = "true" if error.is_retryable else "false"
    retry_after_s = getattr(error, "retry_after_s", None)
    return told if retry_after_s is None else {**told, "Retry-After": str(retry_after_s)}


def told_error(error: Exception) -> WireError:
    """Return an error as the wire has it, and log what is not the caller's doing."""
    if isinstance(error, OperationalError | InterfaceError):  # its own words name places that are nobody's business
        wire = WireError(str(DatabaseAway()), status=503, kind="server_error", code="database_unavailable")
    else:
        wire = _as_wire_error(error)
    if wire.status >= 500:
        # what a server does is told in words; only a fault of this program has a place in it
        logger.error("%s: %s", type(error).__name__, error, exc_info=error if wire.status == 500 else None)
    return wire


def _as_wire_error(error: Exception) -> WireError:
    if isinstance(error, WireError):
        return error
    if isinstance(error, BudgetClosed):
        return WireError(str(error), status=429, kind="insufficient_quota", code="insufficient_quota")
    if isinstance(error, RequestDataTooBig):
        return WireError(f"The body is larger than {MAX_BODY_BYTES} bytes.", status=413)
    if isinstance(error, NoEmbedder):
        return WireError(str(error), status=503, kind="server_error", code="no_model_available")
    if isinstance(error, UnknownModel | RetiredModel):
        return WireError(str(error), status=404, code="model_not_found", param="model")
    if isinstance(error, WishRefused):
        return WireError(str(error), param=error.param)
    if isinstance(error, EmptyPrompt):
        return WireError(str(error), param="messages")
    if isinstance(error, PromptTooLong):
        return WireError(str(error), code="context_length_exceeded", param="messages")
    if isinstance(error, UnsupportedParameter):
        return WireError(str(error), code="unsupported_parameter", param=error.names[0] if error.names else None)
    if isinstance(error, RequestRefused) and not error.is_retryable:
        return WireError(str(error), code="request_refused")
    if isinstance(error, InferenceError | UnusableEmbedding):
        return WireError(str(error), status=502, kind="server_error", code="upstream_error")
    if isinstance(error, NoIndex | NoCandidate | EmbedderMismatch | DimensionMismatch | IndexStoreError):
        return WireError(str(error), status=503, kind="server_error", code="no_model_available")
    return WireError("Something went wrong here; it was logged.", status=500, kind="server_error", code="internal")
