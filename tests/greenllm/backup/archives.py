"""Archives for the tests of restoring: whole, and spoilt in one way each."""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from greenllm.backup.archive import DATABASE, INDEX, MANIFEST, SETTINGS, ArchiveWriter, Manifest

MANIFEST_FACTS = Manifest(
    product_version="9.9",
    created_at="2026-01-02T03:04:05+00:00",
    postgres_version=140000,
    migrations=("router.0001_decisions",),
    row_counts={"greenllm_user": 1},
    index=None,
    index_note="No index had been built.",
)


def write_archive(path: Path, *, database: bytes = b"no dump", vectors: bytes | None = None, **facts: object) -> Path:
    """Write an archive that is whole, whatever its dump is worth."""
    with path.open("w+b") as file, ArchiveWriter(file) as writer:
        writer.add(DATABASE, [database])
        writer.add(SETTINGS, [b"{}"])
        if vectors is not None:
            writer.add(INDEX, [vectors])
        writer.finish(replace(MANIFEST_FACTS, **facts, parts=tuple(writer.parts)))  # type: ignore[arg-type]
    return path


def rewritten(path: Path, *, change: Callable[[dict[str, bytes]], None]) -> Path:
    """Write an archive anew with other members, as whoever alters it would."""
    with zipfile.ZipFile(path) as before:
        members = {name: before.read(name) for name in before.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as after:
        for name, content in members.items():
            after.writestr(name, content)
    return path


def stated(**facts: object) -> Callable[[dict[str, bytes]], None]:
    """Return a change of the manifest."""

    def change(members: dict[str, bytes]) -> None:
        members[MANIFEST] = json.dumps({**json.loads(members[MANIFEST]), **facts}).encode()

    return change


def other_zip(path: Path) -> Path:
    """Write a zip that is something else."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("letter.txt", "Dear reader")
    path.write_bytes(content.getvalue())
    return path
