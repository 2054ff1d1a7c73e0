"""Read prompts from CSV and JSONL files of anyone's own, with every mistake named by its line."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.datasets.base import (
    ROLES,
    LineError,
    LineProblem,
    PromptFileError,
    PromptLine,
    check_storable,
    decode,
    json_lines,
    read_bytes,
)
from benchmarks.datasets.tables import csv_records

MAX_ID_LENGTH = 100
_CATEGORY = re.compile(r"[A-Za-z0-9_-]{1,40}")
_KNOWN_FIELDS = {"id", "position", "role", "item", "prompt", "reference", "checks", "category"}


def parse_prompts(*, path: Path, category_name: str | None) -> list[PromptLine]:
    """Read a prompt file without touching the database.

    Raises:
        PromptFileError: the file cannot be read, is empty, or has wrong lines; each is named by its number.
    """
    if category_name is not None and (problem := category_problem(category_name)):
        raise PromptFileError(path, [LineError(0, "category", problem)])
    lines: list[PromptLine] = []
    errors: list[LineError] = []
    seen: dict[str, int] = {}
    for number, record in _records(path):
        if isinstance(record, str):
            errors.append(LineError(number, "", record))
            continue
        try:
            line = _parse_record(number, record, category_name, path.stem)
        except LineProblem as problem:
            errors.append(LineError(number, problem.field, str(problem)))
            continue
        if line.external_id in seen:
            first = seen[line.external_id]
            errors.append(LineError(number, "id", f"{line.external_id!r} stands on line {first} already"))
            continue
        seen[line.external_id] = number
        lines.append(line)
    if not lines and not errors:
        errors.append(LineError(0, "", "it holds no prompt"))
    if errors:
        raise PromptFileError(path, errors)
    return lines


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield (line number, record), or (line number, what is wrong)."""
    readers = {".csv": _csv_records, ".jsonl": json_lines}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise PromptFileError(path, [LineError(0, "", "the file name must end in .csv or .jsonl")])
    yield from reader(decode(path, read_bytes(path)))


def _csv_records(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    return csv_records(text, needed=[("prompt",)])


def _parse_record(number: int, record: Mapping[str, Any], category_name: str | None, stem: str) -> PromptLine:
    for field, value in record.items():
        check_storable(field, value)
    text = _string(record, "prompt", required=True)
    category = category_name or _string(record, "category")
    if not category:
        raise LineProblem("category", "none is given; add the column or name one with --category")
    if problem := category_problem(category):
        raise LineProblem("category", problem)
    external_id = _string(record, "id") or f"{stem}-{number}"
    if len(external_id) > MAX_ID_LENGTH:
        raise LineProblem("id", f"it is longer than {MAX_ID_LENGTH} characters")
    role = _string(record, "role") or ROLES[0]
    if role not in ROLES:
        raise LineProblem("role", f"{role!r} is not one of {', '.join(ROLES)}")
    return PromptLine(
        line=number,
        external_id=external_id,
        position=_position(record.get("position")),
        role=role,
        item_text=_string(record, "item") or text,
        text=text,
        reference=_string(record, "reference"),
        checks=_checks(record.get("checks")),
        category=category,
        source_fields={key: value for key, value in record.items() if key not in _KNOWN_FIELDS},
    )


def category_problem(name: str) -> str:
    """Say what is wrong with the name of a category; empty if nothing is."""
    if _CATEGORY.fullmatch(name):
        return ""
    return f"{name!r} is not a name of at most 40 letters, digits, hyphens and underscores"


def _string(record: Mapping[str, Any], field: str, *, required: bool = False) -> str:
    value = record.get(field)
    if value is None:
        value = ""
    if not isinstance(value, str):
        raise LineProblem(field, f"it must be text, not {type(value).__name__}")
    if required and not value.strip():
        raise LineProblem(field, "it is empty")
    return value


def _position(value: object) -> int | None:
    if value is None:
        return None
    try:
        position = int(str(value))
    except ValueError:
        position = 0
    if not 1 <= position <= 2**31 - 1:
        raise LineProblem("position", f"{value!r} is not a whole number from 1")
    return position


def _checks(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise LineProblem("checks", f"it is not JSON ({error})") from error
        check_storable("checks", value)  # looked at as text before, now as what the text says
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise LineProblem("checks", "it must be a JSON object")
    if not isinstance(value.get("kind"), str):
        raise LineProblem("checks", "it has no 'kind'")
    return value
