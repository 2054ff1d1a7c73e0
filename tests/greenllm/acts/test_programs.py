"""What commands at a shell and jobs of a worker change is written down, whichever command or job it is."""

import ast
import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command, get_commands
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from django.utils import timezone
from django.utils.module_loading import import_string
from pytest_django.fixtures import Settings

from benchmarks.management.commands.work import MachineWorker
from benchmarks.models import CarbonIntensity, Deployment, Machine, Prompt
from benchmarks.queueing import queue_of
from greenllm.acts import programs
from greenllm.acts.programs import RUNS_NOT_TOLD, acts_noted, note_run, noting_job, os_user
from greenllm.acts.shell import NotingUtility
from greenllm.acts.telling import written_by
from greenllm.models import AdminAct
from greenllm.roles import Role, grant_role
from router.models import ApiKey, CachedAnswer, Conversation, PolicyVersion
from tests import factories as make
from tests.benchmarks.outcome_files import write_outcomes
from tests.environment import ROOT
from tests.router.endpoint import EVERY_APP

SHELL, WORKER = AdminAct.Place.SHELL, AdminAct.Place.WORKER
ROWS = pytest.mark.django_db


def jobs() -> list[str]:
    """Return the names of all functions that a worker may run: those of the modules of jobs."""
    found = []
    paths = [
        path for app in ("benchmarks", "labeling", "router", "greenllm") for path in (ROOT / app).rglob("*jobs.py")
    ]
    for path in sorted(paths):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for one in ast.parse(path.read_text(encoding="utf8")).body:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                found.append(f"{module}.{one.name}")
    return found


JOBS = jobs()


def shell(program: str = "any") -> AbstractContextManager[None]:
    return acts_noted(place=SHELL, program=program, os_user="root")


def write_a_row(*_: object, **__: object) -> None:
    """Write into a table that no trigger watches."""
    make.make_gateway_request()


def command_of(name: str) -> BaseCommand:
    """Return a command as `manage.py` fetches it."""
    return NotingUtility(["manage.py", name]).fetch_command(name)


def acts() -> list[tuple[str, str, str]]:
    return list(AdminAct.objects.order_by("pk").values_list("kind", "program", "table"))


def lines_of(program: str) -> list[str]:
    return [kind for kind, by, table in acts() if by == program and not table]


@ROWS
class TestEveryCommand:
    @pytest.mark.slow
    def test_is_told_once_it_writes(self) -> None:
        """Ours, Django's and those of packages: what each of them does is put aside for one row that is written."""
        options = {
            "stdout": StringIO(), "stderr": StringIO(), "no_color": True, "force_color": False, "skip_checks": True,
            "verbosity": 0,
        }  # fmt: skip
        untold, names = [], sorted(get_commands())
        for name in names:
            command = command_of(name)
            with mock.patch.object(command, "handle", write_a_row), mock.patch.dict(os.environ):
                command.execute(**options)
            if lines_of(name) != ["ran", "ended"]:
                untold.append(name)
        assert len(names) > 80
        assert untold == [name for name in names if name in RUNS_NOT_TOLD]

    def test_that_writes_nothing_leaves_no_line(self) -> None:
        for name in ("doors", "check_rollups"):
            call_command(command_of(name), stdout=StringIO())
        assert acts() == []

    def test_is_exempt_with_a_reason_alone(self) -> None:
        known = {*get_commands(), *JOBS}
        assert not [name for name, reason in RUNS_NOT_TOLD.items() if name not in known or len(reason) < 20]


def _add_key(_: Path) -> list[str]:
    make.make_user("owner")
    return ["owner", "--name", "for the build"]


def _retire(_: Path) -> list[str]:
    make.make_deployment("kept")
    make.make_deployment("gone")
    return ["gone"]


def _judged(_: Path) -> list[str]:
    make.make_deployment("new", state=Deployment.State.LABELING)
    return ["new"]


def _forget(_: Path) -> list[str]:
    person = make.make_user("a-name-to-forget")
    make.make_message(make.make_conversation(owner=person), "a text to forget")
    return ["a-name-to-forget", "--yes"]


def _purge(_: Path) -> list[str]:
    now = timezone.now()
    CachedAnswer.objects.create(
        exact_sha256="1", request=make.make_gateway_request(), deployment=make.make_deployment(), text="an answer",
        created_at=now, expires_at=now,
    )  # fmt: skip
    return []


def _withdraw(folder: Path) -> list[str]:
    make.make_intensity(gco2e_per_kwh=360)
    path = write_outcomes(folder / "mine")
    call_command("import_outcomes", str(path), "--name", "mine", stdout=StringIO(), stderr=StringIO())
    return ["mine"]


def _take_back_policy(_: Path) -> list[str]:
    for price in (1.0, 2.0):
        PolicyVersion.objects.create(policy="knn", sci_price=price)
    return ["--rollback"]


def _reset_password_guesses(_: Path) -> list[str]:
    from axes.models import AccessAttempt

    AccessAttempt.objects.create(username="ada", ip_address="203.0.113.7", failures_since_start=5)
    return ["ada"]


COMMANDS: dict[str, tuple[Callable[[Path], list[str]], str]] = {  # and the table of which a line must tell
    "create_key": (_add_key, "router_apikey"),
    "retire_model": (_retire, "benchmarks_deployment"),
    "activate_model": (_judged, "benchmarks_deployment"),
    "take_back_model": (_judged, "benchmarks_deployment"),
    "forget_person": (_forget, ""),
    "purge_cache": (_purge, ""),
    "withdraw_outcomes": (_withdraw, "benchmarks_study"),
    "tune_router": (_take_back_policy, "router_policyversion"),
    "axes_reset_username": (_reset_password_guesses, ""),
}


@ROWS
class TestCommands:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", COMMANDS)
    def test_are_told_by_what_they_change(self, name: str, tmp_path: Path) -> None:
        arrange, table = COMMANDS[name]
        arguments = arrange(tmp_path)
        out = StringIO()
        call_command(command_of(name), *arguments, stdout=out)
        assert lines_of(name) == ["ran", "ended"]
        assert not table or table in {told for _, _, told in acts()}
        told = AdminAct.objects.all()
        assert {(act.place, act.os_user, act.person_id, act.address) for act in told} == {
            (SHELL, os_user(), None, None)
        }
        everything = str(list(told.values()))
        assert not [text for text in ("a text to forget", "a-name-to-forget", "an answer") if text in everything]

    def test_tell_no_key(self) -> None:
        make.make_user("owner")
        out = StringIO()
        call_command(command_of("create_key"), "owner", stdout=out)
        [secret] = [word for word in out.getvalue().split() if word.startswith("gllm-")]
        everything = str(list(AdminAct.objects.values()))
        assert secret not in everything
        assert ApiKey.objects.get().digest not in everything

    def test_tell_how_many_rows_they_wrote(self) -> None:
        call_command(command_of("forget_person"), *_forget(Path()), stdout=StringIO())
        ended = AdminAct.objects.get(kind="ended")
        assert ended.after["router_message"] == "1 deleted"
        assert ended.after["router_conversation"] == "1 deleted"
        assert Conversation.objects.count() == 0

    def test_that_fail_say_so_without_the_words_of_the_error(self) -> None:
        def fail(**_: object) -> None:
            write_a_row()
            raise CommandError("a secret of the error")

        command = command_of("score")
        with mock.patch.object(command, "handle", fail), pytest.raises(CommandError):
            call_command(command, study="any")
        ended = AdminAct.objects.get(kind="ended")
        assert ended.after["failure"] == "CommandError"
        assert "secret" not in str(list(AdminAct.objects.values()))


@ROWS
class TestRuns:
    def test_go_with_what_is_taken_back_and_come_with_the_next(self) -> None:
        with shell():
            with transaction.atomic():
                write_a_row()
                transaction.set_rollback(True)
            assert acts() == []
            write_a_row()
            write_a_row()
            assert acts() == [("ran", "any", "")]

    def test_tell_of_watched_rows_that_are_taken_back_nothing(self) -> None:
        with shell():
            with transaction.atomic():
                make.make_machine("never")
                transaction.set_rollback(True)
            make.make_machine("kept")
        told = AdminAct.objects.get(table="benchmarks_machine")
        assert (told.after["name"], told.place, told.os_user, told.program) == ("kept", SHELL, "root", "any")

    def test_end_with_what_runs(self) -> None:
        with shell():
            write_a_row()
        count = AdminAct.objects.count()
        make.make_machine("made by nobody")
        assert AdminAct.objects.count() == count

    def test_that_bring_rows_by_the_thousand_tell_how_many(self) -> None:
        with shell():
            make.make_intensity("DE")
            make.make_intensity("FR")
            Prompt.objects.filter(pk=make.make_prompt().pk).update(role=Prompt.Role.UNUSED)
        assert not AdminAct.objects.filter(table__in=("benchmarks_prompt", "benchmarks_carbonintensity")).exists()
        told = AdminAct.objects.get(kind="ended").after
        assert told["benchmarks_carbonintensity"] == f"{CarbonIntensity.objects.count()} added"
        assert "1 changed" in told["benchmarks_prompt"]

    def test_before_the_tables_are_there_go_on_untold(self) -> None:
        """So do the migrations of an installation that is new, or of a version before."""
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE greenllm_adminact RENAME COLUMN program TO later")
            with shell("migrate"):
                write_a_row()
            cursor.execute("ALTER TABLE greenllm_adminact RENAME COLUMN later TO program")
        assert acts() == []

    def test_past_the_connection_are_told_by_themselves(self) -> None:
        with shell("restore"):
            note_run("restore")
            note_run("restore")
        assert lines_of("restore") == ["ran", "ended"]
        note_run("another")
        assert lines_of("another") == ["ran", "ended"]

    def test_cannot_be_written_down_without_breaking_what_ended(self, monkeypatch: pytest.MonkeyPatch) -> None:
        from django.db import OperationalError

        def away(*_: object, **__: object) -> None:
            raise OperationalError("away")

        with shell():
            write_a_row()
            monkeypatch.setattr(AdminAct.objects, "create", away)
        monkeypatch.undo()
        assert lines_of("any") == ["ran"]


class TestOsUser:
    def test_is_whom_the_system_knows_whatever_the_environment_says(self, monkeypatch: pytest.MonkeyPatch) -> None:
        name = pwd.getpwuid(os.getuid()).pw_name
        for variable in ("USER", "LOGNAME"):
            monkeypatch.setenv(variable, "somebody else")
        monkeypatch.delenv("SUDO_USER", raising=False)
        assert os_user() == name
        monkeypatch.setenv("SUDO_USER", "ada")
        assert os_user() == f"{name} (sudo by ada)"

    def test_without_a_name_is_a_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("SUDO_USER", raising=False)
        monkeypatch.setattr(programs.pwd, "getpwuid", mock.Mock(side_effect=KeyError))
        assert os_user() == f"uid {os.getuid()}"


@ROWS
class TestEveryJob:
    def test_of_the_settings_is_one_of_them(self) -> None:
        assert {*django_settings.PERIODIC_JOBS, *django_settings.JOBS_AFTER_A_STUDY} <= set(JOBS)

    @pytest.mark.parametrize("name", JOBS)
    def test_is_told_once_it_writes(self, name: str) -> None:
        assert callable(import_string(name))
        with noting_job(name):
            write_a_row()
            make.make_machine()
        expected = [] if name in RUNS_NOT_TOLD else ["ran", "ended"]
        assert lines_of(name) == expected
        assert AdminAct.objects.get(table="benchmarks_machine").doer == f"worker: {name.rpartition('.')[2]}"


@pytest.mark.slow
class TestCommitted:
    """With a connection that keeps what it was told, as commands and workers have one."""

    pytestmark = EVERY_APP

    def test_of_a_job_are_the_worker_s_while_it_goes_on(self) -> None:
        with shell("work"):
            make.make_machine("one")
            with noting_job("a.job"):
                make.make_machine("two")
            make.make_machine("three")
        told = AdminAct.objects.filter(table="benchmarks_machine").order_by("pk")
        assert [(act.place, act.program, act.after["name"]) for act in told] == [
            (SHELL, "work", "one"), (WORKER, "a.job", "two"), (SHELL, "work", "three"),
        ]  # fmt: skip

    def test_count_what_was_committed_alone(self) -> None:
        with shell():
            with transaction.atomic():
                write_a_row()
                transaction.set_rollback(True)
            assert acts() == []
            for _ in range(3):
                write_a_row()
            with transaction.atomic():
                write_a_row()
            with transaction.atomic():
                write_a_row()
                transaction.set_rollback(True)
        assert acts() == [("ran", "any", ""), ("ended", "any", "")]
        assert AdminAct.objects.get(kind="ended").after == {"router_gatewayrequest": "4 added"}

    def test_where_a_connection_is_another_one_go_on(self) -> None:
        with shell():
            make.make_machine("one")
            connection.close()
            make.make_machine("two")
        assert AdminAct.objects.filter(table="benchmarks_machine").count() == 2


@pytest.mark.slow
class TestWorker:
    pytestmark = EVERY_APP

    @pytest.fixture
    def machine(self, settings: Settings) -> Iterator[Machine]:
        settings.MACHINE_NAME = f"test-acts-{os.getpid()}"
        machine = make.make_machine(settings.MACHINE_NAME)
        queue_of(machine).empty()  # type: ignore[no-untyped-call]  # rq leaves it without types
        yield machine
        queue_of(machine).empty()  # type: ignore[no-untyped-call]

    def test_tells_what_its_jobs_change_and_nothing_where_there_is_nothing(
        self, machine: Machine, settings: Settings
    ) -> None:
        settings.KEEP_CHAT_DAYS = 1
        old = timezone.now() - timedelta(days=2)
        make.make_message(make.make_conversation(owner=make.make_user(), updated_at=old), "a text whose time is over")
        queue = queue_of(machine)
        name = "router.erasing_jobs.erase_texts_of_requests"
        for _ in range(2):
            queue.enqueue(name)
        MachineWorker([queue], connection=queue.connection).work(burst=True, logging_level="ERROR")
        assert Conversation.objects.count() == 0
        assert acts() == [("ran", name, ""), ("ended", name, "")]
        act = AdminAct.objects.get(kind="ended")
        assert (act.place, act.doer) == (WORKER, "worker: erase_texts_of_requests")
        assert act.after["router_conversation"] == "1 deleted"


@ROWS
class TestActivatedByAJob:
    def test_says_which_job_changed_the_state_of_a_model(self) -> None:
        deployment = make.make_deployment(state="labeling")
        with noting_job("router.lifecycle_jobs.advance_models"):
            Deployment.objects.filter(pk=deployment.pk).update(state="active")
        act = AdminAct.objects.get(table="benchmarks_deployment")
        assert (act.before, act.after, act.place) == ({"state": "labeling"}, {"state": "active"}, WORKER)


class TestWrittenBy:
    @pytest.mark.parametrize(
        ("sql", "written"),
        [
            ('INSERT INTO "a_b" ("c") VALUES (1)', ("INSERT", "a_b")),
            ("\n  update only a set b = 1", ("UPDATE", "a")),
            ('DELETE FROM "a" WHERE 1 = 1', ("DELETE", "a")),
            ("WITH x AS (SELECT 1 FROM a FOR UPDATE OF a) UPDATE b SET c = 1", ("UPDATE", "b")),
            ("WITH x AS (DELETE FROM a RETURNING 1) SELECT * FROM x", ("DELETE", "a")),
            ("INSERT INTO a SELECT 1 ON CONFLICT DO UPDATE SET b = 1", ("INSERT", "a")),
            ("SELECT 1 FROM a FOR UPDATE", None),
            ("WITH x AS (SELECT 1 FROM a FOR NO KEY UPDATE OF a) SELECT 1", None),
            ("WITH x AS (SELECT 'INSERT') SELECT 1", None),
            ("SAVEPOINT a", None),
        ],
    )
    def test_is_the_table(self, sql: str, written: tuple[str, str] | None) -> None:
        assert written_by(sql) == written


@ROWS
class TestPage:
    @pytest.mark.slow
    def test_shows_and_narrows_by_the_place(self, client: Any) -> None:
        admin = make.make_user("ada")
        grant_role(user=admin, role=Role.ADMIN)
        client.force_login(admin)
        client.post("/account/people/add/", {"username": "new"})
        with shell("retire_model"):
            make.make_machine("made at the shell")
        with noting_job("router.erasing_jobs.erase_texts_of_requests"):
            write_a_row()
        everything = client.get("/account/acts/").content.decode()
        for words in ("Added person", "shell: root", "Added machine", "by <code>retire_model</code>",
                      "worker: erase_texts_of_requests", "Ran", "Ended", "1 added"):  # fmt: skip
            assert words in everything
        at_shell = client.get("/account/acts/?place=shell").content.decode()
        assert "shell: root" in at_shell
        assert "worker: erase" not in at_shell
        assert "Added person" not in at_shell
        assert "shell: root" not in client.get("/account/acts/?place=page").content.decode()
        assert "worker: erase" in client.get("/account/acts/?name=erasing").content.decode()
        assert client.get("/account/acts/?place=moon").status_code == 400
        lines = client.get("/account/acts.csv?place=worker").content.decode().splitlines()
        assert lines[0].endswith(",where,OS user,program")
        assert [line.rpartition(",")[2] for line in lines[1:]] == ["router.erasing_jobs.erase_texts_of_requests"] * 2
