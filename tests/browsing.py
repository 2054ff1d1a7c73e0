"""A real browser on the real server: pages in the test's own process, over the test's own database.

`pytest_plugins`-free: `tests/conftest.py` imports the fixtures. Rows must be committed, so a test module that uses
`site` is marked `BROWSING`.
"""

import asyncio
import gc
import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import httpx
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.staticfiles import finders
from django.db import connections
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from greenllm.models import User
from tests.environment import free_port

if TYPE_CHECKING:
    from router.gateway.application import Application

CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
IS_BENCH = bool(os.environ.get("GREENLLM_BENCH"))  # `make bench-pages`: the speed of pages is held to its bounds
WIDTHS = {"phone": 360, "wide": 1280}
HEIGHT = 800
SCHEMES = ("light", "dark")
FINDERS = list(finders.get_finders())  # of all apps; a test with `available_apps` would have them know these alone
# two frames on, styles and charts have taken the new colours
SETTLED_SCRIPT = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
# all rules, and of what they find only what a test tells of
AXE_SCRIPT = """async () => (await axe.run({resultTypes: ["violations"]})).violations.map((one) => (
  {id: one.id, help: one.help, targets: one.nodes.map((node) => node.target)}))"""
# pages need every app, so that every table is emptied after a test; a test makes the roles it needs
BROWSING = [pytest.mark.slow, pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def chromium_path(*names: str) -> Path | None:
    """Return the system's Chromium, None where there is none; its builds of other names go first."""
    known = (shutil.which(name) for name in (*names, "chromium", "chromium-browser"))
    path = os.environ.get("CHROMIUM_BINARY") or next(filter(None, known), None)
    return Path(path) if path else None


def shell_path() -> Path | None:
    """Return Chromium's build without a window for the many small tests: the other takes twice the processor time."""
    return chromium_path("chromium-headless-shell")


@pytest.fixture(scope="module")  # Playwright keeps an event loop running, which no other asyncio test could bear
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    path = shell_path()
    if path is None:
        pytest.skip("no Chromium: install the package chromium, or set CHROMIUM_BINARY")
    before = os.environ.get("DJANGO_ALLOW_ASYNC_UNSAFE")
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # Playwright's loop runs in this thread; the tests use the ORM
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()
        connections.close_all()  # those of this loop: once it has ended, nothing leads to them any more
    if before is None:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass
class Site:
    """The served application and the browser that looks at it."""

    address: str
    browser: Browser
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(
        self, path: str, *, user: User | None = None, scheme: str = "light", width: str = "wide", **options: Any
    ) -> Page:
        """Open a page in a context of its own, signed in as a person; what its console says fails the test."""
        context = self.browser.new_context(
            color_scheme=scheme,  # type: ignore[arg-type]
            viewport={"width": WIDTHS[width], "height": HEIGHT},
            base_url=self.address,
            **options,
        )
        self.contexts.append(context)
        if user is not None:
            context.add_cookies(
                [{"name": settings.SESSION_COOKIE_NAME, "value": session_of(user), "url": self.address}]
            )
        page = context.new_page()
        page.on("console", lambda message: self.complaints.append(f"{page.url}: {message.text}"))
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.goto(path)
        return page


def session_of(user: User) -> str:
    """Make a session of a signed-in person; return its key."""
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return str(session.session_key)


@cache
def _application() -> "Application":
    """Make the application of `greenllm.asgi` with the static files of all apps, whichever test asks first."""
    import greenllm.asgi  # noqa: F401  sets up the connections
    from greenllm.ended_requests import Pages
    from router.gateway.application import Application

    settings.SERVESTATIC_USE_FINDERS = True
    try:
        with patch.object(finders, "get_finders", lambda: FINDERS):
            return Application(Pages())
    finally:
        settings.SERVESTATIC_USE_FINDERS = False


class ServerOfATest(uvicorn.Server):
    """Begins and ends when it is told to, where uvicorn looks ten times a second and waits in between."""

    def __init__(self) -> None:
        super().__init__(
            uvicorn.Config(
                _application(), host="127.0.0.1", port=free_port(), log_level="error", lifespan="on", ws="none"
            )
        )
        self.address = f"http://127.0.0.1:{self.config.port}"
        self._is_serving = threading.Event()
        self._is_over = asyncio.Event()
        self._thread = threading.Thread(target=self.run, daemon=True)

    def begin(self) -> None:
        """Serve in a thread; return once requests are answered."""
        self._thread.start()
        assert self._is_serving.wait(20), "the server does not start"

    def end(self) -> None:
        """Answer what was asked, and stop serving."""
        self._loop.call_soon_threadsafe(self._is_over.set)
        self._thread.join(10)

    async def main_loop(self) -> None:
        """Serve until the end is told."""
        await self.on_tick(0)  # which dates the answers
        self._loop = asyncio.get_running_loop()
        self._is_serving.set()
        await self._is_over.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody any more, let answers end, and end the application."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(0.005)
        await self.lifespan.shutdown()


@contextmanager
def served() -> Iterator[str]:
    """Serve the application by uvicorn in a thread of this process; give its address."""
    server = ServerOfATest()
    server.begin()
    try:
        yield server.address
    finally:
        server.end()


@pytest.fixture
def site(browser: Browser, transactional_db: None) -> Iterator[Site]:
    """The application, served, with a browser; the console must stay silent."""
    with served() as address:
        site = Site(address, browser)
        yield site
        for context in site.contexts:
            context.close()
        httpx.get(f"{address}/account/sign-in/")  # whatever still ran has ended once this is answered
    connections.close_all()
    gc.collect()  # what this test left open is told here, not in a later test
    assert site.complaints == []


def axe_violations(page: Page) -> list[str]:
    """Return what axe-core finds on a page, a line each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    found = page.evaluate(AXE_SCRIPT)
    return [f"{one['id']}: {one['help']}: {target}" for one in found for target in one["targets"]]


# what reaches past the window's right edge, for the message of a failing test
WIDER_SCRIPT = """() => [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > window.innerWidth + 1 && !one.closest(".scroll, pre"))
  .map((one) => one.tagName + "." + one.className + "#" + one.id).slice(0, 8)"""


def scrolls_sideways(page: Page) -> bool:
    """Tell whether the page is wider than the window."""
    return bool(page.evaluate("document.documentElement.scrollWidth > window.innerWidth"))


def check_page(
    site: Site,
    path: str,
    *,
    user: User | None = None,
    wait_for: Callable[[Page], None] | None = None,
    picture: str = "",
) -> None:
    """Look at a page light and dark, wide and phone: axe-core finds nothing, nothing scrolls sideways.

    With GREENLLM_SCREENSHOTS set to a folder, a picture of each is left there to be looked at, named after the path
    unless `picture` names it.
    """
    name = picture or path.strip("/").replace("/", "-").split("?")[0] or "home"
    page = None
    for width, pixels in WIDTHS.items():
        if page is None:
            page = site.open(path, user=user, scheme=SCHEMES[0], width=width)
        else:  # loaded anew, by files that this browser has by now
            page.emulate_media(color_scheme=SCHEMES[0], reduced_motion="no-preference")
            page.set_viewport_size({"width": pixels, "height": HEIGHT})
            page.goto(path)
        if wait_for is not None:
            wait_for(page)
        check_schemes(page, f"{name}-{{}}-{width}")


def check_schemes(page: Page, picture: str) -> None:
    """Look at an open page light and dark, as `check_page` does; `picture` has {} for the scheme."""
    folder = os.environ.get("GREENLLM_SCREENSHOTS")
    for scheme in SCHEMES:  # switched in place: loading the page again would double the time
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour is caught half-way
        page.evaluate(SETTLED_SCRIPT)
        if folder:
            page.screenshot(path=Path(folder) / f"{picture.format(scheme)}.png", full_page=True)
        assert axe_violations(page) == [], (page.url, picture.format(scheme))
        assert not scrolls_sideways(page), (page.url, picture.format(scheme), page.evaluate(WIDER_SCRIPT))
