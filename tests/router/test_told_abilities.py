"""What models can beyond text, as lists of models learn it; how asking is spared is tested with what is in memory."""

from typing import cast

import pytest

from benchmarks.inference.base import InferenceClient, ServerUnreachable
from benchmarks.models import Deployment, InferenceServer, LanguageModel
from router.told_abilities import KEPT_S, ToldAbilities

SERVER = InferenceServer(pk=1, base_url="http://127.0.0.1:1")
MODELS = [Deployment(pk=number, server=SERVER, language_model=LanguageModel(name=f"m{number}")) for number in (1, 2)]


class Able:
    """A server whose one model can call tools, and whose other one it does not know."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def abilities(self, name: str) -> dict[str, bool]:
        self.asked.append(name)
        if name == "m2":
            raise ServerUnreachable("http://127.0.0.1:1", "nobody answers")
        return {"tools": True, "vision": False}


def keeper(client: object, clock: list[float]) -> ToldAbilities:
    return ToldAbilities(connect=lambda _: cast(InferenceClient, client), clock_s=lambda: clock[0], patience_s=5.0)


class TestToldAbilities:
    def test_are_of_each_model_and_nothing_where_that_fails(self) -> None:
        assert keeper(Able(), [0.0]).of(MODELS) == {1: {"tools": True, "vision": False}, 2: {}}

    def test_are_nothing_of_a_server_that_cannot_tell(self) -> None:
        assert keeper(object(), [0.0]).of(MODELS) == {1: {}, 2: {}}

    @pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://127.0.0.1:2"])
    def test_are_asked_once_a_minute_or_where_a_server_moved(self, base_url: str) -> None:
        clock, client = [0.0], Able()
        kept = keeper(client, clock)
        kept.of(MODELS)
        clock[0] = KEPT_S
        moved = Deployment(
            pk=1, server=InferenceServer(pk=1, base_url=base_url), language_model=MODELS[0].language_model
        )
        kept.of([moved])
        assert client.asked.count("m1") == (1 if base_url == SERVER.base_url else 2)
