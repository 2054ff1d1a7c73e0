"""What servers have in memory, as a decision learns it."""

import threading
from collections.abc import Callable
from typing import cast

from benchmarks.inference.base import InferenceClient, LoadedModel, ServerUnreachable
from benchmarks.models import InferenceServer
from router.in_memory import KEPT_S, LoadedModels

SERVER = InferenceServer(pk=1, base_url="http://127.0.0.1:1")


class Telling:
    """A server that tells what is loaded, by a function; how often it was asked is counted."""

    def __init__(self, tell: Callable[[], frozenset[str]]) -> None:
        self.tell, self.count = tell, 0

    def loaded_models(self) -> dict[str, LoadedModel]:
        self.count += 1
        return {name: LoadedModel(name) for name in self.tell()}


def keeper(client: object, clock: list[float], *, patience_s: float = 5.0) -> LoadedModels:
    return LoadedModels(
        connect=lambda _: cast(InferenceClient, client), clock_s=lambda: clock[0], patience_s=patience_s
    )


def away() -> frozenset[str]:
    raise ServerUnreachable("http://127.0.0.1:1", "nobody answers")


class TestLoadedModels:
    def test_are_those_that_the_server_tells(self) -> None:
        assert keeper(Telling(lambda: frozenset({"tiny"})), [0.0]).of([SERVER]) == {1: frozenset({"tiny"})}

    def test_are_asked_for_once_in_some_seconds(self) -> None:
        clock, client = [0.0], Telling(lambda: frozenset({"tiny"}))
        kept = keeper(client, clock)
        kept.of([SERVER])
        clock[0] = KEPT_S
        kept.of([SERVER])
        assert client.count == 1

    def test_are_unknown_of_a_server_that_is_away(self) -> None:
        assert keeper(Telling(away), [0.0]).of([SERVER]) == {1: None}

    def test_are_unknown_of_a_server_that_does_not_tell(self) -> None:
        assert keeper(object(), [0.0]).of([SERVER]) == {1: None}

    def test_hold_no_decision_up(self) -> None:
        gate, asked = threading.Event(), threading.Event()

        def slow() -> frozenset[str]:
            gate.wait(10)
            asked.set()
            return frozenset({"tiny"})

        kept = keeper(Telling(slow), [0.0], patience_s=0.01)
        assert kept.of([SERVER]) == {1: None}
        gate.set()
        assert asked.wait(10)

    def test_of_a_known_server_are_the_old_ones_until_it_tells_anew(self) -> None:
        clock, gate = [0.0], threading.Event()
        client = Telling(lambda: frozenset({"tiny"}))
        kept = keeper(client, clock)
        kept.of([SERVER])
        client.tell = lambda: frozenset({"big"}) if gate.wait(10) else frozenset()
        clock[0] = KEPT_S + 1
        assert kept.of([SERVER]) == {1: frozenset({"tiny"})}
        gate.set()

    def test_of_a_server_named_twice_are_asked_for_once(self) -> None:
        client = Telling(frozenset)
        keeper(client, [0.0]).of([SERVER, SERVER])
        assert client.count == 1
