"""Bring the SQLite databases that the checks of a data set run on into a folder of ours: all of them, or none."""

import filecmp
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_SUFFIX = ".sqlite"
_MAX_SHOWN = 20


class DatabaseFileError(ValueError):
    """A database is missing or cannot be used; nothing was imported."""

    def __init__(self, folder: Path, problems: list[str]) -> None:
        shown = "\n".join(f"  {problem}" for problem in problems[:_MAX_SHOWN])
        more = f"\n  and {len(problems) - _MAX_SHOWN} more" if len(problems) > _MAX_SHOWN else ""
        super().__init__(f"{folder}: nothing was imported, because of\n{shown}{more}")


@dataclass(frozen=True)
class NeededDatabase:
    """The tables that a database must have, and the position of the first prompt whose check runs on it."""

    tables: frozenset[str]
    first_position: int


@dataclass(frozen=True)
class StagedDatabases:
    """Checked copies beside their target folder, not yet in it."""

    staging: Path
    target: Path
    new: tuple[str, ...]
    known_count: int

    def install(self) -> None:
        """Move every copy to its place; each appears there whole.

        Raises:
            DatabaseFileError: the target folder cannot be written.
        """
        try:
            self.target.mkdir(exist_ok=True)
            for name in self.new:
                (self.staging / f"{name}{_SUFFIX}").replace(self.target / f"{name}{_SUFFIX}")
        except OSError as error:
            raise DatabaseFileError(self.target, [f"the folder cannot be written ({error.strerror})"]) from error


@contextmanager
def staged_databases(*, needed: Mapping[str, NeededDatabase], source: Path, target: Path) -> Iterator[StagedDatabases]:
    """Copy the databases that `target` lacks to a folder beside it, check every copy, and clear up at the end.

    `source` holds `name.sqlite` or, as Spider is published, `name/name.sqlite`.

    Raises:
        DatabaseFileError: one is missing, is no sound SQLite file, lacks a table, or differs from the one in `target`.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
        staging = Path(folder)
        problems: list[str] = []
        new: list[str] = []
        for name, wanted in needed.items():
            kept = target / f"{name}{_SUFFIX}"
            copy = staging / f"{name}{_SUFFIX}"
            problem = _copy_problem(name, source, copy) or _use_problem(copy, wanted.tables)
            if problem:
                first = f"; the first prompt that needs it is {wanted.first_position} (see --limit)"
                problems.append(f"{name}{_SUFFIX}: {problem}{first}")
            elif not kept.exists():
                new.append(name)
            elif not filecmp.cmp(copy, kept, shallow=False):
                problems.append(f"{name}{_SUFFIX}: {kept} is another database; remove it to replace it")
        if problems:
            raise DatabaseFileError(source, problems)
        yield StagedDatabases(staging, target, tuple(new), len(needed) - len(new))


def _copy_problem(name: str, source: Path, copy: Path) -> str:
    """Copy a database; say why that cannot be, empty where it was."""
    for path in (source / f"{name}{_SUFFIX}", source / name / f"{name}{_SUFFIX}"):
        if path.is_file():
            try:
                shutil.copyfile(path, copy)
            except OSError as error:
                return f"it cannot be copied ({error.strerror})"
            return ""
    return "it is missing"


def _use_problem(path: Path, tables: Set[str]) -> str:
    """Say why a database cannot be used, empty where it can."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if state != "ok":
                return f"it is damaged ({state})"
            rows = database.execute("SELECT lower(name) FROM sqlite_master WHERE type IN ('table', 'view')").fetchall()
    except sqlite3.DatabaseError as error:
        return f"it cannot be opened ({error})"
    there = {name for (name,) in rows}
    lacking = sorted(table for table in tables if table.lower() not in there)
    return f"it has no table {', '.join(lacking)}" if lacking else ""
