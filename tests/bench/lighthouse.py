"""Lighthouse on the pages of a running installation: `make bench-lighthouse URL=http://127.0.0.1:8000`.

Needs npx with access to the npm registry, and the `GREENLLM_VAR` of the installation in the environment. Best of so
many runs, because a busy machine only ever makes a page look slower.
"""

import argparse
import json
import os
import subprocess
import sys

PACKAGE = "lighthouse@12"
CATEGORIES = ("performance", "accessibility", "best-practices")
FAST, CHARTS = (95, 95, 95), (90, 95, 95)  # the least of each category
PAGES = {
    "/chat/": FAST, "/label/": FAST, "/studies/": FAST, "/federation/": FAST, "/look/": CHARTS, "/dashboards/": CHARTS,
    "/dashboards/operations/": CHARTS, "/routing/": CHARTS, "/label/quality/": CHARTS,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--lighthouse", nargs="*", default=["npx", "--yes", PACKAGE], help="How it is started.")
    parser.add_argument("--pages", nargs="*", help="Paths besides the usual ones, held to the bounds of charts.")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
    import django

    django.setup()
    cookie = _cookie()
    missed = 0
    for path, bounds in (PAGES | dict.fromkeys(options.pages or [], CHARTS)).items():
        runs = [_report(options.lighthouse, options.url + path, cookie) for _ in range(options.runs)]
        best = [round(100 * max(run["categories"][name]["score"] or 0 for run in runs)) for name in CATEGORIES]
        is_met = all(score >= bound for score, bound in zip(best, bounds, strict=True))
        missed += not is_met
        words = ", ".join(f"{name} {score}" for name, score in zip(CATEGORIES, best, strict=True))
        print(f"{'ok    ' if is_met else 'MISSED'} {path}: {words} (best of {len(runs)})", flush=True)  # noqa: T201
        for line in _shortcomings(runs[-1]):
            print(f"         {line}", flush=True)  # noqa: T201
    return 1 if missed else 0


def _cookie() -> str:
    from django.conf import settings

    from greenllm.models import User
    from tests.browsing import session_of

    admin = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if admin is None:
        sys.exit("no superuser is there who could see every page: make one with manage.py createsuperuser")
    return f"{settings.SESSION_COOKIE_NAME}={session_of(admin)}"


def _report(lighthouse: list[str], url: str, cookie: str) -> dict:
    from tests.browsing import chromium_path

    command = [
        *lighthouse, url, "--quiet", "--preset=desktop", "--output=json", "--output-path=stdout",
        f"--only-categories={','.join(CATEGORIES)}", "--chrome-flags=--headless=new --no-sandbox --disable-gpu",
        "--extra-headers=" + json.dumps({"Cookie": cookie}),
    ]  # fmt: skip
    environment = {**os.environ, "CHROME_PATH": str(chromium_path() or "")}
    told = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=180, check=True)
    return json.loads(told.stdout)


def _shortcomings(report: dict) -> list[str]:
    """Return a line for each audit that cost points, with the first thing that it names."""
    weights = {one["id"]: one["weight"] for found in report["categories"].values() for one in found["auditRefs"]}
    return [
        f"{name}: {audit['title']} {audit.get('displayValue', '')} {_first_item(audit)}".rstrip()
        for name, audit in report["audits"].items()
        if weights.get(name) and audit.get("score") is not None and audit["score"] < 0.9
    ]


def _first_item(audit: dict) -> str:
    """Return what an audit names first: the element, or the words of the console."""
    for item in (audit.get("details") or {}).get("items", []):
        found = item.get("description") or (item.get("node") or {}).get("snippet")
        if found:
            return str(found)[:200]
    return ""


if __name__ == "__main__":
    sys.exit(main())
