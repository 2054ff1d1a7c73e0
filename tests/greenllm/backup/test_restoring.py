"""Backup and restore: into an empty database beside the original, and what is refused without changing anything."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import numpy as np
import psycopg
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from greenllm.backup.archive import DATABASE, MANIFEST, SETTINGS, open_archive
from greenllm.backup.carried import CARRIED, LEFT_BEHIND
from router.index import IndexStoreError, VectorStore
from router.models import PromptIndex
from tests import factories as make
from tests.environment import ROOT
from tests.greenllm.backup.archives import rewritten, stated, write_archive

pytestmark = pytest.mark.slow  # Postgres dumps and loads a whole database
COMMITTED = pytest.mark.django_db(transaction=True)
_NAME = "restored_beside"


def address(name: str) -> str:
    return f"postgresql://greenllm@/{quote(str(settings.EMBEDDED.postgres_socket_dir))}/{name}"


def connect(name: str) -> "psycopg.Connection[tuple[object, ...]]":
    host = str(settings.EMBEDDED.postgres_socket_dir)
    return psycopg.connect(host=host, user="greenllm", dbname=name, autocommit=True)


@pytest.fixture
def beside(services: object) -> Iterator[str]:
    """An empty database beside that of the tests."""
    with connect("postgres") as session:
        session.execute(f"DROP DATABASE IF EXISTS {_NAME} WITH (FORCE)")
        session.execute(f"CREATE DATABASE {_NAME}")
    yield _NAME
    with connect("postgres") as session:
        session.execute(f"DROP DATABASE {_NAME} WITH (FORCE)")


@pytest.fixture
def migrated(beside: str, transactional_db: None) -> str:
    """The database beside with all tables: a copy of that of the tests, for the migrations take long.

    They run where anything is still connected to that one, which no database is copied with.
    """
    own = connection.settings_dict["NAME"]
    connection.close()
    with connect("postgres") as session:
        session.execute(f"DROP DATABASE {beside}")
        try:
            session.execute(f"CREATE DATABASE {beside} TEMPLATE {own}")
        except psycopg.errors.ObjectInUse:
            session.execute(f"CREATE DATABASE {beside}")
            assert manage("migrate", database=beside).returncode == 0
    return beside


@pytest.fixture(autouse=True)
def _no_chroma(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Backups find no Chroma, whatever other tests run in this process."""
    store = VectorStore(chroma_url="http://127.0.0.1:1", cache_dir=tmp_path / "index", exact_limit=1000)
    for command in ("backup", "restore"):
        monkeypatch.setattr(f"greenllm.management.commands.{command}.vector_store", lambda: store)


def manage(*arguments: str, database: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), *arguments],
        env={**os.environ, "DATABASE_URL": address(database)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def but_that_it_ran(rows: dict[str, object]) -> dict[str, object]:
    """Return rows without the two lines that tell of the restore itself."""
    [told] = cast(tuple[list[str]], rows["greenllm_adminact"])
    left = [one for one in told if not one.endswith(",restore)")]
    assert len(told) - len(left) == 2
    return {**rows, "greenllm_adminact": (left or None,)}


def rows_of(name: str) -> dict[str, object]:
    """Return every row of every table that GreenLLM has, as text."""
    with connect(name) as session:
        found = session.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").fetchall()
        tables = [str(table) for (table,) in found if table != "django_session"]
        return {
            table: session.execute(
                f"SELECT array_agg(row_text ORDER BY row_text) FROM (SELECT t::text AS row_text FROM {table} AS t) AS r"
            ).fetchone()
            for table in tables
        }


def make_installation() -> None:
    """Make rows of each room: an answer with its energy, a verdict, a request, a conversation."""
    response = make.make_response(make.make_prompt("Wörter ☂ und 'Zitate'"), make.make_deployment(), verdict="correct")
    request = make.make_gateway_request(prompt_text="how\tmany\nlines\\")
    make.make_decision(request=request, chosen=response.deployment, candidates=[{"model": "tiny"}])
    make.make_message(make.make_conversation(owner=make.make_user("ada")))


def make_backup(tmp_path: Path) -> Path:
    path = tmp_path / "all.backup"
    call_command("backup", str(path))
    return path


@COMMITTED
class TestBackup:
    def test_is_restored_row_by_row_while_the_original_goes_on(self, tmp_path: Path, beside: str) -> None:
        make_installation()
        path = make_backup(tmp_path)
        kept = rows_of(connection.settings_dict["NAME"])
        make.make_gateway_request()
        run = manage("restore", str(path), database=beside)
        assert run.returncode == 0, run.stderr
        assert but_that_it_ran(rows_of(beside)) == kept
        assert "Restored" in run.stdout
        assert "No index had been built. Build an index" in run.stdout

    def test_restored_tables_count_on_and_keep_their_triggers(self, tmp_path: Path, beside: str) -> None:
        make_installation()
        manage("restore", str(make_backup(tmp_path)), database=beside)
        with connect(beside) as session:
            session.execute("UPDATE benchmarks_response SET state = 'cancelled'")
            session.execute("INSERT INTO benchmarks_category (name, title) VALUES ('more', '')")
        run = manage("check_rollups", database=beside)
        assert run.returncode == 0, run.stderr + run.stdout

    def test_is_private_and_holds_no_secret(self, tmp_path: Path) -> None:
        make_installation()
        path = make_backup(tmp_path)
        assert path.stat().st_mode & 0o777 == 0o600
        with zipfile.ZipFile(path) as archive:
            assert sorted(archive.namelist()) == sorted([DATABASE, MANIFEST, SETTINGS])
            kept = json.loads(archive.read(SETTINGS))
            assert settings.SECRET_KEY not in archive.read(SETTINGS).decode()
            manifest = json.loads(archive.read(MANIFEST))
        assert kept["GREENLLM_MACHINE"] == "test"
        assert manifest["row_counts"]["benchmarks_response"] == 1
        assert "django_session" not in manifest["row_counts"]

    @pytest.mark.parametrize(
        ("pages", "told"),
        [
            pytest.param([([1], np.ones((1, 3))), IndexStoreError("Chroma is away.")], "Chroma is away.", id="away"),
            pytest.param([([1], np.ones((1, 3)))], "Chroma holds 1 of 2.", id="too few"),
            pytest.param([([1, 2], np.ones((2, 5)))], "vectors of 5 numbers, not of 3.", id="of another model"),
        ],
    )
    def test_goes_without_vectors_where_chroma_fails_on_the_way(
        self, tmp_path: Path, pages: list[Any], told: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        embedder = make.make_deployment("embedder").language_model
        PromptIndex.objects.create(state="current", embedder=embedder, prompt_count=2, dimension=3)

        def failing(_store: VectorStore, _name: str) -> Iterator[Any]:
            for page in pages:
                if isinstance(page, Exception):
                    raise page
                yield page

        monkeypatch.setattr(VectorStore, "pages", failing)
        path = make_backup(tmp_path)
        with path.open("rb") as file:
            manifest = open_archive(file).manifest
        assert manifest.index is None
        assert manifest.index_note.startswith("The vectors of the index were left out: ")
        assert manifest.index_note.endswith(told)
        assert [one.name for one in tmp_path.glob("*.backup*")] == ["all.backup"]

    def test_leaves_a_file_that_is_there_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "all.backup"
        path.write_text("precious")
        with pytest.raises(CommandError, match="exists already"):
            call_command("backup", str(path))
        assert path.read_text() == "precious"

    def test_leaves_nothing_behind_where_it_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("greenllm.backup.postgres.binaries", lambda: tmp_path)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(CommandError, match="pg_dump is not here"):
            call_command("backup", str(tmp_path / "all.backup"))
        assert list(tmp_path.glob("all*")) == []


@COMMITTED
class TestRestore:
    def test_refuses_a_database_that_is_not_empty(self, tmp_path: Path) -> None:
        make_installation()
        path = make_backup(tmp_path)
        make.make_gateway_request()
        before = rows_of(connection.settings_dict["NAME"])
        with pytest.raises(CommandError, match=r"The database is not empty: it has \d+ tables.*--replace"):
            call_command("restore", str(path))
        assert rows_of(connection.settings_dict["NAME"]) == before

    def test_replaces_where_it_is_told_to(self, tmp_path: Path, migrated: str) -> None:
        make_installation()
        path = make_backup(tmp_path)
        kept = rows_of(connection.settings_dict["NAME"])
        with connect(migrated) as session:
            session.execute("INSERT INTO benchmarks_category (name, title) VALUES ('gone', '')")
        run = manage("restore", str(path), "--replace", database=migrated)
        assert run.returncode == 0, run.stderr
        assert but_that_it_ran(rows_of(migrated)) == kept

    def test_refuses_while_somebody_uses_the_database(self, tmp_path: Path, beside: str) -> None:
        make_installation()
        path = make_backup(tmp_path)
        with connect(beside):
            run = manage("restore", str(path), database=beside)
        assert run.returncode == 1
        assert "1 other sessions use the database. Stop the web processes and workers" in run.stderr
        assert rows_of(beside) == {}

    @pytest.mark.parametrize("place", ["beside", "migrated"])
    def test_changes_nothing_where_the_dump_breaks(
        self, tmp_path: Path, place: str, request: pytest.FixtureRequest
    ) -> None:
        database = request.getfixturevalue(place)
        make_installation()
        with zipfile.ZipFile(make_backup(tmp_path)) as archive:
            dump = archive.read(DATABASE)
        half = write_archive(tmp_path / "half.backup", database=dump[: len(dump) * 2 // 3])
        before = rows_of(database)
        run = manage("restore", str(half), *(["--replace"] if before else []), database=database)
        assert run.returncode == 1
        assert "pg_restore refused" in run.stderr
        assert rows_of(database) == before

    def test_changes_nothing_where_rows_are_missing(self, tmp_path: Path, beside: str) -> None:
        make_installation()
        path = rewritten(make_backup(tmp_path), change=stated(row_counts={"greenllm_user": 7}))
        run = manage("restore", str(path), database=beside)
        assert run.returncode == 1
        assert "rows of greenllm_user: not 7" in run.stderr
        assert rows_of(beside) == {}

    @pytest.mark.parametrize(
        ("facts", "told"),
        [
            ({"migrations": ("router.0001_decisions", "router.9999_later")}, "a newer GreenLLM .* router.9999_later"),
            ({"postgres_version": 990000}, "The backup is of Postgres 99"),
        ],
    )
    def test_refuses_what_is_newer(self, tmp_path: Path, facts: dict[str, object], told: str) -> None:
        before = rows_of(connection.settings_dict["NAME"])
        path = write_archive(tmp_path / "newer.backup", **facts)
        with pytest.raises(CommandError, match=told):
            call_command("restore", str(path), "--replace")
        assert rows_of(connection.settings_dict["NAME"]) == before

    def test_refuses_what_is_damaged(self, tmp_path: Path) -> None:
        before = rows_of(connection.settings_dict["NAME"])
        path = tmp_path / "cut.backup"
        path.write_bytes(write_archive(path).read_bytes()[:-30])
        with pytest.raises(CommandError, match="cut short"):
            call_command("restore", str(path), "--replace")
        with pytest.raises(CommandError, match="cannot be read: No such file"):
            call_command("restore", str(tmp_path / "absent.backup"), "--replace")
        assert rows_of(connection.settings_dict["NAME"]) == before


class TestCarriedSettings:
    def test_every_documented_setting_is_carried_or_left_behind_on_purpose(self) -> None:
        text = (ROOT / "docs" / "settings.md").read_text(encoding="utf8")
        cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
        documented = {name for cell in cells for name in re.findall(r"`([A-Z_]+)`", cell)}
        assert documented == set(CARRIED) | LEFT_BEHIND
        assert not set(CARRIED) & LEFT_BEHIND
