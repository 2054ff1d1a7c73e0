"""The command that applies a federation file: what it shows, asks and does."""

import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from benchmarks.inference.scripted import ScriptedModel, ScriptedOllama
from benchmarks.models import Deployment
from tests.factories import make_deployment

pytestmark = pytest.mark.django_db


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "federation.toml"
    with ScriptedOllama([ScriptedModel("tiny:1b")], answers={}) as server:
        path.write_text(
            f'[[servers]]\nname = "lab"\nurl = "{server.base_url}"\n'
            '[[models]]\nname = "tiny:1b"\nserver = "lab"\nstate = "active"\n',
            encoding="utf8",
        )
        yield path


def run(file: Path, *options: str) -> str:
    out = StringIO()
    call_command("apply_federation", str(file), *options, stdout=out)
    return out.getvalue()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    return monkeypatch


class TestApplyFederation:
    def test_shows_the_plan_and_applies_it(self, file: Path) -> None:
        said = run(file, "--yes")

        assert "add tiny:1b on lab, active" in said
        assert "2 changes applied" in said
        assert Deployment.objects.get().state == Deployment.State.ACTIVE

    def test_changes_nothing_the_second_time(self, file: Path) -> None:
        run(file, "--yes")

        assert "Nothing to change" in run(file)

    def test_only_shows_the_plan_in_a_dry_run(self, file: Path) -> None:
        assert "add tiny:1b on lab" in run(file, "--dry-run", "--yes")
        assert not Deployment.objects.exists()

    def test_asks_on_a_terminal(self, file: Path, terminal: pytest.MonkeyPatch) -> None:
        terminal.setattr("builtins.input", lambda: "y")

        assert "[y/N]" in run(file)
        assert Deployment.objects.exists()

    def test_takes_any_other_answer_for_no(self, file: Path, terminal: pytest.MonkeyPatch) -> None:
        terminal.setattr("builtins.input", lambda: "")

        with pytest.raises(CommandError, match="Nothing was changed"):
            run(file)
        assert not Deployment.objects.exists()

    def test_does_not_ask_where_nobody_is(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)

        with pytest.raises(CommandError, match="--yes"):
            run(file)
        assert not Deployment.objects.exists()

    def test_retires_what_is_missing_when_told(self, file: Path) -> None:
        old = make_deployment("old")

        assert f"kept (--retire-missing retires them): {old}" in run(file, "--dry-run")
        run(file, "--yes", "--retire-missing")
        old.refresh_from_db()
        assert old.state == Deployment.State.RETIRED

    def test_tells_mistakes_in_words(self, tmp_path: Path) -> None:
        path = tmp_path / "federation.toml"
        path.write_text('[[servers]]\nname = "lab"\n', encoding="utf8")

        with pytest.raises(CommandError, match=r"line 1, servers\.url: it is missing"):
            run(path, "--yes")
