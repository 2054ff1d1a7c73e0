import pytest

from benchmarks.inference.base import (
    AccessRefused,
    ApiKey,
    GenerationTimedOut,
    PullFailed,
    PullingClient,
    PullProgress,
    ServerUnreachable,
)
from benchmarks.inference.ollama import OllamaClient
from benchmarks.inference.openai import OpenAIClient
from benchmarks.inference.scripted import Fault, FaultKind, ScriptedModel, ScriptedOllama

NEW = ScriptedModel("new:1b", digest="b" * 64, size_bytes=1000)


class TestPulling:
    def test_tells_how_far_it_is_until_the_model_is_there(self) -> None:
        with ScriptedOllama([], answers={}, library=[NEW]) as server:
            client = OllamaClient(server.base_url)
            news = list(client.pull("new:1b"))

            assert [model.name for model in client.list_models()] == ["new:1b"]
        assert news[0] == PullProgress("pulling manifest", None, None)
        assert [(one.done_bytes, one.total_bytes) for one in news[1:-1]] == [(None, 1000), (500, 1000), (1000, 1000)]
        assert news[-1].step == "success"

    def test_names_a_model_that_the_library_does_not_have(self) -> None:
        with ScriptedOllama([], answers={}) as server, pytest.raises(PullFailed, match="'absent'.*does not exist"):
            list(OllamaClient(server.base_url).pull("absent"))

    @pytest.mark.slow
    def test_ends_when_no_news_comes(self) -> None:
        with ScriptedOllama([], answers={}, library=[NEW], faults=[Fault(FaultKind.STALL)]) as server:
            client = OllamaClient(server.base_url, total_timeout_s=0.2)

            with pytest.raises(GenerationTimedOut, match="news of pulling 'new:1b'"):
                list(client.pull("new:1b"))

    def test_names_a_server_that_is_away(self, closed_port: str) -> None:
        with pytest.raises(ServerUnreachable, match=closed_port):
            list(OllamaClient(closed_port).pull("new:1b"))

    def test_is_what_only_ollama_does(self, closed_port: str) -> None:
        assert isinstance(OllamaClient(closed_port), PullingClient)
        assert not isinstance(OpenAIClient(closed_port), PullingClient)


class TestKeyOfOllama:
    def test_is_shown_as_a_bearer_token(self) -> None:
        with ScriptedOllama([NEW], answers={}) as server:
            OllamaClient(server.base_url, api_key=ApiKey("LAB_KEY", "sesame")).list_models()

            assert "authorization" in server.requests[-1].headers

    def test_must_be_set_where_a_variable_is_named(self) -> None:
        with ScriptedOllama([NEW], answers={}) as server:
            with pytest.raises(AccessRefused, match="LAB_KEY.* is not set"):
                OllamaClient(server.base_url, api_key=ApiKey("LAB_KEY", "")).list_models()

            assert server.requests == ()
