"""What all readers of prompts share: the prompt that they give, mistakes named by line, and reading text and JSON."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROLES = ("train", "validation", "unused")
MAX_SHOWN_ERRORS = 20
MAX_FILE_BYTES = 512 * 1024 * 1024
MAX_NESTING = 20
_SURROGATE = re.compile("[\ud800-\udfff]")
_JSON_SPACE = re.compile(r"[ \t\r\n]*")
_NESTED_TOO_DEEPLY = "it is not JSON that can be read: it is nested too deeply"


@dataclass(frozen=True)
class LineError:
    """What is wrong on one line of a file."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}" if self.line else "file"
        return f"{where}, {self.field}: {self.message}" if self.field else f"{where}: {self.message}"


class PromptFileError(ValueError):
    """A prompt file cannot be imported; nothing of it was."""

    def __init__(self, path: Path, errors: list[LineError]) -> None:
        self.errors = errors
        shown = "\n".join(f"  {error}" for error in errors[:MAX_SHOWN_ERRORS])
        more = f"\n  and {len(errors) - MAX_SHOWN_ERRORS} more" if len(errors) > MAX_SHOWN_ERRORS else ""
        super().__init__(f"{path}: nothing was imported, because of\n{shown}{more}")


class LineProblem(Exception):
    """What is wrong with one field, raised where its line is not known."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class PromptLine:
    """One prompt as a file gives it."""

    line: int
    external_id: str
    position: int | None
    role: str
    item_text: str
    text: str
    reference: str
    checks: dict[str, Any]
    category: str
    source_fields: dict[str, Any]


def read_bytes(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        PromptFileError: it is too large or cannot be read.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise PromptFileError(path, [LineError(0, "", f"it is larger than {MAX_FILE_BYTES} bytes; split it")])
        return path.read_bytes()
    except OSError as error:
        raise PromptFileError(path, [LineError(0, "", f"it cannot be read: {error.strerror}")]) from error


def decode(path: Path, raw: bytes) -> str:
    """Return the text of a file's bytes; `path` is only named.

    Raises:
        PromptFileError: it is not UTF-8; the first wrong line is named.
    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise PromptFileError(path, [LineError(line, "", "it is not UTF-8; save the file as UTF-8")]) from error


def json_lines(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield (line number, record) of one JSON object a line, or (line number, what is wrong)."""
    for number, raw in enumerate(text.split("\n"), start=1):
        if not raw.strip():
            continue
        try:
            record = json.loads(raw)
        except ValueError as error:
            yield number, f"it is not JSON ({error})"
        except RecursionError:
            yield number, _NESTED_TOO_DEEPLY
        else:
            yield number, _object_or_wrong(record)


def json_array(text: str) -> Iterator[tuple[int, dict[str, Any] | str]]:
    """Yield (line number, record) of one JSON array of objects, or (line number, what is wrong)."""
    try:
        records = json.loads(text)
    except json.JSONDecodeError as error:
        yield error.lineno, f"it is not JSON ({error.msg})"
    except ValueError as error:
        yield 0, f"it is not JSON ({error})"
    except RecursionError:
        yield 0, _NESTED_TOO_DEEPLY
    else:
        if isinstance(records, list):
            for line, record in zip(_item_lines(text), records, strict=True):
                yield line, _object_or_wrong(record)
        else:
            yield 1, "it is not a JSON array"


def check_storable(field: str, value: object) -> None:
    """Refuse what JSON and Python can hold but Postgres cannot, anywhere in a field.

    Raises:
        LineProblem: a NUL, half a surrogate pair, a number that JSON lacks, or too deep nesting.
    """
    rest: list[tuple[object, int]] = [(value, 0)]
    while rest:
        part, depth = rest.pop()
        if depth > MAX_NESTING:
            raise LineProblem(field, f"it is nested more than {MAX_NESTING} levels deep")
        if isinstance(part, dict):
            rest.extend((inner, depth + 1) for inner in (*part.keys(), *part.values()))
        elif isinstance(part, list):
            rest.extend((inner, depth + 1) for inner in part)
        elif isinstance(part, float) and not math.isfinite(part):
            raise LineProblem(field, f"{part} is not a number that JSON has")
        elif isinstance(part, str) and "\x00" in part:
            raise LineProblem(field, "it holds a NUL character, which Postgres cannot store")
        elif isinstance(part, str) and _SURROGATE.search(part):
            raise LineProblem(field, "it holds half of a surrogate pair, which is not text")


def _object_or_wrong(record: object) -> dict[str, Any] | str:
    return record if isinstance(record, dict) else "it is not a JSON object"


def _item_lines(text: str) -> Iterator[int]:
    """Yield the line on which each item of a sound JSON array begins, which the JSON module does not tell."""
    decoder = json.JSONDecoder()
    line, counted = 1, 0
    at = _after_space(text, text.index("[") + 1)
    while text[at] != "]":
        line, counted = line + text.count("\n", counted, at), at
        yield line
        _, at = decoder.raw_decode(text, at)
        at = _after_space(text, at)
        if text[at] == ",":
            at = _after_space(text, at + 1)


def _after_space(text: str, at: int) -> int:
    found = _JSON_SPACE.match(text, at)
    return found.end() if found else at
