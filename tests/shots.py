"""Pictures of every page, to be looked at: `make shots`. They stay out of the repository.

Without `--url`, the pages of an empty installation, which is made and thrown away; with it, those of a running one,
whose `GREENLLM_VAR` must be in the environment; `--walk` does there first what people do (tests/walking.py), so that
every kind of row has a page. Pages are found by following links, and then by the URL configuration
(tests/bench/routes.py), one for each route; at the end is told which pages no link led to, and of every route that is
not pictured why. What axe-core finds on a page, what its console says and whether it scrolls sideways fails it.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

    from greenllm.models import User

WIDTHS = (1440, 768, 320)
SCHEMES = ("light", "dark")
NOT_OURS = ("admin:", "openai:", "ollama:")  # Django's pages, and endpoints for programs
_PATIENCE_MS = 20_000
# those of drawings have addresses of another kind, and lead nowhere else
_PLAIN_LINKS = "() => [...document.links].filter((link) => !link.hasAttribute('download')).map((link) => link.href)"
# every chart is drawn once it was in view
_SCROLL_THROUGH = """async () => {
  for (let y = 0; y < document.body.scrollHeight; y += 600) {
    scrollTo(0, y);
    // what comes into view is seen after the frame that shows it
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  }
  scrollTo(0, 0);
}"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="Where the pictures go; not inside the repository.")
    parser.add_argument("--url", help="A running installation, such as http://127.0.0.1:8000; an empty one otherwise.")
    parser.add_argument("--walk", action="store_true", help="Leave rows behind as people would, before the pictures.")
    options = parser.parse_args()
    if options.walk and not options.url:
        parser.error("--walk: an empty installation has nobody who could answer; give --url too")
    if Path(__file__).resolve().parent.parent in options.folder.resolve().parents:
        parser.error("folder: choose one outside the repository, such as /tmp/shots")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenllm.settings")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright's loop runs in this thread
    if not options.url:
        from tests import environment  # noqa: F401  a var directory of its own, before settings are read
    import django

    django.setup()
    if options.url:
        failures = _take_all(options.url, options.folder / "data", is_walked=options.walk)
    else:
        failures = _with_nothing(options.folder / "empty")
    for one in failures:
        print(f"FAILED: {one}")  # noqa: T201
    return 1 if failures else 0


def _with_nothing(folder: Path) -> list[str]:
    from django.conf import settings
    from django.test.utils import setup_databases

    from greenllm.embedded.catalog import embedded_services
    from greenllm.embedded.supervisor import Supervisor
    from greenllm.roles import Role, grant_role
    from tests.browsing import served
    from tests.factories import make_user

    with Supervisor(settings.EMBEDDED, embedded_services(settings.EMBEDDED, ["postgres", "valkey"])):
        setup_databases(verbosity=0, interactive=False)  # which go with their server
        grant_role(user=make_user(is_superuser=True, is_staff=True), role=Role.ADMIN)
        with served() as url:
            return _take_all(url, folder)


def _take_all(url: str, folder: Path, *, is_walked: bool = False) -> list[str]:
    """Take the pictures of every page; return what failed."""
    from django.conf import settings
    from playwright.sync_api import sync_playwright

    from greenllm.models import User
    from tests.bench.routes import known_rows, pages_of
    from tests.browsing import CHROMIUM_ARGUMENTS, chromium_path, session_of
    from tests.walking import walk

    folder.mkdir(parents=True, exist_ok=True)
    admin = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if admin is None:
        sys.exit("no superuser is there who could see every page: make one with manage.py createsuperuser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_ARGUMENTS)
        said: list[str] = []
        page, guest = (_listened(browser.new_context(base_url=url).new_page(), said) for _ in range(2))
        page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session_of(admin), "url": url}])
        if is_walked:
            walk(page)
        visits = _Visits(page, folder)
        visits.follow_links(["/", "/look/", "/account/"])
        visits.go_to(_doors_of_guests(admin), guest)
        addresses, reasons = pages_of(known_rows(admin))
        visits.go_to({name: path for name, path in addresses.items() if not name.startswith("admin:")})
        browser.close()
    visits.tell({name: why for name, why in reasons.items() if not name.startswith(NOT_OURS)})
    return [*visits.failures, *said]


def _listened(page: "Page", said: list[str]) -> "Page":
    """Have what the console of a page says told; return the page."""
    page.on("console", lambda message: said.append(f"{page.url}: the console says {message.text}"))
    page.on("pageerror", lambda error: said.append(f"{page.url}: {error}"))
    return page


def _doors_of_guests(admin: "User") -> dict[str, str]:
    """Return the pages for those who have not signed in; nothing is stored for the link that sets a password."""
    from django.urls import reverse

    from greenllm.account.inviting import password_path

    return {
        "account:sign-in": reverse("account:sign-in"),
        "account:set-password": password_path(person=admin, by=admin),
    }


class _Visits:
    """The pages that were looked at, one for each route, and the other routes that answered something else."""

    def __init__(self, page: "Page", folder: Path) -> None:
        self._page, self._folder = page, folder
        self._pictured: set[str] = set()
        self._unlinked: set[str] = set()
        self._others: dict[str, str] = {}  # why the route has no picture
        self.failures: list[str] = []

    def follow_links(self, waiting: list[str]) -> None:
        from django.urls import Resolver404, resolve

        while waiting:
            path = waiting.pop(0)
            try:
                name = resolve(urlsplit(path).path).view_name
            except Resolver404:
                continue
            if not name.startswith(NOT_OURS) and self._visit(name, path):
                waiting += _links(self._page)

    def go_to(self, addresses: dict[str, str], guest: "Page | None" = None) -> None:
        """Visit the pages that no link led to, as a guest where their page is given."""
        for name, path in addresses.items():
            if self._visit(name, path, guest) and not guest:
                self._unlinked.add(name)

    def tell(self, reasons: dict[str, str]) -> None:
        """Say what no link led to and what has no picture, of the routes that are known to be none and of the rest."""
        left: dict[str, list[str]] = {}
        for name, why in ({**reasons, **self._others}).items():
            if name not in self._pictured:
                left.setdefault(why, []).append(name)
        print(f"{len(self._pictured)} pages, {len(self._pictured) * len(WIDTHS) * len(SCHEMES)} pictures")  # noqa: T201
        print("No link led to:", ", ".join(sorted(self._unlinked)) or "none of them")  # noqa: T201
        for why, names in sorted(left.items()):
            print(f"Not pictured, {why}: {', '.join(sorted(names))}")  # noqa: T201

    def _visit(self, name: str, path: str, guest: "Page | None" = None) -> bool:
        """Look at the page of a route that was not seen yet; tell whether it is open now."""
        page = guest or self._page
        if guest:
            guest.goto(path)
            path = urlsplit(guest.url).path  # a link with a secret leads on to an address without it
        if name in self._pictured:
            return False
        why = _why_no_page(page.context, path)
        if why:
            self._others[name] = why
            return False
        self._pictured.add(name)
        self.failures += take_or_note(page, path, self._folder)
        return True


def _why_no_page(context: "BrowserContext", path: str) -> str:
    """Return why there is no page to be looked at, empty where there is one; one that fails is to be looked at."""
    from tests.bench.routes import why_no_page

    answer = context.request.get(path, headers={"Accept": "text/html"}, max_redirects=0)
    is_text = answer.headers.get("content-type", "").startswith("text/")
    return "" if answer.status >= 500 else why_no_page(answer.status, answer.headers, answer.text() if is_text else "")


def _links(page: "Page") -> list[str]:
    """Return where the open page leads to on the same site; nowhere, where it could not be opened."""
    here = urlsplit(page.url).netloc
    found = [urlsplit(link) for link in page.evaluate(_PLAIN_LINKS)]
    return [one.path + ("?" + one.query if one.query else "") for one in found if one.netloc == here]


def settle(page: "Page") -> None:
    """Wait until nothing is fetched and every chart is drawn.

    By looking from outside: a function that is waited for inside the page is text that the pages' policy lets nobody
    run.
    """
    from playwright.sync_api import expect

    expect(page.locator(".htmx-request")).to_have_count(0, timeout=_PATIENCE_MS)
    expect(page.locator("figure.chart[data-chart]:not([data-drawn])")).to_have_count(0, timeout=_PATIENCE_MS)


def take_or_note(page: "Page", path: str, folder: Path) -> list[str]:
    """Take the pictures of a page; return what is wrong with it, or what kept it from them."""
    from playwright.sync_api import Error

    try:
        wrong = take(page, path, folder)
    except (Error, AssertionError) as error:  # a timeout, or what was expected and did not come
        wrong = [str(error).strip().splitlines()[0]]
    print(f"{path}: FAILED" if wrong else path, flush=True)  # noqa: T201
    return [f"{path}: {one}" for one in wrong]


def take(page: "Page", path: str, folder: Path) -> list[str]:
    """Take the pictures of a page; return what axe-core finds on it, and at which width it scrolls sideways."""
    from tests.browsing import axe_violations, scrolls_sideways

    name = urlsplit(path).path.strip("/").replace("/", "-") or "home"
    wrong = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        answer = page.goto(path)
        if answer and not answer.ok:
            return [f"answers with status {answer.status}"]
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.evaluate(_SCROLL_THROUGH)
            settle(page)
            page.screenshot(path=folder / f"{name}-{scheme}-{width}.png", full_page=True)
            if (width, scheme) in zip((WIDTHS[0], WIDTHS[-1]), SCHEMES, strict=True):  # each scheme and end once
                wrong += [f"{scheme}, {width} px: {one}" for one in axe_violations(page)]
        if scrolls_sideways(page):
            wrong.append(f"scrolls sideways at {width} px")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
