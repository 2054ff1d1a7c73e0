"""What an application does as its server begins and ends."""

import asyncio
from typing import Any

import pytest

from router.gateway.application import Application


class House:
    """Notes what it is asked for."""

    def __init__(self, steps: list[str]) -> None:
        self._steps = steps
        self.workers = self.presence = self

    def begin(self) -> None:
        self._steps.append("begin")

    async def close(self) -> None:
        self._steps.append("close")


async def no_page(*_: object) -> None:
    raise AssertionError("nobody asks for a page")


def test_tells_who_wants_to_know_that_it_begins_and_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    application = Application(no_page, at_start=lambda: steps.append("start"), at_end=lambda: steps.append("end"))
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        steps.append(message["type"])

    def house() -> Any:
        return application._houses.setdefault(asyncio.get_running_loop(), House(steps))  # type: ignore[arg-type]

    monkeypatch.setattr(application, "_house", house)
    asyncio.run(application({"type": "lifespan"}, receive, send))

    assert steps == [
        "begin", "begin", "start", "lifespan.startup.complete", "close", "end", "lifespan.shutdown.complete",
    ]  # fmt: skip
