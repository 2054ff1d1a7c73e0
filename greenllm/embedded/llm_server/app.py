"""The HTTP side of the LLM server: Ollama's routes."""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Lifespan

from greenllm.embedded.llm_server import replies
from greenllm.embedded.llm_server.desk import ClientGoneError, Departure, Desk, Finished
from greenllm.embedded.llm_server.engine import CANCELLED
from greenllm.embedded.llm_server.library import Library
from greenllm.embedded.llm_server.orders import (
    EmbeddingOrder,
    GenerationOrder,
    JsonObject,
    model_name,
    parse_chat,
    parse_embed,
    parse_generate,
    parse_legacy_embedding,
)
from greenllm.embedded.llm_server.refusals import GenerationFailedError, NotOfferedError, RequestRefusedError
from greenllm.embedded.llm_server.residents import Residents
from greenllm.embedded.llm_server.streaming import LineStream, encode_line

VERSION = "0.6.5-greenllm"  # the version of Ollama whose protocol this is
_EXPIRY_CHECK_S = 1.0
_CLIENT_CLOSED_REQUEST = 499  # nobody reads it; it is what proxies log


class _Json(JSONResponse):
    media_type = "application/json; charset=utf-8"  # byte for byte what Ollama sends


class _Handler(Protocol):
    def __call__(self, request: Request) -> Awaitable[Response]: ...


class OllamaRoutes:
    """Answers requests in Ollama's protocol."""

    def __init__(self, library: Library, residents: Residents) -> None:
        self._library = library
        self._residents = residents
        self.desk = Desk(library, residents)

    async def greet(self, _request: Request) -> Response:
        return PlainTextResponse("Ollama is running")

    async def version(self, _request: Request) -> Response:
        return _Json({"version": VERSION})

    async def tags(self, _request: Request) -> Response:
        models = await asyncio.to_thread(self._library.ready)
        return _Json({"models": [replies.tag(model) for model in models]})

    async def show(self, request: Request) -> Response:
        model = await self.desk.find(model_name(await _body(request)))
        return _Json(replies.show(model))

    async def ps(self, _request: Request) -> Response:
        return _Json({"models": [replies.loaded(one) for one in self._residents.listed()]})

    async def refuse(self, request: Request) -> Response:
        raise NotOfferedError(
            f"{request.url.path} is not offered by the embedded server; put a .gguf file into its models "
            "folder, or use a full Ollama"
        )

    async def chat(self, request: Request) -> Response:
        return await self._generate(request, parse_chat(await _body(request)), is_chat=True)

    async def generate(self, request: Request) -> Response:
        return await self._generate(request, parse_generate(await _body(request)), is_chat=False)

    async def embed(self, request: Request) -> Response:
        started_ns = time.monotonic_ns()
        order = parse_embed(await _body(request))
        async with _watching(request) as departure:
            embedded = await self.desk.embed(order, departure)
        total_ns = time.monotonic_ns() - started_ns
        return _Json(replies.embeddings(order.model, embedded, total_ns))

    async def legacy_embedding(self, request: Request) -> Response:
        order: EmbeddingOrder = parse_legacy_embedding(await _body(request))
        async with _watching(request) as departure:
            embedded = await self.desk.embed(order, departure)
        return _Json({"embedding": next(iter(embedded.embeddings), ())})

    async def _generate(self, request: Request, order: GenerationOrder, *, is_chat: bool) -> Response:
        if order.is_empty:
            async with _watching(request) as departure:
                is_loaded = await self.desk.load(order, departure)
            reason = "load" if is_loaded else "unload"
            return _Json(replies.ending(order.model, "", _now(), reason, {}, is_chat=is_chat))
        if not order.is_streamed:
            return await self._answer_at_once(request, order, is_chat=is_chat)
        lines = self._lines(request, order, is_chat=is_chat)
        # The first line decides the status: a refusal must not come after "200 OK".
        first = await anext(lines)
        return LineStream(first, lines)

    async def _answer_at_once(self, request: Request, order: GenerationOrder, *, is_chat: bool) -> Response:
        started_ns = time.monotonic_ns()
        pieces: list[str] = []
        async with _watching(request) as departure, aclosing(self.desk.generate(order, departure)) as parts:
            async for part in parts:
                if isinstance(part, str):
                    pieces.append(part)
                else:
                    return _Json(_last_line(order, "".join(pieces), part, started_ns, is_chat=is_chat))
        raise GenerationFailedError("the generation had no end")

    async def _lines(self, request: Request, order: GenerationOrder, *, is_chat: bool) -> AsyncGenerator[bytes]:
        started_ns = time.monotonic_ns()
        async with _watching(request) as departure, aclosing(self.desk.generate(order, departure)) as parts:
            async for part in parts:
                if isinstance(part, str):
                    yield encode_line(replies.line(order.model, part, _now(), is_chat=is_chat))
                else:
                    yield encode_line(_last_line(order, "", part, started_ns, is_chat=is_chat))


def make_app(library: Library, residents: Residents) -> Starlette:
    """Make the ASGI application over a folder of models."""
    routes = OllamaRoutes(library, residents)
    refused = ("pull", "push", "create", "delete", "copy")
    blobs = Route("/api/blobs/{digest}", routes.refuse, methods=["POST", "HEAD"])
    return Starlette(
        routes=[
            Route("/", routes.greet),
            Route("/api/version", routes.version),
            Route("/api/tags", routes.tags),
            Route("/api/ps", routes.ps),
            *(Route(f"/api/{name}", handler, methods=["POST"]) for name, handler in _posted(routes).items()),
            *(Route(f"/api/{name}", routes.refuse, methods=["POST", "DELETE"]) for name in refused),
            blobs,
        ],
        # Against pages that reach a loopback server by a host name of their own (DNS rebinding).
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        exception_handlers={
            RequestRefusedError: _refused,
            ClientGoneError: _gone,
            HTTPException: _http_error,
            Exception: _crashed,
        },
        lifespan=_lifespan(routes.desk),
    )


def _posted(routes: OllamaRoutes) -> dict[str, _Handler]:
    return {
        "show": routes.show,
        "chat": routes.chat,
        "generate": routes.generate,
        "embed": routes.embed,
        "embeddings": routes.legacy_embedding,
    }


def _lifespan(desk: Desk) -> Lifespan[Starlette]:
    @asynccontextmanager
    async def run(_app: Starlette) -> AsyncIterator[None]:
        async def expire() -> None:
            while True:
                await asyncio.sleep(_EXPIRY_CHECK_S)
                await desk.drop_expired()

        expiring = asyncio.create_task(expire())
        try:
            yield
        finally:
            expiring.cancel()
            with suppress(asyncio.CancelledError):
                await expiring

    return run


@asynccontextmanager
async def _watching(request: Request) -> AsyncIterator[Departure]:
    """Notice when the client closes the connection; the body must have been read before."""
    departure = Departure()

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        departure.announce()

    watcher = asyncio.create_task(watch())
    try:
        yield departure
    finally:
        watcher.cancel()
        departure.announce()


def _last_line(order: GenerationOrder, text: str, finished: Finished, started_ns: int, *, is_chat: bool) -> JsonObject:
    if finished.completion.reason == CANCELLED:
        raise ClientGoneError
    counted = replies.figures(finished, time.monotonic_ns() - started_ns)
    line = replies.ending(order.model, text, _now(), finished.completion.reason, counted, is_chat=is_chat)
    if order.top_logprobs is not None:
        line["logprobs"] = replies.logprobs(finished.completion.logprobs, order.top_logprobs)
    return line


async def _body(request: Request) -> JsonObject:
    try:
        body = json.loads(await request.body())
    except ValueError as error:
        raise RequestRefusedError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise RequestRefusedError("the body must be a JSON object")
    return body


def _now() -> datetime:
    return datetime.now(UTC)


async def _refused(_request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, RequestRefusedError) else HTTPStatus.INTERNAL_SERVER_ERROR
    return _Json({"error": str(error)}, status_code=status)


async def _gone(_request: Request, _error: Exception) -> Response:
    return Response(status_code=_CLIENT_CLOSED_REQUEST)


async def _http_error(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    return _Json({"error": HTTPStatus(status).phrase.lower()}, status_code=status)


async def _crashed(_request: Request, _error: Exception) -> Response:
    return _Json({"error": "internal server error"}, status_code=HTTPStatus.INTERNAL_SERVER_ERROR)
