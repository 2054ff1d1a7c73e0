"""What all requests of one event loop share: connections, threads, queues, what is kept for a moment."""

import asyncio
from dataclasses import dataclass, field

import aiohttp

from benchmarks.inference.base import GenerationRequest
from benchmarks.inference.chatting import ChatWire, PreparingClient
from benchmarks.models import InferenceServer
from router import wiring
from router.answering import Caller
from router.caching import CacheRules
from router.gateway.able import Abilities
from router.gateway.caching import AnswerCache
from router.gateway.deciding import AHEAD_S, FRESH_S, Decider
from router.gateway.kept import Kept
from router.gateway.line import DatabaseLine, is_kept
from router.gateway.metering import LiveMeter
from router.gateway.pacing import Pacing
from router.gateway.presence import Presence
from router.gateway.recording import Recorder
from router.gateway.servers import Limits, ServerDesk
from router.gateway.upstream import open_session
from router.gateway.working import Workers
from router.limiting import Limiter

_CLIENTS_S = 60.0  # what a server tells about its models is asked again after that
_MOST_SERVERS = 256
_MOST_CALLERS = 4096


@dataclass(frozen=True)
class Wanted:
    """What the settings want of the gateway."""

    limits: Limits
    connect_timeout_s: float
    is_prompt_text_kept: bool
    keeps_with_consent: bool
    redis_url: str  # where requests and tokens of keys are counted
    longest_answer_s: float = 1800.0
    is_background_apart: bool = True
    machine_name: str = ""
    measured_every: int = 0
    cache: CacheRules = field(default_factory=CacheRules)


@dataclass
class House:
    """What all requests of one event loop share."""

    wanted: Wanted
    workers: Workers = field(default_factory=Workers)
    callers: Kept[tuple[str, str], Caller] = field(init=False)
    decider: Decider = field(init=False)
    recorder: Recorder = field(init=False)
    cache: AnswerCache = field(init=False)
    presence: Presence = field(init=False)
    meter: LiveMeter = field(init=False)
    session: aiohttp.ClientSession = field(init=False)
    limiter: Limiter = field(init=False)
    pacing: Pacing = field(default_factory=Pacing)

    def __post_init__(self) -> None:
        self.callers = Kept(lifetime_s=FRESH_S, ahead_s=AHEAD_S, most=_MOST_CALLERS)
        self.decider = Decider(
            self.workers,
            Abilities(self.workers, self.client),
            is_background_apart=self.wanted.is_background_apart,
        )
        self.meter = LiveMeter(self.wanted.machine_name, self.wanted.measured_every)
        self.presence = Presence(self.workers, longest_s=self.wanted.longest_answer_s)
        self.recorder = Recorder(
            self.workers, process=lambda: self.presence.process, line=DatabaseLine(self.workers) if is_kept() else None
        )
        self.cache = AnswerCache(self.workers, self.decider, self.wanted.cache)
        self.session = open_session(connect_timeout_s=self.wanted.connect_timeout_s)
        self.limiter = Limiter(self.wanted.redis_url)
        self._clients: Kept[tuple[object, ...], PreparingClient] = Kept(lifetime_s=_CLIENTS_S, most=_MOST_SERVERS)
        self._asking: dict[tuple[int, str], asyncio.Future[ChatWire]] = {}  # by server and model
        self._desks: dict[int, ServerDesk] = {}

    async def client(self, server: InferenceServer) -> PreparingClient:
        """Return the client of a server; it knows what the server told about its models."""

        async def make() -> PreparingClient:
            made = wiring.connect_server(server)
            assert isinstance(made, PreparingClient)  # noqa: S101  both kinds of server have one
            return made

        key = (server.pk, server.kind, server.base_url, server.api_key_variable)
        return await self._clients.get(key, make)

    async def wire(self, server: InferenceServer, wanted: GenerationRequest) -> ChatWire:
        """Return the wire of an answer; of requests that come at once, one asks the server about the model for all.

        Raises what `PreparingClient.prepare` raises.
        """
        client = await self.client(server)
        key = (server.pk, wanted.model)
        if not client.is_ready_for(wanted) and key in self._asking:
            await asyncio.wait({self._asking[key]})
        if client.is_ready_for(wanted):
            return client.prepare(wanted)
        asking = asyncio.ensure_future(self.workers.ask(lambda: client.prepare(wanted)))
        self._asking[key] = asking
        try:
            return await asking
        finally:
            if self._asking.get(key) is asking:
                del self._asking[key]

    def desk(self, server: InferenceServer) -> ServerDesk:
        """Return what limits the requests to a server."""
        desk = self._desks.get(server.pk)
        if desk is None:
            desk = self._desks[server.pk] = ServerDesk(server.name, self.wanted.limits)
        return desk

    async def close(self) -> None:
        """Store what is not stored, and close every connection."""
        await self.meter.close()
        await self.callers.settle()
        await self.decider.settle()
        await self.recorder.drain()
        await self.presence.end()
        await self.limiter.close()
        await self.session.close()
        self.workers.close()
