"""Lighthouse on every page of a running installation: `make bench-lighthouse URL=http://127.0.0.1:8000`.

The pages are those of the URL configuration (tests/bench/routes.py) that answer an admin with a whole document; what
else has an address is told at the end, with the reason. Needs npx with access to the npm registry, and the
`GREENLLM_VAR` of the installation in the environment. Speed depends on what else the machine does: a page below its
bound is visited three times in all, and the median counts. Of accessibility and best practices the least counts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenllm.models import User

PACKAGE = "lighthouse@12"
CATEGORIES = ("performance", "accessibility", "best-practices")
LEAST = 95  # of accessibility and best practices everywhere, and of the performance of a page without charts
LEAST_WITH_CHARTS = 90  # of the performance of a page with charts
VISITS = 3


class LighthouseError(RuntimeError):
    """Lighthouse came to no scores, in as many tries as a page has visits."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--only", nargs="*", default=[""], help="Parts of names of routes, such as chat: or admin:.")
    parser.add_argument("--without", nargs="*", default=[], help="Parts of names of routes to leave out.")
    parser.add_argument("--lighthouse", nargs="*", default=["npx", "--yes", PACKAGE], help="How it is started.")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
    import django

    django.setup()
    from tests.bench.routes import known_rows, pages_of
    from tests.browsing import session_of

    admin = _admin()
    session = session_of(admin)
    addresses, reasons = pages_of(known_rows(admin))
    missed, count = [], 0
    print(f"{'page':48} {'perf.':>6} {'acc.':>6} {'best':>6}  result")  # noqa: T201
    with _signed_in_browser(options.url, session) as port:
        for name, path in addresses.items():
            if not any(part in name for part in options.only) or any(part in name for part in options.without):
                reasons[name] = "not asked for"
                continue
            why, has_charts = _asked(options.url + path, session)
            if why:
                reasons[name] = why
                continue
            count += 1
            missed += [path] * (not _is_met(options, path, port, LEAST_WITH_CHARTS if has_charts else LEAST))
    _tell_reasons(reasons)
    print(f"{count} pages; missed: {', '.join(missed) or 'none'}")  # noqa: T201
    return 1 if missed else 0


def scores_of(visits: Sequence[dict]) -> list[int]:
    """Return what counts of a page's visits: the median of its performance, the least of everything else."""
    found = {
        name: [round(100 * (one["categories"][name]["score"] or 0)) for one in visits] for name in CATEGORIES
    }  # fmt: skip
    return [round(statistics.median(found["performance"])), *(min(found[name]) for name in CATEGORIES[1:])]


def shortcomings(report: dict) -> list[str]:
    """Return a line for each audit that cost points, with the first thing that it names."""
    weights = {one["id"]: one["weight"] for found in report["categories"].values() for one in found["auditRefs"]}
    return [
        f"{name}: {audit['title']} {audit.get('displayValue', '')} {_first_item(audit)}".rstrip()
        for name, audit in report["audits"].items()
        if weights.get(name) and audit.get("score") is not None and audit["score"] < 0.9
    ]


def _is_met(options: argparse.Namespace, path: str, port: int, least_performance: int) -> bool:
    """Visit a page and tell what it scored; tell whether that is enough."""
    bounds = (least_performance, LEAST, LEAST)
    try:
        visits = [_report(options.lighthouse, options.url + path, port)]
        while len(visits) < VISITS and scores_of(visits)[0] < least_performance:
            visits.append(_report(options.lighthouse, options.url + path, port))
    except LighthouseError as error:
        print(f"{path:48}  MISSED: {error}", flush=True)  # noqa: T201
        return False
    scores = scores_of(visits)
    is_met = all(score >= bound for score, bound in zip(scores, bounds, strict=True))
    result = "ok" if is_met else f"MISSED {'/'.join(map(str, bounds))}"
    visited = f" (median of {len(visits)})" if len(visits) > 1 else ""
    print(f"{path:48} {scores[0]:6} {scores[1]:6} {scores[2]:6}  {result}{visited}", flush=True)  # noqa: T201
    for line in shortcomings(visits[-1]):
        print(f"    {line}", flush=True)  # noqa: T201
    return is_met


def _tell_reasons(reasons: dict[str, str]) -> None:
    names: dict[str, list[str]] = {}
    for name, why in reasons.items():
        names.setdefault(why, []).append(name)
    for why, found in sorted(names.items()):
        print(f"not visited, {why}: {', '.join(found)}")  # noqa: T201


def _admin() -> "User":
    from greenllm.models import User

    admin = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if admin is None:
        sys.exit("no superuser is there who could see every page: make one with manage.py createsuperuser")
    return admin


@contextmanager
def _signed_in_browser(url: str, session: str) -> Iterator[int]:
    """Start Chromium with the cookie of a session; give the port by which Lighthouse steers it.

    A cookie among Lighthouse's extra headers comes with the page alone: scripts and parts that are for admins are
    refused then, and their errors in the console are held against the page.
    """
    from django.conf import settings
    from playwright.sync_api import sync_playwright

    from tests.browsing import CHROMIUM_ARGUMENTS, chromium_path
    from tests.environment import free_port

    port = free_port()
    arguments = [*CHROMIUM_ARGUMENTS, f"--remote-debugging-port={port}"]
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(folder, executable_path=chromium_path(), args=arguments)
        context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": url}])
        yield port
        context.close()


def _asked(url: str, session: str) -> tuple[str, bool]:
    """Return why an address is no page, empty where it is one, and whether charts are on it."""
    import httpx
    from django.conf import settings

    from tests.bench.routes import why_no_page

    cookies = {settings.SESSION_COOKIE_NAME: session}
    answer = httpx.get(url, cookies=cookies, headers={"Accept": "text/html"}, timeout=60)
    return why_no_page(answer.status_code, answer.headers, answer.text), '<figure class="chart"' in answer.text


def _report(lighthouse: list[str], url: str, port: int) -> dict:
    command = [
        *lighthouse, url, f"--port={port}", "--quiet", "--preset=desktop", "--output=json", "--output-path=stdout",
        f"--only-categories={','.join(CATEGORIES)}",
    ]  # fmt: skip
    for _ in range(VISITS):  # on a busy machine Chromium is lost now and then, or answers too late
        told = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        if told.returncode == 0:
            return json.loads(told.stdout)
    raise LighthouseError(told.stderr.strip()[-300:] or f"exit code {told.returncode}")


def _first_item(audit: dict) -> str:
    """Return what an audit names first: the element, or the words of the console."""
    for item in (audit.get("details") or {}).get("items", []):
        found = item.get("description") or (item.get("node") or {}).get("snippet")
        if found:
            return str(found)[:200]
    return ""


if __name__ == "__main__":
    sys.exit(main())
