"""A cascade on the event loop: models are asked in turn, and checkers read the answers in threads of their own."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from django.utils import timezone

from benchmarks.inference.base import ChatMessage
from benchmarks.models import Deployment
from router import wiring
from router.answering import Decided, earlier_turns, last_user_text, settled
from router.budget import HourSpent
from router.checking import Check
from router.gateway.working import Workers
from router.policy import Evidence
from router.settling import evidence_of, turns_of
from router.spending import book_run
from router.turns import Ask, Asked, Stood, Verify

AskWhole = Callable[[Deployment, Ask], Awaitable[Asked]]


async def take_turns(
    *, decided: Decided, messages: Sequence[ChatMessage], ask: AskWhole, workers: Workers
) -> tuple[Decided, Stood]:
    """Go through a decided cascade until an answer stands or its last model is left; return the decision as it ended.

    Nothing is stored but what each run costs the carbon budget of the key, where that has one.

    Args:
        decided: the decision, with a plan.
        messages: the conversation, whose latest message of the user is checked against.
        ask: has one deployment answer what is wanted, whole; a server that fails is no failure of the cascade.
        workers: where checkers run, and where the budget is booked.
    """
    found, hour = decided.route, decided.hour
    assert found is not None  # noqa: S101
    turns = turns_of(
        found,
        request_id=decided.request.public_id,
        prompt_text=last_user_text(messages),
        earlier=earlier_turns(messages),
    )
    told: Asked | Check
    try:
        wanted = next(turns)
        while True:
            if isinstance(wanted, Verify):
                told = await workers.check(partial(_check, wanted))
            else:
                if wanted.is_further:
                    hour = await _booked(decided, hour, wanted.evidence, workers)
                told = await ask(found.planned[wanted.evidence.deployment_id], wanted)
            wanted = turns.send(told)
    except StopIteration as end:
        stood: Stood = end.value
    if stood.generation is None:
        hour = await _booked(decided, hour, evidence_of(found, stood.deployment_id), workers)
    return settled(decided, found, stood, hour), stood


def _check(verify: Verify) -> Check:
    return wiring.checkers()[verify.checker].check(verify.checked)


async def _booked(decided: Decided, hour: HourSpent | None, run: Evidence, workers: Workers) -> HourSpent | None:
    if hour is None:
        return None
    request, cost = decided.request, run.sci_gco2e or 0.0
    return await workers.query(lambda: book_run(hour, request=request, sci_gco2e=cost, now=timezone.now()))
