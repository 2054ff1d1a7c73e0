"""People at the labeling queue, as their browsers talk to the server."""

import asyncio
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

_TICKET = re.compile(r'data-answer="(\d+)".*?name="ticket" value="([^"]+)"', re.DOTALL)
_TOLD = re.compile(r"data-told[^>]*>([^<]*)<")
_VERDICTS = ("correct", "incorrect")
_CALM_S = 2  # seconds from vote to vote


@dataclass
class Judge:
    """A person at the queue, as their browser talks to the server."""

    person_id: int
    cookies: dict[str, str]
    chance: random.Random
    held: list[tuple[int, str]] = field(default_factory=list)
    accepted: list[tuple[int, int, str]] = field(default_factory=list)
    durations_ms: list[float] = field(default_factory=list)
    told: Counter[str] = field(default_factory=Counter)
    retry_count: int = 0


async def vote_calmly(address: str, judges: Sequence[Judge], *, seconds: float) -> None:
    """Let each vote once every 2 s, beginning at another moment."""

    async def one(judge: Judge) -> None:
        async with client_of(address, judge) as client:
            await open_queue(client, judge)
            await asyncio.sleep(judge.chance.uniform(0, _CALM_S))
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                begun = time.monotonic()
                await vote(client, judge, chance_to_leave=0)
                await asyncio.sleep(max(0.0, _CALM_S - (time.monotonic() - begun)))

    await asyncio.gather(*(one(judge) for judge in judges))


def make_judges(count: int) -> list[Judge]:
    from django.conf import settings

    from tests.browsing import session_of
    from tests.labeling.queues import make_annotator

    people = [make_annotator() for _ in range(count)]
    return [
        Judge(person.pk, {settings.SESSION_COOKIE_NAME: session_of(person)}, random.Random(number))
        for number, person in enumerate(people)
    ]


def client_of(address: str, judge: Judge) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=address, cookies=judge.cookies, timeout=60)


async def open_queue(client: httpx.AsyncClient, judge: Judge) -> None:
    page = await client.get("/label/")
    page.raise_for_status()
    judge.held = _held(page.text)


async def vote(client: httpx.AsyncClient, judge: Judge, *, chance_to_leave: float) -> None:
    """Vote on the answer in front and take what comes next; send again until the server has said something."""
    if not judge.held:
        await open_queue(client, judge)
    response_id, ticket = judge.held[0]
    verdict = judge.chance.choice(_VERDICTS)
    while True:
        begun = time.perf_counter()
        is_leaving = judge.chance.random() < chance_to_leave
        try:
            answer = await client.post(
                "/label/vote/",
                data={"ticket": ticket, "verdict": verdict, "elapsed_ms": "900", "active_ms": "900"},
                headers={"HX-Request": "true", "X-CSRFToken": client.cookies["csrftoken"]},
                timeout=judge.chance.uniform(0.001, 0.05) if is_leaving else 60,
            )
        except httpx.TransportError:
            judge.retry_count += 1
            await asyncio.sleep(0 if is_leaving else 0.2)
            continue
        if answer.status_code >= 500:
            judge.retry_count += 1
            await asyncio.sleep(0.2)
            continue
        answer.raise_for_status()
        break
    judge.durations_ms.append((time.perf_counter() - begun) * 1000)
    found = _TOLD.search(answer.text)
    said = found[1] if found else "nothing"
    if said.startswith("Saved"):
        judge.accepted.append((judge.person_id, response_id, verdict))
    else:
        judge.told[said[:40]] += 1
    judge.held = _held(answer.text)


def _held(text: str) -> list[tuple[int, str]]:
    return [(int(response_id), ticket) for response_id, ticket in _TICKET.findall(text)]
