from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.federating import Timeouts, connect
from benchmarks.federation_file import FederationFileError, read_federation_file
from benchmarks.federation_plan import FederationPlan, apply_plan, plan_federation
from benchmarks.inference.openai_parameters import Flavour
from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.inference.scripted_openai import ScriptedOpenAI
from benchmarks.models import Deployment, InferenceServer, LanguageModel, Machine
from tests.factories import NOW, make_deployment, make_machine, make_prompt, make_response, make_server

pytestmark = pytest.mark.django_db

TINY = ScriptedModel("tiny:1b", digest="a" * 64, context_length=64)
LARGE = ScriptedModel("large:7b", digest="b" * 64)

Planning = Callable[..., FederationPlan]


@pytest.fixture
def lab() -> Iterator[ScriptedOllama]:
    with ScriptedOllama([TINY, LARGE], answers={}) as server:
        yield server


@pytest.fixture
def plan(tmp_path: Path) -> Planning:
    def planning(text: str, *, retires_missing: bool = False) -> FederationPlan:
        path = tmp_path / "federation.toml"
        path.write_text(text, encoding="utf8")
        return plan_federation(
            file=read_federation_file(path=path, default_machine="test"),
            connect=lambda server: connect(server=server, timeouts=Timeouts(1.0, 5.0, 5.0)),
            retires_missing=retires_missing,
        )

    return planning


def server_table(address: str, name: str = "lab", **keys: str) -> str:
    lines = [f'{key} = "{value}"' for key, value in {"name": name, "url": address, **keys}.items()]
    return "\n".join(["[[servers]]", *lines, ""])


def model_table(name: str, server: str = "lab", **keys: str) -> str:
    lines = [f'{key} = "{value}"' for key, value in {"name": name, "server": server, **keys}.items()]
    return "\n".join(["[[models]]", *lines, ""])


def states() -> dict[str, str]:
    return {one.language_model.name: one.state for one in Deployment.objects.select_related("language_model")}


class TestPlanFederation:
    def test_refuses_an_address_where_no_server_may_be(self, plan: Planning) -> None:
        with pytest.raises(FederationFileError, match=r"line 1, servers.url: 10\.0\.0\.9 is in a private network"):
            plan(server_table("http://10.0.0.9:11434"))

    def test_writes_nothing(self, plan: Planning, lab: ScriptedOllama) -> None:
        plan(server_table(lab.base_url) + model_table("tiny:1b"))

        assert not InferenceServer.objects.exists()
        assert not LanguageModel.objects.exists()
        assert not Machine.objects.exists()

    def test_says_what_it_would_do(self, plan: Planning, lab: ScriptedOllama) -> None:
        made = plan(
            server_table(lab.base_url) + model_table("tiny:1b", state="active", task="code") + model_table("large:7b")
        )

        assert made.steps == [
            f"add the server lab (ollama, {lab.base_url}, on the machine test)",
            "add tiny:1b on lab, active",
            "set the task of tiny:1b to 'code'",
            "add large:7b on lab, candidate",
        ]

    def test_names_a_server_that_lists_nothing(self, plan: Planning) -> None:
        with ScriptedOllama([], answers={}) as empty, pytest.raises(FederationFileError) as caught:
            plan(server_table(empty.base_url) + model_table("tiny:1b"))

        assert "line 1, servers.url: the server lists no models" in str(caught.value)

    def test_names_a_model_that_is_not_offered(self, plan: Planning, lab: ScriptedOllama) -> None:
        with pytest.raises(FederationFileError) as caught:
            plan(server_table(lab.base_url) + model_table("tiny:1b") + model_table("absent:1b"))

        assert "line 7, models.name" in str(caught.value)
        assert "It offers: large:7b, tiny:1b." in str(caught.value)

    def test_names_a_server_that_is_away(self, plan: Planning, lab: ScriptedOllama) -> None:
        with pytest.raises(FederationFileError, match="line 4, servers.url: .*does not answer"):
            plan(
                server_table(lab.base_url)
                + server_table("http://127.0.0.1:1", "away")
                + model_table("tiny:1b")
                + model_table("x", "away")
            )

    def test_asks_no_server_without_models(self, plan: Planning) -> None:
        assert len(plan(server_table("http://127.0.0.1:1")).steps) == 1

    def test_names_two_known_servers_for_one_entry(self, plan: Planning) -> None:
        InferenceServer.objects.create(name="lab", base_url="http://127.0.0.1:1", machine=make_machine())
        make_server(base_url="http://127.0.0.1:2")

        with pytest.raises(FederationFileError, match="address of another known server"):
            plan(server_table("http://127.0.0.1:2"))

    def test_names_two_entries_for_one_known_server(self, plan: Planning) -> None:
        InferenceServer.objects.create(name="lab", base_url="http://127.0.0.1:1", machine=make_machine())

        with pytest.raises(FederationFileError, match="line 4, servers.name: .*which line 1 is too"):
            plan(server_table("http://127.0.0.1:1", "renamed") + server_table("http://127.0.0.1:2", "lab"))

    def test_does_not_move_what_was_measured_to_another_machine(self, plan: Planning) -> None:
        server = make_server(base_url="http://127.0.0.1:1")
        make_response(make_prompt(), make_deployment(server=server))

        with pytest.raises(FederationFileError, match="was measured on test"):
            plan(server_table(server.base_url, server.name, machine="elsewhere"))

    def test_refuses_other_weights_of_a_known_name_without_a_digest(self, plan: Planning) -> None:
        LanguageModel.objects.create(name="tiny:1b", digest="", quantization="Q8_0")

        with ScriptedOpenAI([TINY], flavour=Flavour.LLAMA_CPP, answers={}) as server:
            text = server_table(server.base_url, kind="openai") + model_table("tiny:1b")
            with pytest.raises(FederationFileError, match=r"line 5, models.name: .*Q8_0.*Q4_1"):
                plan(text)

    def test_lists_what_the_file_does_not_name(self, plan: Planning, lab: ScriptedOllama) -> None:
        old = make_deployment("old")

        made = plan(server_table(lab.base_url) + model_table("tiny:1b"))

        assert made.unnamed == (str(old),)
        assert made.retirements == ()


class TestApplyPlan:
    def test_makes_the_federation_what_the_file_says(self, plan: Planning, lab: ScriptedOllama) -> None:
        made = plan(
            server_table(lab.base_url, machine="lab-1")
            + model_table("tiny:1b", state="active", task="code")
            + model_table("large:7b")
        )

        apply_plan(plan=made, now=NOW)

        assert states() == {"tiny:1b": "active", "large:7b": "candidate"}
        assert InferenceServer.objects.get().machine.name == "lab-1"
        tiny = LanguageModel.objects.get(name="tiny:1b")
        assert (tiny.task, tiny.digest, tiny.context_length) == ("code", "a" * 64, 64)

    def test_speaks_to_openai_compatible_servers(self, plan: Planning) -> None:
        embedding = ScriptedModel("minilm", capabilities=("embedding",))
        with ScriptedOpenAI([TINY, embedding], flavour=Flavour.VLLM, answers={}) as server:
            text = server_table(f"{server.base_url}/v1", kind="openai")
            apply_plan(plan=plan(text + model_table("tiny:1b") + model_table("minilm")), now=NOW)

            assert InferenceServer.objects.get().base_url == server.base_url
        assert dict(LanguageModel.objects.values_list("name", "purpose")) == {"tiny:1b": "chat", "minilm": "embedding"}

    def test_changes_nothing_the_second_time(self, plan: Planning, lab: ScriptedOllama) -> None:
        text = server_table(lab.base_url) + model_table("tiny:1b", state="active", task="code")
        apply_plan(plan=plan(text, retires_missing=True), now=NOW)

        assert plan(text, retires_missing=True).steps == []

    @pytest.mark.parametrize(
        ("before", "wanted", "after", "step"),
        [
            ("candidate", "active", "active", "activate tiny:1b on lab"),
            ("labeling", "active", "active", "activate tiny:1b on lab"),
            ("retired", "active", "active", "bring tiny:1b on lab back, active"),
            ("retired", "candidate", "candidate", "bring tiny:1b on lab back, candidate"),
            ("active", "candidate", "candidate", "take tiny:1b on lab out of routing: a candidate again"),
            ("evaluating", "candidate", "evaluating", None),
            ("active", "active", "active", None),
        ],
    )
    def test_moves_a_model_from_state_to_state(
        self, plan: Planning, lab: ScriptedOllama, before: str, wanted: str, after: str, step: str | None
    ) -> None:
        server = InferenceServer.objects.create(name="lab", base_url=lab.base_url, machine=make_machine())
        make_deployment("tiny:1b", digest="a" * 64, server=server, state=before)
        made = plan(server_table(lab.base_url) + model_table("tiny:1b", state=wanted))

        apply_plan(plan=made, now=NOW)

        assert made.steps == ([step] if step else [])
        assert states() == {"tiny:1b": after}

    def test_retires_what_the_file_does_not_name_only_when_told(self, plan: Planning, lab: ScriptedOllama) -> None:
        make_deployment("old")
        text = server_table(lab.base_url) + model_table("tiny:1b")

        apply_plan(plan=plan(text), now=NOW)
        assert states()["old"] == "active"
        apply_plan(plan=plan(text, retires_missing=True), now=NOW)
        assert states() == {"old": "retired", "tiny:1b": "candidate"}

    def test_retires_weights_that_the_server_has_replaced(self, plan: Planning, lab: ScriptedOllama) -> None:
        server = InferenceServer.objects.create(name="lab", base_url=lab.base_url, machine=make_machine())
        old = make_deployment("tiny:1b", digest="0" * 64, server=server)

        apply_plan(plan=plan(server_table(lab.base_url) + model_table("tiny:1b", state="active")), now=NOW)

        old.refresh_from_db()
        assert old.state == Deployment.State.RETIRED
        assert Deployment.objects.get(language_model__digest="a" * 64).state == Deployment.State.ACTIVE

    def test_renames_and_moves_a_known_server(self, plan: Planning, lab: ScriptedOllama) -> None:
        known = make_server(base_url=lab.base_url)

        made = plan(server_table(lab.base_url, machine="lab-1", api_key_variable="LAB_KEY"))
        apply_plan(plan=made, now=NOW)

        known.refresh_from_db()
        assert (known.name, known.machine.name, known.api_key_variable) == ("lab", "lab-1", "LAB_KEY")
        assert "machine test -> lab-1, variable of its key none -> LAB_KEY" in made.steps[0]

    def test_applies_all_or_nothing(self, plan: Planning, lab: ScriptedOllama) -> None:
        old = make_deployment("old")
        made = plan(server_table(lab.base_url) + model_table("tiny:1b"), retires_missing=True)
        old.delete()

        with pytest.raises(Deployment.DoesNotExist):
            apply_plan(plan=made, now=NOW)
        assert states() == {}
