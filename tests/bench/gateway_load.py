"""The clients of the gateway's bench."""

import asyncio
import gc
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import aiohttp


@dataclass(frozen=True)
class Target:
    """One of the servers that are compared; `page` is another page of it, where it has one."""

    name: str
    address: str
    model: str = "small"
    headers: dict[str, str] = field(default_factory=dict)
    page: str = ""
    pid: int | None = None

    @property
    def url(self) -> str:
        return self.address + "/v1/chat/completions"

    def body(self, script: str, *, is_streamed: bool = False) -> dict[str, object]:
        return {"model": self.model, "messages": [{"role": "user", "content": script}], "stream": is_streamed}


@dataclass
class Wait:
    """How long a request waited, in its own client, for one of the connections."""

    began: float = 0.0
    took_s: float = 0.0


async def _note_queued(_http: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.began = time.perf_counter()


async def _note_let_in(_http: aiohttp.ClientSession, context: SimpleNamespace, _params: object) -> None:
    wait = context.trace_request_ctx
    wait.took_s = time.perf_counter() - wait.began


def session(connections: int) -> aiohttp.ClientSession:
    """Return a client of so many connections, 0 for as many as it takes."""
    tracing = aiohttp.TraceConfig(trace_config_ctx_factory=_traced)
    tracing.on_connection_queued_start.append(_note_queued)
    tracing.on_connection_queued_end.append(_note_let_in)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=300),
        trace_configs=[tracing],
    )


def _traced(trace_request_ctx: Wait | None) -> SimpleNamespace:
    return SimpleNamespace(trace_request_ctx=trace_request_ctx or Wait())


async def whole(http: aiohttp.ClientSession, target: Target, script: str) -> float:
    """Ask for a whole answer; return how much longer it took than the upstream waited, in milliseconds."""
    added_ms, waited_ms = await apart(http, target, script)
    return added_ms + waited_ms


async def apart(http: aiohttp.ClientSession, target: Target, script: str) -> tuple[float, float]:
    """Ask for a whole answer; return what was added to the upstream's time, and how long the client itself waited.

    Both in milliseconds; it waits where its own connections are all in use, and the server knows nothing of that.
    """
    began, wait = time.perf_counter(), Wait()
    async with http.post(
        target.url, json=target.body(script), headers=target.headers, trace_request_ctx=wait
    ) as response:
        raw = await response.read()
        took_s = time.perf_counter() - began
        assert response.status == 200, raw
    upstream_s = float(json.loads(raw)["choices"][0]["message"]["content"])
    return (took_s - upstream_s - wait.took_s) * 1000, wait.took_s * 1000


@dataclass
class Opened:
    """What came of an open loop, for each of its requests in milliseconds."""

    added_ms: list[float] = field(default_factory=list)
    with_wait_ms: list[float] = field(default_factory=list)  # and until the client had a connection
    late_ms: list[float] = field(default_factory=list)  # by how much the client was late to ask


async def open_loop(
    target: Target, *, rate: float, seconds: float, scripts: list[str], first: list[str], connections: int = 20
) -> Opened:
    """Ask at a steady rate, however long the answers take, after each of the `first` prompts was asked once."""
    opened = Opened()
    async with session(connections) as http:

        async def ask(script: str) -> None:
            added_ms, waited_ms = await apart(http, target, script)
            opened.added_ms.append(added_ms)
            opened.with_wait_ms.append(added_ms + waited_ms)

        warm_up = max(connections, len(first))
        await asyncio.gather(*(whole(http, target, first[n % len(first)]) for n in range(warm_up)))
        gc.collect()
        gc.freeze()  # the client's own pauses are nobody's latency
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(round(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                opened.late_ms.append((time.perf_counter() - due) * 1000)
                tasks.create_task(ask(scripts[number % len(scripts)]))
        gc.unfreeze()
        return opened


@dataclass
class Asked:
    """What came of the requests of a steady load."""

    added_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    late_ms: list[float] = field(default_factory=list)  # by how much the client itself was late to ask

    @property
    def count(self) -> int:
        return len(self.added_ms) + self.errors.total()


async def steady(target: Target, *, rate: float, seconds: float, script: Callable[[int], str]) -> Asked:
    """Ask at a steady rate, however long the answers take; an error is counted by its words and ends nothing."""
    asked = Asked()

    async def ask(http: aiohttp.ClientSession, number: int) -> None:
        try:
            asked.added_ms.append(await whole(http, target, script(number)))
        except (aiohttp.ClientError, TimeoutError, OSError, AssertionError, ValueError) as error:
            asked.errors[f"{type(error).__name__}: {error}"[:120]] += 1

    async with session(0) as http:
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(round(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                asked.late_ms.append((time.perf_counter() - due) * 1000)
                tasks.create_task(ask(http, number))
    return asked


async def closed_loop(target: Target, *, connections: int, seconds: float, script: str) -> tuple[float, int]:
    """Ask again as soon as answered, on each connection; return answers a second, and how many."""
    async with session(connections) as http:
        await whole(http, target, script)
        until = time.perf_counter() + seconds

        async def ask() -> int:
            count = 0
            while time.perf_counter() < until:
                await whole(http, target, script)
                count += 1
            return count

        began = time.perf_counter()
        count = sum(await asyncio.gather(*(ask() for _ in range(connections))))
        return count / (time.perf_counter() - began), count


@dataclass
class Streams:
    """How many streams at once went."""

    seconds: float
    whole_count: int
    slowest_page_ms: float | None


async def streams(target: Target, *, count: int, tokens: int, rate: float) -> Streams:
    """Read streams at once; a stream is whole where every token came in its place."""
    expected = "".join(f" {number}" for number in range(tokens))
    pages: list[float] = []
    async with session(0) as http:

        async def read() -> bool:
            body = target.body(f"stream {tokens} {rate:g}", is_streamed=True)
            text = []
            async with http.post(target.url, json=body, headers=target.headers) as response:
                async for line in response.content:
                    if line.startswith(b"data: {"):
                        choices = json.loads(line[6:]).get("choices") or [{}]
                        text.append(choices[0].get("delta", {}).get("content") or "")
            return "".join(text) == expected

        async def look() -> None:
            while True:
                began = time.perf_counter()
                async with http.get(target.address + target.page, headers=target.headers) as response:
                    await response.read()
                pages.append((time.perf_counter() - began) * 1000)
                await asyncio.sleep(0.1)

        looking = asyncio.ensure_future(look()) if target.page else None
        began = time.perf_counter()
        done = await asyncio.gather(*(read() for _ in range(count)), return_exceptions=True)
        took_s = time.perf_counter() - began
        if looking is not None:
            looking.cancel()
    return Streams(took_s, sum(one is True for one in done), max(pages, default=None))


async def cancels(target: Target, upstream: str, *, word: str, count: int) -> list[float]:
    """Leave answers; return how long the upstream took to notice each, in milliseconds (endless: it never did)."""
    left: dict[str, float] = {}
    async with session(0) as http:

        async def leave(number: int) -> None:
            name = f"{target.name}-{target.model}-{word}-{number}".replace(" ", "-")
            body = target.body(f"{word} {name}", is_streamed=True)
            asking = asyncio.ensure_future(http.post(target.url, json=body, headers=target.headers))
            if word == "stall":
                response = await asking
                await response.content.readany()
                left[name] = time.monotonic()
                response.close()
            else:
                await asyncio.sleep(0.3)
                left[name] = time.monotonic()
                if asking.done():  # the headers came before the first piece
                    asking.result().close()
                else:
                    asking.cancel()

        for number in range(count):
            await leave(number)
        await asyncio.sleep(2.0)
        async with http.get(upstream + "/seen") as response:
            seen = await response.json()
    return sorted((seen.get(name, float("inf")) - moment) * 1000 for name, moment in left.items())
