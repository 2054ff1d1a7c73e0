"""The threads that pages run in."""

import asyncio
import threading
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from greenllm.page_threads import Message, PageThreads
from tests.benchmarks.inference.asking import eventually


class Page:
    """Notes the thread in which each request does its blocking work, and waits there for as many others."""

    def __init__(self, at_once: int = 1) -> None:
        self.threads: list[threading.Thread] = []
        self._together = threading.Barrier(at_once)

    async def __call__(self, scope: Message, _receive: Any, _send: Any) -> None:
        await sync_to_async(self._work)()
        if scope.get("fails"):
            raise ValueError
        await sync_to_async(self._work)()

    def _work(self) -> None:
        self._together.wait(20)
        self.threads.append(threading.current_thread())


def served(pages: PageThreads, *scopes: Message) -> list[BaseException | None]:
    async def serve() -> list[BaseException | None]:
        asked = (pages(scope, None, None) for scope in scopes)  # type: ignore[arg-type]  # it neither reads nor writes
        return await asyncio.gather(*asked, return_exceptions=True)

    return asyncio.run(serve())


def test_a_page_uses_the_thread_of_the_one_before() -> None:
    page = Page()
    pages = PageThreads(page, kept=1)
    before = set(threading.enumerate())
    for _ in range(3):
        served(pages, {})
    assert len(page.threads) == 6
    assert len(set(page.threads)) == 1
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize("kept", [0, 1, 3])
def test_pages_at_once_have_a_thread_each(kept: int) -> None:
    page = Page(at_once=3)
    served(PageThreads(page, kept=kept), {}, {}, {})
    assert sorted(page.threads.count(thread) for thread in set(page.threads)) == [2, 2, 2]


def test_a_thread_whose_page_failed_serves_no_other() -> None:
    page = Page()
    pages = PageThreads(page, kept=1)
    (error,) = served(pages, {"fails": True})
    assert isinstance(error, ValueError)
    served(pages, {})
    assert len(set(page.threads)) == 2


@pytest.mark.django_db(transaction=True)
def test_a_page_that_was_cut_off_leaves_no_connection_open() -> None:
    opened: list[BaseDatabaseWrapper] = []

    def ask() -> None:
        connection.ensure_connection()
        opened.append(connections["default"])

    async def page(_scope: Message, _receive: Any, _send: Any) -> None:
        await sync_to_async(ask)()
        raise asyncio.CancelledError

    (error,) = served(PageThreads(page, kept=1), {})
    assert isinstance(error, asyncio.CancelledError)
    assert eventually(lambda: opened[0].connection is None, 20)
