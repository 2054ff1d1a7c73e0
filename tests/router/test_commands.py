import json
import re
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedOllama
from router.index import IndexStoreError
from router.indexing import current_index
from router.keys import find_key
from router.models import ApiKey, PolicyVersion, PromptIndex, RoutingDecision
from tests import factories as make
from tests.router.standins import EMBEDDER_NAME, SCRIPTED_MODELS, Federation, make_federation

pytestmark = pytest.mark.django_db


def told(*arguments: str, **options: Any) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def server() -> Iterator[ScriptedOllama]:
    with ScriptedOllama(SCRIPTED_MODELS, answers={}) as running:
        yield running


@pytest.fixture
def federation(server: ScriptedOllama, settings: Settings, monkeypatch: pytest.MonkeyPatch, db: None) -> Federation:
    made = make_federation(server.base_url)
    settings.EMBEDDER_NAME, settings.EMBEDDER_HOST = EMBEDDER_NAME, server.base_url
    for command in ("route", "build_index"):
        monkeypatch.setattr(f"router.management.commands.{command}.vector_store", lambda: made.store)
    return made


class TestRoute:
    def test_tells_the_choice_the_neighbours_and_every_candidate(self, federation: Federation) -> None:
        lines = told("route", "what is two plus three").splitlines()
        assert lines[0].startswith("small: 2 of 2 models answered the nearest known prompt right")
        assert lines[1] == f"Category math; policy nearest, version {PolicyVersion.objects.get().pk}."
        assert lines[3] == "Nearest known prompts (squared L2), and who answered them right at what SCI:"
        assert lines[4].split() == ["distance", "category", "prompt", "right", "answers"]
        assert "math      what is two plus two" in lines[5]
        assert "2 of 2" in lines[5]
        assert re.search(
            r"code +write a python function +1 of 2 +large right at .* mgCO2e .*, small wrong at", lines[6]
        )
        assert [line.split()[0] for line in lines[8:12]] == ["Candidates:", "model", "small", "large"]
        assert re.match(r"  small \*  [\d.]+ mgCO2e \(estimated, n = 1\)  right ", lines[10])
        assert "It costs more" in lines[11]
        assert re.match(
            r"large, the most accurate active model, would cost [\d.]+ mgCO2e \(estimated, n = 1\)\. "
            r"The choice costs [\d.]+ mgCO2e \(60 %\) less\.",
            lines[13],
        )
        assert re.match(r"Time: embedding [\d.]+ ms, search [\d.]+ ms, choice [\d.]+ ms\. Decision \d+\.", lines[14])
        assert RoutingDecision.objects.get().chosen == federation.small

    def test_prints_one_json_object(self, federation: Federation) -> None:
        said = json.loads(told("route", federation.math.text, "--json"))
        assert (said["category"], said["policy"], said["choice"]) == ("math", "nearest", "small")
        assert said["decision_id"] == RoutingDecision.objects.get().pk
        assert said["neighbours"][0]["squared_distance"] == 0.0
        assert said["neighbours"][0]["text"] == federation.math.item_text
        assert [(one["model"], one["is_correct"], one["is_chosen"]) for one in said["candidates"]] == [
            ("small", True, True),
            ("large", True, False),
        ]
        assert said["index"] == {
            "id": federation.index.pk, "embedder": EMBEDDER_NAME, "embedded_text": "item", "prompt_count": 2,
        }  # fmt: skip
        assert set(said["latency_ms"]) == {"embedding", "search", "choice"}
        assert said["reason"] == "cheapest_correct"
        assert said["quality"] == "estimated"
        assert said["baseline"]["model"] == "large"

    def test_tells_probabilities_where_the_policy_has_them(self, federation: Federation) -> None:
        version = PolicyVersion.objects.create(policy="knn")
        said = told("route", "what is two plus three")
        assert f"policy knn, version {version.pk}." in said
        assert re.search(r"large( \*)?  [\d.]+ mgCO2e \(estimated, n = 2\)  \d+ % \[\d+, \d+\]  2 ", said)

    @pytest.mark.parametrize("prompt", ["", "  "])
    def test_refuses_an_empty_prompt(self, federation: Federation, prompt: str) -> None:
        with pytest.raises(CommandError, match="the prompt is empty"):
            told("route", prompt)
        assert not RoutingDecision.objects.exists()

    def test_refuses_an_index_that_does_not_exist_yet(self, federation: Federation) -> None:
        PromptIndex.objects.update(state=PromptIndex.State.REPLACED)
        with pytest.raises(CommandError, match=r"No index has been built yet; build one with manage\.py build_index"):
            told("route", "text")

    def test_refuses_an_embedder_that_nobody_added(self, federation: Federation, settings: Settings) -> None:
        settings.EMBEDDER_NAME = "other"
        with pytest.raises(CommandError, match=r"embedder 'other' on .* manage\.py add_model other"):
            told("route", "text")

    def test_refuses_an_embedder_of_another_dimension(
        self, federation: Federation, server: ScriptedOllama, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        prompt_ids, matrix = federation.store.collections[federation.index.collection_name]
        federation.store.write(federation.index.collection_name, prompt_ids.tolist(), matrix[:, :100])
        with pytest.raises(CommandError, match="has 384 numbers, the index 100"):
            told("route", "text")

    def test_falls_back_where_the_embedder_is_away_as_a_request_does(
        self, federation: Federation, settings: Settings
    ) -> None:
        federation.server.base_url = settings.EMBEDDER_HOST = "http://127.0.0.1:1"
        federation.server.save()
        said = told("route", "text")
        assert said.startswith("large: The embedder does not answer, so the prompt could not be compared")
        assert "Time: no embedding, no search, choice " in said


class TestBuildIndex:
    def test_indexes_the_training_prompts_and_says_so(self, federation: Federation) -> None:
        make.make_prompt(role="validation")
        said = told("build_index")
        index = current_index()
        assert index != federation.index
        assert said.startswith(f"Index {index.pk}: 2 prompts, 384 numbers each by all-minilm, built in ")
        assert index.embedded_text == "item"

    def test_indexes_the_prompts_of_a_study_alone(self, federation: Federation) -> None:
        study = make.make_study("some")
        study.tasks.create(prompt=federation.code, position=1)
        told("build_index", "--study", "some", "--embed", "prompt")
        assert list(current_index().entries.values_list("prompt_id", flat=True)) == [federation.code.pk]
        assert current_index().embedded_text == "prompt"

    def test_keeps_one_replaced_index_in_the_store(self, federation: Federation) -> None:
        for _ in range(3):
            told("build_index")
        assert len(federation.store.collections) == 2

    def test_refuses_an_unknown_study(self, federation: Federation) -> None:
        with pytest.raises(CommandError, match="There is no study 'nothing'"):
            told("build_index", "--study", "nothing")

    def test_refuses_to_index_nothing(self, federation: Federation) -> None:
        make.make_study("bare")
        with pytest.raises(CommandError, match="There are no training prompts to index"):
            told("build_index", "--study", "bare")
        assert current_index() == federation.index

    def test_keeps_the_current_one_where_chroma_is_away(self, federation: Federation) -> None:
        federation.store.failure = IndexStoreError("Chroma is away.")
        with pytest.raises(CommandError, match=r"Chroma is away\."):
            told("build_index")
        assert current_index() == federation.index

    def test_keeps_the_current_one_where_the_embedder_fails(self, federation: Federation, settings: Settings) -> None:
        with ScriptedOllama(SCRIPTED_MODELS, answers={}, faults=[Fault(FaultKind.STATUS, status=500)]) as failing:
            federation.server.base_url = settings.EMBEDDER_HOST = failing.base_url
            federation.server.save()
            with pytest.raises(CommandError, match="scripted fault"):
                told("build_index")
        assert current_index() == federation.index


class TestCreateKey:
    def test_prints_a_working_key_and_nothing_else(self) -> None:
        owner = make.make_user("ada")
        secret = told("create_key", "ada", "--name", "laptop").strip()
        found = find_key(secret=secret)
        assert found is not None
        assert (found.owner, found.name) == (owner, "laptop")

    def test_refuses_a_person_that_does_not_exist(self) -> None:
        with pytest.raises(CommandError, match="There is no person 'nobody'; make one in the admin"):
            told("create_key", "nobody")

    def test_has_what_it_may_be_used_for(self, federation: Federation) -> None:
        make.make_user("ada")
        secret = told(
            "create_key", "ada", "--scope", "generate", "embed", "--scope", "embed", "--model", "small", "large:latest",
            "--requests-per-minute", "60", "--tokens-per-minute", "9000", "--budget-hour", "0.5", "--soft-day", "1.5",
            "--hard-day", "2", "--soft-month", "20", "--hard-month", "30",
        ).strip()  # fmt: skip
        key = find_key(secret=secret)
        assert key is not None
        assert (key.scopes, key.allowed_models) == (["generate", "embed"], ["small", "large:latest"])
        assert (key.requests_per_minute, key.tokens_per_minute, key.budget_gco2e_per_hour) == (60, 9000, 0.5)
        assert (key.soft_gco2e_per_day, key.hard_gco2e_per_day) == (1.5, 2.0)
        assert (key.soft_gco2e_per_month, key.hard_gco2e_per_month) == (20.0, 30.0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            pytest.param(["--soft-day", "2", "--hard-day", "1"], "--soft-day: .* not be above", id="soft above hard"),
            pytest.param(["--budget-hour", "0"], "--budget-hour: .*above 0", id="no grams"),
            pytest.param(["--hard-month", "nan"], "--hard-month: .*above 0", id="no number"),
            pytest.param(["--requests-per-minute", "0"], "--requests-per-minute: .*1", id="no requests"),
            pytest.param(["--tokens-per-minute", "9999999999"], "--tokens-per-minute: .*less", id="too many"),
            pytest.param(["--model", "nobody"], "--model: No model here is called nobody", id="unknown model"),
            pytest.param(["--scope", "fly"], "--scope: invalid choice", id="unknown scope"),
        ],
    )
    def test_names_the_option_that_is_wrong(self, federation: Federation, options: list[str], message: str) -> None:
        make.make_user("ada")
        with pytest.raises(CommandError, match=message):
            told("create_key", "ada", *options)
        assert not ApiKey.objects.exists()
        assert not ApiKey.objects.exists()


class TestAddModel:
    def test_adds_a_candidate_with_its_facts(self, server: ScriptedOllama) -> None:
        said = told("add_model", "small", "--server", server.base_url)
        assert "135M, Q4_1" in said
        assert "Candidate" in said

    def test_refuses_a_model_that_the_server_does_not_have(self, server: ScriptedOllama) -> None:
        with pytest.raises(CommandError, match="It offers: all-minilm.*, large.*, small"):
            told("add_model", "nobody", "--server", server.base_url)

    def test_refuses_a_server_that_is_away(self) -> None:
        with pytest.raises(CommandError, match=r"http://127\.0\.0\.1:1 does not answer"):
            told("add_model", "small", "--server", "http://127.0.0.1:1")


class TestRetiredModel:
    @pytest.mark.slow
    def test_is_out_of_the_next_decision(self, federation: Federation) -> None:
        told("retire_model", "small")
        assert told("route", "what is two plus three").startswith("large: ")

    def test_cannot_be_retired_twice(self, federation: Federation) -> None:
        told("retire_model", "small")
        with pytest.raises(CommandError, match=r"'small' was retired; add it again with manage\.py add_model small"):
            told("retire_model", "small")
