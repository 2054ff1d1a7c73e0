import json
import os
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django import Settings
from rq import Queue, Worker

from benchmarks import jobs
from benchmarks.beating import has_beaten
from benchmarks.federating import retire
from benchmarks.inference.scripted import ScriptedAnswer, ScriptedModel, ScriptedOllama
from benchmarks.models import Deployment, Machine, Measurement, Prompt, Response, ResponseAttempt, Study
from benchmarks.queueing import enqueue_study, impatient_connection, queue_of
from labeling.models import CampaignNotice
from tests.factories import (
    NOW,
    make_deployment,
    make_intensity,
    make_label,
    make_machine,
    make_pending_study,
    make_prompt,
    make_response,
    make_study,
)

pytestmark = pytest.mark.slow

MODELS = [ScriptedModel("tiny:1b", digest="1" * 64, parameter_size="1B", quantization="Q4_0"), ScriptedModel("large")]

DROP_OTHER_CONNECTIONS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


def beating_workers(queue_name: str) -> list[str]:
    """Return which workers of a queue give signs of life; a job of one of them."""
    with impatient_connection() as queue:
        known = Worker.all(queue=Queue(queue_name, connection=queue))
        return [one.name for one in known if has_beaten(one.name, queue)]


def run(name: str, *arguments: str | Path, **options: object) -> str:
    out = StringIO()
    call_command(name, *map(str, arguments), stdout=out, **options)
    return out.getvalue()


@pytest.fixture
def machine(settings: Settings) -> Iterator[Machine]:
    """Work on a machine of this process alone: its sampler and its queue go by its name."""
    settings.MACHINE_NAME = f"test-commands-{os.getpid()}"
    machine = make_machine(settings.MACHINE_NAME)
    queue_of(machine).empty()  # type: ignore[no-untyped-call]  # rq leaves it without types
    yield machine
    queue_of(machine).empty()  # type: ignore[no-untyped-call]  # rq leaves it without types
    jobs.process_recorder.cache_clear()


@pytest.fixture
def server(settings: Settings, machine: Machine) -> Iterator[ScriptedOllama]:
    with ScriptedOllama(MODELS, answers={"One?": "1"}) as running:
        settings.OLLAMA_HOST = running.base_url
        yield running


@pytest.mark.django_db
class TestImportPrompts:
    @pytest.fixture
    def path(self, tmp_path: Path) -> Path:
        path = tmp_path / "sums.jsonl"
        path.write_text("\n".join(json.dumps({"prompt": f"{n} + 1?"}) for n in range(60)), encoding="utf-8")
        return path

    def test_says_what_was_new(self, path: Path) -> None:
        command = ("import_prompts", path, "--dataset", "sums", "--category", "math")

        assert run(*command) == "sums: 60 prompts imported, 0 were there.\n"
        assert run(*command) == "sums: 0 prompts imported, 60 were there.\n"

    def test_names_the_broken_line_and_imports_nothing(self, path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        lines[36] = '{"prompt": '
        path.write_text("\n".join(lines), encoding="utf-8")

        with pytest.raises(CommandError, match=r"nothing was imported, because of\n  line 37: it is not JSON"):
            run("import_prompts", path, "--dataset", "sums", "--category", "math")
        assert not Prompt.objects.exists()


@pytest.mark.django_db
class TestAddModel:
    def test_tells_what_was_added(self, server: ScriptedOllama) -> None:
        said = run("add_model", "tiny:1b")

        assert "(1B, Q4_0, 111111111111): Candidate" in said
        assert Deployment.objects.get().server.base_url == server.base_url

    def test_activates_where_asked_to(self, server: ScriptedOllama) -> None:
        run("add_model", "tiny:1b", "--activate")

        assert Deployment.objects.get().state == "active"

    def test_takes_another_server_and_machine(self, settings: Settings, server: ScriptedOllama) -> None:
        settings.OLLAMA_HOST = "http://127.0.0.1:1"

        run("add_model", "large", "--server", server.base_url, "--machine", "elsewhere")

        assert Deployment.objects.get().server.machine.name == "elsewhere"

    def test_of_an_unknown_model_lists_what_there_is(self, server: ScriptedOllama) -> None:
        with pytest.raises(CommandError, match=r"no model 'absent'.* It offers: large:latest, tiny:1b\."):
            run("add_model", "absent")
        assert not Deployment.objects.exists()

    def test_of_a_server_that_is_away_says_so(self, machine: Machine) -> None:
        with pytest.raises(CommandError, match="does not answer"):
            run("add_model", "tiny:1b", "--server", "http://127.0.0.1:1")


@pytest.mark.django_db
class TestRetireModel:
    def test_takes_a_model_out_of_routing(self) -> None:
        tiny, _ = make_deployment("tiny"), make_deployment("other")

        assert "tiny on " in run("retire_model", "tiny:latest")
        tiny.refresh_from_db()
        assert tiny.state == "retired"

    def test_of_the_last_active_model_says_what_to_do_first(self) -> None:
        make_deployment("tiny")

        with pytest.raises(CommandError, match="only active model.* Activate another one first"):
            run("retire_model", "tiny")
        assert Deployment.objects.get().state == "active"

    def test_of_an_unknown_or_retired_model_says_so(self) -> None:
        retire(deployment=make_deployment("old"), now=NOW)
        make_deployment("tiny")

        with pytest.raises(CommandError, match=r"has no model 'absent'\. It has: tiny\."):
            run("retire_model", "absent")
        with pytest.raises(CommandError, match="'old' was retired"):
            run("retire_model", "old")


@pytest.mark.django_db
class TestScore:
    @pytest.fixture
    def study(self) -> Study:
        deployment = make_deployment()
        study = make_response(make_prompt(), deployment, energy_j=36_000.0).study
        make_response(make_prompt(), deployment, study=study, energy_j=None)
        return study

    def test_recomputes_for_another_intensity(self, study: Study) -> None:
        said = run("score", "--study", study.name, "--intensity", "100", "--lifespan-years", "8")

        scored = Measurement.objects.scored().get()
        assert said == (
            "1 responses scored, 1 without energy have no score.\nCarbon intensity: 100 gCO2e/kWh (given by hand).\n"
        )
        assert scored.operational_emissions_gco2e == pytest.approx(1.0)
        assert scored.expected_lifespan_s == 8 * 365 * 86_400

    def test_takes_the_intensity_of_a_zone_and_year(self, study: Study) -> None:
        make_intensity("FR", 57, year=2023)
        make_intensity("FR", 44, year=2024)

        run("score", "--study", study.name, "--zone", "FR", "--year", "2023")
        in_2023 = Measurement.objects.scored().get()
        said = run("score", "--study", study.name, "--zone", "FR")

        latest = Measurement.objects.scored().get()
        assert (in_2023.carbon_intensity_gco2e_per_kwh, in_2023.carbon_intensity_source) == (57, "FR 2023: test")
        assert (latest.carbon_intensity_gco2e_per_kwh, latest.carbon_intensity_source) == (44, "FR 2024: test")
        assert said.endswith("Carbon intensity: 44 gCO2e/kWh (FR 2024: test).\n")

    def test_asks_which_source_where_they_differ(self, study: Study) -> None:
        make_intensity("FR", 57, source="First")
        make_intensity("FR", 58, source="Second")

        with pytest.raises(CommandError, match="57 by 'First'; 58 by 'Second'. Name one of them with --source"):
            run("score", "--study", study.name, "--zone", "FR", "--year", "2024")
        run("score", "--study", study.name, "--zone", "FR", "--year", "2024", "--source", "second")
        assert Measurement.objects.scored().get().carbon_intensity_gco2e_per_kwh == 58

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            (("--zone=FR",), "No carbon intensity is known for the zone 'FR'"),
            (("--zone=DE", "--year=1999"), "There are: 2022"),
            (("--zone=FR", "--year=2024"), "There is no year of it; see manage.py import_intensity"),
            (("--zone=DE", "--year=2022", "--source=Nobody"), "from a source named 'Nobody'"),
            (("--zone=DE", "--intensity=1"), "not allowed with argument"),
            (("--year=2022",), "give --zone too"),
            (("--intensity=1", "--year=2022"), "give --zone too"),
            (("--zone=DE", "--source=test"), "give --zone and --year too"),
        ],
        ids=str,
    )
    def test_refuses_a_choice_that_names_no_intensity(self, study: Study, options: tuple[str, ...], told: str) -> None:
        before = Measurement.objects.scored().get().sci_gco2e

        with pytest.raises(CommandError, match=told):
            run("score", "--study", study.name, *options)
        assert Measurement.objects.scored().get().sci_gco2e == before

    @pytest.mark.parametrize(
        "option", ["--intensity=-1", "--intensity=nan", "--lifespan-years=0", "--lifespan-years=nan", "--embodied=-1"]
    )
    def test_refuses_a_bad_value(self, study: Study, option: str) -> None:
        before = Measurement.objects.scored().get().sci_gco2e

        with pytest.raises(CommandError, match="must be"):
            run("score", "--study", study.name, option)
        assert Measurement.objects.scored().get().sci_gco2e == before

    def test_of_an_unknown_study_lists_those_that_there_are(self, study: Study) -> None:
        with pytest.raises(CommandError, match=f"There is no study 'absent'. There are: {study.name}"):
            run("score", "--study", "absent")


@pytest.mark.django_db
class TestRunStudy:
    @pytest.fixture(autouse=True)
    def federation(self, server: ScriptedOllama) -> None:
        run("add_model", "tiny:1b")
        make_prompt("One?", category="math")
        make_prompt("Two?", category="math")
        make_prompt("Three?", category="code")
        make_prompt("Unused?", role="unused")

    def test_puts_a_new_study_on_the_queue(self, machine: Machine) -> None:
        said = run("run_study", "first", "--model", "tiny:1b", "--dataset", "test", "--no-wait")

        study = Study.objects.get()
        assert said == "first: 3 responses put on the queue.\n"
        assert (study.state, len(queue_of(machine))) == ("running", 3)
        assert Deployment.objects.get().state == "evaluating"

    def test_goes_on_with_the_study_of_that_name(self, machine: Machine) -> None:
        command = ("run_study", "first", "--model", "tiny:1b", "--dataset", "test", "--no-wait")
        run(*command)

        assert run(*command) == "first: 0 responses put on the queue.\n"
        assert len(queue_of(machine)) == 3

    @pytest.mark.parametrize(
        ("options", "texts"),
        [
            (["--category", "code"], ["Three?"]),
            (["--limit", "1"], ["Three?", "One?"]),
            (["--limit", "1", "--category", "math"], ["One?"]),
        ],
    )
    def test_takes_some_of_the_prompts(self, options: list[str], texts: list[str]) -> None:
        run("run_study", "first", "--model", "tiny:1b", "--dataset", "test", "--no-wait", *options)

        assert [response.prompt.text for response in Response.objects.order_by("sequence")] == texts

    def test_makes_a_grid_of_the_sweeps(self) -> None:
        sweeps = ("--sweep", "temperature=0,0.5,1", "--sweep", "num_ctx=1024,2048")
        said = run("run_study", "grid", "--model", "tiny:1b", "--dataset", "test", "--no-wait", *sweeps)

        assert said == "grid: 18 responses put on the queue.\n"
        assert Study.objects.get().parameter_sets.filter(temperature=0.5, num_ctx=1024, num_predict=256).count() == 1

    @pytest.mark.parametrize(
        ("arguments", "message"),
        {
            "no data set": (["--model", "tiny:1b"], "Name at least one data set"),
            "no such data set": (["--model", "tiny:1b", "--dataset", "absent"], "has no prompts"),
            "no model": (["--dataset", "test"], "has no models"),
            "no such model": (["--model", "absent", "--dataset", "test"], "no model 'absent'"),
            "a model twice": (["--model", "tiny:1b", "--model", "tiny:1b", "--dataset", "test"], "more than once"),
            "no sweep": (["--model", "tiny:1b", "--dataset", "test", "--sweep", "hot"], "'hot' is no sweep"),
            "a word in a sweep": (
                ["--model", "tiny:1b", "--dataset", "test", "--sweep", "num_ctx=1k"],
                "'1k' is not a whole number, as num_ctx takes it",
            ),
            "a parameter that no server has": (
                ["--model", "tiny:1b", "--dataset", "test", "--sweep", "warmth=1,2"],
                "warmth",
            ),
            "a baseline that is too long": (
                ["--model", "tiny:1b", "--dataset", "test", "--idle-baseline", "601"],
                "idle_baseline_s must be from 0 to 600",
            ),
            "a wrong number": (["--model", "tiny:1b", "--dataset", "test", "--num-ctx", "0"], "num_ctx must be"),
        }.values(),
    )
    def test_refuses_what_cannot_be_measured(self, arguments: list[str], message: str) -> None:
        with pytest.raises(CommandError, match=message):
            run("run_study", "first", "--no-wait", *arguments)
        assert not Study.objects.exists()

    def test_refuses_a_retired_model(self) -> None:
        run("retire_model", "tiny:1b")

        with pytest.raises(CommandError, match="'tiny:1b' was retired; add it again"):
            run("run_study", "first", "--model", "tiny:1b", "--dataset", "test", "--no-wait")

    def test_needs_the_server_to_answer(self) -> None:
        Deployment.objects.get().server.__class__.objects.update(base_url="http://127.0.0.1:1")

        with pytest.raises(CommandError, match="does not answer"):
            run("run_study", "first", "--model", "tiny:1b", "--dataset", "test", "--no-wait")
        assert not Study.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestWork:
    def test_takes_up_a_study_that_waits_and_ends_it(self, machine: Machine, server: ScriptedOllama) -> None:
        study = make_pending_study(server.base_url, "One?", models=["large"], machine=machine, sampling_period_ms=20)

        said = run("work", "--burst")

        study.refresh_from_db()
        assert said == f"Worker of {machine} on the queues default, measure-{machine}; 1 taken up.\n"
        assert study.state == "finished"
        assert not list(Path(os.environ["GREENLLM_SHARED_MEMORY"]).glob(f"*{machine}*"))

    def test_gives_signs_of_life_while_it_has_a_job(self, machine: Machine) -> None:
        job = queue_of(machine).enqueue(beating_workers, machine.queue_name, result_ttl=60)

        run("work", "--burst")

        with impatient_connection() as queue:
            [name] = job.return_value(refresh=True)
            assert not has_beaten(name, queue)
        job.delete()

    def test_looks_between_its_jobs_whether_a_campaign_has_ended(self, machine: Machine) -> None:
        study = make_study(state=Study.State.FINISHED, machine=machine)
        make_label(make_response(make_prompt(), make_deployment(), study=study))

        run("work", "--burst")

        assert CampaignNotice.objects.get().study == study

    def test_leaves_how_long_connections_are_kept_as_it_was(self, machine: Machine) -> None:
        before = dict(connection.settings_dict)

        run("work", "--burst")

        assert before["CONN_MAX_AGE"] == 0
        assert connection.settings_dict == before

    def test_measures_anew_what_it_measured_when_postgres_dropped_its_connection(self, machine: Machine) -> None:
        def dropping_once(_model: str, _prompt: str) -> ScriptedAnswer:
            if not dropped:
                with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
                    dropped.extend(other.execute(DROP_OTHER_CONNECTIONS).fetchall())
            return ScriptedAnswer("1")

        dropped: list[tuple[object, ...]] = []
        with ScriptedOllama(MODELS, answers=dropping_once) as server:
            study = make_pending_study(
                server.base_url, "One?", "Two?", models=["large"], machine=machine, sampling_period_ms=20
            )
            enqueue_study(study=study)
            run("work", "--burst")

        study.refresh_from_db()
        assert dropped
        assert (study.state, Measurement.objects.count()) == ("finished", 2)
        attempts = ResponseAttempt.objects.order_by("started_at").values_list("response__prompt__text", "outcome")
        assert list(attempts) == [("One?", "failed"), ("One?", "finished"), ("Two?", "finished")]
