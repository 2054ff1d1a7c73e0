import subprocess
import sys

import pytest

from benchmarks.inference.base import GenerationParameters, ServerUnreachable, UnsupportedParameter
from benchmarks.inference.connecting import (
    KINDS,
    UnknownServerKind,
    client_for,
    require_parameters,
    usual_base_url,
    usual_num_ctx,
)
from benchmarks.inference.ollama import OllamaClient
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import SIMULATED_VERSION, ScriptedModel, ScriptedOllama
from benchmarks.inference.scripted_openai import ScriptedOpenAI
from benchmarks.models import InferenceServer


class TestClientFor:
    def test_speaks_to_an_ollama_server(self) -> None:
        with ScriptedOllama([ScriptedModel("tiny:1b")], answers={}) as server:
            client = client_for("ollama", server.base_url)

            assert client.health().version == SIMULATED_VERSION

    def test_speaks_to_an_openai_compatible_server(self) -> None:
        with ScriptedOpenAI([ScriptedModel("tiny:1b")], flavour=Flavour.VLLM, answers={}) as server:
            client = client_for("openai", server.base_url)

            assert client.health().version == f"vLLM {SIMULATED_VERSION}"

    def test_has_a_client_for_every_kind_of_server(self) -> None:
        assert set(KINDS) == set(InferenceServer.Kind.values)

    @pytest.mark.slow
    def test_imports_the_slow_package_only_where_it_is_needed(self) -> None:
        code = "import sys, benchmarks.inference.connecting; sys.exit('openai' in sys.modules)"

        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

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


class TestRequireParameters:
    def test_judges_by_the_kind_of_server(self) -> None:
        parameters = GenerationParameters(num_ctx=2048)

        require_parameters("ollama", parameters, None)
        with pytest.raises(UnsupportedParameter, match="num_ctx"):
            require_parameters("openai", parameters, "vLLM 0.9.1")

    def test_names_the_kinds_it_knows(self) -> None:
        with pytest.raises(UnknownServerKind, match="telepathy"):
            require_parameters("telepathy", GenerationParameters(), None)


def test_only_ollama_is_asked_for_a_context() -> None:
    assert (usual_num_ctx("ollama"), usual_num_ctx("openai")) == (2048, None)


@pytest.mark.parametrize(
    ("kind", "base_url", "usual"),
    [
        ("openai", "http://host:8000/v1/", "http://host:8000"),
        ("openai", "http://host:8000", "http://host:8000"),
        ("ollama", "http://host:11434/", "http://host:11434"),
        ("ollama", "http://host:11434/v1", "http://host:11434/v1"),
    ],
)
def test_a_server_has_one_address(kind: str, base_url: str, usual: str) -> None:
    assert usual_base_url(kind, base_url) == usual
