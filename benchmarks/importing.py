"""Bring prompts into a data set: all of a file, or nothing of it."""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

from django.db import transaction
from django.db.models import Max

from benchmarks.datasets.base import LineError, PromptFileError, PromptLine
from benchmarks.datasets.databases import DatabaseFileError, StagedDatabases, staged_databases
from benchmarks.datasets.files import parse_prompts
from benchmarks.datasets.published import PublishedDataset, parse_published
from benchmarks.models import Category, Dataset, Prompt
from benchmarks.models.catalog import category_title

_DATASET_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True)
class DatasetFacts:
    """What a data set's row says of where its prompts are from."""

    title: str = ""
    licence: str = ""
    source_url: str = ""
    version: str = ""
    attribution: str = ""


@dataclass(frozen=True)
class DatabaseFolders:
    """Where the databases of a data set's checks are, and where they are to be kept."""

    source: Path
    target: Path


@dataclass(frozen=True)
class ImportedPrompts:
    """What an import did."""

    dataset: Dataset
    created_count: int
    unchanged_count: int


@dataclass(frozen=True)
class ImportedDataset:
    """What the import of a published data set did; the counts of databases are None where none were asked for."""

    prompts: ImportedPrompts
    path: Path
    version: str
    created_database_count: int | None
    unchanged_database_count: int | None


def import_prompts(
    *, path: Path, dataset_name: str, category_name: str | None, licence: str = "", source_url: str = ""
) -> ImportedPrompts:
    """Import every prompt of a file into a data set; a prompt that is there already unchanged is left alone.

    A CSV has a header line; a JSONL file has one object a line. Fields: `prompt` (required), `id`, `position`,
    `role` (train, validation or unused), `item` (the bare item; the prompt where absent), `reference`, `checks`
    (a JSON object), `category` (where the caller names none). Further fields are kept as they are.

    Raises:
        PromptFileError: any line is wrong, or contradicts what is stored; nothing was imported.
    """
    if not _DATASET_NAME.fullmatch(dataset_name):
        message = f"{dataset_name!r} is not a name of at most 60 letters, digits, hyphens and underscores"
        raise PromptFileError(path, [LineError(0, "dataset", message)])
    lines = parse_prompts(path=path, category_name=category_name)
    with transaction.atomic():
        return _store(path, dataset_name, DatasetFacts(licence=licence, source_url=source_url), lines)


def import_dataset(
    *, published: PublishedDataset, folder: Path, limit: int | None = None, databases: DatabaseFolders | None = None
) -> ImportedDataset:
    """Import a published data set from the folder of its raw file, its first `limit` prompts or all of them.

    `databases` brings the databases that the checks of these prompts run on as well. What is there already unchanged
    is left alone, so that a larger limit or the databases can follow later.

    Raises:
        PromptFileError: the raw file is missing or wrong, or contradicts what is stored; nothing was imported.
        DatabaseFileError: a database is missing or wrong; nothing was imported.
    """
    parsed = parse_published(dataset=published, folder=folder)
    lines = parsed.lines[:limit]
    facts = DatasetFacts(
        title=published.title,
        licence=published.licence,
        source_url=published.source_url,
        version=parsed.version,
        attribution=published.attribution,
    )
    with _staged(published, lines, databases) as staged, transaction.atomic():
        prompts = _store(parsed.path, published.name, facts, lines)
        if staged is not None:
            staged.install()
    return ImportedDataset(
        prompts=prompts,
        path=parsed.path,
        version=parsed.version,
        created_database_count=len(staged.new) if staged else None,
        unchanged_database_count=staged.known_count if staged else None,
    )


def _staged(
    published: PublishedDataset, lines: Sequence[PromptLine], folders: DatabaseFolders | None
) -> AbstractContextManager[StagedDatabases | None]:
    if folders is None:
        return nullcontext()
    if published.databases is None:
        raise DatabaseFileError(folders.source, [f"{published.name} has no databases; leave them out"])
    return staged_databases(needed=published.databases(lines), source=folders.source, target=folders.target)


def _store(path: Path, name: str, facts: DatasetFacts, lines: Sequence[PromptLine]) -> ImportedPrompts:
    """Store what is new, in the caller's transaction."""
    dataset, _ = Dataset.objects.get_or_create(name=name)
    dataset = Dataset.objects.select_for_update().get(pk=dataset.pk)  # two imports into one data set take turns
    imported = _store_prompts(path, dataset, facts, lines)
    missing = {field: value for field, value in asdict(facts).items() if value and not getattr(dataset, field)}
    for field, value in missing.items():
        setattr(dataset, field, value)
    if missing:
        dataset.save(update_fields=list(missing))
    return imported


def _store_prompts(path: Path, dataset: Dataset, facts: DatasetFacts, lines: Sequence[PromptLine]) -> ImportedPrompts:
    categories = {
        name: Category.objects.get_or_create(name=name, defaults={"title": category_title(name)})[0]
        for name in {line.category for line in lines}
    }
    known = {prompt.external_id: prompt for prompt in dataset.prompts.select_related("category")}
    next_position = {
        row["category__name"]: row["top"]
        for row in dataset.prompts.values("category__name").annotate(top=Max("position")).order_by()
    }
    taken = {(prompt.category.name, prompt.position): prompt.external_id for prompt in known.values()}
    created: list[Prompt] = []
    errors: list[LineError] = []
    unchanged = 0
    for line in lines:
        stored = known.get(line.external_id)
        if stored is not None:
            if differing := _differing_fields(stored, line):
                message = f"{line.external_id!r} is in {dataset.name} with another {', '.join(differing)}"
                errors.append(LineError(line.line, "id", f"{message}; use another data set name"))
            else:
                unchanged += 1
            continue
        position = line.position or next_position.get(line.category, 0) + 1
        holder = taken.setdefault((line.category, position), line.external_id)
        if holder != line.external_id:
            errors.append(LineError(line.line, "position", f"{position} is held by {holder!r} already"))
            continue
        next_position[line.category] = max(position, next_position.get(line.category, 0))
        created.append(_prompt_row(dataset, categories[line.category], line, position))
    if created and known and dataset.version != facts.version:
        message = (
            f"{dataset.name} holds prompts of {dataset.version or 'no published version'}, this is {facts.version}"
        )
        errors.append(LineError(0, "version", message))
    if errors:
        raise PromptFileError(path, errors)
    Prompt.objects.bulk_create(created, batch_size=1000)
    return ImportedPrompts(dataset, len(created), unchanged)


def _differing_fields(stored: Prompt, line: PromptLine) -> list[str]:
    pairs = {
        "text": (stored.text, line.text),
        "item": (stored.item_text, line.item_text),
        "reference": (stored.reference, line.reference),
        "checks": (stored.checks, line.checks),
        "category": (stored.category.name, line.category),
        "role": (stored.role, line.role),
        "position": (stored.position, line.position or stored.position),
    }
    return [name for name, (kept, given) in pairs.items() if kept != given]


def _prompt_row(dataset: Dataset, category: Category, line: PromptLine, position: int) -> Prompt:
    return Prompt(
        dataset=dataset,
        category=category,
        external_id=line.external_id,
        position=position,
        role=line.role,
        item_text=line.item_text,
        text=line.text,
        reference=line.reference,
        checks=line.checks,
        source_fields=line.source_fields,
    )
