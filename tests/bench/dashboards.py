"""Server time of every page on a large database: `make bench-dashboards`; BENCH="--responses 1000000": full size.

The pages are those of the URL configuration (tests/bench/routes.py), each with its filters and pages far back. The
rows are made by SQL in an installation of their own, with the triggers on, so that the rollups are made as they would
be. Pages are asked over HTTP by a signed-in admin, one at a time: warm; right after a label, a response and a routed
request have changed (tests/bench/changing.py), each time anew; and once after each restart of Postgres and web (a
request to /health comes before, as a load balancer would have it). On pages with charts, headless Chromium says when
the first of them was painted.
"""

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from tests.bench.changing import Changes
from tests.bench.filling import WATCHER, fill
from tests.bench.painting import painted
from tests.bench.routes import known_rows, paths_of, routes
from tests.bench.table import Table

WARM_MS, RESTARTED_MS = 150.0, 500.0
_BROWSER = {"Accept": "text/html"}
_ANSWERED = {200, 204, 302}  # a form that does not apply at present leads back
_CHARTED: list[str] = []  # pages that came with a chart


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--responses", type=int, default=20_000, help="Also routing decisions; 1000000 for the full.")
    parser.add_argument("--visits", type=int, default=20, help="Of each page, warm.")
    parser.add_argument("--changes", type=int, default=10, help="Visits of each page right after a change.")
    parser.add_argument("--restarts", type=int, default=2)
    parser.add_argument("--only", default="", help="A part of the address of the pages to ask for.")
    parser.add_argument(
        "--keep", type=Path, help="A folder for the installation; filled once, asked in later runs too."
    )
    options = parser.parse_args()
    folder = (options.keep or Path(tempfile.mkdtemp(prefix="greenllm-bench-"))).resolve()
    from tests.environment import test_environment

    os.environ |= {"DJANGO_SETTINGS_MODULE": "greenllm.settings", **test_environment(folder)}
    os.environ.pop("GREENLLM_DATABASE_POOL", None)
    import django

    django.setup()
    try:
        return _run(Table(), options)
    finally:
        if options.keep is None:
            shutil.rmtree(folder, ignore_errors=True)


def _run(table: Table, options: argparse.Namespace) -> int:
    print(f"load of the machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")  # noqa: T201
    cookies: dict[str, str] = {}
    pages: list[str] = []

    def prepare() -> None:
        _fill_once(options.responses, table)
        cookies.update(_signed_in())
        pages.extend(one for one in _pages(table) if options.only in one)

    warm: dict[str, list[float]] = {}
    changed: dict[str, list[float]] = {}
    restarted: dict[str, list[float]] = {}
    for number in range(options.restarts + 1):
        with _Installation(first=prepare if number == 0 else None) as base_url:
            with httpx.Client(base_url=base_url, cookies=cookies, timeout=300, headers=_BROWSER) as client:
                client.get("/health").raise_for_status()
                for page in random.Random(number).sample(pages, len(pages)):
                    taken = _asked(client, page)
                    if number:
                        restarted.setdefault(page, []).append(taken)
                if not number:
                    warm = {page: [_asked(client, page) for _ in range(options.visits)] for page in pages}
                    changed = _asked_after_changes(client, pages, options.changes)
            if not number:
                painted(base_url, cookies, [page for page in pages if page in _CHARTED], table)
    _tell(table, warm, changed, restarted)
    print(f"missed: {', '.join(table.missed) or 'none'}")  # noqa: T201
    return 0


def _fill_once(count: int, table: Table) -> None:
    """Fill the database, unless it was kept from a run before.

    Raises:
        RuntimeError: another number of answers was kept.
    """
    from benchmarks.models import Response

    kept = Response.objects.filter(study__kind="measured").count()
    if kept not in {0, count}:
        raise RuntimeError(f"the folder keeps {kept:,} responses, not {count:,}")
    begun = time.perf_counter()
    if not kept:
        fill(count, table)
    table.row(f"filling {count:,} responses", f"{time.perf_counter() - begun:.0f} s", "about 5 min")


def _tell(
    table: Table, warm: dict[str, list[float]], changed: dict[str, list[float]], restarted: dict[str, list[float]]
) -> None:
    for page, taken in warm.items():
        _tell_p95(table, f"{page} warm", taken)
        if page in changed:
            _tell_p95(table, f"{page} after a change", changed[page])
        if page in restarted:
            first = max(restarted[page])
            table.below(f"{page} after a restart", first, RESTARTED_MS, "ms", n=len(restarted[page]), digits=0)


def _tell_p95(table: Table, name: str, taken: list[float]) -> None:
    times = sorted(taken)
    p95 = times[int(0.95 * (len(times) - 1))]
    figure = f"{statistics.median(times):.0f}, {p95:.0f} ms"
    table.row(f"{name}, p50, p95", figure, f"p95 < {WARM_MS:g} ms", is_ok=p95 < WARM_MS, n=len(times))


class _Installation:
    """Postgres, Valkey and a web server of their own; leaving it stops all three."""

    def __init__(self, first: Callable[[], None] | None) -> None:
        self._first = first

    def __enter__(self) -> str:
        from django.conf import settings
        from django.core.management import call_command

        from greenllm.embedded.catalog import embedded_services
        from greenllm.embedded.supervisor import Supervisor

        self._services = Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["postgres", "valkey"]))
        self._services.start()
        self._services.wait_ready("postgres")
        if self._first is not None:
            call_command("migrate", verbosity=0)
            self._first()
        from django.db import connections

        connections.close_all()
        address = f"http://127.0.0.1:{settings.WEB_PORT}"
        command = [sys.executable, "-W", "ignore", "-m", "uvicorn", "greenllm.asgi:application", "--port"]
        self._web = subprocess.Popen([*command, str(settings.WEB_PORT), "--log-level", "warning"])
        for _ in range(600):
            try:
                httpx.get(f"{address}/health", timeout=5)
            except httpx.TransportError:
                time.sleep(0.1)
            else:
                return address
        raise RuntimeError("the web server did not start")

    def __exit__(self, *_: object) -> None:
        self._web.terminate()
        self._web.wait(30)
        self._services.stop()


def _asked_after_changes(client: httpx.Client, pages: list[str], count: int) -> dict[str, list[float]]:
    """Ask for each page so many times, each time right after a change of what pages rest on."""
    changes = Changes()
    taken: dict[str, list[float]] = {}
    for page in pages:
        for _ in range(count):
            changes.make()
            taken.setdefault(page, []).append(_asked(client, page))
    return taken


def _asked(client: httpx.Client, page: str) -> float:
    """Return the milliseconds until a page is there; redirects are other pages and not followed."""
    begun = time.perf_counter()
    answer = client.get(page)
    taken = 1000 * (time.perf_counter() - begun)
    if answer.status_code not in _ANSWERED:
        raise RuntimeError(f"{page} answered {answer.status_code}")
    if "<html" in answer.text and '<figure class="chart"' in answer.text and page not in _CHARTED:
        _CHARTED.append(page)
    return taken


def _pages(table: Table) -> list[str]:
    """Return the addresses of every page, and tell which routes are none and why."""
    left_out: dict[str, list[str]] = {}
    pages = []
    rows = known_rows()
    for route in routes():
        why = route.why_left_out
        found = [] if why else paths_of(route, rows)
        pages += found
        if not found:
            left_out.setdefault(why or "no row stands for it in this database", []).append(route.name)
    for why, names in left_out.items():
        table.row(f"left out: {why[:48]}", f"{len(names)} routes", ", ".join(names))
    return pages


def _signed_in() -> dict[str, str]:
    from django.test import Client

    from greenllm.models import User
    from greenllm.roles import Role, grant_role

    admin = User.objects.get(username=WATCHER)
    User.objects.filter(pk=admin.pk).update(is_staff=True, is_superuser=True)
    for role in (Role.ADMIN, Role.ANNOTATOR):
        grant_role(user=admin, role=role)
    client = Client()
    client.force_login(admin)
    return {name: morsel.value for name, morsel in client.cookies.items()}


if __name__ == "__main__":
    sys.exit(main())
