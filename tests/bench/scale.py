"""How soon two web processes know of a change, and whether two workers keep to their queues: `make bench-scale`.

Two web processes on ports of their own and the workers of two machines share one Postgres, one Valkey and one Chroma.
A model is retired and activated again, and an index is made current, while both processes are asked 20 times a second:
what counts is how long after the change the latest request was sent that still went by the old state.
"""

import argparse
import asyncio
import logging
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp

from tests.bench.gateway_load import Target, session
from tests.bench.installation import installation, serving, working
from tests.bench.table import Table

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
WATCHED_S, PERIOD_S = 2.0, 0.05  # after the change, and from request to request
LIMIT_MS = 1000
MACHINES = ("first", "second")
TEXTS = ("What is 1 and 1?", "What is 2 and 2?", "What is 3 and 3?")


@dataclass(frozen=True)
class Sight:
    """What one request saw: when it was sent, in seconds after the change, its status, and its public id."""

    sent_s: float
    status: int
    public_id: str


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="Changes of each kind.")
    options = parser.parse_args()

    import django

    from tests import environment  # noqa: F401  a var directory of the tests' own, before settings are read

    django.setup()
    logging.disable(logging.WARNING)
    table = Table()
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")  # noqa: T201
    with ExitStack() as running:
        upstream, _ = running.enter_context(serving("tests.bench.gateway_servers:upstream", {}))
        given, secret = running.enter_context(installation(upstream))
        targets = []
        for name in MACHINES:
            address, _ = running.enter_context(serving("greenllm.asgi:application", given))
            targets.append(Target(name, address, headers={"Authorization": f"Bearer {secret}"}))
        _tell(table, "a retirement", _retirements(targets, upstream, options.rounds), targets)
        _tell(table, "a new index", _indexes(targets, options.rounds), targets)
        _workers(table, running, given)
    print(f"missed: {', '.join(table.missed) or 'none'}")  # noqa: T201
    return 0


def old_until_ms(sights: Sequence[Sight], is_new: Callable[[Sight], bool]) -> float:
    """Return when the latest request was sent that still saw the old state; endless where the last one did."""
    ordered = sorted(sights, key=lambda one: one.sent_s)
    if not ordered or not is_new(ordered[-1]):
        return float("inf")
    return max(0.0, *(one.sent_s for one in ordered if not is_new(one)), 0.0) * 1000


def _retirements(targets: Sequence[Target], upstream: str, rounds: int) -> list[list[float]]:
    from django.utils import timezone

    from benchmarks.federating import activate, retire
    from benchmarks.models import Deployment

    small = Deployment.objects.get(server__base_url=upstream, language_model__name="small")
    found = []
    for _ in range(rounds):
        seen = asyncio.run(_watch(targets, "small", lambda: retire(deployment=small, now=timezone.now())))
        found.append([old_until_ms(sights, lambda one: one.status == 404) for sights in seen])
        asyncio.run(_watch(targets, "small", lambda: activate(deployment=small, now=timezone.now())))
    return found


def _indexes(targets: Sequence[Target], rounds: int) -> list[list[float]]:
    from benchmarks.models import Prompt
    from router import wiring
    from router.models import PromptIndex, RoutingDecision
    from tests.router.standins import make_index

    def change(count: int) -> None:
        prompts = list(Prompt.objects.order_by("pk")[:count])
        make_index(prompts, embedder=wiring.embedder(), store=wiring.vector_store())

    found = []
    for number in range(rounds):
        seen = asyncio.run(_watch(targets, "auto", partial(change, 100 + number)))
        time.sleep(1.0)  # until every row is there
        index_id = PromptIndex.objects.get(state=PromptIndex.State.CURRENT).pk
        ids = [one.public_id for sights in seen for one in sights]
        by = dict(
            RoutingDecision.objects.filter(request__public_id__in=ids).values_list("request__public_id", "index_id")
        )

        def is_new(one: Sight, by: dict[str, int | None] = by, index_id: int = index_id) -> bool:
            return by.get(one.public_id) == index_id

        found.append([old_until_ms(sights, is_new) for sights in seen])
    return found


async def _watch(targets: Sequence[Target], model: str, change: Callable[[], object]) -> list[list[Sight]]:
    """Ask each process again and again, make a change meanwhile, and ask on; return what the requests saw."""
    changed_at = float("inf")

    async def ask(http: aiohttp.ClientSession, target: Target) -> tuple[float, int, str]:
        sent_at = time.perf_counter()
        body = {**target.body("delay 0 0"), "model": model}
        async with http.post(target.url, json=body, headers=target.headers) as response:
            await response.read()
            return sent_at, response.status, response.headers.get("X-GreenLLM-Request-Id", "")

    async def watch(http: aiohttp.ClientSession, target: Target) -> list[tuple[float, int, str]]:
        asked = []
        while time.perf_counter() < changed_at + WATCHED_S:
            asked.append(asyncio.ensure_future(ask(http, target)))
            await asyncio.sleep(PERIOD_S)
        return list(await asyncio.gather(*asked))

    async with session(0) as http:
        watching = [asyncio.ensure_future(watch(http, target)) for target in targets]
        await asyncio.sleep(0.3)  # until what was read lately is kept
        await asyncio.to_thread(_done_alone, change)
        changed_at = time.perf_counter()
        seen = await asyncio.gather(*watching)
    return [[Sight(sent_at - changed_at, status, name) for sent_at, status, name in one] for one in seen]


def _done_alone(change: Callable[[], object]) -> None:
    """Make a change in a thread, which has connections of its own."""
    from django.db import connections

    try:
        change()
    finally:
        connections.close_all()


def _tell(table: Table, name: str, rounds: Sequence[Sequence[float]], targets: Sequence[Target]) -> None:
    for target, durations in zip(targets, zip(*rounds, strict=True), strict=True):
        middle, most = statistics.median(durations), max(durations)
        table.row(
            f"{name} is known to the {target.name} process, p50 / most", f"{middle:.0f} / {most:.0f} ms",
            f"< {LIMIT_MS} ms", is_ok=most < LIMIT_MS, n=len(durations),
        )  # fmt: skip


def _workers(table: Table, running: ExitStack, given: dict[str, str]) -> None:
    """Let the workers of two machines measure a study each at the same time, and look who measured what."""
    from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
    from benchmarks.models import ResponseAttempt, Study
    from benchmarks.queueing import enqueue_study
    from tests import factories as make

    studies = {}
    for name in MACHINES:
        server = running.enter_context(ScriptedOllama([ScriptedModel(name)], answers=_answer))
        machine = make.make_machine(name)
        studies[name] = make.make_pending_study(server.base_url, *TEXTS, models=(name,), machine=machine, repeats=10)
        enqueue_study(study=studies[name])
        running.enter_context(working({**given, "GREENLLM_MACHINE": name}))
    ids = [study.pk for study in studies.values()]
    deadline = time.monotonic() + 120
    while Study.objects.filter(pk__in=ids, state="running").exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    who = {}
    for name, study in studies.items():
        attempts = ResponseAttempt.objects.filter(response__study=study)
        finished, expected = attempts.filter(outcome="finished").count(), study.responses.count()
        who[name] = set(attempts.values_list("worker", flat=True))
        table.row(
            f"measured once by the worker of the {name} machine", f"{finished} of {expected}", "all, once",
            is_ok=attempts.count() == finished == expected and len(who[name]) == 1, n=expected,
        )  # fmt: skip
    shared = set.intersection(*who.values())
    table.row("workers that measured for another machine", str(len(shared)), "0", is_ok=not shared)


def _answer(_model: str, _prompt: str) -> Any:
    from benchmarks.inference.scripted import ScriptedAnswer

    return ScriptedAnswer("It is that.", seconds_per_token=0.01)


if __name__ == "__main__":
    sys.exit(main())
