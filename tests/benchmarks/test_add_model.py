"""The command that adds a model: from either kind of server, listed first, pulled first."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.inference.scripted_openai import ScriptedOpenAI
from benchmarks.models import Deployment, InferenceServer, LanguageModel, Machine
from tests.factories import make_deployment, make_server

pytestmark = pytest.mark.django_db

TINY = ScriptedModel("tiny:1b", digest="a" * 64, size_bytes=98_000_000)


def run(*options: str) -> str:
    out = StringIO()
    call_command("add_model", *options, stdout=out)
    return out.getvalue()


class TestAdding:
    def test_takes_an_ollama_for_granted(self) -> None:
        with ScriptedOllama([TINY], answers={}) as server:
            assert "Candidate" in run("tiny:1b", "--server", server.base_url)

        assert InferenceServer.objects.get().kind == "ollama"

    def test_adds_from_an_openai_compatible_server_with_its_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("LAB_KEY", "sesame")
        with ScriptedOpenAI([TINY], flavour=Flavour.VLLM, answers={}, api_key="sesame") as server:
            options = ("--server", f"{server.base_url}/v1", "--kind", "openai", "--api-key-variable", "LAB_KEY")
            said = run("tiny:1b", *options, "--activate")

            assert InferenceServer.objects.get().base_url == server.base_url
        assert "Active" in said
        assert InferenceServer.objects.get().api_key_variable == "LAB_KEY"

    def test_names_the_variable_of_a_key_that_is_not_set(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("LAB_KEY", raising=False)

        with pytest.raises(CommandError, match="LAB_KEY.* is not set"):
            run("tiny:1b", "--server", "http://127.0.0.1:1", "--kind", "openai", "--api-key-variable", "LAB_KEY")

    def test_knows_a_server_by_its_address_in_either_form(self) -> None:
        with ScriptedOpenAI([TINY], flavour=Flavour.VLLM, answers={}) as server:
            run("tiny:1b", "--server", server.base_url, "--kind", "openai")
            run("tiny:1b", "--server", f"{server.base_url}/v1/")

        assert Deployment.objects.count() == 1

    def test_does_not_turn_a_server_into_another_kind(self) -> None:
        server = make_server(base_url="http://127.0.0.1:1")

        with pytest.raises(CommandError, match=f"{server.name} of the kind 'ollama', not 'openai'"):
            run("tiny:1b", "--server", server.base_url, "--kind", "openai")

    def test_leaves_no_server_behind_that_does_not_have_the_model(self) -> None:
        with ScriptedOllama([TINY], answers={}) as server, pytest.raises(CommandError, match="It offers: tiny:1b"):
            run("absent", "--server", server.base_url)

        assert not InferenceServer.objects.exists()

    def test_does_not_mix_weights_of_one_name(self) -> None:
        LanguageModel.objects.create(name="tiny:1b", digest="", size_bytes=5)

        with ScriptedOpenAI([TINY], flavour=Flavour.LLAMA_CPP, answers={}) as server:
            options = ("tiny:1b", "--server", server.base_url, "--kind", "openai")
            with pytest.raises(CommandError, match="size in bytes is 5; this server's is 98000000"):
                run(*options)

    @pytest.mark.parametrize("options", [(), ("tiny:1b", "--list")])
    def test_wants_a_name_or_a_list(self, options: tuple[str, ...]) -> None:
        with pytest.raises(CommandError, match="Name the model to add, or give --list"):
            run(*options)


class TestListing:
    def test_shows_what_a_server_offers_and_changes_nothing(self) -> None:
        with ScriptedOllama([TINY], answers={}) as server:
            said = run("--list", "--server", server.base_url)

        assert said == "tiny:1b (135M, Q4_1, 98 MB, aaaaaaaaaaaa): not in the federation\n"
        assert not InferenceServer.objects.exists()
        assert not Machine.objects.exists()

    def test_tells_what_is_in_the_federation(self) -> None:
        with ScriptedOllama([TINY], answers={}) as server:
            make_deployment("tiny:1b", digest="a" * 64, server=make_server(base_url=server.base_url))

            assert "Active: the router may choose it" in run("--list", "--server", server.base_url)

    def test_names_a_server_that_lists_nothing(self) -> None:
        with ScriptedOllama([], answers={}) as server, pytest.raises(CommandError, match="lists no models"):
            run("--list", "--server", server.base_url)


class TestPulling:
    def test_fetches_the_model_and_adds_it(self) -> None:
        with ScriptedOllama([], answers={}, library=[TINY]) as server:
            said = run("tiny:1b", "--pull", "--server", server.base_url)

        assert said.splitlines()[:3] == ["pulling manifest", "pulling aaaaaaaaaaaa", "success"]
        assert Deployment.objects.count() == 1

    def test_tells_why_it_cannot(self) -> None:
        with ScriptedOllama([], answers={}) as server, pytest.raises(CommandError, match="does not exist"):
            run("absent", "--pull", "--server", server.base_url)

        assert not InferenceServer.objects.exists()

    def test_is_for_ollama_only(self) -> None:
        with pytest.raises(CommandError, match="Only an Ollama server pulls"):
            run("tiny:1b", "--pull", "--server", "http://127.0.0.1:1", "--kind", "openai")
