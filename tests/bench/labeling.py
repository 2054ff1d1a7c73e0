"""How fast judging is among many answers, and whether a storm of votes loses or doubles any: `make bench-labeling`.

The web server is a process of its own, as in an installation, on a database that is thrown away.
"""

import argparse
import asyncio
import logging
import os
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from tests.bench.judging import Judge, client_of, make_judges, open_queue, vote, vote_calmly
from tests.bench.table import Table

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")

_PAINTED = "performance.getEntriesByName('labeling-next').map((entry) => entry.duration)"


class WebServer:
    """The application in a process that can be killed and started again on the same port."""

    def __init__(self, *, port: int, database_url: str, pool: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self._command = [
            sys.executable, "-m", "uvicorn", "greenllm.asgi:application", "--host", "127.0.0.1", "--port", str(port),
            "--log-level", "warning", "--lifespan", "off", "--ws", "none",
        ]  # fmt: skip
        own = {"DATABASE_URL": database_url, "GREENLLM_DATABASE_POOL": str(pool), "PYTHONWARNINGS": "ignore"}
        self._env = {**os.environ, **own}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, env=self._env)
        deadline = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"{self.address}/account/sign-in/", timeout=20)
            except httpx.TransportError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=int, default=100_000, help="Answers in the database.")
    parser.add_argument("--keys", type=int, default=200, help="Answers judged by keyboard in the browser.")
    parser.add_argument("--seconds", type=float, default=60, help="How long 20 people vote once every 2 s.")
    parser.add_argument("--votes", type=int, default=20_000, help="Votes of the storm from 50 connections.")
    parser.add_argument("--pool", type=int, default=20, help="Database connections of the web process; 0: no pool.")
    options = parser.parse_args()

    import django

    from tests import environment  # a var directory of the tests' own, before settings are read

    django.setup()
    logging.disable(logging.WARNING)
    from tests.labeling.queues import make_many_answers

    table = Table()
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")  # noqa: T201
    with _database() as database_url:
        make_many_answers(options.responses)
        server = WebServer(port=environment.free_port(), database_url=database_url, pool=options.pool)
        server.start()
        try:
            if options.keys:
                _page(table, server, responses=options.responses, keys=options.keys)
            if options.seconds:
                _steady(table, server, responses=options.responses, seconds=options.seconds)
            if options.votes:
                _storm(table, server, votes=options.votes)
        finally:
            server.end()
    print(f"missed: {', '.join(table.missed) or 'none'}")  # noqa: T201
    return 0


@contextmanager
def _database() -> Iterator[str]:
    """Give the address of a database that is thrown away."""
    from django.conf import settings
    from django.db import connection, connections
    from django.test.utils import setup_databases, teardown_databases

    from greenllm.embedded.catalog import embedded_services
    from greenllm.embedded.supervisor import Supervisor

    with Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["postgres", "valkey"])):
        folder, _, _ = settings.EMBEDDED.database_url.rpartition("/")
        former = setup_databases(verbosity=0, interactive=False)
        try:
            yield f"{folder}/{connection.settings_dict['NAME']}"
        finally:
            connections.close_all()
            teardown_databases(former, verbosity=0)


def _page(table: Table, server: WebServer, *, responses: int, keys: int) -> None:
    """Judge by keyboard in a browser, each key pressed as soon as the answer on the screen takes one."""
    from django.conf import settings
    from playwright.sync_api import expect, sync_playwright

    from tests.browsing import CHROMIUM_ARGUMENTS, chromium_path, session_of
    from tests.labeling.queues import make_annotator

    name = f"key to next answer painted, {responses:,} answers, p50/p95"
    path = chromium_path()
    if path is None:
        table.skipped(name, "no Chromium: install the package chromium, or set CHROMIUM_BINARY")
        return
    key = session_of(make_annotator())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=CHROMIUM_ARGUMENTS)
        context = browser.new_context(base_url=server.address)
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": key, "url": server.address}])
        page = context.new_page()
        page.goto("/label/")
        answer = page.get_by_role("article", name="Answer to judge")
        for number in range(keys):
            expect(answer).to_have_attribute("data-ready", "", timeout=20_000)
            seen = str(answer.get_attribute("data-answer"))
            page.keyboard.press("ax"[number % 2])
            expect(answer).not_to_have_attribute("data-answer", seen, timeout=20_000)
        durations = page.evaluate(_PAINTED)
        browser.close()
    _percentiles(table, name, durations, limit_ms=100)


def _steady(table: Table, server: WebServer, *, responses: int, seconds: float) -> None:
    """Let 20 people vote once every 2 s, each beginning at another moment."""
    judges = make_judges(20)
    asyncio.run(vote_calmly(server.address, judges, seconds=seconds))
    durations = [one for judge in judges for one in judge.durations_ms]
    name = f"a vote and what comes next, 20 people, {responses:,} answers, p50/p95"
    _percentiles(table, name, durations, limit_ms=30)


def _storm(table: Table, server: WebServer, *, votes: int) -> None:
    """Vote from 50 connections that leave at random, and kill the web server in the middle; then count."""

    judges = make_judges(50)
    left = [votes]

    async def vote_hastily(judge: Judge) -> None:
        async with client_of(server.address, judge) as client:
            await open_queue(client, judge)
            while left[0] > 0:
                left[0] -= 1
                await vote(client, judge, chance_to_leave=0.05)

    async def kill_in_the_middle() -> None:
        while left[0] > votes // 2:
            await asyncio.sleep(0.05)
        server.end(signal.SIGKILL)
        await asyncio.to_thread(server.start)

    async def together() -> None:
        await asyncio.gather(kill_in_the_middle(), *(vote_hastily(judge) for judge in judges))

    begun = time.monotonic()
    asyncio.run(together())
    elapsed = time.monotonic() - begun
    _audit(table, judges, elapsed_s=elapsed)


def _audit(table: Table, judges: list[Judge], *, elapsed_s: float) -> None:
    from labeling.models import Label

    accepted = [vote for judge in judges for vote in judge.accepted]
    people = {judge.person_id for judge in judges}
    stored = Counter(
        Label.objects.current().of_people().filter(labeler_id__in=people)
        .values_list("labeler_id", "response_id", "verdict")
    )  # fmt: skip
    given = Label.objects.current().of_people()
    # shown again to the same person on purpose, among the answers of the latest 200 votes of each
    checks = given.filter(kind=Label.Kind.SELF_CHECK)
    per_answer = Counter(given.exclude(kind=Label.Kind.SELF_CHECK).values_list("response_id", flat=True))
    doubles = sum(count > 1 for count in per_answer.values())
    lost = sum((Counter(accepted) - stored).values())
    unknown = sum((stored - Counter(accepted)).values())
    told = sum((judge.told for judge in judges), Counter())
    retries = sum(judge.retry_count for judge in judges)
    table.row("votes of the storm, 50 connections, one kill", f"{len(accepted) / elapsed_s:.0f} per s", n=len(accepted))
    table.row("  sent again after a lost connection", f"{retries}", n=len(accepted))
    for text, count in sorted(told.items()):
        table.row(f"  told: {text}", f"{count}")
    table.row("  answers judged twice", f"{doubles}", "0", is_ok=doubles == 0, n=len(per_answer))
    table.row("  self-checks among them", f"{checks.count()}", n=len(accepted))
    table.row("  votes accepted and not stored", f"{lost}", "0", is_ok=lost == 0, n=len(accepted))
    table.row("  votes stored and never acknowledged", f"{unknown}", "0", is_ok=unknown == 0, n=sum(stored.values()))


def _percentiles(table: Table, name: str, durations: list[float], *, limit_ms: float) -> None:

    middle, late = statistics.median(durations), statistics.quantiles(durations, n=20)[18]
    table.row(name, f"{middle:.1f} / {late:.1f} ms", f"p95 < {limit_ms:g} ms", is_ok=late < limit_ms, n=len(durations))


if __name__ == "__main__":
    raise SystemExit(main())
