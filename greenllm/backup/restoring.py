"""Restore a backup: everything is checked before anything is changed, and the rows come whole or not at all."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from benchmarks.models import Study
from greenllm.backup.archive import (
    DATABASE,
    INDEX,
    Archive,
    BackupError,
    IndexFacts,
    Manifest,
    open_archive,
    vector_row,
)
from greenllm.backup.carried import differing_settings
from greenllm.backup.postgres import load, server_version
from router.index import IndexStoreError, VectorStore
from router.models import PromptIndex

_SERIES = 10_000  # of Postgres: 180006 is 18.6
_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
# other sessions were looked for, and one that comes all the same shall not be waited for without end
_EMPTIED = "SET LOCAL lock_timeout = '10s'; DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
_COUNT_CHECK = """DO $check$ BEGIN
IF (SELECT count(*) FROM {table}) <> {count} THEN RAISE EXCEPTION 'rows of %: not {count}', {name}; END IF;
END $check$;"""


@dataclass(frozen=True)
class Restored:
    """What came of a restore: the manifest, and what its reader should know or do."""

    manifest: Manifest
    notes: tuple[str, ...]


def restore_backup(
    *,
    path: Path,
    store: VectorStore,
    scratch_dir: Path,
    is_replacing: bool = False,
    tell: Callable[[str], object],
) -> Restored:
    """Restore a backup into the database of the settings, bring it up to this version, and fill Chroma.

    Args:
        path: the archive.
        store: where the vectors go.
        scratch_dir: a folder with room for the vectors.
        is_replacing: throw away what the database holds; else only an empty one is taken.
        tell: hears what is done.

    Raises:
        BackupError: the archive is damaged, foreign or newer, the database is not empty, or somebody uses it; nothing
            was changed.
    """
    try:
        with path.open("rb") as file:
            archive = open_archive(file)
            _require_known(archive.manifest)
            _require_room(is_replacing=is_replacing)
            tell(f"The archive is whole. Loading {sum(archive.manifest.row_counts.values()):,} rows.")
            _load_rows(archive, is_replacing=is_replacing)
            tell("Bringing the tables up to this version.")
            call_command("migrate", verbosity=0, interactive=False)
            notes = (*_restore_index(archive, store, scratch_dir), *_notes(archive))
    except OSError as error:
        raise BackupError(f"{path} cannot be read: {error.strerror or error}.") from error
    return Restored(archive.manifest, notes)


def _require_known(manifest: Manifest) -> None:
    """Refuse what a newer GreenLLM, or a newer Postgres, has made."""
    known = {".".join(key) for key in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}
    unknown = sorted(set(manifest.migrations) - known)
    if unknown:
        raise BackupError(
            f"The backup is of a newer GreenLLM ({manifest.product_version}): this one does not know the migration "
            f"{unknown[0]}" + (f" and {len(unknown) - 1} more" if len(unknown) > 1 else "") + ". Upgrade it first."
        )
    here = server_version()
    if manifest.postgres_version // _SERIES > here // _SERIES:
        raise BackupError(
            f"The backup is of Postgres {manifest.postgres_version // _SERIES}, the database here is of "
            f"{here // _SERIES}: it may not understand the dump. Use a Postgres at least as new."
        )


def _require_room(*, is_replacing: bool) -> None:
    """Refuse a database that holds something, unless it may be thrown away, and one that somebody uses."""
    with connection.cursor() as cursor:
        cursor.execute(_TABLES)
        [table_count] = cursor.fetchone()
        cursor.execute(_OTHERS)
        [other_count] = cursor.fetchone()
    if table_count and not is_replacing:
        raise BackupError(
            f"The database is not empty: it has {table_count} tables. Restore into an empty one, or say --replace to "
            f"throw away all that it holds (make a backup of it first)."
        )
    if other_count:
        raise BackupError(
            f"{other_count} other sessions use the database. Stop the web processes and workers first; the services "
            f"stay: manage.py services start."
        )


def _load_rows(archive: Archive, *, is_replacing: bool) -> None:
    checks = "\n".join(_count_check(table, count) for table, count in archive.manifest.row_counts.items())
    connection.close()  # a session that has seen the old tables must not see the new ones
    load(blocks=archive.blocks(DATABASE), before=_EMPTIED if is_replacing else "", after=checks)
    ContentType.objects.clear_cache()


def _count_check(table: str, count: int) -> str:
    with connection.cursor() as cursor:
        composed = sql.SQL(_COUNT_CHECK).format(
            table=sql.Identifier("public", table), count=sql.Literal(count), name=sql.Literal(table)
        )
        return composed.as_string(cursor.connection)


def _restore_index(archive: Archive, store: VectorStore, scratch_dir: Path) -> list[str]:
    facts = archive.manifest.index
    if facts is None:
        return [f"{archive.manifest.index_note} Build an index with manage.py build_index."]
    scratch_dir.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.NamedTemporaryFile(dir=scratch_dir) as scratch:
            for block in archive.blocks(INDEX):
                scratch.write(block)
            scratch.flush()
            _write_vectors(facts, Path(scratch.name), store)
    except IndexStoreError as error:
        return [f"The rows are restored, the vectors are not: {error} Then build the index: manage.py build_index."]
    return []


def _write_vectors(facts: IndexFacts, path: Path, store: VectorStore) -> None:
    """Write the vectors from a mapped file, so that no more than a batch of them is in memory."""
    rows = np.memmap(path, dtype=vector_row(facts.dimension), mode="r", shape=(facts.prompt_count,))
    name = PromptIndex(pk=facts.index_id).collection_name
    store.write(name, rows["prompt_id"].tolist(), rows["vector"])


def _notes(archive: Archive) -> list[str]:
    notes = differing_settings(archive.settings())
    running = Study.objects.filter(state=Study.State.RUNNING).order_by("name").values_list("name", flat=True)
    if running:
        notes.append(
            f"Studies that were running: {', '.join(running)}. A worker that is started here goes on with them; where "
            f"the original still runs, pause them here first."
        )
    return notes
