"""Bodies that are larger than an address takes: refused before Django writes them to disk."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.urls import reverse

from router.gateway.bounding import bounded, most_bytes
from router.wire import MAX_BODY_BYTES

PAGES = {"/upload/": 3}
BLOCK = 512 * 1024


class Exchanged:
    """What a client sent, what Django read of it, and what came back."""

    def __init__(self, path: str, blocks: int, *, declared: str | None = None, reads: bool = True) -> None:
        headers = [] if declared is None else [(b"content-length", declared.encode())]
        self.scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
        self._parts: Iterator[int] = iter(range(blocks))
        self._blocks = blocks
        self._reads = reads
        self.read_bytes = 0
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        number = next(self._parts)
        return {"type": "http.request", "body": bytes(BLOCK), "more_body": number + 1 < self._blocks}

    async def send(self, message: Any) -> None:
        self.sent.append(dict(message))

    async def django(self, _scope: Any, receive: Any, send: Any) -> None:
        is_more = self._reads
        while is_more:
            message = await receive()
            self.read_bytes += len(message["body"])
            is_more = message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine", "more_body": False})

    async def run(self) -> "Exchanged":
        await bounded(self.django, self.scope, self.receive, self.send, pages_mb=PAGES)
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


class TestBounded:
    @pytest.mark.parametrize(("path", "blocks"), [("/label/vote/", 16), ("/upload/", 8), ("/v1/embeddings", 1)])
    async def test_lets_through_what_an_address_takes(self, path: str, blocks: int) -> None:
        exchanged = await Exchanged(path, blocks).run()

        assert (exchanged.status, exchanged.body) == (200, b"fine")
        assert exchanged.read_bytes == blocks * BLOCK

    @pytest.mark.parametrize("declared", [str(MAX_BODY_BYTES + 1), "9" * 5000])
    async def test_reads_nothing_of_what_says_that_it_is_too_large(self, declared: str) -> None:
        exchanged = await Exchanged("/chat/", 50, declared=declared).run()

        assert (exchanged.status, exchanged.read_bytes) == (413, 0)
        assert b"larger than 8 MB" in exchanged.body

    @pytest.mark.parametrize(("path", "most"), [("/chat/", MAX_BODY_BYTES), ("/upload/", 4 * 1024 * 1024)])
    async def test_ends_the_reading_of_what_does_not_say_so(self, path: str, most: int) -> None:
        exchanged = await Exchanged(path, 1000).run()

        assert exchanged.status == 413
        assert exchanged.read_bytes <= most

    @pytest.mark.parametrize("path", ["/v1/embeddings", "/api/show"])
    async def test_says_so_in_the_words_of_the_endpoint(self, path: str) -> None:
        exchanged = await Exchanged(path, 50, declared="99999999").run()

        assert exchanged.status == 413
        assert "larger than 8388608 bytes" in str(json.loads(exchanged.body)["error"])

    async def test_says_nothing_where_an_answer_has_begun(self) -> None:
        exchanged = Exchanged("/chat/", 50)

        async def answers_first(_scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            while True:
                await receive()

        await bounded(answers_first, exchanged.scope, exchanged.receive, exchanged.send, pages_mb=PAGES)
        assert [message["type"] for message in exchanged.sent] == ["http.response.start"]


def test_pages_that_take_files_take_larger_ones() -> None:
    assert set(settings.UPLOAD_PAGES_MB) == {reverse("bundles:import"), reverse("labeling:exchange")}
    for path, size_mb in settings.UPLOAD_PAGES_MB.items():
        assert most_bytes(path, settings.UPLOAD_PAGES_MB) == (size_mb + 1) * 1024 * 1024
    assert most_bytes("/studies/", settings.UPLOAD_PAGES_MB) == MAX_BODY_BYTES
