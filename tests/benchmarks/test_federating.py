from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from benchmarks.federating import (
    ModelNotOffered,
    RetiredModel,
    Timeouts,
    UnknownModel,
    activate,
    add_model,
    begin_evaluation,
    connect,
    ensure_intensity,
    ensure_machine,
    ensure_server,
    find_deployment,
    find_embedder,
    retire,
)
from benchmarks.inference.base import ServerUnreachable
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.models import CarbonIntensity, Deployment, InferenceServer, LanguageModel, Machine
from tests.factories import NOW, make_deployment, make_machine, make_server

pytestmark = pytest.mark.django_db

CHAT = ScriptedModel(
    "tiny:1b", digest="a" * 64, size_bytes=98_000_000, parameter_size="1B", quantization="Q8_0", context_length=512
)
EMBEDDER = ScriptedModel("minilm:latest", family="bert", embedding_length=8, capabilities=("embedding",))
LATER = NOW + timedelta(hours=1)


@pytest.fixture
def ollama() -> Iterator[ScriptedOllama]:
    with ScriptedOllama([CHAT, EMBEDDER], answers={}) as running:
        yield running


@pytest.fixture
def server(ollama: ScriptedOllama) -> InferenceServer:
    return make_server(base_url=ollama.base_url)


def add(server: InferenceServer, name: str = "tiny:1b") -> Deployment:
    client = connect(server=server, timeouts=Timeouts(5, 5, 5))
    return add_model(name=name, server=server, client=client, now=NOW)


class TestAddModel:
    def test_makes_a_candidate_with_what_the_server_tells(self, server: InferenceServer) -> None:
        deployment = add(server)

        model = deployment.language_model
        assert (deployment.state, deployment.state_changed_at, deployment.server) == ("candidate", NOW, server)
        assert (model.name, model.digest, model.purpose) == ("tiny:1b", "a" * 64, "chat")
        assert (model.parameter_size, model.quantization, model.context_length) == ("1B", "Q8_0", 512)
        assert model.size_bytes == 98_000_000

    def test_tells_an_embedder_from_a_chat_model(self, server: InferenceServer) -> None:
        model = add(server, "minilm").language_model

        assert (model.name, model.purpose, model.embedding_length) == ("minilm:latest", "embedding", 8)

    def test_twice_leaves_a_model_as_it_is(self, server: InferenceServer) -> None:
        activate(deployment=add(server), now=LATER)

        again = add(server)

        assert (again.state, again.state_changed_at) == ("active", LATER)
        assert (LanguageModel.objects.count(), Deployment.objects.count()) == (1, 1)

    def test_brings_a_retired_model_back_as_a_candidate(self, server: InferenceServer) -> None:
        deployment = add(server)
        retire(deployment=deployment, now=NOW)

        again = add(server)

        assert (again.pk, again.state) == (deployment.pk, "candidate")

    def test_takes_other_weights_of_the_same_name_as_another_model(self, server: InferenceServer) -> None:
        first = add(server)
        with ScriptedOllama([ScriptedModel("tiny:1b", digest="b" * 64)], answers={}) as other:
            client = connect(server=make_server(base_url=other.base_url), timeouts=Timeouts(5, 5, 5))
            second = add_model(name="tiny:1b", server=server, client=client, now=NOW)

        assert second.language_model.name == first.language_model.name
        assert second.language_model_id != first.language_model_id
        assert second.pk != first.pk

    def test_knows_the_same_weights_on_two_servers_as_one_model(self, server: InferenceServer) -> None:
        with ScriptedOllama([CHAT], answers={}) as other:
            second = add(make_server(base_url=other.base_url))
        first = add(server)

        assert first.language_model == second.language_model
        assert first.pk != second.pk

    def test_of_what_the_server_lacks_lists_what_it_has(self, server: InferenceServer) -> None:
        with pytest.raises(ModelNotOffered, match=r"no model 'absent'.*It offers: minilm:latest, tiny:1b\."):
            add(server, "absent")

        assert not LanguageModel.objects.exists()

    def test_on_a_server_that_is_away_stores_nothing(self) -> None:
        with pytest.raises(ServerUnreachable):
            add(make_server(base_url="http://127.0.0.1:9"))

        assert not Deployment.objects.exists()


class TestStates:
    def test_begin_evaluation_moves_a_candidate_on(self) -> None:
        deployment = make_deployment(state="candidate")

        begin_evaluation(deployment=deployment, now=LATER)

        deployment.refresh_from_db()
        assert (deployment.state, deployment.state_changed_at) == ("evaluating", LATER)

    @pytest.mark.parametrize("state", ["evaluating", "labeling", "active", "retired"])
    def test_begin_evaluation_leaves_one_that_is_further_along(self, state: str) -> None:
        deployment = make_deployment(state=state)

        begin_evaluation(deployment=deployment, now=LATER)

        deployment.refresh_from_db()
        assert (deployment.state, deployment.state_changed_at) == (state, NOW)

    def test_begin_evaluation_of_one_that_somebody_activated_meanwhile_leaves_it_active(self) -> None:
        stale = make_deployment(state="candidate")
        activate(deployment=Deployment.objects.get(pk=stale.pk), now=NOW)

        begin_evaluation(deployment=stale, now=LATER)

        stale.refresh_from_db()
        assert (stale.state, stale.state_changed_at) == ("active", NOW)

    def test_retire_takes_a_model_out_of_routing_and_keeps_it(self) -> None:
        deployment = make_deployment()

        retire(deployment=deployment, now=LATER)

        assert not Deployment.objects.active().exists()
        assert Deployment.objects.get().state_changed_at == LATER


class TestFindDeployment:
    @pytest.mark.parametrize(
        ("stored", "asked"), [("tiny:latest", "tiny"), ("tiny", "tiny:latest"), ("tiny:1b", "tiny:1b")]
    )
    def test_lets_latest_be_left_out(self, stored: str, asked: str) -> None:
        deployment = make_deployment(stored)

        assert find_deployment(name=asked) == deployment

    @pytest.mark.parametrize("asked", ["tiny", "tin", "TINY:1b", "tiny:1b:latest:latest", ""])
    def test_does_not_guess(self, asked: str) -> None:
        make_deployment("tiny:1b")

        with pytest.raises(UnknownModel, match=r"The federation has no model .* It has: tiny:1b\."):
            find_deployment(name=asked)

    def test_says_so_where_there_is_no_model_at_all(self) -> None:
        with pytest.raises(UnknownModel, match="It has: no model yet"):
            find_deployment(name="tiny")

    def test_lists_neither_retired_models_nor_embedders(self) -> None:
        make_deployment("old", state="retired")
        make_deployment("minilm", purpose="embedding")
        make_deployment("tiny")

        with pytest.raises(UnknownModel, match=r"It has: tiny\.$"):
            find_deployment(name="minilm")

    def test_tells_a_retired_model_from_an_unknown_one(self) -> None:
        deployment = make_deployment(state="retired")

        with pytest.raises(RetiredModel, match="was retired; add it again with manage.py add_model tiny"):
            find_deployment(name="tiny")
        assert find_deployment(name="tiny", is_retired_allowed=True) == deployment

    @pytest.mark.parametrize("others", [("retired", "candidate"), ("candidate", "retired")])
    def test_means_the_active_one_of_several(self, others: tuple[str, str]) -> None:
        first, second = others
        make_deployment(digest="1", state=first)
        active = make_deployment(digest="2", state="active")
        make_deployment(digest="3", state=second)

        assert find_deployment(name="tiny") == active

    def test_means_one_that_serves_before_a_retired_one(self) -> None:
        make_deployment(digest="1", state="retired")
        candidate = make_deployment(digest="2", state="candidate")

        assert find_deployment(name="tiny") == candidate


class TestFindEmbedder:
    def test_finds_it_on_its_server(self) -> None:
        embedder = make_deployment("minilm:latest", purpose="embedding")

        assert find_embedder(name="minilm", base_url=embedder.server.base_url) == embedder

    def test_takes_the_one_added_last_where_its_weights_changed(self) -> None:
        make_deployment("minilm", purpose="embedding", digest="1")
        latest = make_deployment("minilm", purpose="embedding", digest="2")

        assert find_embedder(name="minilm", base_url=latest.server.base_url) == latest

    @pytest.mark.parametrize(
        "facts",
        [{"state": "retired", "purpose": "embedding"}, {"purpose": "chat"}],
        ids=["retired", "a chat model"],
    )
    def test_does_not_take_what_cannot_embed(self, facts: dict[str, Any]) -> None:
        deployment = make_deployment("minilm", **facts)

        with pytest.raises(UnknownModel, match="add it with manage.py add_model minilm"):
            find_embedder(name="minilm", base_url=deployment.server.base_url)


class TestEnsureMachine:
    def test_reads_the_facts_of_this_computer_and_takes_the_papers_for_the_rest(self) -> None:
        machine = ensure_machine(name="bench")

        assert (machine.total_embodied_emissions_gco2e, machine.expected_lifespan_s) == (574_100, 126_144_000)
        assert machine.zone == "DE"
        assert machine.cpu_model
        assert machine.cpu_count
        assert machine.memory_bytes

    def test_leaves_a_machine_that_is_there_alone(self) -> None:
        make_machine("bench", zone="FR", resource_share=0.5)

        assert ensure_machine(name="bench").zone == "FR"
        assert Machine.objects.count() == 1

    def test_brings_the_papers_intensity_for_germany_along(self) -> None:
        ensure_machine(name="bench")
        ensure_intensity()

        intensity = CarbonIntensity.objects.get()
        assert (intensity.zone, intensity.gco2e_per_kwh, intensity.year) == ("DE", 385, 2022)


class TestEnsureServer:
    def test_names_a_server_after_its_address(self) -> None:
        server = ensure_server(base_url="http://10.0.0.7:11434/", machine=make_machine())

        assert (server.name, server.base_url) == ("ollama-10-0-0-7-11434", "http://10.0.0.7:11434")

    def test_knows_an_address_again(self) -> None:
        first = ensure_server(base_url="http://127.0.0.1:11434", machine=make_machine())

        assert ensure_server(base_url="http://127.0.0.1:11434/", machine=make_machine("other")) == first
