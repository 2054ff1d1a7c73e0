"""Let pages of other sites call the endpoint from a browser (CORS), where a setting names them; off by default.

No cookie counts at these addresses, only the key that the page sends, so that credentials are never allowed.
"""

from collections.abc import Collection

from router.gateway.http import Message, Reply, Scope, Send

_SHARED = ("/v1/", "/api/", "/health")
_METHODS = "GET, HEAD, POST, OPTIONS"
_PREFLIGHT_S = 600
EVERY_ORIGIN = "*"


class Sharing:
    """One request as the browser of another site's page sees it."""

    def __init__(self, scope: Scope, origins: Collection[str]) -> None:
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._method = scope["method"]
        origin = self._headers.get(b"origin", b"").decode("latin-1")
        is_known = origin in origins or EVERY_ORIGIN in origins
        self._is_here = scope["path"].startswith(_SHARED)
        self._origin = origin if origin and is_known and self._is_here else ""

    @property
    def is_preflight(self) -> bool:
        """Tell whether the browser of a known page asks whether it may ask."""
        asks = self._method == "OPTIONS" and b"access-control-request-method" in self._headers
        return bool(self._origin) and asks

    async def answer_preflight(self, send: Send) -> None:
        """Answer that it may."""
        wanted = self._headers.get(b"access-control-request-headers", b"").decode("latin-1")
        headers = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": wanted or "Authorization, Content-Type",
            "Access-Control-Max-Age": str(_PREFLIGHT_S),
        }
        await Reply(self.told(send)).whole(204, headers, b"")

    def told(self, send: Send) -> Send:
        """Return what sends, with the headers that let a known page read the answer."""
        if not self._is_here:
            return send
        added = [(b"vary", b"Origin")]
        if self._origin:
            added += [
                (b"access-control-allow-origin", self._origin.encode("latin-1")),
                (b"access-control-expose-headers", b"*"),
            ]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        return sending
