"""The gateway's side of ASGI: a request as it came in, and a reply on its way out."""

import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.utils.datastructures import CaseInsensitiveMapping

from router.wire import MAX_BODY_BYTES, WireError

Scope = MutableMapping[str, Any]  # Any: as ASGI has it
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_SECURE = (
    (b"X-Content-Type-Options", b"nosniff"),
    (b"X-Frame-Options", b"DENY"),
    (b"Referrer-Policy", b"same-origin"),
    (b"Cross-Origin-Opener-Policy", b"same-origin"),
    (b"Content-Security-Policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class ClientLeft(Exception):
    """The client left before its request was whole."""


class Incoming:
    """One HTTP request; of headers that came several times the last counts."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self.scope = scope
        self.method = str(scope["method"])
        self._headers: dict[bytes, bytes] = dict(scope["headers"])

    def header(self, name: str) -> str:
        """Return a header by its name in small letters, or an empty text."""
        return self._headers.get(name.encode(), b"").decode("latin-1")

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers by their names, whatever the case."""
        return CaseInsensitiveMapping(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers.items()}
        )

    @property
    def address(self) -> str | None:
        """Return the address that the request came from, where the server knows it."""
        client = self.scope.get("client")
        return client[0] if client else None

    async def body(self) -> bytes:
        """Return the body.

        Raises:
            WireError: it is larger than the wire allows.
            ClientLeft: it is not whole.
        """
        parts: list[bytes] = []
        size, is_more = 0, True
        while is_more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            part = message.get("body", b"")
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise WireError(f"The body is larger than {MAX_BODY_BYTES} bytes.", status=413)
            parts.append(part)
            is_more = message.get("more_body", False)
        return b"".join(parts)

    async def wait_for_leaving(self) -> None:
        """Return once the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def require_known_host(self) -> None:
        """Refuse a host name under which this installation is not known.

        Raises:
            WireError: see `ALLOWED_HOSTS`.
        """
        domain, _ = split_domain_port(self.header("host"))
        allowed = settings.ALLOWED_HOSTS or ([".localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
        if not domain or not validate_host(domain, allowed):
            raise WireError("This server is not known under the host name of the request; see ALLOWED_HOSTS.")

    @property
    def secure_url(self) -> str | None:
        """Return where the request belongs, where only HTTPS is allowed and it came without."""
        if not settings.SECURE_SSL_REDIRECT or self._is_secure():
            return None
        return f"https://{self.header('host')}{self.scope['path']}"

    def _is_secure(self) -> bool:
        if settings.SECURE_PROXY_SSL_HEADER is None:
            return bool(self.scope.get("scheme") == "https")
        name, value = settings.SECURE_PROXY_SSL_HEADER
        given = self.header(name.removeprefix("HTTP_").replace("_", "-").lower())
        return given.split(",")[0].strip() == value


class Reply:
    """One HTTP response."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False
        self.always: dict[str, str] = {}  # headers that whatever is sent has, an error too
        self.duration_header = ""  # tells the milliseconds from the request to the beginning of the reply
        self._came_at = time.monotonic()

    async def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers, with those that every reply has."""
        told = {**self.always, **headers}
        if settings.SECURE_HSTS_SECONDS:
            told["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}; includeSubDomains; preload"
        if self.duration_header:
            told[self.duration_header] = str(round((time.monotonic() - self._came_at) * 1000))
        self.has_begun = True
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    *((name.encode("latin-1"), _header_bytes(value)) for name, value in told.items()),
                    *_SECURE,
                ],
            }
        )

    async def write(self, data: bytes) -> None:
        """Send a part of the body; it waits while the client does not take what came before."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        """Send the last part of the body."""
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def whole(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        """Send a response at once."""
        await self.begin(status, {**headers, "Content-Length": str(len(body))})
        await self.end(body)


def _header_bytes(value: str) -> bytes:
    """Return a header's value as Django writes it: what is not Latin-1 is encoded as MIME has it."""
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        from email.header import Header

        return Header(value, "utf-8", maxlinelen=10**9).encode().encode("latin-1")
