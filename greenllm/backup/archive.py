"""The archive that a backup is: a zip of uncompressed parts, and a manifest with the SHA-256 of each.

Written and read in a stream, a block at a time, whatever the size. Parts are compressed by whoever makes them (the
dump) or do not compress (vectors), so that no part unpacks to more than the file has. Nothing is ever unpacked to a
path that the archive names.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import IO, Any, Self

import numpy as np

from benchmarks.zipped import UNREADABLE, ZipDamaged, open_zip

FORMAT = "greenllm-backup"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
DATABASE = "database.dump"
SETTINGS = "settings.json"
INDEX = "index.vectors"
BLOCK = 256 * 1024  # bytes

_PARTS = {DATABASE, SETTINGS, INDEX}
_MAX_JSON_BYTES = 4 * 1024 * 1024
_ZIP_BEGINNING = b"PK\x03\x04"
_KEY_BYTES, _NUMBER_BYTES = 8, 4


class BackupError(RuntimeError):
    """The backup cannot be made, or the archive cannot be restored; the message tells why and what to do."""


@dataclass(frozen=True)
class Part:
    """One part of an archive."""

    name: str
    sha256: str
    byte_count: int


@dataclass(frozen=True)
class IndexFacts:
    """The index whose vectors the archive holds: its row, how many prompts it knows, how many numbers each has."""

    index_id: int
    prompt_count: int
    dimension: int

    @property
    def row_bytes(self) -> int:
        """Return the size of a row of the index's part (see `vector_row`)."""
        return _KEY_BYTES + _NUMBER_BYTES * self.dimension

    @property
    def byte_count(self) -> int:
        """Return the size of the index's part."""
        return self.prompt_count * self.row_bytes


@dataclass(frozen=True)
class Manifest:
    """What an archive holds and where it is from.

    `postgres_version` is the server's version number (180006 is 18.6); `migrations` are in the form `app.name`.
    """

    product_version: str
    created_at: str
    postgres_version: int
    migrations: tuple[str, ...]
    row_counts: dict[str, int]
    index: IndexFacts | None
    index_note: str
    parts: tuple[Part, ...] = field(default=())

    def named(self, name: str) -> Part | None:
        """Return a part by its name."""
        return next((part for part in self.parts if part.name == name), None)


def vector_row(dimension: int) -> np.dtype[np.void]:
    """Return the layout of one row of the index's part: the prompt's key and its vector."""
    return np.dtype([("prompt_id", f"<i{_KEY_BYTES}"), ("vector", f"<f{_NUMBER_BYTES}", (dimension,))])


class ArchiveWriter:
    """Writes the parts of an archive one after the other into a seekable file, then the manifest; a context."""

    def __init__(self, file: IO[bytes]) -> None:
        self._archive = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED)
        self.parts: list[Part] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def add(self, name: str, blocks: Iterable[bytes]) -> None:
        """Write one part, a block at a time."""
        digest, byte_count = hashlib.sha256(), 0
        with self._archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
            for block in blocks:
                digest.update(block)
                byte_count += member.write(block)
        self.parts.append(Part(name, digest.hexdigest(), byte_count))

    def finish(self, manifest: Manifest) -> None:
        """Write the manifest; without it the archive is none."""
        stated = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
        self._archive.writestr(zipfile.ZipInfo(MANIFEST), json.dumps(stated, indent=1) + "\n")


class Archive:
    """An archive that was opened and found whole: every part has the size and the hash of the manifest."""

    def __init__(self, zipped: zipfile.ZipFile, manifest: Manifest) -> None:
        self._zipped = zipped
        self.manifest = manifest

    def blocks(self, name: str) -> Iterator[bytes]:
        """Give a part block by block."""
        with self._zipped.open(name) as member:
            while block := member.read(BLOCK):
                yield block

    def settings(self) -> dict[str, Any]:  # Any: whatever a setting is
        """Return the settings of the installation that made it."""
        found: dict[str, Any] = _json(self._zipped, SETTINGS)
        return found


def open_archive(file: IO[bytes]) -> Archive:
    """Check a whole archive and return it.

    Raises:
        BackupError: it is no backup, was cut short, holds something else than its manifest says, or is of a format that
            this version does not read.
    """
    beginning = file.read(len(_ZIP_BEGINNING))
    file.seek(0)
    if beginning != _ZIP_BEGINNING:
        raise BackupError("The file is no backup of GreenLLM. Make one with manage.py backup FILE.")
    try:
        zipped = open_zip(file, packings=(zipfile.ZIP_STORED,))
    except ZipDamaged as error:
        raise BackupError(f"The backup was cut short or is damaged ({error}). Copy it again.") from error
    try:
        manifest = _manifest(zipped)
        for part in manifest.parts:
            _verify(zipped, part)
    except UNREADABLE as error:
        raise BackupError(f"The backup was changed or damaged ({error}). Copy it again.") from error
    return Archive(zipped, manifest)


def _manifest(zipped: zipfile.ZipFile) -> Manifest:
    names = [entry.filename for entry in zipped.infolist()]
    if MANIFEST not in names:
        raise BackupError(f"The file has no {MANIFEST}: it is no backup of GreenLLM.")
    stated = _json(zipped, MANIFEST)
    if stated.get("format") != FORMAT:
        raise BackupError(f"The format is {stated.get('format')!r}, not {FORMAT!r}: it is no backup of GreenLLM.")
    if stated.get("format_version") != FORMAT_VERSION:
        raise BackupError(
            f"The backup has the format version {stated.get('format_version')!r} (made by GreenLLM "
            f"{stated.get('product_version')}); this GreenLLM reads version {FORMAT_VERSION}. Use that GreenLLM."
        )
    manifest = _as_manifest(stated)
    held = [MANIFEST, *(part.name for part in manifest.parts)]
    is_whole = sorted(names) == sorted(held) and {DATABASE, SETTINGS} <= set(held) <= {MANIFEST, *_PARTS}
    if not is_whole or (manifest.index is None) != (INDEX not in held):
        raise BackupError("The backup was changed: its parts are not those of its manifest.")
    _require_vectors(manifest)
    return manifest


def _require_vectors(manifest: Manifest) -> None:
    """Refuse vectors that are not as many, or not as long, as the manifest says: a restore would map them wrongly."""
    facts, part = manifest.index, manifest.named(INDEX)
    if facts is None or part is None:
        return
    if facts.prompt_count < 1 or facts.dimension < 1 or part.byte_count != facts.byte_count:
        raise BackupError(
            f"The backup was changed: {INDEX} has {part.byte_count} bytes, and {facts.prompt_count} vectors of "
            f"{facts.dimension} numbers have {facts.byte_count}."
        )


def _as_manifest(stated: dict[str, Any]) -> Manifest:
    try:
        index = stated["index"]
        return Manifest(
            product_version=str(stated["product_version"]),
            created_at=str(stated["created_at"]),
            postgres_version=int(stated["postgres_version"]),
            migrations=tuple(str(one) for one in stated["migrations"]),
            row_counts={str(table): int(count) for table, count in stated["row_counts"].items()},
            index=None if index is None else IndexFacts(**{name: int(value) for name, value in index.items()}),
            index_note=str(stated["index_note"]),
            parts=tuple(Part(str(one["name"]), str(one["sha256"]), int(one["byte_count"])) for one in stated["parts"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BackupError(f"The backup was changed: its {MANIFEST} lacks or misstates {error}.") from error


def _json(zipped: zipfile.ZipFile, name: str) -> dict[str, Any]:
    with zipped.open(name) as member:
        raw = member.read(_MAX_JSON_BYTES + 1)
    try:
        stated = json.loads(raw) if len(raw) <= _MAX_JSON_BYTES else None
    except (ValueError, RecursionError):
        stated = None
    if not isinstance(stated, dict):
        raise BackupError(f"The backup was changed: {name} is no JSON object.")
    return stated


def _verify(zipped: zipfile.ZipFile, part: Part) -> None:
    entry = zipped.getinfo(part.name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != part.byte_count:
        raise BackupError(f"The backup was changed: {part.name} is not as large as its manifest says.")
    digest = hashlib.sha256()
    with zipped.open(entry) as member:
        while block := member.read(BLOCK):
            digest.update(block)
    if digest.hexdigest() != part.sha256:
        raise BackupError(f"The backup was changed: {part.name} has another SHA-256 than its manifest says.")
