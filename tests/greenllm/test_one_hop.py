"""Middleware and view of a page, one after another in its thread."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from asgiref.sync import ThreadSensitiveContext
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path

from greenllm.one_hop import OneHop

SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": [(b"host", b"testserver")]}
OF_PAGES = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ON_THE_LOOP = ["greenllm.static_files.StaticFiles", "greenllm.page_turns.PageTurns"]


class Counting(ThreadPoolExecutor):
    """A page's thread, which counts how often it was gone to."""

    def __init__(self) -> None:
        super().__init__(1)
        self.hops = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.hops += 1
        return super().submit(fn, *args, **kwargs)


class Addresses:
    """A page made in a thread, and one made on the event loop."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    @property
    def urlpatterns(self) -> Any:  # Any: what Django takes as a module of addresses
        return [path("", self._page), path("live/", self._live)]

    def _page(self, request: HttpRequest) -> HttpResponse:
        self.threads.append(threading.current_thread())
        return HttpResponse("made")

    async def _live(self, request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        self.threads.append(threading.current_thread())
        return HttpResponse("made")


def asked(handler: type[ASGIHandler], middleware: list[str], address: str = "/") -> tuple[dict[bytes, bytes], int, Any]:
    """Ask for a page; return its headers, how often its thread was gone to, and where it was made."""
    sent: list[dict[str, Any]] = []
    requests = [{"type": "http.request", "body": b""}]
    pages, thread = Addresses(), Counting()

    async def receive() -> dict[str, Any]:
        return requests.pop() if requests else await asyncio.get_running_loop().create_future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def serve() -> None:
        async with ThreadSensitiveContext(executor=thread):  # type: ignore[call-arg]  # as `PageThreads` does
            await handler()({**SCOPE, "path": address}, receive, send)

    with override_settings(ROOT_URLCONF=pages, MIDDLEWARE=middleware, ALLOWED_HOSTS=["testserver"]):
        asyncio.run(serve())
    thread.shutdown()
    return {b":status": str(sent[0]["status"]).encode(), **dict(sent[0]["headers"])}, thread.hops, pages.threads


@pytest.mark.parametrize("outside", [[], ON_THE_LOOP])
def test_middleware_needs_no_further_way_to_the_thread(outside: list[str]) -> None:
    headers, hops, threads = asked(OneHop, outside + OF_PAGES)
    assert hops == asked(OneHop, [])[1]
    assert hops < asked(ASGIHandler, outside + OF_PAGES)[1] - 5  # once this fails `OneHop` has become needless
    assert headers[b":status"] == b"200"
    assert headers[b"X-Frame-Options"] == b"DENY"
    assert threads != [threading.current_thread()]


def test_a_view_that_needs_the_event_loop_has_it() -> None:
    headers, _, threads = asked(OneHop, ON_THE_LOOP + OF_PAGES, "/live/")
    assert headers[b":status"] == b"200"
    assert headers[b"X-Frame-Options"] == b"DENY"
    assert threads == [threading.current_thread()]
