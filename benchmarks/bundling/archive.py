"""The archive that a bundle is: a zip of JSON Lines members and a manifest with the hash of each.

Written and read in a stream: a line at a time, whatever the number of lines. Nothing is ever unpacked to a path, only
the members of the format are read, and what a member may hold is bounded before and while it is read.
"""

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from benchmarks.datasets.base import MAX_NESTING, LineProblem, check_storable
from benchmarks.zipped import UNREADABLE, ZipDamaged, open_zip

FORMAT = "greenllm-study-bundle"
FORMAT_VERSION = 1
MANIFEST = "manifest.json"
Row = dict[str, Any]  # one line: a JSON object

_MAX_MANIFEST_BYTES = 1024 * 1024
_MAX_LINE_BYTES = 32 * 1024 * 1024  # a day of samples of one channel takes half of it
_MAX_RATIO = 200  # real bundles pack 5 to 20 times smaller; deflate ends at about 1000
_SMALL = 1024 * 1024  # below that a high ratio harms nobody
_MOMENT = (1980, 1, 1, 0, 0, 0)  # so that the same rows make the same member
_BLOCK = 256 * 1024


class BundleError(ValueError):
    """The file is no bundle that can be imported, or the study none that can be exported; the message tells why."""


@dataclass(frozen=True)
class Place:
    """Where a row stands, for messages."""

    member: str
    line: int

    def error(self, reason: str) -> BundleError:
        """Return an error that names the place."""
        return BundleError(f"{self.member}, line {self.line}: {reason}")


@dataclass(frozen=True)
class Line:
    """One row of a member and its place."""

    place: Place
    row: Row


@dataclass(frozen=True)
class MemberFacts:
    """What the manifest says of one member."""

    name: str
    sha256: str
    byte_count: int
    line_count: int


@dataclass(frozen=True)
class Origin:
    """Where a bundle comes from."""

    product_version: str
    created_at: str
    study_name: str
    study_uuid: str
    machine: str


@dataclass(frozen=True)
class Manifest:
    """The origin and the members of a bundle."""

    origin: Origin
    members: tuple[MemberFacts, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Return how many rows of each kind there are."""
        return {member.name.removesuffix(".jsonl"): member.line_count for member in self.members}


def write_bundle(
    file: IO[bytes],
    *,
    origin: Origin,
    members: Iterable[tuple[str, Iterable[Row]]],
    on_row: Callable[[str, int], None] | None = None,
) -> Manifest:
    """Write a bundle into a seekable file; rows are taken one by one. `on_row` hears of each member and line."""
    written = []
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, rows in members:
            digest, byte_count, line_count = hashlib.sha256(), 0, 0
            with archive.open(_zip_entry(name), "w", force_zip64=True) as member:
                for line_count, row in enumerate(rows, start=1):
                    line = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
                    digest.update(line)
                    byte_count += member.write(line)
                    if on_row is not None:
                        on_row(name, line_count)
            written.append(MemberFacts(name, digest.hexdigest(), byte_count, line_count))
        manifest = Manifest(origin, tuple(written))
        archive.writestr(_zip_entry(MANIFEST), _manifest_text(manifest))
    return manifest


def _zip_entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_MOMENT)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    return entry


def _manifest_text(manifest: Manifest) -> str:
    stated = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **asdict(manifest.origin),
        "counts": manifest.counts,
        "members": [asdict(member) for member in manifest.members],
    }
    return json.dumps(stated, indent=1, ensure_ascii=False) + "\n"


class Bundle:
    """A bundle that was opened and found whole: every member has the size and the hash of the manifest."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive = archive
        self.manifest = manifest

    def lines(self, name: str) -> Iterator[Line]:
        """Give the rows of a member one by one.

        Raises:
            BundleError: a line is no JSON object that can be stored; the message names member and line.
        """
        with self._archive.open(name) as member:
            for number, raw in enumerate(_raw_lines(member, name), start=1):
                place = Place(name, number)
                yield Line(place, _parsed(raw, place))


def open_bundle(file: IO[bytes], *, member_names: Sequence[str], max_bytes: int) -> Bundle:
    """Check a whole bundle and return it; `member_names` are those of the format, `max_bytes` bounds it unpacked.

    Raises:
        BundleError: no zip, truncated, of another format or version, with other members, too large, or with a
            member whose hash is not that of the manifest.
    """
    try:
        archive = open_zip(file, packings=(zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
        entries = _checked_entries(archive, member_names)
        manifest = _read_manifest(archive, entries)
        _check_sizes(manifest, entries, max_bytes)
        for member in manifest.members:
            _verify(archive, member)
    except (*UNREADABLE, ZipDamaged) as error:
        raise BundleError(
            f"The file is no whole bundle ({error}): it was cut short on its way, or is another file. Copy it again."
        ) from error
    return Bundle(archive, manifest)


def _checked_entries(archive: zipfile.ZipFile, member_names: Sequence[str]) -> dict[str, zipfile.ZipInfo]:
    wanted = {MANIFEST, *member_names}
    entries: dict[str, zipfile.ZipInfo] = {}
    for entry in archive.infolist():
        if entry.filename.startswith("/") or ".." in entry.filename.split("/") or "\\" in entry.orig_filename:
            raise BundleError(f"The bundle holds the path {entry.filename!r}, which leads out of it; it is refused.")
        if entry.filename in entries:
            raise BundleError(f"The bundle holds {entry.filename} twice.")
        if entry.flag_bits & 0x1:
            raise BundleError(f"{entry.filename} is encrypted; bundles are not.")
        entries[entry.filename] = entry
    if MANIFEST not in entries:
        raise BundleError(f"The file has no {MANIFEST}: it is no study bundle. Make one with manage.py export_study.")
    if entries[MANIFEST].file_size > _MAX_MANIFEST_BYTES:
        raise BundleError(f"{MANIFEST} has {entries[MANIFEST].file_size:,} bytes; at most {_MAX_MANIFEST_BYTES:,}.")
    strange = sorted(entries.keys() - wanted)
    if strange and _has_our_version(archive):
        raise BundleError(f"The bundle holds {strange[0]!r}, which is no part of this format.")
    return entries


def _has_our_version(archive: zipfile.ZipFile) -> bool:
    """Tell whether the format is ours; of another one the version is told before its members."""
    stated = _manifest_json(archive)
    return stated.get("format") == FORMAT and stated.get("format_version") == FORMAT_VERSION


def _manifest_json(archive: zipfile.ZipFile) -> Row:
    with archive.open(MANIFEST) as member:
        raw = member.read(_MAX_MANIFEST_BYTES + 1)
    try:
        stated = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{MANIFEST} is no JSON: {error}.") from error
    return stated if isinstance(stated, dict) else {}


def _read_manifest(archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo]) -> Manifest:
    stated = _manifest_json(archive)
    if stated.get("format") != FORMAT:
        raise BundleError(f"The format is {stated.get('format')!r}, not {FORMAT!r}: it is no study bundle.")
    if stated.get("format_version") != FORMAT_VERSION:
        raise BundleError(
            f"The bundle has the format version {stated.get('format_version')!r}, this GreenLLM reads version "
            f"{FORMAT_VERSION}. Use the same version of GreenLLM on both sides (the bundle was made by "
            f"{stated.get('product_version', 'an unknown one')})."
        )
    try:
        origin = Origin(**{name: str(stated[name]) for name in Origin.__dataclass_fields__})
        members = tuple(
            MemberFacts(str(one["name"]), str(one["sha256"]), int(one["byte_count"]), int(one["line_count"]))
            for one in stated["members"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{MANIFEST} lacks or misstates {error}.") from error
    named = [member.name for member in members]
    missing = sorted((entries.keys() - {MANIFEST}) ^ set(named)) or [name for name in named if named.count(name) > 1]
    if missing:
        raise BundleError(f"{missing[0]} stands in the manifest or in the bundle, but not once in both.")
    return Manifest(origin, members)


def _check_sizes(manifest: Manifest, entries: dict[str, zipfile.ZipInfo], max_bytes: int) -> None:
    total = sum(entry.file_size for entry in entries.values())
    if total > max_bytes:
        raise BundleError(f"The bundle unpacks to {total:,} bytes; at most {max_bytes:,} are taken.")
    for member in manifest.members:
        entry = entries[member.name]
        if entry.file_size != member.byte_count:
            raise BundleError(f"{member.name} has {entry.file_size:,} bytes, the manifest says {member.byte_count:,}.")
        if entry.file_size > _SMALL and entry.file_size > _MAX_RATIO * max(1, entry.compress_size):
            raise BundleError(f"{member.name} unpacks to more than {_MAX_RATIO} times its size: no real member does.")


def _verify(archive: zipfile.ZipFile, member: MemberFacts) -> None:
    digest, byte_count, line_count = hashlib.sha256(), 0, 0
    with archive.open(member.name) as stored:
        while block := stored.read(_BLOCK):
            byte_count += len(block)
            if byte_count > member.byte_count:  # whatever the zip said of itself
                raise BundleError(f"{member.name} goes on after the {member.byte_count:,} bytes of the manifest.")
            digest.update(block)
            line_count += block.count(b"\n")
    if digest.hexdigest() != member.sha256:
        raise BundleError(
            f"{member.name} has another SHA-256 than the manifest says: it was changed or damaged. Export it again."
        )
    if line_count != member.line_count:
        raise BundleError(f"{member.name} has {line_count:,} lines, the manifest says {member.line_count:,}.")


def _raw_lines(member: IO[bytes], name: str) -> Iterator[bytes]:
    number = 0
    while raw := member.readline(_MAX_LINE_BYTES + 1):
        number += 1
        if len(raw) > _MAX_LINE_BYTES:
            raise Place(name, number).error(f"it is longer than {_MAX_LINE_BYTES:,} bytes.")
        yield raw


def _parsed(raw: bytes, place: Place) -> Row:
    try:
        row = json.loads(raw, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise place.error(f"it is no JSON ({error}).") from error
    if not isinstance(row, dict):
        raise place.error("it is no JSON object.")
    if b"\\u" in raw or raw.count(b"[") + raw.count(b"{") > MAX_NESTING:
        try:
            for field, value in row.items():
                check_storable(field, value)
        except LineProblem as problem:
            raise place.error(f"{problem.field!r}: {problem}.") from problem
    return row


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")
