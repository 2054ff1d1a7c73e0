"""A page's request, and what the page showed, are gone with the answer."""

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.template import TemplateDoesNotExist, engines
from django.template.backends.django import DjangoTemplates as DjangosOwn
from django.test import override_settings
from django.urls import path
from django.utils.datastructures import MultiValueDict

from greenllm.ended_requests import DjangoTemplates, Pages, PassingRequest

SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}
HANGS_ON_THE_REQUEST = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
OPTIONS = {
    "context_processors": [
        "django.template.context_processors.request",
        "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]
}
OURS = DjangoTemplates({"NAME": "ours", "DIRS": [], "APP_DIRS": False, "OPTIONS": OPTIONS})
DJANGOS = DjangosOwn({"NAME": "djangos", "DIRS": [], "APP_DIRS": False, "OPTIONS": OPTIONS})


class Shown:
    """Something that a page shows."""

    def __str__(self) -> str:
        return "an answer"


class Page:
    """One page, and whether its request and what it showed are still there."""

    def __init__(self, templates: DjangosOwn) -> None:
        self._template = templates.from_string("It shows {{ shown }}.")
        self.left: list[weakref.ref[Any]] = []

    def __call__(self, request: HttpRequest) -> HttpResponse:
        shown = Shown()
        self.left += [weakref.ref(request), weakref.ref(shown)]
        return HttpResponse(self._template.render({"shown": shown}, request))

    @property
    def urlpatterns(self) -> Any:  # Any: what Django takes as a module of addresses
        return [path("", self)]

    def is_held(self) -> list[bool]:
        return [one() is not None for one in self.left]


@pytest.fixture
def no_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def ask(handler: type[ASGIHandler], page: Page) -> bytes:
    """Ask for the page as a server does."""
    sent: list[dict[str, Any]] = []
    asked = [{"type": "http.request", "body": b""}]

    async def receive() -> dict[str, Any]:
        return asked.pop() if asked else await asyncio.get_running_loop().create_future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    with override_settings(ROOT_URLCONF=page, MIDDLEWARE=HANGS_ON_THE_REQUEST):
        asyncio.run(handler()(dict(SCOPE), receive, send))
    assert sent[0]["status"] == 200
    return b"".join(one["body"] for one in sent[1:])


@pytest.mark.usefixtures("no_collection")
class TestPage:
    def test_is_gone_with_its_answer(self) -> None:
        page = Page(OURS)
        assert ask(Pages, page) == b"It shows an answer."
        assert page.is_held() == [False, False]

    def test_would_be_held_by_the_request_alone(self) -> None:
        """Once this fails `PassingRequest` has become needless."""
        page = Page(OURS)
        ask(ASGIHandler, page)
        assert page.is_held() == [True, False]

    def test_would_be_held_by_the_context_alone(self) -> None:
        """Once this fails `PassingTemplate` has become needless."""
        page = Page(DJANGOS)
        ask(Pages, page)
        assert page.is_held() == [True, True]  # the context holds its request


class TestPassingRequest:
    def test_closes_its_files(self) -> None:
        request = PassingRequest(dict(SCOPE), SimpleUploadedFile("body", b""))
        file = SimpleUploadedFile("outcomes.csv", b"1")
        request._files = MultiValueDict({"file": [file]})  # type: ignore[attr-defined]  # as Django's reading leaves it
        request.close()
        assert file.closed


class TestTemplates:
    def test_are_those_of_the_product(self) -> None:
        assert isinstance(engines["django"], DjangoTemplates)

    def test_say_which_template_lacks(self) -> None:
        with pytest.raises(TemplateDoesNotExist, match="nowhere.html") as raised:
            OURS.from_string("{% include 'nowhere.html' %}").render({})
        assert raised.value.backend is OURS
