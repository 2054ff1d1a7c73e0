"""A cascade in a thread: models are asked in turn, and checkers say whose answer stands."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from benchmarks.inference.base import ChatMessage, InferenceError
from benchmarks.models import Deployment
from router.checking import JUDGING, Check
from router.generating import Gateway, Inquiry, Interrupted, generate
from router.policy import Evidence
from router.turns import Ask, Asked, Stood, Turns, Verify


def ask_in_turn(
    *,
    gateway: Gateway,
    inquiry: Inquiry,
    turns: Turns,
    deployments: Mapping[int, Deployment],
    on_further_run: Callable[[Evidence], None],
) -> tuple[Stood, int]:
    """Do what a cascade wants until an answer stands or its last model is left; return that and the next attempt.

    Args:
        gateway: what answering needs.
        inquiry: the request.
        turns: the cascade, from its beginning.
        deployments: those that it may ask, with their models and servers.
        on_further_run: told what is known of each model after the first before it is asked here; the last one is not.

    Raises:
        Interrupted, InferenceError: the caller left.
    """
    number = 1
    try:
        wanted = next(turns)
        while True:
            if isinstance(wanted, Verify):
                wanted = turns.send(_check(gateway, wanted))
                continue
            if wanted.is_further:
                on_further_run(wanted.evidence)
            asked = _ask(gateway, inquiry, deployments, wanted, number)
            number += 1
            wanted = turns.send(asked)
    except StopIteration as end:
        stood: Stood = end.value
        return stood, number


def _ask(gateway: Gateway, inquiry: Inquiry, deployments: Mapping[int, Deployment], wanted: Ask, number: int) -> Asked:
    """Have one model answer, whole; a server that fails is no failure of the cascade."""
    if wanted.question is not None:
        inquiry = replace(inquiry, messages=(ChatMessage("user", wanted.question),), parameters=JUDGING)
    elif wanted.is_margin_wanted:
        inquiry = replace(inquiry, is_margin_wanted=True)
    pieces = generate(gateway, inquiry, deployments[wanted.evidence.deployment_id], number=number)
    try:
        while True:
            next(pieces)
    except StopIteration as end:
        return Asked(number, end.value)
    except InferenceError as error:
        if gateway.is_interrupted():
            raise
        return Asked(number, error)


def _check(gateway: Gateway, wanted: Verify) -> Check:
    """Let a checker read an answer; no place at the database is held meanwhile."""
    gateway.release()
    check = gateway.checkers[wanted.checker].check(wanted.checked)
    gateway.claim()
    if gateway.is_interrupted():
        raise Interrupted
    return check
