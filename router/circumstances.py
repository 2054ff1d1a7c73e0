"""What of a request decides where it goes: the same for one that is answered and for one that only asks where."""

from dataclasses import dataclass, replace
from datetime import datetime

from router.abilities import Unable
from router.adjusting import Conditions, LoadedModelsTeller
from router.answering import Caller, last_user_text, readable_in, wishes_of
from router.background import BackgroundTask
from router.background_routing import route_background
from router.baseline import strong_candidate
from router.budget import HourSpent
from router.embedding import Embedder
from router.falling_back import route_or_fall_back
from router.index import VectorStore
from router.length import Asked
from router.policy import Evidence
from router.routing import Route
from router.spending import hour_of
from router.weighing import Readable
from router.wire import ChatRequest
from router.wishes import Wish


@dataclass(frozen=True)
class Sent:
    """One prompt with all that decides where it goes.

    `budget_key_id` is the key whose carbon budget counts, if it has one; `task` is what a chat client wants on its own
    behalf, where such prompts go apart.
    """

    text: str
    conditions: Conditions
    wishes: tuple[Wish, ...] = ()
    readable: Readable = Readable.ALONE
    task: BackgroundTask | None = None
    budget_key_id: int | None = None


@dataclass(frozen=True)
class Routed:
    """Where a prompt goes, what the one strong model would have cost, and how the budget of the key stood before."""

    route: Route
    baseline: Evidence | None
    hour: HourSpent | None


def sent_by(
    *,
    caller: Caller,
    asked: ChatRequest,
    now: datetime,
    loaded: LoadedModelsTeller,
    unable: Unable,
    task: BackgroundTask | None,
) -> Sent:
    """Return what decides where a request for `auto` goes; `unable` are the models that cannot do what it needs."""
    is_own_way = asked.wish is not None and bool(asked.wish.wanted)  # it says itself how it shall be routed
    return Sent(
        text=last_user_text(asked.messages),
        conditions=Conditions(
            Asked.of(asked.messages, asked.parameters, asked.demands.character_count),
            now=now,
            loaded=loaded,
            only_models=caller.allowed_models,
            unable=unable,
        ),
        wishes=tuple(wishes_of(caller, asked.model, asked.wish)),
        readable=readable_in(asked.messages) if asked.is_plain else Readable.NOT,
        task=None if is_own_way else task,
        budget_key_id=caller.api_key_id if caller.has_budget else None,
    )


def prompt_alone(text: str, *, now: datetime, loaded: LoadedModelsTeller) -> Sent:
    """Return what decides where a prompt goes that nobody's key brings."""
    return Sent(text, Conditions(Asked.of_prompt(text), now=now, loaded=loaded))


def route_apart(*, sent: Sent, embedder: Embedder, store: VectorStore) -> Routed | None:
    """Route what a chat client wants on its own behalf, without embedding it; None where it is routed as any other.

    Raises what `route_background` raises, and BudgetClosed.
    """
    if sent.task is None:
        return None
    found = route_background(task=sent.task, embedder=embedder, store=store, conditions=sent.conditions)
    return None if found is None else Routed(found, strong_candidate(route=found, store=store), _hour(sent))


def route_sent(*, sent: Sent, embedder: Embedder, store: VectorStore, is_patient: bool = False) -> Routed:
    """Route a prompt as all that its request brings has it; nothing is stored or booked.

    Raises what `router.falling_back.route_or_fall_back` raises, and BudgetClosed.
    """
    hour = _hour(sent)
    conditions = sent.conditions if hour is None else replace(sent.conditions, hour=hour)
    found = route_or_fall_back(
        prompt_text=sent.text, embedder=embedder, store=store, wishes=sent.wishes,
        conditions=conditions, is_patient=is_patient, readable=sent.readable,
    )  # fmt: skip
    return Routed(found, strong_candidate(route=found, store=store), hour)


def _hour(sent: Sent) -> HourSpent | None:
    if sent.budget_key_id is None or sent.conditions.now is None:
        return None
    return hour_of(api_key_id=sent.budget_key_id, now=sent.conditions.now)
