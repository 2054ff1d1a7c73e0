import pytest

from benchmarks.inference.base import ServerUnreachable
from benchmarks.inference.connecting import UnknownServerKind, client_for
from benchmarks.inference.ollama import OllamaClient
from benchmarks.inference.scripted import SIMULATED_VERSION, ScriptedModel, ScriptedOllama


class TestClientFor:
    def test_speaks_to_an_ollama_server(self) -> None:
        with ScriptedOllama([ScriptedModel("tiny:1b")], answers={}) as server:
            client = client_for("ollama", server.base_url)

            assert client.health().version == SIMULATED_VERSION

    def test_hands_the_time_limits_on(self, silent_server: str) -> None:
        client = client_for("ollama", silent_server, connect_timeout_s=0.05)

        with pytest.raises(ServerUnreachable, match=r"within 0\.05 s"):
            client.health()

    def test_names_the_kinds_it_knows(self) -> None:
        with pytest.raises(UnknownServerKind, match=r"'telepathy'.*ollama"):
            client_for("telepathy", "http://127.0.0.1:11434")

    @pytest.mark.parametrize("base_url", ["", "127.0.0.1:11434", "ftp://127.0.0.1", "http://"])
    def test_refuses_an_address_that_is_no_http_url(self, base_url: str) -> None:
        with pytest.raises(ValueError, match="no base URL"):
            OllamaClient(base_url)
