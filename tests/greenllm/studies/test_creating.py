"""The form of a new study: what it shows before, what it makes, and everything that it refuses."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.models import CarbonIntensity, Dataset, Deployment, ParameterSet, Prompt, Study
from greenllm.models import User
from greenllm.roles import Role
from tests import factories as make
from tests.greenllm.studies import shown

pytestmark = [pytest.mark.django_db, pytest.mark.slow]


@pytest.fixture
def server() -> Iterator[ScriptedOllama]:
    with ScriptedOllama([ScriptedModel("small"), ScriptedModel("large")], answers={}) as running:
        yield running


@pytest.fixture
def deployments(server: ScriptedOllama) -> list[Deployment]:
    """Two models of a server that answers."""
    row = make.make_server(base_url=server.base_url)
    return [make.make_deployment(name, server=row, state="candidate") for name in ("small", "large")]


@pytest.fixture
def dataset() -> Dataset:
    """Three prompts of math and two of code, one of each for validation."""
    for category, role in (
        ("math", "train"), ("math", "train"), ("math", "validation"), ("code", "train"), ("code", "validation"),
    ):  # fmt: skip
        make.make_prompt(category=category, role=role)
    return Dataset.objects.get()


@pytest.fixture(autouse=True)
def researcher(client: Client) -> User:
    """Somebody who runs studies, signed in."""
    user = shown.make_person(Role.RESEARCHER)
    client.force_login(user)
    return user


@pytest.fixture
def filled(deployments: list[Deployment], dataset: Dataset) -> dict[str, Any]:
    """Return the form as somebody fills it in who leaves what is proposed."""
    return {
        "name": "first", "title": "Sums", "models": [one.pk for one in deployments], "datasets": [dataset.pk],
        "role": "both", "limit": "", "repeats": "1", "order": "grouped", "order_seed": "0", "seed": "42",
        "temperature": "0", "num_ctx": "", "num_predict": "256", "top_p": "", "top_k": "", "tfs_z": "",
        "sampling_period_ms": "99",
        "step": "create",
    }  # fmt: skip


def page_of(response: Any) -> str:
    """Return a page's text with single spaces."""
    return re.sub(r"\s+", " ", response.content.decode())


class TestForm:
    def test_says_what_to_add_where_there_is_nothing_to_choose(self, client: Client) -> None:
        page = page_of(client.get("/studies/new/"))
        assert "manage.py add_model NAME" in page
        assert "manage.py import_dataset gsm8k" in page

    def test_offers_models_that_serve_and_answer_prompts(self, client: Client) -> None:
        make.make_deployment("good")
        make.make_deployment("gone", state="retired")
        make.make_deployment("embedder", purpose="embedding")
        page = page_of(client.get("/studies/new/"))
        assert ">good <" in page
        assert ">gone <" not in page
        assert ">embedder <" not in page

    @pytest.mark.usefixtures("dataset")
    def test_says_what_a_data_set_holds(self, client: Client) -> None:
        page = page_of(client.get("/studies/new/"))
        assert "3 training, 2 validation: code, math" in page

    @pytest.mark.parametrize("count", [1, 5])
    def test_needs_eight_queries_however_much_there_is(
        self, client: Client, count: int, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(count):
            make.make_deployment(f"m{number}")
            make.make_prompt(category=f"c{number}")
        with django_assert_num_queries(8):  # session, person, permissions; models, data sets, categories, counts
            client.get("/studies/new/")


class TestCreate:
    def test_makes_a_draft_of_what_was_typed(
        self, client: Client, researcher: User, filled: dict[str, Any], deployments: list[Deployment]
    ) -> None:
        chosen = {
            "repeats": "2", "order": "interleaved", "order_seed": "7", "seed": "1", "temperature": "0.5",
            "num_ctx": "512", "num_predict": "64", "top_p": "0.9", "top_k": "40", "sampling_period_ms": "50",
            "warm_up_count": "2", "idle_baseline_s": "30", "back_to_back": "4", "control_every": "25",
            "measure_again_count": "3",
        }  # fmt: skip
        response = client.post("/studies/new/", {**filled, **chosen}, follow=True)

        study = Study.objects.get()
        assert response.redirect_chain == [("/studies/first/", 302)]
        assert "The study first is made." in page_of(response)
        assert (study.title, study.state, study.created_by, study.repeats) == ("Sums", "draft", researcher, 2)
        assert (study.order, study.order_seed, study.sampling_period_ms) == ("interleaved", 7, 50)
        assert (study.warm_up_count, study.idle_baseline_s, study.back_to_back) == (2, 30.0, 4)
        assert (study.control_every, study.measure_again_count) == (25, 3)
        assert ParameterSet.objects.filter(
            study=study, seed=1, temperature=0.5, num_ctx=512, num_predict=64, top_p=0.9, top_k=40
        ).exists()
        assert study.responses.count() == 2 * 5 * 2
        assert {one.deployment for one in study.targets.all()} == set(deployments)
        assert {one.state for one in Deployment.objects.all()} == {"candidate"}  # evaluated once it starts

    def test_makes_a_set_of_parameters_for_each_combination(self, client: Client, filled: dict[str, Any]) -> None:
        client.post("/studies/new/", {**filled, "temperature": "0, 0.5, 1", "num_ctx": "1024,2048"})
        study = Study.objects.get()
        assert list(study.parameter_sets.order_by("pk").values_list("name", "temperature", "num_ctx")) == [
            (f"temperature={written}, num_ctx={context}", float(written), context)
            for written in ("0", "0.5", "1")
            for context in (1024, 2048)
        ]
        assert study.responses.count() == 2 * 6 * 5

    def test_leaves_the_context_to_the_server_where_it_is_empty(self, client: Client, filled: dict[str, Any]) -> None:
        client.post("/studies/new/", filled)
        assert ParameterSet.objects.get().num_ctx is None

    @pytest.mark.parametrize(
        ("choice", "roles"),
        [
            ({"role": "train"}, ["train", "train", "train"]),
            ({"role": "validation"}, ["validation", "validation"]),
            ({"limit": "1"}, ["train", "train", "validation", "validation"]),
        ],
    )
    def test_takes_the_prompts_that_were_chosen(
        self, client: Client, filled: dict[str, Any], choice: dict[str, str], roles: list[str]
    ) -> None:
        client.post("/studies/new/", {**filled, **choice})
        assert sorted(Study.objects.get().prompts.values_list("role", flat=True)) == roles

    def test_takes_the_categories_that_were_chosen(self, client: Client, filled: dict[str, Any]) -> None:
        code = Prompt.objects.filter(category__name="code")[0].category_id
        client.post("/studies/new/", {**filled, "categories": [code]})
        assert set(Study.objects.get().prompts.values_list("category", flat=True)) == {code}


class TestRefusal:
    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("name", "", "Give the study a name"),
            ("name", "two words", "without spaces"),
            ("name", "x" * 81, "at most 80 letters"),
            ("name", "new", "is an address of the pages"),
            ("name", "taken", "There is a study &#x27;taken&#x27; already"),
            ("title", "x" * 201, "at most 200 characters"),
            ("models", [], "Choose at least one model."),
            ("models", ["999999"], "retired or removed meanwhile"),
            ("datasets", [], "Choose at least one data set."),
            ("datasets", ["999999"], "One of the data sets is gone"),
            ("categories", ["999999"], "One of the categories is gone"),
            ("role", "unused", "Select a valid choice"),
            ("limit", "0", "greater than or equal to 1"),
            ("limit", "many", "Enter a whole number"),
            ("repeats", "0", "greater than or equal to 1"),
            ("repeats", "", "This field is required"),
            ("repeats", "32767", "at most 100,000 are taken"),
            ("order", "random", "Select a valid choice"),
            ("order_seed", str(2**63), "less than or equal to"),
            ("seed", "x", "Enter a whole number"),
            ("temperature", "-1", "greater than or equal to 0"),
            ("temperature", "nan", "Enter a number"),
            ("num_ctx", "0", "greater than or equal to 1"),
            ("num_predict", "", "This field is required"),
            ("top_p", "1.5", "less than or equal to 1"),
            ("top_k", "-1", "greater than or equal to 0"),
            ("temperature", "0, warm", "Enter a number"),
            ("temperature", "0, 0.5, 0.0", "temperature names the value 0 more than once"),
            ("num_ctx", "1024,", "This field is required"),
            ("seed", ",".join(map(str, range(201))), "at most 200 are taken"),
            ("tfs_z", "0.5", "tfs_z"),
            ("warm_up_count", "21", "less than or equal to 20"),
            ("back_to_back", "51", "less than or equal to 50"),
            ("control_every", "-1", "greater than or equal to 0"),
            ("measure_again_count", "6", "less than or equal to 5"),
            ("idle_baseline_s", "601", "less than or equal to 600"),
            ("sampling_period_ms", "5", "greater than or equal to 10"),
        ],
    )  # fmt: skip
    def test_names_the_field_and_keeps_what_was_typed(
        self, client: Client, filled: dict[str, Any], field: str, value: Any, said: str
    ) -> None:
        make.make_study("taken", state="draft")
        typed = {**filled, "title": "Kept words", field: value}
        response = client.post("/studies/new/", typed)
        page = page_of(response)

        assert response.status_code == 200
        assert re.search(rf'id="id_{field}_error">[^<]*{re.escape(said)}', page)
        assert page.split('role="alert"')[1].split("</ul>")[0].count("<li>") == 1
        if field != "title":
            assert 'value="Kept words"' in page
        if isinstance(value, str) and value and field not in {"role", "order"}:
            assert f'value="{value}"' in page
        assert Study.objects.filter(name=typed["name"], title="Kept words").count() == 0

    def test_of_models_on_two_machines_names_them(
        self, client: Client, filled: dict[str, Any], deployments: list[Deployment]
    ) -> None:
        elsewhere = make.make_deployment(
            "far", server=make.make_server(make.make_machine("attic"), "http://127.0.0.1:2")
        )
        page = page_of(client.post("/studies/new/", {**filled, "models": [deployments[0].pk, elsewhere.pk]}))
        assert "These models are on the machines attic, test; a study measures one machine." in page

    def test_of_a_choice_without_a_prompt(self, client: Client, filled: dict[str, Any]) -> None:
        Prompt.objects.filter(role="validation").delete()
        page = page_of(client.post("/studies/new/", {**filled, "role": "validation"}))
        assert "No prompt of these data sets is in the chosen categories and role" in page

    def test_of_a_server_that_does_not_answer_comes_soon_and_keeps_what_was_typed(
        self, client: Client, filled: dict[str, Any], settings: Settings
    ) -> None:
        settings.CONNECT_TIMEOUT_S = 0.5
        away = make.make_deployment("away", server=make.make_server(base_url="http://127.0.0.1:1"))
        begun = time.monotonic()
        response = client.post("/studies/new/", {**filled, "models": [away.pk]})
        page = page_of(response)
        assert time.monotonic() - begun < 10  # no retries: those would take much longer
        assert (response.status_code, Study.objects.count()) == (200, 0)
        assert "The inference server at http://127.0.0.1:1 does not answer" in page
        assert 'value="Sums"' in page
        assert re.search(rf'name="models" value="{away.pk}"[^>]* checked', page)

    def test_of_a_parameter_that_a_server_does_not_take(
        self, client: Client, filled: dict[str, Any], server: ScriptedOllama
    ) -> None:
        Deployment.objects.get(language_model__name="small").server.__class__.objects.update(kind="openai")
        page = page_of(client.post("/studies/new/", {**filled, "num_ctx": "512"}))
        assert re.search(r'id="id_(num_ctx|models)_error">', page)
        assert not Study.objects.exists()

    def test_of_a_zone_without_an_intensity(self, client: Client, filled: dict[str, Any]) -> None:
        CarbonIntensity.objects.all().delete()
        page = page_of(client.post("/studies/new/", filled))
        assert "No carbon intensity is known for the zone" in page


class TestEstimate:
    def test_counts_responses_and_takes_the_time_from_earlier_studies(
        self, client: Client, filled: dict[str, Any], deployments: list[Deployment]
    ) -> None:
        study = make.make_study("earlier")
        for deployment, seconds in zip(deployments, (10.0, 30.0), strict=True):
            shown.add_attempt(make.make_response(Prompt.objects.all()[0], deployment, study=study), seconds)
        fragment = page_of(client.post("/studies/new/estimate/", {**filled, "repeats": "3"}))
        assert "2 models \u00d7 5 prompts \u00d7 3 repeats = 30 responses" in fragment
        assert "about 10 min." in fragment  # 15 x 10 s + 15 x 30 s
        assert "30 s <small>n = 1</small>" in fragment
        assert "<html" not in fragment

    def test_includes_what_is_done_beside_the_responses(
        self, client: Client, filled: dict[str, Any], deployments: list[Deployment]
    ) -> None:
        """10 responses: a control run before the 1st, 5th and 9th and after the last, by the first model by name."""
        study = make.make_study("earlier")
        for deployment, seconds in zip(deployments, (10.0, 30.0), strict=True):
            shown.add_attempt(make.make_response(Prompt.objects.all()[0], deployment, study=study), seconds)
        besides = {"control_every": "4", "warm_up_count": "1", "idle_baseline_s": "60", "back_to_back": "2"}

        fragment = page_of(client.post("/studies/new/estimate/", {**filled, **besides}))

        assert "2 warm-up answers <small>(about 40 s)</small>" in fragment
        assert "4 control runs <small>(about 6 min)</small>" in fragment  # 4 x 30 s x (1 + 2)
        assert "2 idle baselines <small>(about 2 min)</small>" in fragment
        assert "= 10 responses</b>, about 15 min 20 s." in fragment  # 400 s for the responses and 520 s

    def test_does_not_guess_how_long_a_control_run_by_an_unknown_model_takes(
        self, client: Client, filled: dict[str, Any]
    ) -> None:
        fragment = page_of(client.post("/studies/new/estimate/", {**filled, "control_every": "100"}))
        assert "2 control runs <small>(unknown)</small>" in fragment
        assert "10 responses</b>, for an unknown time" in fragment

    def test_counts_the_sets_of_a_sweep(self, client: Client, filled: dict[str, Any]) -> None:
        fragment = page_of(client.post("/studies/new/estimate/", {**filled, "temperature": "0,1", "top_k": "1,2,3"}))
        assert "5 prompts \u00d7 1 repeat \u00d7 6 sets of parameters = 60 responses" in fragment

    def test_says_unknown_where_a_model_was_never_measured(self, client: Client, filled: dict[str, Any]) -> None:
        fragment = page_of(client.post("/studies/new/estimate/", filled))
        assert "10 responses</b>, for an unknown time" in fragment
        assert "unknown <small>n = 0</small>" in fragment

    def test_needs_no_name_yet_and_complains_of_nothing(self, client: Client, filled: dict[str, Any]) -> None:
        fragment = page_of(client.post("/studies/new/estimate/", {**filled, "name": "", "seed": "x"}))
        assert "10 responses" in fragment
        assert "problem" not in fragment

    def test_waits_for_a_choice(self, client: Client) -> None:
        fragment = page_of(client.post("/studies/new/estimate/", {"role": "both", "repeats": "1"}))
        assert "Choose models and data sets" in fragment

    def test_warns_of_more_than_a_study_takes(self, client: Client, filled: dict[str, Any]) -> None:
        fragment = page_of(client.post("/studies/new/estimate/", {**filled, "repeats": "30000"}))
        assert "That is more than the 100,000 responses" in fragment

    def test_comes_by_a_button_without_javascript_and_makes_nothing(
        self, client: Client, filled: dict[str, Any]
    ) -> None:
        response = client.post("/studies/new/", {**filled, "step": "check"})
        page = page_of(response)
        assert (response.status_code, Study.objects.count()) == (200, 0)
        assert "10 responses" in page
        assert 'value="first"' in page
