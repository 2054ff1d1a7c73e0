"""A request of a page is gone with its answer; a client that leaves earlier is heard of."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse

from greenllm.ended_answers import Message, Served, without_late_leave

SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}


class Pages(ASGIHandler):
    """Django with one page, which notes its requests."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Callable[[], HttpRequest | None]] = []

    async def get_response_async(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(weakref.ref(request))
        response = HttpResponse(b"a page")
        response.wsgi_request = request  # type: ignore[attr-defined]  # as Django's own middleware leaves it
        return response


async def ask(served: Served) -> list[Message]:
    """Ask as uvicorn does: the client leaves as soon as the answer is whole."""
    is_whole, sent, asked = asyncio.Event(), list[Message](), [{"type": "http.request", "body": b""}]

    async def receive() -> Message:
        if asked:
            return asked.pop()
        await is_whole.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if not message.get("more_body") and message["type"] == "http.response.body":
            is_whole.set()
            await asyncio.sleep(0)

    await served(SCOPE, receive, send)
    return sent


def is_held(pages: Pages, served: Served) -> bool:
    gc.disable()
    try:
        sent = asyncio.run(ask(served))
        assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
        return pages.requests[0]() is not None
    finally:
        gc.enable()


class TestRequest:
    def test_is_gone_with_its_answer(self) -> None:
        pages = Pages()
        assert not is_held(pages, without_late_leave(pages))

    def test_would_be_held_by_django(self) -> None:
        """Once this fails the module has become needless."""
        pages = Pages()
        assert is_held(pages, pages)


class TestClient:
    def test_that_leaves_before_the_end_is_heard_of(self) -> None:
        heard: list[Any] = []

        async def page(_scope: Message, receive: Any, send: Any) -> None:
            heard.append(await receive())
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            heard.append(await receive())

        async def leave() -> Message:
            return {"type": "http.disconnect"}

        async def ignore(_message: Message) -> None:
            pass

        asyncio.run(without_late_leave(page)(SCOPE, leave, ignore))
        assert heard == [{"type": "http.disconnect"}] * 2

    @pytest.mark.parametrize("message", [{"type": "http.request", "body": b"rest"}])
    def test_that_still_sends_is_heard_of(self, message: Message) -> None:
        heard: list[Any] = []

        async def page(_scope: Message, receive: Any, send: Any) -> None:
            await send({"type": "http.response.body", "body": b"all"})
            heard.append(await receive())

        async def speak() -> Message:
            return message

        async def ignore(_message: Message) -> None:
            pass

        asyncio.run(without_late_leave(page)(SCOPE, speak, ignore))
        assert heard == [message]
