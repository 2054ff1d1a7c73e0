"""The OpenAI-compatible endpoint as its tests meet it: served by ASGI, with a scripted server behind it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpResponse

from benchmarks.inference.scripted import ScriptedOllama
from greenllm.asgi import application
from router.models import ApiKey
from tests.asgi import living, requested
from tests.router.standins import Federation

CHAT = "/v1/chat/completions"
LIKE_MATH = "what is two plus three"
LIKE_CODE = "write a python program"
# the endpoint reads by connections of its own, so the rows are committed; only our tables are emptied after a test
COMMITTED = pytest.mark.django_db(transaction=True, available_apps=["greenllm", "benchmarks", "labeling", "router"])
# where a role is asked for: without the app of Django's groups nobody has any
EVERY_APP = pytest.mark.django_db(transaction=True)


@dataclass
class Endpoint:
    """The endpoint with a scripted server and a real, small index behind it."""

    federation: Federation
    server: ScriptedOllama
    key: ApiKey
    secret: str

    def send(
        self,
        method: str,
        path: str,
        *,
        secret: str | None = "",
        raw: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> HttpResponse:
        """Send a request; `secret` None sends no key, an empty one the right key."""
        [response] = self.send_each([(method, path, raw)], secret=secret, headers=headers)
        return response

    def send_each(
        self,
        asked: Sequence[tuple[str, str, bytes]],
        *,
        secret: str | None = "",
        headers: dict[str, str] | None = None,
    ) -> list[HttpResponse]:
        """Send requests, given by method, path and body, one after the other while the application lives once."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        if secret is not None:
            sent["Authorization"] = f"Bearer {secret or self.secret}"
        return async_to_sync(self._send_each)(asked, sent)

    async def _send_each(self, asked: Sequence[tuple[str, str, bytes]], headers: dict[str, str]) -> list[HttpResponse]:
        async with living(application):
            return [await requested(application, method, path, raw, headers) for method, path, raw in asked]

    def chat(self, text: str = LIKE_MATH, *, model: str = "auto", **fields: Any) -> HttpResponse:
        record = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
        return self.send("POST", CHAT, raw=json.dumps(record).encode())


OpenEndpoint = Callable[..., Endpoint]


def error_of(response: HttpResponse) -> dict[str, Any]:
    """Return the four fields of an error, which must be there all, and nothing else."""
    [(name, error)] = json.loads(response.content).items()
    assert name == "error"
    assert set(error) == {"message", "type", "param", "code"}
    assert response["Content-Type"] == "application/json"
    assert response["x-request-id"]
    assert isinstance(error, dict)
    return error
