"""Bring prompts from a file into a data set: all of the file, or nothing of it."""

import re
from dataclasses import dataclass
from pathlib import Path

from django.db import transaction
from django.db.models import Max

from benchmarks.datasets.files import LineError, PromptFileError, PromptLine, parse_prompts
from benchmarks.models import Category, Dataset, Prompt

_DATASET_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


@dataclass(frozen=True)
class ImportedPrompts:
    """What an import did."""

    dataset: Dataset
    created_count: int
    unchanged_count: int


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
        dataset, is_new = Dataset.objects.get_or_create(
            name=dataset_name, defaults={"licence": licence, "source_url": source_url}
        )
        Dataset.objects.select_for_update().get(pk=dataset.pk)  # two imports into one data set take turns
        if not is_new and licence and not dataset.licence:
            dataset.licence, dataset.source_url = licence, source_url
            dataset.save(update_fields=["licence", "source_url"])
        return _store(path, dataset, lines)


def _store(path: Path, dataset: Dataset, lines: list[PromptLine]) -> ImportedPrompts:
    categories = {
        name: Category.objects.get_or_create(name=name, defaults={"title": name.capitalize()})[0]
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
