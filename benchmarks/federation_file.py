"""Read a federation file: TOML that names the servers and models that shall be there, with every mistake's line."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.inference.connecting import KINDS, usual_base_url

STATES = ("active", "candidate")
MAX_FILE_BYTES = 1024 * 1024
_SHOWN = 220  # characters of a wrong value: an address may have 200

_SERVER_KEYS = ("name", "kind", "url", "machine", "api_key_variable")
_MODEL_KEYS = ("name", "server", "state", "task")
_KEYS = {"servers": _SERVER_KEYS, "models": _MODEL_KEYS}
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")
_MACHINE = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_MODEL_NAME = re.compile(r"\S{1,200}")
_TASK = re.compile(r"[^\r\n]{0,100}")
_TABLE_LINE = re.compile(r"\s*\[\[?\s*[\"']?(\w+)[\"']?\s*\]")
_KEY_LINE = re.compile(r"\s*[\"']?(\w+)[\"']?\s*=")


@dataclass(frozen=True)
class FileMistake:
    """What is wrong with a key, and on which line; 0 where no line can be told."""

    line: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.key}: {self.message}" if self.line else f"{self.key}: {self.message}"


class FederationFileError(ValueError):
    """A federation file cannot be applied; nothing of it was."""

    def __init__(self, path: Path, mistakes: Sequence[FileMistake]) -> None:
        self.mistakes = tuple(mistakes)
        shown = "\n".join(f"  {mistake}" for mistake in mistakes)
        super().__init__(f"{path}: nothing was applied, because of\n{shown}")


@dataclass(frozen=True)
class ServerEntry:
    """A server as the file names it."""

    line: int
    name: str
    kind: str
    url: str
    machine: str
    api_key_variable: str


@dataclass(frozen=True)
class ModelEntry:
    """A model as the file names it; `task` is None where it says nothing about it."""

    line: int
    name: str
    server: str
    state: str
    task: str | None


@dataclass(frozen=True)
class FederationFile:
    """What shall be there."""

    path: Path
    servers: tuple[ServerEntry, ...]
    models: tuple[ModelEntry, ...]


def read_federation_file(*, path: Path, default_machine: str) -> FederationFile:
    """Read a file without touching the database or any server; a server without a machine is on the default one.

    Raises:
        FederationFileError: it cannot be read, or holds mistakes; every one is named by its key and line.
    """
    text = _text_of(path)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FederationFileError(path, [FileMistake(0, "file", f"it is no TOML: {error}")]) from error
    except ValueError as error:  # a number of thousands of digits
        raise FederationFileError(path, [FileMistake(0, "file", "it holds a number that is too long")]) from error
    except RecursionError as error:
        raise FederationFileError(path, [FileMistake(0, "file", "it is nested too deeply")]) from error
    reader = _Reader(tables, _Lines(text))
    servers = [_server(entry, default_machine) for entry in reader.entries("servers")]
    models = [_model(entry) for entry in reader.entries("models")]
    if not servers and not reader.mistakes:
        reader.mistakes.append(FileMistake(0, "servers", "the file names none; begin one with [[servers]]"))
    _require_unique(servers, models, reader.mistakes)
    if reader.mistakes:
        raise FederationFileError(path, sorted(reader.mistakes, key=lambda mistake: mistake.line))
    return FederationFile(path, tuple(servers), tuple(models))


def _text_of(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise FederationFileError(path, [FileMistake(0, "file", f"it is larger than {MAX_FILE_BYTES} bytes")])
        return path.read_text(encoding="utf8")
    except OSError as error:
        message = f"it cannot be read: {error.strerror or error}"
        raise FederationFileError(path, [FileMistake(0, "file", message)]) from error
    except UnicodeDecodeError as error:
        raise FederationFileError(path, [FileMistake(0, "file", f"it is not UTF-8: {error}")]) from error


class _Lines:
    """Where the tables and keys of a file stand, because tomllib does not tell."""

    def __init__(self, text: str) -> None:
        self._of_table: dict[tuple[str, int], int] = {}
        self._of_key: dict[tuple[str, int, str], int] = {}
        table, counts = "", dict.fromkeys(_KEYS, 0)
        for number, line in enumerate(text.splitlines(), start=1):
            if heading := _TABLE_LINE.match(line):
                table = heading[1]
                counts[table] = counts.get(table, 0) + 1
                self._of_table[table, counts[table]] = number
            elif key := _KEY_LINE.match(line):
                self._of_key.setdefault((table, counts.get(table, 0), key[1]), number)

    def of_table(self, table: str, position: int) -> int:
        """Give the line of the heading of a table, counted from 1."""
        return self._of_table.get((table, position), 0)

    def of_key(self, table: str, position: int, key: str) -> int:
        """Give the line of a key, that of its table where the key has none."""
        return self._of_key.get((table, position, key), self.of_table(table, position))


class _Reader:
    """The tables of a file one by one, and the mistakes found so far."""

    def __init__(self, tables: Mapping[str, Any], lines: _Lines) -> None:
        self.mistakes = [
            FileMistake(
                lines.of_key("", 0, name) or lines.of_table(name, 1), name, "only [[servers]] and [[models]] are known"
            )
            for name in tables
            if name not in _KEYS
        ]
        self._tables = tables
        self._lines = lines

    def entries(self, table: str) -> "list[_Entry]":
        found = self._tables.get(table, [])
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            line = self._lines.of_key("", 0, table)
            self.mistakes.append(FileMistake(line, table, f"begin each of them with [[{table}]]"))
            return []
        entries = [_Entry(table, position, one, self) for position, one in enumerate(found, start=1)]
        for entry in entries:
            entry.refuse_unknown_keys()
        return entries

    def add(self, table: str, position: int, key: str, message: str) -> None:
        line = self._lines.of_key(table, position, key)
        self.mistakes.append(FileMistake(line, f"{table}.{key}", message))

    def line_of(self, table: str, position: int) -> int:
        return self._lines.of_table(table, position)


class _Entry:
    """One table of the file, whose values are checked as they are read."""

    def __init__(self, table: str, position: int, values: Mapping[str, Any], reader: _Reader) -> None:
        self._table = table
        self._position = position
        self._values = values
        self._reader = reader

    @property
    def line(self) -> int:
        return self._reader.line_of(self._table, self._position)

    def refuse_unknown_keys(self) -> None:
        known = _KEYS[self._table]
        for key in self._values.keys() - set(known):
            self._mistake(key, f"this key is not known; known are {', '.join(known)}")

    def text(self, key: str, pattern: re.Pattern[str], wanted: str, *, default: str | None = None) -> str:
        value = self._values.get(key, default)
        if value is None:
            self._mistake(key, "it is missing")
        elif not isinstance(value, str) or not pattern.fullmatch(value) or not value.isprintable():
            self._mistake(key, f"{_shown(value)} is not {wanted}")
        else:
            return value
        return ""

    def one_of(self, key: str, words: Sequence[str], *, default: str) -> str:
        wanted = f"one of: {', '.join(words)}"
        return self.text(key, re.compile("|".join(words)), wanted, default=default)

    def address(self, key: str) -> str:
        value = self.text(key, re.compile(r"\S{1,200}"), "an address")
        try:
            parts = urlsplit(value)
            is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if value and not is_address:
            self._mistake(key, f"{value!r} is not an address such as http://127.0.0.1:11434")
        return value if is_address else ""

    def has(self, key: str) -> bool:
        return key in self._values

    def _mistake(self, key: str, message: str) -> None:
        self._reader.add(self._table, self._position, key, message)


def _shown(value: object) -> str:
    told = repr(value)
    return told if len(told) <= _SHOWN else f"{told[: _SHOWN - 3]}..."


def _server(entry: _Entry, default_machine: str) -> ServerEntry:
    kind = entry.one_of("kind", KINDS, default="ollama")
    return ServerEntry(
        line=entry.line,
        name=entry.text("name", _NAME, "a name of at most 60 letters, digits, hyphens and underscores"),
        kind=kind,
        url=usual_base_url(kind, entry.address("url")),
        machine=entry.text("machine", _MACHINE, "a name of small letters, digits and hyphens", default=default_machine),
        api_key_variable=(
            entry.text("api_key_variable", _VARIABLE, "the name of an environment variable (never the key)")
            if entry.has("api_key_variable")
            else ""
        ),
    )


def _model(entry: _Entry) -> ModelEntry:
    return ModelEntry(
        line=entry.line,
        name=entry.text("name", _MODEL_NAME, "a model's name on its server"),
        server=entry.text("server", _NAME, "the name of a server of this file"),
        state=entry.one_of("state", STATES, default="candidate"),
        task=entry.text("task", _TASK, "one line of at most 100 characters") if entry.has("task") else None,
    )


def _require_unique(servers: Sequence[ServerEntry], models: Sequence[ModelEntry], mistakes: list[FileMistake]) -> None:
    """Note what two entries of a file cannot both say; empty texts are mistakes that were noted before."""
    names: set[str] = set()
    urls: set[str] = set()
    for server in servers:
        for key, value, seen in (("name", server.name, names), ("url", server.url, urls)):
            if value and value in seen:
                mistakes.append(FileMistake(server.line, f"servers.{key}", f"{value!r} is named more than once"))
            seen.add(value)
    pairs: set[tuple[str, str]] = set()
    for model in models:
        if model.server and model.server not in names:
            mistakes.append(FileMistake(model.line, "models.server", f"the file names no server {model.server!r}"))
        pair = (model.name.removesuffix(":latest"), model.server)
        if model.name and pair in pairs:
            mistakes.append(FileMistake(model.line, "models.name", f"{model.name!r} is named more than once"))
        pairs.add(pair)
