"""What the migrations make of the database: a schema that refuses what must not be, and that goes back."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import ProtectedError
from psycopg import sql
from pytest_django import DjangoDbBlocker

import benchmarks
from benchmarks.models import (
    CarbonIntensity,
    ChannelReading,
    Deployment,
    LanguageModel,
    Machine,
    Measurement,
    Prompt,
    Response,
    ResponseAttempt,
    Study,
)
from tests.factories import (
    NOW,
    make_deployment,
    make_machine,
    make_measurement,
    make_prompt,
    make_response,
    make_server,
    make_study,
)

ROOT = Path(benchmarks.__file__).parent.parent
THERE_AND_BACK = """
import json
import django
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

APPS = ("greenllm", "benchmarks", "labeling", "router")
BEFORE_CONTROL_RUNS = ("benchmarks", "0014_answers_back_to_back")
told = {}


def our_tables():
    with connection.cursor() as cursor:
        names = {table.name for table in connection.introspection.get_table_list(cursor)}
    return sorted(name for name in names if name.split("_")[0] in APPS)


def make_rows(model_of, moments):
    def measured(purpose):
        one = model_of("Measurement").objects.create(purpose=purpose, quality="measured", energy_j=1.0)
        model_of("ChannelReading").objects.create(
            measurement=one, channel="machine", meter="plug", energy_j=1.0, sample_count=9, coverage=1.0,
            quality="measured", is_in_boundary=True,
        )
        return one

    study = model_of("Study").objects.create(name="driven", kind="imported")
    measured("response")
    for moment, purpose, place in moments:
        model_of("StudyMeasurement").objects.create(
            study=study, moment=moment, measurement=measured(purpose), **place
        )


def rows(model_of):
    return [
        sorted(model_of("StudyMeasurement").objects.values_list("moment", flat=True)),
        sorted(model_of("Measurement").objects.values_list("purpose", flat=True)),
        model_of("ChannelReading").objects.count(),
    ]


django.setup()
call_command("migrate", verbosity=0)
told["tables"] = before = our_tables()

now = lambda name: django.apps.apps.get_model("benchmarks", name)
idle = ("before", "idle_baseline", {})
make_rows(now, [idle, *(("during", "control", {"place": place}) for place in (0, 5))])
call_command("migrate", *BEFORE_CONTROL_RUNS, verbosity=0)
former_apps = MigrationExecutor(connection).loader.project_state(BEFORE_CONTROL_RUNS).apps
former = lambda name: former_apps.get_model("benchmarks", name)
told["taken back"] = rows(former)
for name in ("StudyMeasurement", "ChannelReading", "Measurement", "Study"):
    former(name).objects.all().delete()

call_command("migrate", "benchmarks", "zero", verbosity=0)
call_command("migrate", "greenllm", "zero", verbosity=0)
told["tables left"] = our_tables()

call_command("migrate", *BEFORE_CONTROL_RUNS, verbosity=0)
make_rows(former, [idle])
call_command("migrate", verbosity=0)
told["forward again"] = rows(now)
told["tables again"] = our_tables()
print(json.dumps(told))
"""


@pytest.fixture
def own_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Give the address of a database of its own, beside the one of the tests.

    It is a copy of that one, so that migrations need not run before they are taken back; it is empty, and they run
    there first, where anything is still connected to that one, which no database may be copied with.
    """
    called = f"migrations_{os.getpid()}"
    name = sql.Identifier(called)
    with django_db_blocker.unblock():
        connection.close()
        where = connection.get_connection_params()
    with psycopg.connect(**{**where, "dbname": "postgres"}, autocommit=True) as server:
        try:
            server.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(where["dbname"])))
        except psycopg.errors.ObjectInUse:
            server.execute(sql.SQL("CREATE DATABASE {}").format(name))
        try:
            yield f"{settings.EMBEDDED.database_url.rpartition('/')[0]}/{called}"
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


class TestMigrations:
    @pytest.mark.django_db
    def test_say_all_that_the_models_say(self) -> None:
        call_command("makemigrations", check=True, dry_run=True, verbosity=0)

    @pytest.mark.slow
    def test_go_back_to_nothing_and_forward_again(self, own_database: str) -> None:
        """On the way, what came before control runs goes on without them, and comes forward again with what it had."""
        told = json.loads(told_by(THERE_AND_BACK, own_database))
        assert len(told["tables"]) > 20
        assert told["tables left"] == []
        assert told["tables again"] == told["tables"]
        kept = [["before"], ["idle_baseline", "response"], 2]
        assert told["taken back"] == kept
        assert told["forward again"] == kept


def told_by(script: str, database: str) -> str:
    """Run a script that says nothing but its outcome in a process of its own on a database of its own."""
    environment = {**os.environ, "DATABASE_URL": database, "DJANGO_SETTINGS_MODULE": "greenllm.settings"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout


def make_reading(measurement: Measurement | None = None, **facts: object) -> ChannelReading:
    values = {"energy_j": 20.0, "sample_count": 9, "coverage": 1.0, "quality": "measured", "is_in_boundary": True}
    return ChannelReading.objects.create(
        measurement=measurement or make_measurement(), channel="machine", meter="plug", **{**values, **facts}
    )


def make_waiting(state: str = "pending") -> Response:
    study = make_study()
    return Response.objects.create(
        study=study,
        prompt=make_prompt(),
        deployment=make_deployment(),
        parameter_set=study.parameter_sets.get(),
        state=state,
    )


def make_twin(response: Response) -> Response:
    response.pk = None
    response.save(force_insert=True)
    return response


def make_attempts(*attempts: tuple[int, str]) -> None:
    response = make_waiting()
    for number, outcome in attempts:
        ResponseAttempt.objects.create(response=response, number=number, outcome=outcome, started_at=NOW, ended_at=NOW)


def make_prompts_at_one_position() -> None:
    make_prompt(position=1)
    make_prompt(position=1)
    connection.check_constraints()  # a deferred one is looked at when the transaction ends


# Each makes something that the constraint named before the colon must refuse.
REFUSED: dict[str, Callable[[], object]] = {
    "measurement_missing_has_no_energy: missing, yet a number": lambda: Measurement.objects.create(
        purpose="response", quality="missing", energy_j=1.0, missing_reason="a gap"
    ),
    "measurement_missing_has_no_energy: measured, yet no number": lambda: Measurement.objects.create(
        purpose="response", quality="measured", missing_reason="none"
    ),
    "measurement_missing_has_a_reason": lambda: Measurement.objects.create(purpose="response", quality="missing"),
    "measurement_energy_positive": lambda: Measurement.objects.create(
        purpose="response", quality="measured", energy_j=0.0
    ),
    "measurement_score_keeps_its_inputs: none of them": lambda: Measurement.objects.create(
        purpose="response", quality="measured", energy_j=1.0, sci_gco2e=0.1
    ),
    "measurement_score_keeps_its_inputs: one was taken away": lambda: Measurement.objects.filter(
        pk=make_measurement().pk
    ).update(carbon_intensity_gco2e_per_kwh=None),
    "channel_reading_missing_has_no_energy": lambda: make_reading(quality="missing", energy_j=1.0),
    "channel_reading_coverage_0_to_1": lambda: make_reading(coverage=1.1),
    "channel_reading_once": lambda: [make_reading(), make_reading(Measurement.objects.get())],
    "response_finished_has_a_moment": lambda: make_waiting(state="finished"),
    "response_failed_has_a_reason": lambda: make_waiting(state="failed"),
    "response_once": lambda: make_twin(make_waiting()),
    "response_attempt_one_running": lambda: make_attempts((1, "running"), (2, "running")),
    "response_attempt_number_once": lambda: make_attempts((1, "failed"), (1, "failed")),
    "response_attempt_ends_after_start": lambda: ResponseAttempt.objects.create(
        response=make_waiting(), number=1, outcome="failed", started_at=NOW, ended_at=NOW - timedelta(seconds=1)
    ),
    "study_measured_on_a_machine": lambda: Study.objects.create(name="nowhere", kind="measured"),
    "study_repeats_positive": lambda: make_study(repeats=0),
    "prompt_text_not_empty": lambda: Prompt.objects.filter(pk=make_prompt().pk).update(text=""),
    "prompt_external_id_once": lambda: [make_prompt(external_id="a"), make_prompt(external_id="a")],
    "prompt_position_once": make_prompts_at_one_position,
    "language_model_once": lambda: [LanguageModel.objects.create(name="a", digest="1") for _ in range(2)],
    "deployment_once": lambda: [make_deployment(), make_deployment()],
    "machine_share_0_to_1": lambda: make_machine(resource_share=0),
    "machine_lifespan_positive": lambda: make_machine(expected_lifespan_s=0),
    "machine_embodied_not_negative": lambda: make_machine(total_embodied_emissions_gco2e=-1),
    "machine_idle_below_tdp": lambda: make_machine(idle_power_w=70),
    "carbon_intensity_not_negative": lambda: CarbonIntensity.objects.create(zone="DE", gco2e_per_kwh=-1),
    "carbon_intensity_once": lambda: [CarbonIntensity.objects.create(zone="FR", gco2e_per_kwh=44) for _ in range(2)],
}


@pytest.mark.django_db
class TestConstraints:
    @pytest.mark.parametrize("name", REFUSED)
    def test_refuse_what_must_not_be(self, name: str) -> None:
        with pytest.raises(IntegrityError, match=name.partition(":")[0]), transaction.atomic():
            REFUSED[name]()

    def test_let_two_prompts_change_places(self) -> None:
        first, second = make_prompt(position=1), make_prompt(position=2)

        Prompt.objects.filter(pk=first.pk).update(position=2)
        Prompt.objects.filter(pk=second.pk).update(position=1)

        connection.check_constraints()

    def test_let_a_missing_energy_and_an_imported_score_be(self) -> None:
        assert make_measurement(None).sci_gco2e is None
        imported = Measurement.objects.create(purpose="imported", quality="measured", energy_j=1.0, sci_gco2e=0.1)

        assert list(Measurement.objects.scored()) == [imported]

    def test_keep_what_a_response_is_made_of(self) -> None:
        response = make_response(make_prompt(), make_deployment())

        for kept in (response.prompt, response.deployment, response.deployment.server, response.measurement):
            assert kept is not None
            with pytest.raises(ProtectedError):
                kept.delete()


@pytest.mark.django_db
class TestQuerysets:
    def test_active_deployments_are_those_that_the_router_may_choose(self) -> None:
        active = make_deployment()
        make_deployment("old", state="retired")
        make_deployment("new", state="candidate")
        make_deployment("minilm", purpose="embedding")

        assert list(Deployment.objects.active()) == [active]
        assert Deployment.objects.serving().count() == 3

    def test_prompts_of_validation_are_never_those_of_training(self) -> None:
        train, validation = make_prompt(), make_prompt(role="validation")
        make_prompt(role="unused")

        assert list(Prompt.objects.for_training()) == [train]
        assert list(Prompt.objects.for_validation()) == [validation]

    def test_intensities_come_with_the_latest_valid_one_first(self) -> None:
        for moment, value in ((NOW, 1), (NOW + timedelta(hours=1), 2), (None, 3)):
            CarbonIntensity.objects.create(zone="FR", gco2e_per_kwh=value, kind="live_average", valid_from=moment)

        values = [found.gco2e_per_kwh for found in CarbonIntensity.objects.for_zone("FR", at=NOW)]
        assert values == [1, 3]

    def test_machines_have_a_queue_of_their_own(self) -> None:
        assert Machine(name="bench").queue_name == "measure-bench"
        assert make_server().machine.queue_name == "measure-test"
