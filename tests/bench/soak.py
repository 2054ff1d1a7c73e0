"""Whether web process and worker grow under a steady load: `make soak`, 20 minutes; `--minutes 3` for a look.

The web process answers chat (whole, streamed, left in the middle), votes and pages, the worker measures a study and
does its periodic jobs; inference server and embedder are a script. Every ten seconds it is read how much memory both
have for themselves, how many files they hold open, how many connections Postgres has, how many temporary files there
are, and what the web process uses of its memory. After a warm-up no slope may be above zero with 95 % confidence but
that of what malloc has given out, which is told alone; exit code 1 where one is, or where the load was not served.
"""

import argparse
import asyncio
import itertools
import logging
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import psutil

from tests.bench.gateway_load import Target, session, steady
from tests.bench.installation import installation, serving, working
from tests.bench.judging import Judge, make_judges, vote_calmly
from tests.bench.trend import Trend, trend_of
from tests.scraping import samples_of

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
PERIOD_S = 10.0
SAMPLES_AT_LEAST = 24  # of a short run, which reads more often
KNOWN_PROMPTS = 50
ALIKE_S = 120  # readings within so many seconds count as alike
_ANSWERS = 20_000
_PROMPTS = 20
_PAGES = (
    "/", "/studies/", "/federation/", "/routing/", "/dashboards/operations/", "/label/quality/", "/chat/", "/account/",
    "/metrics", "/health",
)  # fmt: skip
# threads keep freed blocks for themselves, which count as given out: for an hour more and more of them
_NOT_HELD = {"web malloc MB"}
Probe = Callable[[], float]


@dataclass
class Readings:
    """What was read of each series, with the second of each reading."""

    seconds: list[float] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def read(self, at_s: float, probes: Mapping[str, Probe]) -> None:
        self.seconds.append(at_s)
        for name, probe in probes.items():
            self.values.setdefault(name, []).append(probe())

    def trends(self, *, after_s: float) -> dict[str, Trend]:
        """Return the trend of each series after the warm-up."""
        first = next((place for place, second in enumerate(self.seconds) if second >= after_s), len(self.seconds))
        moments = self.seconds[first:]
        period_s = statistics.median(b - a for a, b in itertools.pairwise(moments))
        block = max(1, round(ALIKE_S / period_s))
        return {name: trend_of(moments, found[first:], block=block, seed=0) for name, found in self.values.items()}


@dataclass
class Served:
    """What came of the load besides chat and votes."""

    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20, help="How long the load lasts.")
    parser.add_argument("--warm-up", type=float, help="Minutes of it that do not count; a quarter unless given.")
    parser.add_argument("--rate", type=float, default=10, help="Whole answers a second.")
    parser.add_argument("--people", type=int, default=5, help="People who each judge an answer every 2 s.")
    options = parser.parse_args()
    warm_up_s = 60 * (options.minutes / 4 if options.warm_up is None else options.warm_up)

    import django

    from tests import environment  # noqa: F401  a var directory of the tests' own, before settings are read

    django.setup()
    logging.disable(logging.WARNING)
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")  # noqa: T201
    with ExitStack() as running:
        readings, errors = _run(running, options)
    rising = tell(readings, after_s=warm_up_s)
    print(f"rising: {', '.join(rising) or 'none'}; not served: {errors or 'none'}")  # noqa: T201
    return 1 if rising or errors else 0


def _run(running: ExitStack, options: argparse.Namespace) -> tuple[Readings, dict[str, int]]:
    """Start everything, put the load on, and read beside it."""
    from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
    from tests import factories as make
    from tests.browsing import session_of
    from tests.labeling.queues import make_many_answers

    temporary = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
    upstream, _ = running.enter_context(serving("tests.bench.gateway_servers:upstream", {}))
    given, secret = running.enter_context(installation(upstream))
    given = {**given, "TMPDIR": str(temporary), "PYTHONWARNINGS": "ignore"}
    make_many_answers(_ANSWERS)
    judges = make_judges(options.people)
    watcher = session_of(make.make_user(is_superuser=True, is_staff=True))
    measured = running.enter_context(ScriptedOllama([ScriptedModel("measured")], answers=_answer_slowly))
    _start_study(measured.base_url, seconds=options.minutes * 60)
    address, web = running.enter_context(serving("greenllm.asgi:application", given))
    worker = running.enter_context(working(given))
    target = Target("GreenLLM", address, model="auto", headers={"Authorization": f"Bearer {secret}"})
    probes = probes_of(web, worker, temporary) | in_use(address)
    return asyncio.run(_soak(target, judges, watcher, probes, options))


async def _soak(
    target: Target, judges: Sequence[Judge], watcher: str, probes: Mapping[str, Probe], options: argparse.Namespace
) -> tuple[Readings, dict[str, int]]:
    seconds = options.minutes * 60
    served, readings = Served(), Readings()
    chat, *_ = await asyncio.gather(
        steady(target, rate=options.rate, seconds=seconds, script=lambda number: f"delay 0.1 0.3 of {_known(number)}"),
        vote_calmly(target.address, judges, seconds=seconds),
        _every(1.0, seconds, lambda number: _stream(target, number, served)),
        _look(target.address, watcher, seconds, served),
        _read(readings, probes, seconds),
        _every(15.0, seconds, lambda _: asyncio.to_thread(_enqueue_periodic)),
    )
    served.counts.update(chat=len(chat.added_ms), votes=sum(len(judge.accepted) for judge in judges))
    served.counts.update(measured=await asyncio.to_thread(_measured_count))
    print(f"served: {', '.join(f'{count} {name}' for name, count in served.counts.items())}")  # noqa: T201
    lacking = Counter({f"no {name}": 1 for name, count in served.counts.items() if not count})
    retried = Counter({"votes sent again": sum(judge.retry_count for judge in judges)})
    return readings, dict(served.errors + chat.errors + lacking + retried)


async def _every(period_s: float, seconds: float, act: Callable[[int], "asyncio.Future[None] | object"]) -> None:
    """Do something each period until the time is over, however long one takes."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(round(seconds / period_s)):
            await asyncio.sleep(max(0.0, began + number * period_s - time.monotonic()))
            tasks.create_task(act(number))  # type: ignore[arg-type]  # a coroutine, whichever


async def _stream(target: Target, number: int, served: Served) -> None:
    """Read a stream, and of each fourth only the first piece."""
    is_left = number % 4 == 0
    body = target.body(f"stream 20 10 of {_known(number)}", is_streamed=True)
    try:
        async with session(0) as http, http.post(target.url, json=body, headers=target.headers) as response:
            if is_left:
                await response.content.readany()
                served.counts["left"] += 1
                return
            text = await response.text()
        if response.status != 200 or "[DONE]" not in text:
            raise ValueError(f"{response.status}, no whole stream")
        served.counts["streams"] += 1
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        served.errors[f"stream: {type(error).__name__}: {error}"[:100]] += 1


async def _look(address: str, key: str, seconds: float, served: Served) -> None:
    """Look at a page each second, as an admin does who is signed in."""
    from django.conf import settings

    async with httpx.AsyncClient(
        base_url=address, cookies={settings.SESSION_COOKIE_NAME: key}, timeout=60, follow_redirects=True
    ) as client:

        async def look(number: int) -> None:
            page = _PAGES[number % len(_PAGES)]
            try:
                found = await client.get(page)
                kind = served.errors if found.status_code >= 400 and page != "/health" else served.counts
                kind["pages" if kind is served.counts else f"{page}: {found.status_code}"] += 1
            except httpx.HTTPError as error:
                served.errors[f"{page}: {type(error).__name__}"] += 1

        await _every(1.0, seconds, look)


async def _read(readings: Readings, probes: Mapping[str, Probe], seconds: float) -> None:
    period_s = min(PERIOD_S, seconds / SAMPLES_AT_LEAST)
    print("second  " + "  ".join(probes))  # noqa: T201
    began = time.monotonic()

    async def read(_number: int) -> None:
        await asyncio.to_thread(readings.read, time.monotonic() - began, probes)
        latest = (f"{found[-1]:>{len(name)}.1f}" for name, found in readings.values.items())
        print(f"{readings.seconds[-1]:6.0f}  " + "  ".join(latest), flush=True)  # noqa: T201

    await _every(period_s, seconds, read)


def probes_of(web: int, worker: int, temporary: Path) -> dict[str, Probe]:
    """Return what is read of two processes, each with its children; memory in MB."""
    places = [temporary, Path(os.environ["GREENLLM_SHARED_MEMORY"])]
    return {
        "web MB": lambda: _of_family(web, private_mb),
        "web files": lambda: _of_family(web, lambda one: one.num_fds()),
        "worker MB": lambda: _of_family(worker, private_mb),
        "worker files": lambda: _of_family(worker, lambda one: one.num_fds()),
        "connections": _connection_count,
        "temporary files": lambda: sum(path.is_file() for place in places for path in place.rglob("*")),
    }


def in_use(address: str) -> dict[str, Probe]:
    """Return what a web process tells of what it uses of its memory: what is lost shows there, and in no reserve."""

    def told(name: str, unit: float) -> Probe:
        return lambda: (
            next(one.value for one in samples_of(httpx.get(f"{address}/metrics").text) if one.name == name) / unit
        )

    return {
        "web 1000 blocks": told("greenllm_python_blocks", 1e3),
        "web malloc MB": told("greenllm_malloc_used_bytes", 1e6),
    }


def private_mb(process: psutil.Process) -> float:
    """Return the memory (MB) that a process alone has written to, without the rings of samples.

    A ring is allocated whole when it is made, in a file in memory; the kernel counts its pages to the only process that
    has touched them, so that they would look like growth until the ring has gone round once. Pages of a library that
    were only read are a process's own while nobody else has it open: the end of another program that used scipy looked
    like a growth of 20 MB.
    """
    rings = os.environ["GREENLLM_SHARED_MEMORY"]
    return float(sum(one.private_dirty for one in process.memory_maps() if not one.path.startswith(rings))) / 1e6


def _of_family(pid: int, figure: Callable[[psutil.Process], float]) -> float:
    """Add a figure up over a process and its children; a child that has just ended has none."""
    parent = psutil.Process(pid)
    total = figure(parent)
    for child in parent.children(recursive=True):
        try:
            total += figure(child)
        except psutil.NoSuchProcess:
            continue
    return total


def _connection_count() -> float:
    """Count the connections to the database but for the one that asks."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        found = float(cursor.fetchone()[0])
    connection.close()
    return found


def tell(readings: Readings, *, after_s: float) -> list[str]:
    """Print the slope of each series after the warm-up; return those that rise."""
    rising = []
    print(f"\n{'after the warm-up':18} {'median':>10} {'slope an hour':>15} {'95 % interval':>24}  result")  # noqa: T201
    for name, trend in readings.trends(after_s=after_s).items():
        if trend.is_rising and name not in _NOT_HELD:
            rising.append(name)
        interval = f"{trend.low * 3600:.2f} to {trend.high * 3600:.2f}"
        print(  # noqa: T201
            f"{name:18} {statistics.median(readings.values[name]):10.1f} {trend.slope * 3600:15.2f} {interval:>24}  "
            + ("told" if name in _NOT_HELD else "RISES" if trend.is_rising else "ok")
        )
    return rising


def _known(number: int) -> str:
    return f"known prompt {number % KNOWN_PROMPTS}"


def _answer_slowly(_model: str, _prompt: str) -> Any:
    from benchmarks.inference.scripted import ScriptedAnswer

    return ScriptedAnswer("It is so many words that it takes about a third of a second.", seconds_per_token=0.025)


def _start_study(address: str, *, seconds: float) -> None:
    """Start a study that lasts as long as the load, on a simulated meter; put its responses on the machine's queue."""
    from benchmarks.models import Machine
    from benchmarks.queueing import enqueue_study
    from tests import factories as make

    meters = [{"kind": "replay", "options": {"steps": [[3600, 40.0]]}, "period_ms": 20}]
    machine = make.make_machine()
    Machine.objects.filter(pk=machine.pk).update(meters=meters)
    texts = [f"What is {number} and {number}?" for number in range(_PROMPTS)]
    study = make.make_pending_study(
        address, *texts, models=("measured",), machine=machine, repeats=max(1, round(4 * seconds / _PROMPTS))
    )
    enqueue_study(study=study)


def _measured_count() -> int:
    from django.db import connection

    from benchmarks.models import Response

    try:
        return Response.objects.filter(
            study__kind="measured", deployment__language_model__name="measured", state=Response.State.FINISHED
        ).count()
    finally:
        connection.close()


def _enqueue_periodic() -> None:
    import django_rq
    from django.conf import settings

    from benchmarks.queueing import enqueue_periodic

    enqueue_periodic(names=settings.PERIODIC_JOBS, connection=django_rq.get_connection("default"))


if __name__ == "__main__":
    sys.exit(main())
