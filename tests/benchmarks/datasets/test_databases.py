import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.datasets.databases import DatabaseFileError, NeededDatabase, staged_databases

NEEDED = {"fleet": NeededDatabase(frozenset({"Boat", "Crew"}), 1), "yard": NeededDatabase(frozenset({"Dock"}), 4)}


def make_database(path: Path, *tables: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database:
        for table in tables:
            database.execute(f"CREATE TABLE {table}(id INTEGER, name TEXT)")
            database.executemany(f"INSERT INTO {table} VALUES (?, ?)", [(n, "x" * 100) for n in range(500)])
        database.commit()
    return path


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_database(tmp_path / "source" / "fleet.sqlite", "boat", "crew", "cargo")
    make_database(tmp_path / "source" / "yard" / "yard.sqlite", "dock")
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "var" / "petsql"


def install(source: Path, target: Path) -> tuple[int, int]:
    with staged_databases(needed=NEEDED, source=source, target=target) as staged:
        staged.install()
    return len(staged.new), staged.known_count


def refusal(source: Path, target: Path) -> str:
    with pytest.raises(DatabaseFileError) as caught:
        install(source, target)
    return str(caught.value)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []


class TestStagedDatabases:
    def test_copy_from_a_folder_or_a_folder_each(self, source: Path, target: Path) -> None:
        assert install(source, target) == (2, 0)

        assert (target / "fleet.sqlite").read_bytes() == (source / "fleet.sqlite").read_bytes()
        assert files(target.parent) == ["petsql", "petsql/fleet.sqlite", "petsql/yard.sqlite"]

    def test_leave_alone_what_is_there(self, source: Path, target: Path) -> None:
        install(source, target)

        assert install(source, target) == (0, 2)

    def test_show_nothing_before_they_are_installed(self, source: Path, target: Path) -> None:
        with staged_databases(needed=NEEDED, source=source, target=target):
            assert files(target) == []

        assert files(target.parent) == []

    def test_name_every_missing_file_and_where_it_is_needed(self, source: Path, target: Path) -> None:
        (source / "fleet.sqlite").unlink()
        (source / "yard" / "yard.sqlite").unlink()

        said = refusal(source, target)

        assert "fleet.sqlite: it is missing; the first prompt that needs it is 1 (see --limit)" in said
        assert "yard.sqlite: it is missing; the first prompt that needs it is 4 (see --limit)" in said

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            pytest.param(b"CREATE TABLE dock(id);" * 100, "it cannot be opened (file is not a database)", id="text"),
            pytest.param(b"", "it has no table Dock", id="empty file"),
        ],
    )
    def test_refuse_what_is_no_database(self, source: Path, target: Path, content: bytes, said: str) -> None:
        (source / "yard" / "yard.sqlite").write_bytes(content)

        assert said in refusal(source, target)
        assert files(target.parent) == []

    def test_refuse_a_truncated_database(self, source: Path, target: Path) -> None:
        path = source / "yard" / "yard.sqlite"
        path.write_bytes(path.read_bytes()[:20_000])

        assert "yard.sqlite: it " in refusal(source, target)
        assert files(target.parent) == []

    def test_refuse_a_database_without_a_table_of_the_prompts(self, source: Path, target: Path) -> None:
        path = source / "yard" / "yard.sqlite"
        path.unlink()
        make_database(path, "crane")

        assert "yard.sqlite: it has no table Dock; the first prompt that needs it is 4" in refusal(source, target)

    def test_never_replace_another_database(self, source: Path, target: Path) -> None:
        mine = make_database(target / "yard.sqlite", "dock", "mine").read_bytes()

        assert f"{target / 'yard.sqlite'} is another database; remove it" in refusal(source, target)
        assert (target / "yard.sqlite").read_bytes() == mine
        assert files(target) == ["yard.sqlite"]
