"""Ask an inference server from the event loop: one answer, read as it comes, with the time limits of its budget."""

import asyncio
import io
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import aiohttp
import httpx
from aiohttp.helpers import is_ip_address
from yarl import URL

from benchmarks.inference.base import ChatPiece, InferenceError
from benchmarks.inference.chatting import ChatWire
from benchmarks.reach import AddressForbidden, in_force

_LONGEST_REFUSAL = 64 * 1024
_REST_S = 1.0
_LARGE = 256 * 1024
_KEPT_S = 3.0  # llama.cpp and uvicorn end a connection that nobody used for 5 s


def open_session(*, connect_timeout_s: float) -> aiohttp.ClientSession:
    """Return the HTTP client of one event loop; it keeps connections, and obeys no proxy of the environment."""
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, ttl_dns_cache=30, keepalive_timeout=_KEPT_S, resolver=_GuardedResolver()
        ),  # `servers` limits each server
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout_s),
        auto_decompress=True,
        trust_env=False,
        trace_configs=[tracing],
        cookie_jar=aiohttp.DummyCookieJar(),
    )


class _GuardedResolver(aiohttp.ThreadedResolver):
    """Looks at the addresses of a host before a connection is made to one of them."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[aiohttp.abc.ResolveResult]:
        """Return the addresses; raises `AddressForbidden` where no server may be."""
        found = await super().resolve(host, port, family)
        in_force().require(host, port, [one["host"] for one in found])
        return found


@dataclass
class _Attempt:
    is_reused: bool = False


async def _note_reuse(_session: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.is_reused = True


class UpstreamAnswer:
    """One answer that a server gives; `close` ends it early, which makes the server stop."""

    def __init__(self, session: aiohttp.ClientSession, wire: ChatWire) -> None:
        self._session = session
        self._wire = wire
        self._response: aiohttp.ClientResponse | None = None
        self._failure: InferenceError | None = None
        self._opening: asyncio.Task[aiohttp.ClientResponse] = asyncio.ensure_future(self._post())

    @property
    def is_finished(self) -> bool:
        """Say whether the whole answer was read."""
        return self._wire.is_finished

    async def read(self, patience_s: float) -> list[ChatPiece] | None:
        """Return the pieces that came, one at least, or None where none comes in time; the `Generation` is the last.

        Raises:
            InferenceError: as `InferenceClient.stream` does.
        """
        if self._failure is not None:
            raise self._failure
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while True:
            left_s = min(until - loop.time(), self._wire.exchange.budget.remaining_s())
            try:
                data = await self._read_bytes(max(left_s, 0.0))
            except TimeoutError:
                if self._wire.exchange.budget.remaining_s() <= 0:
                    raise self._wire.exchange.disturbance(httpx.ReadTimeout("")) from None
                return None
            pieces = self._pieces(data)
            if pieces:
                return pieces

    def close(self) -> None:
        """End the answer; where it is whole, its connection may serve the next one."""
        if not self._opening.done():
            self._opening.cancel()
        response = self._response
        if response is None:
            self._opening.add_done_callback(_close_late)
        elif not self._wire.is_finished:
            response.close()
        elif response.content.at_eof():
            response.release()
        else:
            asyncio.ensure_future(_read_out(response)).add_done_callback(_forget)

    def _pieces(self, data: bytes) -> list[ChatPiece]:
        """Return the pieces of what was read; a failure behind a piece is raised by the next reading."""
        pieces: list[ChatPiece] = []
        feeding: Callable[[], Any] = self._wire.close if not data else lambda: self._wire.feed(data)
        try:
            pieces.extend(piece for piece in feeding())
        except InferenceError as error:
            self._failure = error
        if self._failure is not None and not pieces:
            raise self._failure
        return pieces

    async def _read_bytes(self, patience_s: float) -> bytes:
        """Return what comes next, nothing at the end; raises `TimeoutError`."""
        try:
            if self._response is None:
                done, _ = await asyncio.wait({self._opening}, timeout=patience_s)
                if not done:
                    raise TimeoutError
                self._response = await self._opening
                if self._response.status >= 300:
                    raise self._wire.refusal(self._response.status, await self._refusal(self._response))
            async with asyncio.timeout(patience_s):
                return await self._response.content.readany()
        except AddressForbidden as error:
            raise self._forbidden(error) from error
        except (aiohttp.ClientError, ConnectionError) as error:
            if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressForbidden):
                raise self._forbidden(error.os_error) from error
            if left := _left_behind(self._response):
                return left
            raise self._wire.exchange.disturbance(_as_httpx(error)) from error

    def _forbidden(self, error: AddressForbidden) -> InferenceError:
        self._wire.exchange.budget.forbidden_address = str(error)
        return self._wire.exchange.disturbance(error)

    async def _refusal(self, response: aiohttp.ClientResponse) -> bytes:
        async with asyncio.timeout(_REST_S + max(self._wire.exchange.budget.remaining_s(), 0.0)):
            return await response.content.read(_LONGEST_REFUSAL)

    async def _post(self) -> aiohttp.ClientResponse:
        """Send the question; again where the server had ended the kept connection that was taken: nothing was lost."""
        while True:
            attempt = _Attempt()
            try:
                return await self._send(attempt)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionResetError):
                if not attempt.is_reused:
                    raise  # each failure takes one connection out of those that are kept, so that a new one comes

    async def _send(self, attempt: _Attempt) -> aiohttp.ClientResponse:
        url = URL(self._wire.url)
        if is_ip_address(url.host):  # which is not resolved
            in_force().require(url.host or "", url.port or 0, [url.host or ""])
        body = json.dumps(self._wire.body).encode()
        return await self._session.post(
            self._wire.url,
            data=io.BytesIO(body) if len(body) > _LARGE else body,  # aiohttp sends the former in parts
            headers={**self._wire.headers, "Content-Type": "application/json"},
            allow_redirects=False,
            trace_request_ctx=attempt,
        )


def _as_httpx(error: Exception) -> Exception:
    """Return the error of httpx that says the same: the rules for those are there already."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return httpx.ConnectTimeout(str(error))
    if isinstance(error, aiohttp.ClientConnectorError):
        return httpx.ConnectError(str(error))
    if isinstance(error, aiohttp.InvalidURL):
        return httpx.UnsupportedProtocol(str(error))
    return httpx.RemoteProtocolError(str(error))


def _left_behind(response: aiohttp.ClientResponse | None) -> bytes:
    """Return what had come before a connection broke: aiohttp's own reading raises over it."""
    return b"" if response is None else bytes(response.content._read_nowait(-1))


def _close_late(opening: "asyncio.Task[aiohttp.ClientResponse]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _forget(done: "asyncio.Future[None]") -> None:
    if not done.cancelled():
        done.exception()


async def _read_out(response: aiohttp.ClientResponse) -> None:
    """Read the end of an answer, so that its connection can be kept; a server that does not end loses it."""
    try:
        async with asyncio.timeout(_REST_S):
            while await response.content.readany():
                pass
    except (TimeoutError, aiohttp.ClientError):
        response.close()
    else:
        response.release()
