import threading
from typing import cast

import pytest

from benchmarks.federating import Timeouts, connect
from benchmarks.inference.base import GenerationParameters, InferenceClient, ServerHealth
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.inference.scripted_openai import ScriptedOpenAI
from benchmarks.models import InferenceServer
from benchmarks.probing import probe_servers
from tests import factories as make

TINY = ScriptedModel("tiny:1b")
BRIEF = Timeouts(1.0, 1.0, 1.0)


def client_of(server: InferenceServer) -> InferenceClient:
    return connect(server=server, timeouts=BRIEF)


class Waiting:
    """Answers only once every server is being asked, which never comes to pass one after the other."""

    def __init__(self, parties: int) -> None:
        self.barrier = threading.Barrier(parties)

    def health(self) -> ServerHealth:
        self.barrier.wait(5)
        return ServerHealth("1.0")


@pytest.mark.django_db
class TestProbeServers:
    def test_tells_the_version_and_what_is_in_memory(self) -> None:
        with ScriptedOllama([TINY], answers={}) as ollama:
            server = make.make_server(base_url=ollama.base_url)
            before = probe_servers(servers=[server], connect=client_of, patience_s=5)[server.pk]
            client_of(server).load("tiny:1b", GenerationParameters())
            after = probe_servers(servers=[server], connect=client_of, patience_s=5)[server.pk]
        assert before.is_well
        assert before.version == "0.0.0-simulated"
        assert (before.loaded, after.loaded) == (frozenset(), frozenset({"tiny:1b"}))

    def test_says_where_a_kind_does_not_tell_what_it_has_in_memory(self) -> None:
        with ScriptedOpenAI([TINY], flavour=Flavour.VLLM, answers={}) as vllm:
            server = make.make_server(base_url=vllm.base_url)
            server.kind = InferenceServer.Kind.OPENAI
            state = probe_servers(servers=[server], connect=client_of, patience_s=5)[server.pk]
        assert state.is_well
        assert state.loaded is None

    def test_tells_of_one_that_is_away_beside_one_that_is_well(self) -> None:
        with ScriptedOllama([TINY], answers={}) as ollama:
            well, away = make.make_server(base_url=ollama.base_url), make.make_server(base_url="http://127.0.0.1:1")
            states = probe_servers(servers=[away, well], connect=client_of, patience_s=5)
        assert states[well.pk].is_well
        assert not states[away.pk].is_well
        assert "http://127.0.0.1:1 does not answer" in states[away.pk].problem

    def test_asks_all_at_the_same_time(self) -> None:
        servers = [make.make_server(base_url=f"http://127.0.0.1:{port}") for port in (1, 2, 3)]
        client = cast(InferenceClient, Waiting(len(servers)))
        states = probe_servers(servers=servers, connect=lambda _: client, patience_s=5)
        assert {state.version for state in states.values()} == {"1.0"}

    def test_waits_no_longer_than_its_patience(self) -> None:
        server = make.make_server()
        hold = threading.Event()

        class Silent:
            def health(self) -> ServerHealth:
                hold.wait(30)
                return ServerHealth("late")

        state = probe_servers(
            servers=[server], connect=lambda _: cast(InferenceClient, Silent()), patience_s=0.05
        )[server.pk]  # fmt: skip
        hold.set()
        assert state.problem == "It has not answered within 0.05 s."

    def test_lets_a_bug_with_one_hide_no_other(self, caplog: pytest.LogCaptureFixture) -> None:
        with ScriptedOllama([TINY], answers={}) as ollama:
            well, odd = make.make_server(base_url=ollama.base_url), make.make_server(base_url="ftp://nowhere")
            states = probe_servers(servers=[odd, well], connect=client_of, patience_s=5)
        assert states[well.pk].is_well
        assert "cannot be asked" in states[odd.pk].problem
        assert f"server {odd.pk} cannot be asked" in caplog.text

    def test_of_none_is_nothing(self) -> None:
        assert probe_servers(servers=[], connect=client_of, patience_s=1) == {}
