"""Grading with what a machine may lack or take long for: sandbox and databases."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from benchmarks.models import Study
from labeling import wiring
from labeling.grading import Grader, Suggestion, all_graders
from labeling.models import Grade, Label
from labeling.sandbox import SandboxResult
from labeling.suggesting import Suggested, accept_suggestions, acceptable_in, suggest
from tests.factories import make_deployment, make_prompt, make_response, make_study
from tests.labeling.queues import make_rule
from tests.labeling.sandboxes import RecordingSandbox, no_sandbox, real_sandbox

DOUBLE = "def double(x):\n    return 2 * x"
ASSERTS = {"kind": "python_asserts", "tests": ["assert double(2) == 4"], "entry_point": "double"}


def answered(text: str, checks: dict[str, Any], study: Study | None = None, **prompt: Any) -> Study:
    study = study or make_study()
    make_response(make_prompt(checks=checks, **prompt), make_deployment(f"m-{text[:20]!r}"), study=study, text=text)
    return study


def graders(folder: Path, sandbox: Any = no_sandbox) -> Mapping[str, Grader]:
    return all_graders(find_sandbox=sandbox, databases_dir=folder)


@pytest.mark.django_db
class TestSuggest:
    @pytest.mark.slow
    def test_grades_every_kind_of_check(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "clubs.sqlite")) as database:
            database.executescript("CREATE TABLE club (id); INSERT INTO club VALUES (1)")
        sandbox = real_sandbox()
        study = answered("#### 7", {"kind": "number", "value": 7})
        answered(DOUBLE, ASSERTS, study)
        answered("A lawyer", {"kind": "answer_list", "answers": ["Lawyer"]}, study)
        answered("SELECT 1", {"kind": "sql_execution", "database": "clubs", "gold": "SELECT id FROM club"}, study)
        answered("The cat sat.", {"kind": "translation"}, study, reference="The cat sat.")

        assert suggest(study=study, graders=graders(tmp_path, lambda: sandbox)) == Suggested(5, 0)

        found = Grade.objects.order_by("pk").values_list("grader", "grader_version", "verdict", "score")
        assert list(found) == [
            ("number", 1, "correct", 1.0),
            ("python_asserts", 1, "correct", 1.0),
            ("answer_list", 1, "correct", 1.0),
            ("sql_execution", 1, "correct", 1.0),
            ("translation", 1, "unsure", 1.0),
        ]
        assert all(grade.reason and grade.extracted and grade.duration_ms > 0 for grade in Grade.objects.all())

    def test_keeps_nothing_of_what_this_machine_cannot_grade_and_grades_it_later(self, tmp_path: Path) -> None:
        study = answered(DOUBLE, ASSERTS)

        first = suggest(study=study, graders=graders(tmp_path))
        assert first == Suggested(graded_count=0, ungradable_count=0, postponed_count=1)
        assert list(first.reasons) == ["not graded: no sandbox (bubblewrap is not installed)"]
        assert not Grade.objects.exists()

        assert suggest(study=study, graders=graders(tmp_path, RecordingSandbox)).graded_count == 1
        assert Grade.objects.get().verdict == "correct"

    def test_says_why_it_left_answers_to_people(self, tmp_path: Path) -> None:
        study = answered("a", {})
        answered("b", {"kind": "poetry"}, study)
        answered("c", {"kind": "python_asserts", "tests": []}, study)
        answered("d", {"kind": "poetry"}, study)

        found = suggest(study=study, graders=graders(tmp_path))

        assert found == Suggested(0, 4)
        assert found.reasons == {
            "the prompt has no check": 1,
            "no grader for checks of kind 'poetry'": 2,
            "a check of kind 'python_asserts' needs a list of asserts in 'tests'": 1,
        }

    def test_stores_evidence_that_postgres_cannot_hold_as_it_is(self) -> None:
        class Odd:
            name, version = "odd", 1

            def grade(self, **_: Any) -> Suggestion:
                return Suggestion("unsure", "a\x00b\ud800", None, {"rows": [[float("inf"), "\x00", ("\udfff", 1)]]})

        suggest(study=answered("x", {"kind": "odd"}), graders={"odd": Odd()})

        grade = Grade.objects.get()
        assert (grade.reason, grade.extracted) == ("a\ufffdb?", {"rows": [["inf", "\ufffd", ["?", 1]]]})

    def test_stores_what_was_graded_before_a_grader_failed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        class Failing:
            name, version = "failing", 1

            def grade(self, *, answer: str, **_: Any) -> Suggestion:
                if answer == "bad":
                    raise RuntimeError("a bug")
                return Suggestion("correct", "good", 1.0)

        monkeypatch.setattr("labeling.suggesting._BATCH_SIZE", 1)
        study = answered("good", {"kind": "failing"})
        answered("bad", {"kind": "failing"}, study)

        with pytest.raises(RuntimeError, match="a bug"):
            suggest(study=study, graders={"failing": Failing()})
        assert Grade.objects.get().reason == "good"

    def test_lets_an_unsure_newest_grade_outweigh_an_older_one(self) -> None:
        study = answered("7", {"kind": "number", "value": 7})
        suggest(study=study)
        old = Grade.objects.get()
        make_rule(old.response.prompt.category.name, grades_count=True)
        assert acceptable_in(study=study).count == 1
        Grade.objects.create(
            response=old.response, grader="number", grader_version=2, verdict="unsure", reason="test", duration_ms=1
        )

        assert accept_suggestions(study=study) == 0


@pytest.mark.django_db(transaction=True)
class TestSuggestOutsideOfTests:
    def test_holds_no_transaction_while_a_program_runs(self, tmp_path: Path) -> None:
        class Watching(RecordingSandbox):
            in_transaction: list[bool] = []

            def run(self, code: str, *, timeout_s: float, memory_bytes: int) -> SandboxResult:
                self.in_transaction.append(connection.in_atomic_block or not connection.get_autocommit())
                return super().run(code, timeout_s=timeout_s, memory_bytes=memory_bytes)

        suggest(study=answered(DOUBLE, ASSERTS), graders=graders(tmp_path, Watching))

        assert Watching.in_transaction == [False]


@pytest.mark.django_db
class TestGradeCommand:
    def test_says_what_this_machine_could_not_grade(
        self, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings.VAR_DIR = tmp_path
        study = answered("SELECT 1", {"kind": "sql_execution", "database": "clubs", "gold": "SELECT 1"})

        make_rule("math", grades_count=True)

        call_command("grade", study=study.name, accept=True)

        assert "1 answers: not graded: there is no database clubs.sqlite" in capsys.readouterr().err
        assert not Label.objects.exists()

    def test_uses_the_databases_of_this_installation(self, settings: Settings, tmp_path: Path) -> None:
        settings.VAR_DIR = tmp_path
        (tmp_path / "databases" / "petsql").mkdir(parents=True)
        with closing(sqlite3.connect(tmp_path / "databases" / "petsql" / "clubs.sqlite")) as database:
            database.executescript("CREATE TABLE club (id)")
        study = answered("SELECT 1", {"kind": "sql_execution", "database": "clubs", "gold": "SELECT 1"})

        call_command("grade", study=study.name)

        assert Grade.objects.get().verdict == "correct"

    def test_uses_the_sandbox_of_this_machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sandbox = RecordingSandbox()
        monkeypatch.setattr(wiring, "choose_sandbox", lambda *, allow_weak: sandbox)
        wiring._found_sandbox.cache_clear()
        study = answered(DOUBLE, ASSERTS)

        try:
            call_command("grade", study=study.name)
        finally:
            wiring._found_sandbox.cache_clear()

        assert Grade.objects.get().extracted["sandbox"] == "recording"
        assert len(sandbox.programs) == 1
