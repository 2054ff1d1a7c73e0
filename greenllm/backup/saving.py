"""Make a backup: rows and their counts of one moment, the vectors of the index of that moment, the settings."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder
from psycopg import sql

from greenllm import VERSION
from greenllm.backup.archive import (
    BLOCK,
    DATABASE,
    INDEX,
    SETTINGS,
    ArchiveWriter,
    BackupError,
    IndexFacts,
    Manifest,
    vector_row,
)
from greenllm.backup.carried import carried_settings
from greenllm.backup.postgres import dump, server_version
from router.index import IndexStoreError, VectorStore
from router.models import PromptIndex

_COUNTED = """
SELECT table_name FROM information_schema.tables
WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name <> 'django_session' ORDER BY table_name
"""


def save_backup(*, path: Path, store: VectorStore, now: datetime, tell: Callable[[str], object]) -> Manifest:
    """Write a backup into a new file that appears only when it is whole, and that only its owner can read.

    Others may go on writing meanwhile: what is kept is one moment. Where Chroma does not give all vectors the backup is
    made without them, and its manifest says why: an index can be built again. `tell` hears what is saved.

    Raises:
        BackupError: there is such a file, it cannot be written, or there is nothing to back up.
    """
    if path.exists():
        raise BackupError(f"{path} exists already; choose another name, or remove it.")
    draft = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with os.fdopen(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as file:
            with ArchiveWriter(file) as writer:
                manifest = _write(writer, path.parent, store, now, tell)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _write(
    writer: ArchiveWriter, folder: Path, store: VectorStore, now: datetime, tell: Callable[[str], object]
) -> Manifest:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        [snapshot] = cursor.fetchone()
        migrations = tuple(sorted(".".join(one) for one in MigrationRecorder(connection).applied_migrations()))
        if not migrations:
            raise BackupError("There is nothing to back up: the database has no tables yet.")
        row_counts = _row_counts()
        index = PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).first()
        tell(f"{sum(row_counts.values()):,} rows of {len(row_counts)} tables")
        writer.add(DATABASE, dump(snapshot=snapshot))
    writer.add(SETTINGS, iter([json.dumps(carried_settings(), indent=1).encode() + b"\n"]))
    facts, note = _write_index(writer, folder, store, index, tell)
    manifest = Manifest(
        product_version=VERSION,
        created_at=now.isoformat(),
        postgres_version=server_version(),
        migrations=migrations,
        row_counts=row_counts,
        index=facts,
        index_note=note,
        parts=tuple(writer.parts),
    )
    writer.finish(manifest)
    return manifest


def _row_counts() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute(_COUNTED)
        tables = [name for (name,) in cursor.fetchall()]
        counts = {}
        for table in tables:
            cursor.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("public", table)))
            counts[table] = int(cursor.fetchone()[0])
    return counts


def _write_index(
    writer: ArchiveWriter,
    folder: Path,
    store: VectorStore,
    index: PromptIndex | None,
    tell: Callable[[str], object],
) -> tuple[IndexFacts | None, str]:
    """Write the vectors by a nameless file in the folder: a part of the archive that was begun cannot be taken back."""
    if index is None or index.dimension is None:
        return None, "No index had been built."
    facts = IndexFacts(index.pk, index.prompt_count, index.dimension)
    with tempfile.TemporaryFile(dir=folder) as vectors:
        try:
            for rows in _rows(store.pages(index.collection_name), index.dimension):
                vectors.write(rows)
        except (IndexStoreError, _WrongLength) as error:
            return None, f"The vectors of the index were left out: {error}"
        if vectors.tell() != facts.byte_count:
            return None, (
                f"The vectors of the index were left out: Chroma holds {vectors.tell() // facts.row_bytes} of "
                f"{facts.prompt_count}."
            )
        tell(f"{index.prompt_count:,} vectors of the index")
        vectors.seek(0)
        writer.add(INDEX, iter(partial(vectors.read, BLOCK), b""))
    return facts, ""


class _WrongLength(Exception):
    """Chroma holds vectors of another model."""


def _rows(pages: Iterable[tuple[list[int], np.ndarray]], dimension: int) -> Iterator[bytes]:
    for ids, matrix in pages:
        if matrix.shape != (len(ids), dimension):
            raise _WrongLength(f"Chroma holds vectors of {matrix.shape[-1]} numbers, not of {dimension}.")
        rows = np.empty(len(ids), dtype=vector_row(dimension))
        rows["prompt_id"], rows["vector"] = ids, matrix
        yield rows.tobytes()
