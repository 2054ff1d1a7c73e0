"""What a published data set is, and how the raw file of its makers becomes prompts."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.datasets.base import (
    LineError,
    LineProblem,
    PromptFileError,
    PromptLine,
    check_storable,
    decode,
    read_bytes,
)
from benchmarks.datasets.databases import NeededDatabase

# The paper trains on the first 50 prompts of each data set and validates on five more.
TRAIN_COUNT = 50
VALIDATION_COUNT = 5

Records = Callable[[str], Iterator[tuple[int, dict[str, Any] | str]]]


@dataclass(frozen=True)
class Download:
    """Where a raw file is published.

    `known_hash` is "sha256:…" or "md5:…", None where the official home fixes no version. `members` are taken out of a
    tarball: the path in it, and the name under which the file is kept. `remedy` tells what to do without its home.
    """

    url: str
    file_name: str
    known_hash: str | None
    members: Mapping[str, str] | None = None
    remedy: str = "fetch the raw file in another way and name its folder with --from DIR"


@dataclass(frozen=True)
class RawItem:
    """One item of a raw file, put into the words of its prompt."""

    item_text: str
    text: str
    reference: str
    checks: dict[str, Any]
    source_fields: dict[str, Any]


@dataclass(frozen=True)
class RawContent:
    """What a raw file holds: its items by line, and a hash that says which version of it this is."""

    path: Path
    version: str
    items: Sequence[tuple[int, RawItem]]


@dataclass(frozen=True)
class PublishedDataset:
    """One published data set: where it is from, under which licence, and how its raw file is read.

    `read` takes the folder of the raw file. `databases` tells which databases the checks of some prompts run on, by
    name; None where they run on none.
    """

    name: str
    title: str
    category: str
    id_prefix: str
    item_count: int
    licence: str
    attribution: str
    source_url: str
    known_version: str
    download: Callable[[], Download]
    read: Callable[[Path], RawContent]
    databases: Callable[[Sequence[PromptLine]], dict[str, NeededDatabase]] | None = None


@dataclass(frozen=True)
class PublishedPrompts:
    """Every prompt of a published data set, in its own order."""

    path: Path
    version: str
    lines: Sequence[PromptLine]


@dataclass(frozen=True)
class RawRecord:
    """One record of a raw file; what a field lacks becomes a `LineProblem`."""

    position: int
    fields: Mapping[str, Any]

    def text(self, name: str, *, may_be_empty: bool = False) -> str:
        """Return a field that must be text."""
        value = self._value(name)
        if not isinstance(value, str):
            raise LineProblem(name, f"it must be text, not {type(value).__name__}")
        if not value.strip() and not may_be_empty:
            raise LineProblem(name, "it is empty")
        return value

    def texts(self, name: str) -> list[str]:
        """Return a field that must be a list of texts, at least one."""
        value = self._value(name)
        if not isinstance(value, list) or not value or not all(isinstance(part, str) for part in value):
            raise LineProblem(name, "it must be a list of texts")
        return value

    def expect(self, name: str, value: int) -> None:
        """Refuse a number other than the one that the position of the record asks for."""
        if self._value(name) != value:
            raise LineProblem(name, f"it is {self.fields[name]!r} where {value} should follow")

    def without(self, *names: str) -> dict[str, Any]:
        """Return the fields but for some, as they are."""
        return {name: value for name, value in self.fields.items() if name not in names}

    def _value(self, name: str) -> object:
        if name not in self.fields:
            there = ", ".join(sorted(self.fields)) or "none"
            raise LineProblem(name, f"it is missing; the fields are: {there}")
        return self.fields[name]


def parse_published(*, dataset: PublishedDataset, folder: Path) -> PublishedPrompts:
    """Read a published data set from the folder of its raw file, without touching the database.

    Raises:
        PromptFileError: the file is missing, cannot be read, has wrong lines, or not as many items as were published.
    """
    content = dataset.read(folder)
    if len(content.items) != dataset.item_count:
        message = f"it holds {len(content.items)} items, but {dataset.title} has {dataset.item_count}"
        raise PromptFileError(content.path, [LineError(0, "", message)])
    lines = [
        PromptLine(
            line=line,
            external_id=f"{dataset.id_prefix}-{position:04d}",
            position=position,
            role=_role(position),
            item_text=item.item_text,
            text=item.text,
            reference=item.reference,
            checks=item.checks,
            category=dataset.category,
            source_fields=item.source_fields,
        )
        for position, (line, item) in enumerate(content.items, start=1)
    ]
    return PublishedPrompts(content.path, content.version, lines)


def read_json(
    *, folder: Path, names: Sequence[str], records: Records, convert: Callable[[RawRecord], RawItem]
) -> RawContent:
    """Read the first of some files that a folder holds, by `json_lines` or `json_array`, and convert each record.

    Raises:
        PromptFileError: no such file, or wrong lines; each is named by its number.
    """
    path = find_file(folder, names)
    raw = read_bytes(path)
    items: list[tuple[int, RawItem]] = []
    errors: list[LineError] = []
    for position, (line, record) in enumerate(records(decode(path, raw)), start=1):
        if isinstance(record, str):
            errors.append(LineError(line, "", record))
            continue
        try:
            for field, value in record.items():
                check_storable(field, value)
            items.append((line, convert(RawRecord(position, record))))
        except LineProblem as problem:
            errors.append(LineError(line, problem.field, str(problem)))
    if errors:
        raise PromptFileError(path, errors)
    return RawContent(path, version_of(raw), items)


def find_file(folder: Path, names: Sequence[str]) -> Path:
    """Return the first of some files that a folder holds.

    Raises:
        PromptFileError: it is no folder, or holds none of them.
    """
    if not folder.is_dir():
        raise PromptFileError(folder, [LineError(0, "", "it is not a folder; name the one that holds the raw file")])
    for name in names:
        if (folder / name).is_file():
            return folder / name
    there = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
    message = f"the folder has no {' or '.join(names)}; it holds: {there}"
    raise PromptFileError(folder, [LineError(0, "", message)])


def version_of(raw: bytes) -> str:
    """Return the version that a content is known by: its SHA-256."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def _role(position: int) -> str:
    if position <= TRAIN_COUNT:
        return "train"
    return "validation" if position <= TRAIN_COUNT + VALIDATION_COUNT else "unused"
