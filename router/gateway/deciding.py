"""Decide which model answers, without holding a database connection longer than the deciding takes."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf

import numpy as np
import numpy.typing as npt
from django.core.exceptions import SynchronousOnlyOperation
from django.utils import timezone

from benchmarks.federating import find_deployment
from benchmarks.inference.base import Embeddings, InferenceError
from benchmarks.models import Deployment
from router import wiring
from router.abilities import required
from router.answering import Caller, Decided, is_auto, wishes_of
from router.background import BackgroundTask
from router.circumstances import Routed, Sent, route_apart, route_sent, sent_by
from router.embedding import Embedder
from router.gateway.able import Abilities
from router.gateway.kept import Kept
from router.gateway.working import Result, Workers
from router.lately import Lately, WouldWait
from router.models import GatewayRequest
from router.policy import Candidate
from router.routing import decision_of, pinned_decision
from router.spending import book_decision, hour_of
from router.usual import Usual, usual_of
from router.vectors import Matrix, UnusableEmbedding
from router.wire import ChatRequest

logger = logging.getLogger(__name__)

FRESH_S = 0.5  # a model that was retired, or a key that was revoked, is known to every process after that
AHEAD_S = 0.2  # so long before it is read anew beside, where somebody asks for it
_QUICK_S = 0.002  # of processor time: a decision in a thread costs the event loop about as much
_WEIGHT = 1 / 8  # of the latest decision in what is usual
_VECTORS_S = 3600.0
_MOST_VECTORS = 4096
_USUAL_S = 60.0  # what a model usually costs changes with its answers
_MOST_NAMES = 256

Vector = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Known(Embedder):
    """The embedder where the vector of the one text is known already; nobody is asked."""

    vector: Vector = field(kw_only=True)

    def embed(self, texts: Sequence[str], *, on_progress: Callable[[int], None] | None = None) -> Matrix:  # noqa: ARG002
        """Return the vector, as the only row."""
        return self.vector[None]


class _Pace:
    """Whether the event loop itself decides: where decisions are usually quick.

    A decision in a thread takes turns with the event loop at every step, so that under load each waits for the other.
    """

    def __init__(self) -> None:
        self._usual_s = 0.0

    @property
    def is_quick(self) -> bool:
        return self._usual_s < _QUICK_S

    def note(self, spent_s: float) -> None:
        """Note the processor time of a decision, endless where it had to wait; a single slow one is not usual yet."""
        self._usual_s += (min(spent_s, 4 * _QUICK_S) - self._usual_s) * _WEIGHT


@dataclass(frozen=True)
class _Away:
    """Stands in for the server of an embedder that must not be asked: it has just failed, or there is no need."""

    error: Exception

    def embed(self, _name: str, _texts: Sequence[str]) -> Embeddings:
        raise self.error


class Decider:
    """Decides for one event loop; what is asked again and again is kept for a moment."""

    def __init__(self, workers: Workers, abilities: Abilities, *, is_background_apart: bool = True) -> None:
        self._workers = workers
        self._abilities = abilities
        self._is_background_apart = is_background_apart
        self._lately = Lately(lifetime_s=FRESH_S, ahead_s=AHEAD_S)
        self._renewing: asyncio.Task[None] | None = None
        self._readings: Kept[Hashable, object] = Kept(lifetime_s=0.0, most=1)
        self._pace = _Pace()
        self._embedders: Kept[str, Deployment] = Kept(lifetime_s=FRESH_S, ahead_s=AHEAD_S, most=1)
        self._pinned: Kept[str, Deployment] = Kept(lifetime_s=FRESH_S, ahead_s=AHEAD_S, most=_MOST_NAMES)
        self._usual: Kept[int, Usual | None] = Kept(lifetime_s=_USUAL_S, ahead_s=_USUAL_S / 2, most=_MOST_NAMES)
        self._vectors: Kept[tuple[int, str], tuple[Vector, float]] = Kept(lifetime_s=_VECTORS_S, most=_MOST_VECTORS)

    async def decide(self, *, request: GatewayRequest, caller: Caller, asked: ChatRequest) -> Decided:
        """Return the decision for a request, whose row is not stored yet.

        Where that is cancelled once a budget may have been told of it, it is returned all the same.

        Raises what `router.answering.stream_answer` raises before it generates, and `NobodyAble`.
        """
        wishes_of(caller, asked.model, asked.wish)  # it refuses those of a request that names a model
        unable = await self._abilities.unable(asked.needed if is_auto(asked.model) else required(asked.needed))
        if not is_auto(asked.model):
            name = asked.model
            deployment = await self._pinned.get(name, lambda: self._workers.query(lambda: find_deployment(name=name)))
            if deployment.pk in unable.reasons and deployment.language_model.name not in unable.able:
                raise unable.refusal(deployment.language_model.name)
            if caller.has_budget:
                return await self._booked_whole(lambda: _pinned(request, deployment))
            usual = await self._usual.get(deployment.pk, lambda: self._workers.query(lambda: _usual_of(deployment)))
            decision = pinned_decision(deployment=deployment, now=timezone.now(), usual=usual)
            return Decided(request, decision, deployment, None, None)
        embedder = await self._embedders.get("", lambda: self._workers.query(wiring.own_embedder))
        is_apart = self._is_background_apart and bool(request.background_task)
        sent = sent_by(
            caller=caller, asked=asked, now=timezone.now(), loaded=wiring.loaded_models().of, unable=unable,
            task=BackgroundTask(request.background_task) if is_apart else None,
        )  # fmt: skip
        if sent.task is not None:
            decided = await self._booked_whole(lambda: self._decided_apart(request, sent, wiring.embedder_on(embedder)))
            if decided is not None:
                return decided
        known: Embedder
        try:
            vector, embedding_ms = await self._embedded(embedder, sent.text)
            nobody = _Away(AssertionError("the vector is known"))
            known = _Known(embedder.language_model, nobody, vector=vector)  # type: ignore[arg-type]  # it only embeds
        except (InferenceError, UnusableEmbedding) as error:
            known = Embedder(embedder.language_model, _Away(error))  # type: ignore[arg-type]  # likewise
            embedding_ms = None
        decided = await self._decide(request, sent, known, embedding_ms)
        if self._lately.has_due and self._renewing is None:
            self._renewing = asyncio.ensure_future(self._renew())
        return decided

    async def settle(self) -> None:
        """Return once nothing is being read that nobody waits for."""
        if self._renewing is not None:
            await asyncio.wait({self._renewing})
        await self._embedders.settle()
        await self._pinned.settle()
        await self._usual.settle()
        await self._readings.settle()

    async def others(self, decided: Decided, *, but: Collection[int], but_servers: Collection[int]) -> list[Deployment]:
        """Return which other deployments may answer, the likeliest to be right first, then the cheapest.

        Once the carbon budget of the key is spent, the cheapest comes first. Where the caller named the model these are
        its deployments on other servers.
        """

        def read() -> list[Deployment]:
            rows = Deployment.objects.active().select_related("language_model", "server").exclude(pk__in=but)
            rows = rows.exclude(server_id__in=but_servers)
            if decided.route is None:
                return list(rows.filter(language_model=decided.deployment.language_model).order_by("pk"))
            is_spent = decided.hour is not None and decided.hour.is_cheapest_wanted
            ranks = {
                one.evidence.deployment_id: _rank(one, is_cheapest_first=is_spent)
                for one in decided.route.choice.candidates
                if one.evidence.deployment_id not in decided.route.too_long_ids
            }
            return sorted(rows.filter(pk__in=ranks), key=lambda one: ranks[one.pk])

        return await self._workers.query(read)

    def _decided_apart(self, request: GatewayRequest, sent: Sent, embedder: Embedder) -> Decided | None:
        """Return the decision for a prompt that a chat client sent on its own; None where it is routed as any other."""
        with self._lately.used():
            routed = route_apart(sent=sent, embedder=embedder, store=wiring.vector_store())
        return None if routed is None else _booked(request, sent, routed)

    async def _decide(
        self, request: GatewayRequest, sent: Sent, embedder: Embedder, embedding_ms: float | None
    ) -> Decided:
        """Return the decision; the event loop makes it where decisions are quick, and a thread otherwise."""

        def decide(*, may_wait: bool) -> tuple[Decided, float]:
            began = time.thread_time()
            with self._lately.used(may_wait=may_wait):
                routed = route_sent(sent=sent, embedder=embedder, store=wiring.vector_store())
            routed = replace(routed, route=replace(routed.route, embedding_ms=embedding_ms))
            return _booked(request, sent, routed), time.thread_time() - began

        in_thread = partial(decide, may_wait=True)
        found: tuple[Decided, float] | None = None
        if self._pace.is_quick and sent.budget_key_id is None:
            found = await self._without_waiting(partial(decide, may_wait=False), in_thread)
        if found is None:
            found = await self._booked_whole(in_thread)
        decided, spent_s = found
        self._pace.note(spent_s)
        return decided

    async def _booked_whole(self, decide: Callable[[], Result]) -> Result:
        """Decide in a thread; who is cancelled meanwhile gets the decision all the same: a budget may know of it."""
        deciding = asyncio.ensure_future(self._workers.query(decide))
        try:
            return await asyncio.shield(deciding)
        except asyncio.CancelledError:
            await asyncio.wait({deciding})
            return deciding.result()

    async def _without_waiting(
        self, decide: Callable[[], tuple[Decided, float]], in_thread: Callable[[], object]
    ) -> tuple[Decided, float] | None:
        """Decide on the event loop; None where that needs a query of its own, or what could not be read.

        What is lacking and kept is read in a thread, once for all that wait for it. What it cannot tell how to read is
        there once a decision was made in a thread.
        """
        read: set[Hashable] = set()
        while True:
            try:
                return decide()
            except SynchronousOnlyOperation:  # Django's word for a query here
                return None
            except WouldWait as lacking:
                if lacking.key is None:
                    self._pace.note(inf)
                if lacking.key is None or lacking.key in read:
                    return None
                key, reading = lacking.key, lacking.read or in_thread
            read.add(key)
            if not await self._was_read(key, reading):
                return None

    async def _was_read(self, key: Hashable, read: Callable[[], object]) -> bool:
        """Return once what decisions lack was read; False where it could not be, which each finds out for itself."""
        if self._renewing is not None:
            await asyncio.wait({self._renewing})  # it may be among what is read anew
        try:
            await self._readings.get(key, lambda: self._workers.query(read))
        except Exception as error:  # noqa: BLE001  it may be of another one's request
            logger.info("what a decision rests on could not be read: %s", error)
            return False
        return True

    async def _renew(self) -> None:
        try:
            await self._workers.query(self._lately.renew)
        except Exception as error:  # noqa: BLE001  an outer edge: whoever needs it next reads it, and is told
            logger.warning("what decisions rest on could not be read anew: %s", error)
        finally:
            self._renewing = None

    async def vector_of(self, text: str) -> tuple[Deployment, Vector]:
        """Return the router's embedder and the vector of a text, which a decision then need not ask for again."""
        embedder = await self._embedders.get("", lambda: self._workers.query(wiring.own_embedder))
        vector, _ = await self._embedded(embedder, text)
        return embedder, vector

    async def _embedded(self, embedder: Deployment, text: str) -> tuple[Vector, float]:
        """Return the vector of a text and how long it took, in milliseconds; 0 where it was kept.

        Where everybody who waits for it has left, the embedder is not kept busy with it.
        """
        key = (embedder.language_model.pk, hashlib.sha256(text.encode()).hexdigest())
        began = time.perf_counter()

        async def make() -> tuple[Vector, float]:
            matrix = await self._workers.interruptible(
                lambda interruption: wiring.prompt_embedder_on(embedder, interruption=interruption).embed([text])
            )
            return matrix[0], (time.perf_counter() - began) * 1000

        vector, took_ms = await self._vectors.get(key, make)
        return vector, min(took_ms, (time.perf_counter() - began) * 1000)


def _booked(request: GatewayRequest, sent: Sent, routed: Routed) -> Decided:
    now = timezone.now()
    decision = decision_of(route=routed.route, now=now, baseline=routed.baseline)
    booked = book_decision(routed.hour, request=request, decision=decision, now=sent.conditions.now or now)
    return Decided(request, decision, routed.route.chosen, routed.route, booked)


def _usual_of(deployment: Deployment) -> Usual | None:
    return usual_of(deployment_id=deployment.pk)


def _pinned(request: GatewayRequest, deployment: Deployment) -> Decided:
    """Return the decision for a named model, and book what it usually costs on the budget of the key."""
    now = timezone.now()
    hour = hour_of(api_key_id=request.api_key_id, now=now)
    decision = pinned_decision(deployment=deployment, now=now, usual=_usual_of(deployment))
    return Decided(
        request, decision, deployment, None, book_decision(hour, request=request, decision=decision, now=now)
    )


def _rank(candidate: Candidate, *, is_cheapest_first: bool) -> tuple[float, float]:
    """Return what sorts the likeliest to be right first, of equals the cheapest; or the other way round."""
    evidence = candidate.evidence
    verdict = {True: 1.0, None: 0.5, False: 0.0}[evidence.is_correct]
    cost = float("inf") if evidence.sci_gco2e is None else evidence.sci_gco2e
    doubt = -(verdict if evidence.p is None else evidence.p)
    return (cost, doubt) if is_cheapest_first else (doubt, cost)
