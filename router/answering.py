"""Answer a request: decide, generate, and keep a row of all of it.

No transaction and no query is open while a model generates, so that a slow answer holds no database connection.
"""

import hashlib
import logging
import os
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import DatabaseError, transaction

from benchmarks.federating import find_deployment
from benchmarks.inference.base import ChatMessage, Generation, GenerationParameters, TextChunk
from benchmarks.models import Deployment
from router.adjusting import Conditions
from router.baseline import strong_candidate
from router.budget import HourSpent
from router.ended import Ended
from router.escalating import ask_in_turn
from router.falling_back import route_or_fall_back
from router.generating import Gateway, Inquiry, Interrupted, generate, storable
from router.keeping import keep_live_answer, stands_alone
from router.length import Asked
from router.models import GatewayRequest, RoutingDecision
from router.observing import observe
from router.policy import Evidence
from router.routing import Route, record_pinned, record_route
from router.settling import end_cascade, evidence_of, turns_of
from router.spending import book_decision, book_run, hour_of
from router.steps import Step
from router.terms import Terms
from router.turns import Stood, pieces_of
from router.weighing import Readable
from router.wishes import DIALS, Wish, WishRefused

logger = logging.getLogger(__name__)

AUTO_MODEL = "auto"


@dataclass(frozen=True)
class Caller:
    """Who asks, through which door, how an admin wants the prompts of that key routed, and whether it has a budget."""

    surface: str
    api_key_id: int | None = None
    user_id: int | None = None
    key_wish: Wish | None = None
    has_budget: bool = False  # of carbon
    is_cache_allowed: bool = True
    is_keeping_agreed: bool = False  # by the owner of the key
    terms: Terms | None = None  # of the key
    key_name: str = ""
    key_prefix: str = ""  # of the key, as its owner is shown it
    judges_blind: bool = False  # must not know what models did and cost on known prompts

    def may_ask(self, model: str) -> bool:
        """Tell whether the key allows a model by its name."""
        return self.terms is None or self.terms.has(model)

    @property
    def allowed_models(self) -> frozenset[str]:
        """Return the names of the models that may answer; none: every one."""
        return frozenset() if self.terms is None else self.terms.models


@dataclass(frozen=True)
class Refused:
    """An answer that was not good enough, and the runs that led to it; a larger model answers in its place."""

    request: GatewayRequest
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Decided:
    """One request whose model is decided; `route` is None where the caller named the model.

    `hour` is how the carbon budget of the key stands with this request; None where the key has none.
    """

    request: GatewayRequest
    decision: RoutingDecision
    deployment: Deployment
    route: Route | None
    hour: HourSpent | None


@dataclass(frozen=True)
class Answer(Decided):
    """One answered request."""

    generation: Generation


AnswerEvent = Decided | TextChunk | Answer


def is_auto(requested_model: str) -> bool:
    """Tell whether the router shall choose the model, as it is set or by a setting of the dial (`auto:green`)."""
    return requested_model.removesuffix(":latest") == AUTO_MODEL or requested_model in DIALS


def answer(
    *,
    gateway: Gateway,
    caller: Caller,
    requested_model: str,
    messages: tuple[ChatMessage, ...],
    parameters: GenerationParameters,
) -> Answer:
    """Answer a conversation and return the answer whole; see `stream_answer`."""
    events = stream_answer(
        gateway=gateway, caller=caller, requested_model=requested_model, messages=messages, parameters=parameters
    )
    for event in events:
        if isinstance(event, Answer):
            return event
    raise AssertionError("a stream of events ends with its answer or an error")


def stream_answer(
    *,
    gateway: Gateway,
    caller: Caller,
    requested_model: str,
    messages: tuple[ChatMessage, ...],
    parameters: GenerationParameters,
    stay_on_id: int | None = None,
    is_keeping_allowed: bool = False,
    wish: Wish | None = None,
    instead_of: Refused | None = None,
) -> Generator[AnswerEvent, None, None]:
    """Answer a conversation with the model that the caller named, or with the one that the router chooses.

    First comes the decision, then the pieces as they arrive, last the answer, whose rows are closed by then. The
    last message of the user is what is routed; `stay_on_id` is the deployment that `auto` stays on, `wish` what the
    request sets otherwise than the policy in force. Closing the generator early ends the generation, and the rows say
    cancelled. `is_keeping_allowed` is the author's consent to keep prompt and answer for labels; without it, or where
    the gateway keeps nothing, neither is kept. `instead_of` is a refused answer to the same prompt: `auto` then goes to
    the next larger model. A cascade is decided when an answer was accepted or the last model is to answer: nothing of
    a discarded answer comes. The answer in a conversation is checked by checkers that can read one; where none can,
    the last model answers.

    Raises:
        NoLargerModel: no model is larger than the refused one.
        UnknownModel, RetiredModel: the named model cannot answer.
        WishRefused: the request wants something outside the limits, or names a model and wants it routed.
        EmptyPrompt, NoIndex, EmbedderMismatch, DimensionMismatch, IndexStoreError, NoCandidate: it cannot be routed.
        InferenceError: the chosen model's server failed. The row of the request says so each time.
        Interrupted: the gateway was interrupted.
    """
    prompt_text = last_user_text(messages)
    gateway.claim()
    request = _open_request(gateway, caller, requested_model, prompt_text, instead_of)
    ended = Ended(request, caller.key_name, caller.key_prefix)
    try:
        wishes = wishes_of(caller, requested_model, wish)
        decided = _decide(
            gateway, request, requested_model, prompt_text,
            stay_on_id=stay_on_id, wishes=wishes, asked=Asked.of(messages, parameters),
            steps=instead_of.steps if instead_of else (),
            readable=readable_in(messages),
        )  # fmt: skip
        inquiry = Inquiry(request, messages, parameters, ended.attempts)
        decided, generation = yield from _generated(gateway, inquiry, decided, prompt_text, ended)
    except GeneratorExit:
        _close_request(gateway, ended, GatewayRequest.State.CANCELLED)
        raise
    except Exception as error:
        if gateway.is_interrupted():
            _close_request(gateway, ended, GatewayRequest.State.CANCELLED)
            raise Interrupted from error
        _close_request(gateway, ended, GatewayRequest.State.FAILED, error)
        raise
    _close_request(gateway, ended, GatewayRequest.State.ANSWERED)
    if is_keeping_allowed and gateway.keeps_with_consent and stands_alone(messages):
        _keep(gateway, decided, prompt_text, generation)
    gateway.release()
    yield Answer(decided.request, decided.decision, decided.deployment, decided.route, decided.hour, generation)


def _generated(
    gateway: Gateway, inquiry: Inquiry, decided: Decided, prompt_text: str, ended: Ended
) -> Generator[AnswerEvent, None, tuple[Decided, Generation]]:
    """Give the decision and the pieces of its answer; return the decision as it ended, and the answer.

    What is known by then is noted in `ended`, so that whoever closes the request early tells of it.
    """
    ended.decision, ended.deployment = decided.decision, decided.deployment
    decided, generation, number = _in_turn(gateway, inquiry, decided, prompt_text)
    ended.decision, ended.deployment = decided.decision, decided.deployment
    yield decided
    if generation is None:
        generation = yield from generate(gateway, inquiry, decided.deployment, number=number)
    else:
        yield from pieces_of(generation)
    return decided, generation


def _keep(gateway: Gateway, decided: Decided, prompt_text: str, generation: Generation) -> None:
    """Keep what may be kept; where that fails the answer is whole all the same."""
    try:
        keep_live_answer(
            request=decided.request,
            decision=decided.decision,
            prompt_text=prompt_text,
            generation=generation,
            now=gateway.clock(),
        )
    except DatabaseError:
        logger.exception("the prompt of %s could not be kept for labels", decided.request.public_id)


def readable_in(messages: Sequence[ChatMessage]) -> Readable:
    """Tell what checkers can make of the answer to a conversation of texts."""
    is_later = any(message.role == "assistant" for message in messages)
    return Readable.IN_CONVERSATION if is_later else Readable.ALONE


def earlier_turns(messages: Sequence[ChatMessage]) -> str:
    """Return what was said before the latest message of the user, in words; empty where no answer was given yet."""
    last = max((place for place, message in enumerate(messages) if message.role == "user"), default=0)
    before = messages[:last]
    if readable_in(before) is Readable.ALONE:
        return ""
    return "\n\n".join(f"{message.role.capitalize()}: {message.content}" for message in before)


def last_user_text(messages: Sequence[ChatMessage]) -> str:
    """Return the latest message of the user, or an empty text where there is none."""
    return next((message.content for message in reversed(messages) if message.role == "user"), "")


def new_public_id() -> str:
    """Return an id that sorts by time: 48 bits of milliseconds, then 80 random bits, as hexadecimal digits."""
    return f"req_{time.time_ns() // 1_000_000:012x}{os.urandom(10).hex()}"


def _open_request(
    gateway: Gateway, caller: Caller, requested_model: str, prompt_text: str, instead_of: Refused | None
) -> GatewayRequest:
    request = request_of(
        caller=caller, requested_model=requested_model, prompt_text=prompt_text, now=gateway.clock(),
        is_prompt_text_kept=gateway.is_prompt_text_kept,
    )  # fmt: skip
    request.instead_of = instead_of.request if instead_of else None
    request.save()
    return request


def request_of(
    *, caller: Caller, requested_model: str, prompt_text: str, now: datetime, is_prompt_text_kept: bool
) -> GatewayRequest:
    """Return the row of a request that begins, not stored yet."""
    return GatewayRequest(
        public_id=new_public_id(),
        surface=caller.surface,
        api_key_id=caller.api_key_id,
        user_id=caller.user_id,
        requested_model=requested_model[:200],
        prompt_text=prompt_text if is_prompt_text_kept else "",
        prompt_sha256=hashlib.sha256(prompt_text.encode()).hexdigest(),
        started_at=now,
    )


def wishes_of(caller: Caller, requested_model: str, wish: Wish | None) -> list[Wish]:
    """Return what is wanted otherwise than the policy in force has it, the stronger word last.

    Raises:
        WishRefused: a named model is wanted routed.
    """
    if wish is not None and wish.wanted and not is_auto(requested_model):
        raise WishRefused(
            f"'greenllm' sets how the router chooses, but {requested_model!r} is named; ask for the model 'auto'.",
            param="greenllm",
        )
    return [one for one in (caller.key_wish, DIALS.get(requested_model), wish) if one is not None]


def _decide(
    gateway: Gateway,
    request: GatewayRequest,
    requested_model: str,
    prompt_text: str,
    *,
    stay_on_id: int | None,
    wishes: Sequence[Wish],
    asked: Asked,
    steps: Sequence[Step],
    readable: Readable,
) -> Decided:
    now = gateway.clock()
    hour = hour_of(api_key_id=request.api_key_id, now=now)
    if is_auto(requested_model):
        found = route_or_fall_back(
            prompt_text=prompt_text, embedder=gateway.embedder(), store=gateway.store, stay_on_id=stay_on_id,
            refused_ids=[step.deployment_id for step in steps], wishes=wishes,
            conditions=Conditions(asked, now=now, loaded=gateway.loaded, hour=hour), readable=readable,
        )  # fmt: skip
        baseline = strong_candidate(route=found, store=gateway.store)
        decision = record_route(route=found, now=gateway.clock(), request_id=request.pk, baseline=baseline, steps=steps)
        booked = book_decision(hour, request=request, decision=decision, now=now)
        return Decided(request, decision, found.chosen, found, booked)
    pinned = find_deployment(name=requested_model)
    decision = record_pinned(deployment=pinned, now=gateway.clock(), request_id=request.pk)
    return Decided(request, decision, pinned, None, book_decision(hour, request=request, decision=decision, now=now))


def _in_turn(
    gateway: Gateway, inquiry: Inquiry, decided: Decided, prompt_text: str
) -> tuple[Decided, Generation | None, int]:
    """Ask the models of a cascade; return whose answer stands, that answer if it is there, and the next attempt."""
    found = decided.route
    if found is None or not found.choice.plan:
        return decided, None, 1
    hour = decided.hour

    def book(run: Evidence) -> None:
        nonlocal hour
        hour = book_run(hour, request=inquiry.request, sci_gco2e=run.sci_gco2e or 0.0, now=gateway.clock())

    stood, number = ask_in_turn(
        gateway=gateway,
        inquiry=inquiry,
        turns=turns_of(
            found,
            request_id=inquiry.request.public_id,
            prompt_text=prompt_text,
            earlier=earlier_turns(inquiry.messages),
        ),
        deployments=found.planned,
        on_further_run=book,
    )
    if stood.generation is None:
        book(evidence_of(found, stood.deployment_id))
    ended = settled(decided, found, stood, hour)
    ended.decision.save()
    return ended, stood.generation, number


def settled(decided: Decided, route: Route, stood: Stood, hour: HourSpent | None) -> Decided:
    """Return a decision as its cascade ended, its row not stored again; `hour` is how the budget stands then."""
    ended = end_cascade(
        decision=decided.decision, route=route, chosen_id=stood.deployment_id, steps=stood.steps, told=stood.told
    )
    return Decided(decided.request, decided.decision, ended.chosen, ended, hour)


def _close_request(gateway: Gateway, ended: Ended, state: GatewayRequest.State, error: Exception | None = None) -> None:
    request = ended.request
    gateway.claim()
    with transaction.atomic():
        request.state = state
        request.error_code = type(error).__name__ if error else ""
        request.error = storable(error) if error else ""
        request.finished_at = gateway.clock()
        request.save(update_fields=["state", "error_code", "error", "finished_at"])
    observe(ended)
