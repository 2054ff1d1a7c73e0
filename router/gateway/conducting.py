"""One request from its decision to its record: asks the chosen server, falls back before the first piece."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace

from django.utils import timezone

from benchmarks.inference.base import (
    ChatMessage,
    ChatPiece,
    Generation,
    GenerationRequest,
    InferenceError,
)
from benchmarks.inference.demands import called
from benchmarks.models import Deployment, Measurement
from router.answering import Caller, Decided, last_user_text, request_of
from router.background import background_task
from router.cached_answers import Hit
from router.checking import JUDGING
from router.denying import denials_counted
from router.ended import Ended
from router.gateway.caching import Look
from router.gateway.house import House
from router.gateway.keeping import keep_answer
from router.gateway.measured import MeasuredAnswer
from router.gateway.recording import Record
from router.gateway.servers import ServerNotAvailable
from router.gateway.taking_over import is_of_server, other_deployment
from router.gateway.turning import take_turns
from router.gateway.upstream import UpstreamAnswer
from router.generating import note_piece, storable
from router.length import Asked as Sent
from router.models import GatewayRequest, UpstreamAttempt
from router.observing import observe
from router.reckoning import Settling
from router.steady_clock import SteadyClock
from router.turns import Ask, Asked, pieces_of
from router.wire import ChatRequest

_PATIENCE_S = 3600.0  # where nobody is told anything meanwhile

State = GatewayRequest.State
Outcome = UpstreamAttempt.Outcome


class Conductor:
    """Answers one request; whoever makes one calls `end` whatever happens, which stores its rows."""

    def __init__(
        self,
        house: House,
        caller: Caller,
        asked: ChatRequest,
        *,
        is_measuring_wanted: bool = False,
        trace_parent: str = "",
    ) -> None:
        self._house = house
        self._caller = caller
        self._asked = asked
        self._clock = SteadyClock(timezone.now())
        self._record = Record(
            request_of(
                caller=caller,
                requested_model=asked.model,
                prompt_text=last_user_text(asked.messages),
                now=self._clock.began_at,
                is_prompt_text_kept=house.wanted.is_prompt_text_kept,
            )
        )
        self._record.request.background_task = background_task(asked.messages) or ""
        self._ended = Ended(
            self._record.request, caller.key_name, caller.key_prefix, trace_parent, attempts=self._record.attempts
        )
        self._look: Look | None = None
        self._decided: Decided | None = None
        self._answer: UpstreamAnswer | None = None
        self._holding = AsyncExitStack()
        self._measured = MeasuredAnswer(house.meter, house.workers, is_wanted=is_measuring_wanted)
        self._generation: Generation | None = None
        self._accepted: Generation | None = None  # of an answer that a cascade let stand
        self._is_ended = False
        self.has_begun = False  # once bytes of an answer have left, no other model can take over

    @property
    def request(self) -> GatewayRequest:
        """Return the row of the request."""
        return self._record.request

    @property
    def decided(self) -> Decided:
        """Return the decision, with the deployment that answers."""
        assert self._decided is not None  # noqa: S101
        return self._decided

    @property
    def measurement(self) -> Measurement | None:
        """Return what the answer was measured to cost, once it has ended; None where nobody knows, or not yet."""
        return self._record.attempts[-1].measurement if self._record.attempts else None

    @property
    def used_tokens(self) -> int:
        """Return how many tokens the models have read and written for it, as far as their servers tell."""
        attempts = self._record.attempts
        return sum((one.prompt_token_count or 0) + (one.output_token_count or 0) for one in attempts)

    async def recall(self) -> Hit | None:
        """Return an answer of the cache to this request, noted on its row; None where a model has to answer."""
        request = self._record.request
        self._look = None if request.background_task else await self._house.cache.look(self._caller, self._asked)
        hit = None if self._look is None else self._look.hit
        if hit is None or not self._caller.may_ask(hit.answer.deployment.language_model.name):
            return None
        request.cache_hit, request.cache_saved_gco2e = hit.kind, hit.saved_gco2e
        request.cache_saved_quality = hit.quality
        self._ended.deployment = hit.answer.deployment
        return hit

    async def decide(self) -> None:
        """Decide which model answers.

        Raises what `Decider.decide` raises.
        """
        self._house.recorder.begin(self._record)
        await self._measured.begin()
        with denials_counted(self._caller, leaves_row=True):
            deciding = asyncio.ensure_future(
                self._house.decider.decide(request=self._record.request, caller=self._caller, asked=self._asked)
            )
            try:
                await asyncio.shield(deciding)
            except asyncio.CancelledError:
                deciding.cancel()
                await asyncio.wait({deciding})
                if not deciding.cancelled() and deciding.exception() is None:
                    self._note_decided(deciding.result())  # so that what was booked is given back
                raise
            self._note_decided(deciding.result())

    def _note_decided(self, decided: Decided) -> None:
        self._decided, self._record.decision = decided, decided.decision
        self._note_booked()

    @property
    def is_settled(self) -> bool:
        """Tell whether it is known which model answers, which a cascade knows once an answer stands."""
        return self.decided.route is None or not self.decided.route.choice.plan

    async def settle(self) -> None:
        """Ask the models of a cascade in turn, until an answer stands or only the last one is left."""
        if self.is_settled:
            return
        self._decided, stood = await take_turns(
            decided=self.decided,
            messages=self._asked.messages,
            ask=self._ask_whole,
            workers=self._house.workers,
        )
        self._accepted = stood.generation
        self._note_booked()

    async def read(self, patience_s: float) -> list[ChatPiece] | None:
        """Return the next pieces, or None where none comes in time; after the last one, the generation, `end`.

        Where a server is in trouble before the first piece left, a model on another one takes over.

        Raises:
            InferenceError, ServerNotAvailable: nobody can answer.
        """
        if self._accepted is not None:
            self._generation, self._accepted = self._accepted, None
            return [*pieces_of(self._generation), *called(self._generation.tool_calls), self._generation]
        while True:
            try:
                if self._answer is None:
                    await self._ask()
                assert self._answer is not None  # noqa: S101
                pieces = await self._answer.read(patience_s)
            except (InferenceError, ServerNotAvailable) as error:
                await self._fail(error)
                other = None
                if not self.has_begun:
                    other = await other_deployment(self._house.decider, self.decided, self._record.attempts, error)
                if other is None:
                    raise
                self._decided = replace(self.decided, deployment=other)
                continue
            self._note(pieces or [])
            return pieces

    async def whole(self, patience_s: float = _PATIENCE_S) -> Generation:
        """Return the whole answer; raises what `read` raises."""
        await self.settle()
        while self._generation is None:
            await self.read(patience_s)
        return self._generation

    async def end(
        self, state: State, error: Exception | None = None, *, meanwhile: Callable[[], None] | None = None
    ) -> None:
        """End the request and return once its rows are stored; ending it again changes nothing.

        Args:
            meanwhile: is called while the database stores them, once it is known what the answer was measured to cost.

        Raises:
            DatabaseError: they cannot be stored.
        """
        if self._is_ended:
            return
        self._is_ended = True
        await self._close_attempt(Outcome.CANCELLED if error is None else Outcome.FAILED, error)
        request = self._record.request
        request.state = state
        request.error_code = type(error).__name__ if error else ""
        request.error = storable(error) if error else ""
        request.finished_at = self._clock.now()
        storing = asyncio.ensure_future(self._store(meanwhile))
        try:
            await asyncio.shield(storing)
        except asyncio.CancelledError:
            await asyncio.wait({storing})  # who waits for the figure may leave: the rows are stored all the same
            storing.exception()  # the recorder has logged it
            raise
        decided, generation = self._decided, self._generation
        if state != State.ANSWERED or request.background_task:
            return
        if decided is not None and generation is not None:
            await keep_answer(
                self._house, decided, self._asked, generation,
                look=self._look, is_agreed=self._caller.is_keeping_agreed,
            )  # fmt: skip

    async def _store(self, meanwhile: Callable[[], None] | None) -> None:
        """Store the rows of a request that has ended; raises what `Recorder.write` raises."""
        await self._measured.note_in(self._record)
        if self._decided is not None:
            self._ended.decision, self._ended.deployment = self._decided.decision, self._decided.deployment
        writing = self._house.recorder.write(self._record)
        await asyncio.sleep(0)  # the database gets the rows first, and stores them beside what follows
        try:
            observe(self._ended)
            if meanwhile is not None:
                meanwhile()
        finally:
            await writing
        self._measured.note_later(self._record)

    def _note_booked(self) -> None:
        """Keep what the budget of the key was told, until it is known what the answer cost."""
        hour, decision = self.decided.hour, self.decided.decision
        if hour is not None:
            sent = Sent.of(self._asked.messages, self._asked.parameters, self._asked.demands.character_count)
            self._record.settling = Settling(sent, decision, hour.booked_gco2e, decision.decided_at)

    async def _ask_whole(self, deployment: Deployment, asked: Ask) -> Asked:
        """Have one model of a cascade answer; one whose server fails is passed over."""
        self._decided = replace(self.decided, deployment=deployment)
        made_before = len(self._record.attempts)
        try:
            await self._ask(asked)
            assert self._answer is not None  # noqa: S101
            while self._generation is None:
                self._note(await self._answer.read(_PATIENCE_S) or [])
        except (InferenceError, ServerNotAvailable) as error:
            await self._fail(error)
            number = len(self._record.attempts)
            return Asked(number if number > made_before else None, error)
        generation, self._generation = self._generation, None
        await self._close_attempt(Outcome.FINISHED, None)
        return Asked(made_before + 1, generation)

    async def _ask(self, asked: Ask | None = None) -> None:
        deployment = self.decided.deployment
        await self._holding.enter_async_context(self._house.desk(deployment.server).place())
        number = len(self._record.attempts) + 1
        self._record.attempts.append(
            UpstreamAttempt(deployment=deployment, number=number, started_at=self._clock.now())
        )
        wanted = GenerationRequest(
            deployment.language_model.name, self._asked.messages, self._asked.parameters, self._asked.demands
        )
        if asked is not None and asked.question is not None:
            wanted = replace(wanted, messages=(ChatMessage("user", asked.question),), parameters=JUDGING)
        elif asked is not None and asked.is_margin_wanted:
            wanted = replace(wanted, is_margin_wanted=True)
        wire = await self._house.wire(deployment.server, wanted)
        if number == 1:
            self._measured.start(deployment, self._record.request.public_id)
        self._answer = UpstreamAnswer(self._house.session, wire)

    def _note(self, pieces: list[ChatPiece]) -> None:
        attempt = self._record.attempts[-1]
        for piece in pieces:
            if isinstance(piece, Generation):
                self._generation = piece
                self._measured.stop(is_whole=True)
                attempt.take_figures(piece)
                attempt.outcome = Outcome.FINISHED
            else:
                note_piece(attempt, piece, self._clock.now(), is_text_kept=self._house.wanted.is_prompt_text_kept)
        if pieces:
            self._house.desk(attempt.deployment.server).note(has_failed=False)

    async def _fail(self, error: Exception) -> None:
        server = self.decided.deployment.server
        if not isinstance(error, ServerNotAvailable):
            self._house.desk(server).note(has_failed=is_of_server(error))
        await self._close_attempt(Outcome.FAILED, error)

    async def _close_attempt(self, outcome: Outcome, error: Exception | None) -> None:
        self._measured.stop(is_whole=False)
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        await self._holding.aclose()
        self._holding = AsyncExitStack()
        attempt = self._record.attempts[-1] if self._record.attempts else None
        if attempt is None or attempt.finished_at is not None:
            return
        if attempt.outcome == Outcome.RUNNING:
            attempt.outcome = outcome
            attempt.error_kind = type(error).__name__ if error else ""
            attempt.error = storable(error) if error else ""
        attempt.finished_at = self._clock.now()
