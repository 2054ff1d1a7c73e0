"""The ASGI application in front of Django: it answers the addresses of the endpoint that generate, Django the rest."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from weakref import WeakKeyDictionary

from django.conf import settings

from router.caching import CacheRules
from router.gateway.bounding import bounded
from router.gateway.house import House, Wanted
from router.gateway.http import ClientLeft, Incoming, Message, Receive, Reply, Scope, Send
from router.gateway.replying import reply_to
from router.gateway.servers import Limits
from router.gateway.sharing import Sharing
from router.wires.ollama import OLLAMA_CHAT, OLLAMA_GENERATE
from router.wires.openai import CHAT, COMPLETION
from router.wires.surface import Surface

SURFACES: dict[str, Surface] = {
    "/v1/chat/completions": CHAT,
    "/v1/completions": COMPLETION,
    "/api/chat": OLLAMA_CHAT,
    "/api/generate": OLLAMA_GENERATE,
}


class Application:
    """Sends a request to its surface or to Django; whoever runs its lifespan closes what it opened."""

    def __init__(
        self,
        django: Callable[..., Awaitable[None]],
        *,
        at_start: Callable[[], None] | None = None,
        at_end: Callable[[], None] | None = None,
    ) -> None:
        self._django = django
        self._at_start, self._at_end = at_start, at_end
        self._houses: WeakKeyDictionary[asyncio.AbstractEventLoop, House] = WeakKeyDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] == "http" and settings.CORS_ORIGINS:
            sharing = Sharing(scope, settings.CORS_ORIGINS)
            if sharing.is_preflight:
                await sharing.answer_preflight(send)
                return
            send = sharing.told(send)
        surface = SURFACES.get(scope["path"]) if scope["type"] == "http" else None
        if surface is None:
            if scope["type"] == "http":
                await bounded(self._django, scope, receive, send, pages_mb=settings.UPLOAD_PAGES_MB)
            else:
                await self._django(scope, receive, send)
            return
        house = self._house()
        await house.pacing.begin()
        with suppress(ClientLeft):
            await reply_to(Incoming(scope, receive), Reply(send), surface=surface, house=house)

    def _house(self) -> House:
        """Return what the requests of this event loop share."""
        loop = asyncio.get_running_loop()
        house = self._houses.get(loop)
        if house is None:
            house = self._houses[loop] = House(wanted())
        return house

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message: Message = await receive()
            if message["type"] == "lifespan.startup":
                opened = self._house()
                await asyncio.to_thread(opened.workers.begin)
                opened.presence.begin()
                if self._at_start is not None:
                    self._at_start()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                house = self._houses.pop(asyncio.get_running_loop(), None)
                if house is not None:
                    await house.close()
                if self._at_end is not None:
                    await asyncio.to_thread(self._at_end)
                await send({"type": "lifespan.shutdown.complete"})
                return


def wanted() -> Wanted:
    """Return what the settings want of the gateway."""
    return Wanted(
        limits=Limits(
            at_once=settings.UPSTREAM_AT_ONCE,
            waiting=settings.UPSTREAM_WAITING,
            patience_s=settings.UPSTREAM_PATIENCE_S,
            rest_s=settings.UPSTREAM_REST_S,
        ),
        connect_timeout_s=settings.CONNECT_TIMEOUT_S,
        is_prompt_text_kept=settings.KEEP_PROMPT_TEXT,
        keeps_with_consent=settings.KEEP_WITH_CONSENT,
        redis_url=settings.REDIS_URL,
        longest_answer_s=settings.GENERATION_TIMEOUT_S,
        is_background_apart=settings.BACKGROUND_PROMPTS == "cheapest",
        machine_name=settings.MACHINE_NAME,
        measured_every=settings.MEASURE_EVERY,
        cache=CacheRules(
            is_on=settings.CACHE != "off",
            is_semantic=settings.CACHE == "semantic",
            is_shared=settings.CACHE_SHARED,
            takes_any_temperature=settings.CACHE_ANY_TEMPERATURE,
            lifetime_s=settings.CACHE_SECONDS,
            most=settings.CACHE_ENTRIES,
            most_distance=settings.CACHE_DISTANCE,
        ),
    )
