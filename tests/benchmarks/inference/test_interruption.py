import socket
import threading

import pytest

from benchmarks.inference.base import GenerationRequest, InferenceClient, InferenceError, ServerUnreachable
from benchmarks.inference.connecting import client_for
from benchmarks.inference.interruption import Interruption
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import Fault, FaultKind, ScriptedOllama
from benchmarks.inference.scripted_openai import ScriptedOpenAI
from tests.benchmarks.inference.asking import CHAT, ask, eventually

PATIENCE_S = 5.0


class Asking(threading.Thread):
    """Asks in a thread of its own, as a gateway does; keeps what came of it."""

    def __init__(self, client: InferenceClient, request: GenerationRequest) -> None:
        super().__init__()
        self.client, self.request = client, request
        self.pieces: list[object] = []
        self.error: Exception | None = None

    def run(self) -> None:
        try:
            self.pieces.extend(self.client.stream(self.request))
        except InferenceError as error:
            self.error = error


class TestInterruption:
    @pytest.mark.parametrize("kind", ["ollama", "openai"])
    @pytest.mark.parametrize("fault", [FaultKind.HANG, FaultKind.STALL], ids=["before the first token", "after it"])
    def test_ends_a_wait_at_once_and_the_server_sees_it(self, kind: str, fault: FaultKind) -> None:
        answers, faults = {"2 + 2?": "It is four."}, [Fault(fault)]
        server = (
            ScriptedOllama([CHAT], answers=answers, faults=faults)
            if kind == "ollama"
            else ScriptedOpenAI([CHAT], flavour=Flavour.VLLM, answers=answers, faults=faults)
        )
        with server:
            interruption = Interruption()
            asking = Asking(client_for(kind, server.base_url, interruption=interruption), ask())
            asking.start()
            assert eventually(lambda: any("chat" in request.path for request in server.requests))
            assert server.cancelled_count == 0
            interruption.interrupt()
            asking.join(PATIENCE_S)
            assert not asking.is_alive()
            assert isinstance(asking.error, InferenceError)
            assert eventually(lambda: server.cancelled_count == 1)

    def test_lets_nothing_begin_afterwards(self) -> None:
        with ScriptedOllama([CHAT], answers={}) as server:
            interruption = Interruption()
            interruption.interrupt()
            with pytest.raises(ServerUnreachable):
                client_for("ollama", server.base_url, interruption=interruption).health()
            assert server.requests == ()

    def test_shuts_a_connection_that_comes_too_late(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            interruption = Interruption()
            interruption.interrupt()
            interruption.watch(ours)
            assert theirs.recv(1) == b""

    def test_comes_twice_and_after_the_end_without_harm(self) -> None:
        ours, theirs = socket.socketpair()
        interruption = Interruption()
        interruption.watch(ours)
        ours.close()
        theirs.close()
        interruption.interrupt()
        interruption.interrupt()
        assert interruption.is_set
