"""Files that are wrong in one way each, made by code, with what is to be told of each: the field and the remedy."""

import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.bundling.archive import MANIFEST
from tests.fuzz.parsers import as_csv, as_lines, sound_bundle
from tests.fuzz.sound import DOCCANO, FEDERATION, LABEL, PROMPT, TASK

_DEEP = 100_000


@dataclass(frozen=True)
class BadFile:
    """A file, which reader it is for, and parts of what is said of it, in small letters."""

    kind: str
    why: str
    content: bytes
    told: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.kind}: {self.why}"


def _changed(record: Mapping[str, Any], **fields: Any) -> bytes:
    return as_lines({**record, **fields})


def _deep(record: Mapping[str, Any], name: str) -> bytes:
    text = json.dumps({**record, name: "@"})
    return text.replace('"@"', "[" * _DEEP + "]" * _DEEP).encode()


def _prompts() -> list[BadFile]:
    cases: dict[str, tuple[bytes, tuple[str, ...]]] = {
        "empty": (b"", ("it holds no prompt",)),
        "only a byte order mark": (b"\xef\xbb\xbf", ("it holds no prompt",)),
        "UTF-16": (json.dumps(PROMPT).encode("utf-16"), ("line 1", "save the file as utf-8")),
        "not UTF-8": (b'{"prompt": "M\xfcller"}', ("line 1", "save the file as utf-8")),
        "no JSON": (b"What is 2 + 2?\n", ("line 1", "it is not json")),
        "a list": (b"[1, 2]\n", ("line 1", "it is not a json object")),
        "NUL": (_changed(PROMPT, prompt="a\x00b"), ("line 1, prompt", "nul character, which postgres cannot store")),
        "half a pair": (_changed(PROMPT, reference="\ud800"), ("line 1, reference", "half of a surrogate pair")),
        "deep": (_deep(PROMPT, "extra"), ("line 1", "nested too deeply")),
        "21 levels": (as_lines({**PROMPT, "extra": json.loads("[" * 25 + "]" * 25)}), ("line 1, extra", "20 levels")),
        "infinity": (b'{"prompt": "a", "category": "math", "x": 1e999}', ("line 1, x", "not a number that json has")),
        "endless number": (b'{"prompt": ' + b"9" * 5000 + b"}", ("line 1", "it is not json")),
        "no prompt": (_changed(PROMPT, prompt=" "), ("line 1, prompt", "it is empty")),
        "a prompt that is a number": (_changed(PROMPT, prompt=5), ("line 1, prompt", "it must be text, not int")),
        "a category with a slash": (_changed(PROMPT, category="a/b"), ("line 1, category", "letters, digits, hyphens")),
        "no category": (_changed(PROMPT, category=""), ("line 1, category", "add the column or name one")),
        "a long id": (_changed(PROMPT, id="x" * 101), ("line 1, id", "longer than 100")),
        "the same id twice": (as_lines(PROMPT, PROMPT), ("line 2, id", "stands on line 1 already")),
        "a role": (_changed(PROMPT, role="test"), ("line 1, role", "train, validation, unused")),
        "a position": (_changed(PROMPT, position=2**40), ("line 1, position", "whole number from 1")),
        "checks without a kind": (_changed(PROMPT, checks={}), ("line 1, checks", "has no 'kind'")),
        "checks that are no JSON": (_changed(PROMPT, checks="{"), ("line 1, checks", "it is not json")),
    }
    return [BadFile("prompts", why, *case) for why, case in cases.items()]


def _outcomes() -> list[BadFile]:
    prompts = as_csv([{"prompt_id": "a", "category": "math", "prompt": "2 + 2?"}])
    row = {"prompt_id": "a", "model": "x", "score": 1, "energy_j": 2.5, "quality": "measured"}

    def table(**fields: Any) -> bytes:
        return prompts + b"\x1e" + as_csv([{**row, **fields}])

    cases: dict[str, tuple[bytes, tuple[str, ...]]] = {
        "empty": (b"\x1e", ("prompts.csv", "has no column 'prompt_id'")),
        "a score above 1": (table(score=1.5), ("outcomes.csv, line 2, score", "from 0 (wrong) to 1 (right)")),
        "a score that is a word": (table(score="good"), ("outcomes.csv, line 2, score",)),
        "a score that is no number": (table(score="nan"), ("outcomes.csv, line 2, score",)),
        "no energy": (table(energy_j=0), ("outcomes.csv, line 2, energy_j", "above 0")),
        "infinite energy": (table(energy_j="1e999"), ("outcomes.csv, line 2, energy_j",)),
        "a quality": (table(quality="fine"), ("outcomes.csv, line 2, quality", "measured")),
        "another prompt": (table(prompt_id="b"), ("outcomes.csv, line 2, prompt_id", "prompts.csv")),
        "a NUL": (table(model="a\x00"), ("outcomes.csv, line 2, model", "nul character")),
        "a quote that is left open": (
            prompts + b'\x1eprompt_id,model,score,energy_j\na,"x,1,2\n',
            ("outcomes.csv", "it is not csv"),
        ),
        "too few cells": (
            prompts + b"\x1eprompt_id,model,score,energy_j\na,x\n",
            ("outcomes.csv, line 2", "fewer cells"),
        ),
    }
    return [BadFile("outcomes", why, *case) for why, case in cases.items()]


def _labels() -> list[BadFile]:
    def task(**fields: Any) -> bytes:
        return json.dumps([{**TASK, "meta": {}, **fields}]).encode()

    annotation: dict[str, Any] = TASK["annotations"][0]
    lines: dict[str, tuple[bytes, tuple[str, ...]]] = {
        "empty": (b"", ("the file is empty", "export it again")),
        "a picture": (b"\x89PNG\r\n\x1a\n\x00\x00", ("format cannot be told", "say which one")),
        "no verdict": (_changed(LABEL, verdict=""), ("line 1", "verdict", "give one of correct")),
        "a verdict": (_changed(LABEL, verdict="yes"), ("line 1", "verdict", "give one of correct")),
        "a verdict that is a list": (_changed(LABEL, verdict=[["correct"]]), ("line 1", "verdict", "give one of")),
        "a response": (_changed(LABEL, response=-5), ("line 1", "response", "give the number of the answer")),
        "a response that is huge": (_changed(LABEL, response=2**70), ("line 1", "response", "give the number")),
        "a moment": (
            _changed(LABEL, created_at="yesterday"),
            ("line 1", "created_at", "give date, time and time zone"),
        ),
        "a score": (_changed(LABEL, score=-1), ("line 1", "score", "from 0 to 1")),
        "NUL": (_changed(LABEL, comment="\x00"), ("line 1", "comment", "without nul")),
        "deep": (_deep(LABEL, "grade"), ("line 1", "it is no json")),
        "a doccano of two labels": (
            _changed(DOCCANO, label=["correct", "unsure"], greenllm=None),
            ("line 1", "label", "has 2 labels"),
        ),
        "a header of another table": (b"name;verdict\nann;correct\n", ("line 1", "'response' or 'prompt' and 'model'")),
        "a header with a line break of old Macs": (b"id,verdict\r,response\n", ("line 1", "save the file as csv")),
        "UTF-16 CSV": ("verdict,response\n".encode("utf-16"), ("utf-16", "save it as utf-8")),
        "an open quotation mark": (b'response,verdict\n5,"correct\n', ("line 2", "quotation mark that is not closed")),
        "tasks that end early": (task()[:-20], ("line 1", "export it again")),
        "an annotation that was skipped": (
            task(annotations=[{**annotation, "was_cancelled": True}]),
            ("line 1", "was_cancelled"),
        ),
        "an annotation without a choice": (
            task(annotations=[{**annotation, "result": 5}]),
            ("line 1", "result", "has 0 choices"),
        ),
    }
    strange = {
        "annotations that are a number": task(annotations=5),
        "predictions that are true": task(predictions=True),
        "carried labels that are a number": json.dumps([{**TASK, "meta": {"greenllm": {"labels": 5.5}}}]).encode(),
    }
    return [
        *(BadFile("labels", why, *case) for why, case in lines.items()),
        *(BadFile("labels", why, content, ()) for why, content in strange.items()),
    ]


def _federations() -> list[BadFile]:
    def with_line(old: str, new: str) -> bytes:
        return FEDERATION.replace(old, new).encode()

    name = 'name = "gpu"'
    cases: dict[str, tuple[bytes, tuple[str, ...]]] = {
        "empty": (b"", ("servers", "begin one with [[servers]]")),
        "no TOML": (b"servers:\n - gpu\n", ("file", "it is no toml")),
        "deep": (with_line(name, f"name = {'[' * 5000}{']' * 5000}"), ("file", "nested too deeply")),
        "endless number": (with_line(name, f"name = {'9' * 5000}"), ("file", "a number that is too long")),
        "UTF-16": (FEDERATION.encode("utf-16"), ("file", "not utf-8")),
        "a key of its own": (with_line(name, f'{name}\nkey = "sk-1"'), ("servers.key", "not known; known are name")),
        "an address without a scheme": (
            with_line("http://gpu", "gpu"),
            ("servers.url", "such as http://127.0.0.1:11434"),
        ),
        "a port that is none": (with_line("gpu:8000", "gpu:99999"), ("servers.url", "such as http")),
        "a NUL in an address": (
            with_line("http://gpu:8000/v1", "http://gpu:8000/\\u0000"),
            ("servers.url", "is not an address"),
        ),
        "a NUL in a model": (with_line("tiny:1b", "tiny\\u0000"), ("models.name", "is not a model's name")),
        "a kind": (with_line('"openai"', '"vllm"'), ("servers.kind", "one of: ollama, openai")),
        "a server that is not there": (
            with_line('server = "gpu"', 'server = "lab"'),
            ("models.server", "names no server"),
        ),
        "a table in a table": (b"[servers]\nname = 'a'\n", ("servers", "begin each of them with [[servers]]")),
    }
    return [BadFile("federation", why, *case) for why, case in cases.items()]


def zipped(members: Mapping[str, bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packing) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def rezipped(sound: bytes, change: Callable[[dict[str, bytes]], None], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip anew with other members."""
    with zipfile.ZipFile(io.BytesIO(sound)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    return zipped(members, packing)


def stated(**facts: Any) -> Callable[[dict[str, bytes]], None]:
    """Return a change of the manifest."""

    def change(members: dict[str, bytes]) -> None:
        members[MANIFEST] = json.dumps({**json.loads(members[MANIFEST]), **facts}).encode()

    return change


def _bomb(members: dict[str, bytes]) -> None:
    members["a.jsonl"] = bytes(20_000_000)
    told = json.loads(members[MANIFEST])
    told["members"][0]["byte_count"] = 20_000_000
    members[MANIFEST] = json.dumps(told).encode()


def _shifted(sound: bytes) -> bytes:
    """Return a zip whose end tells another place of the directory, so that members begin before the file."""
    at = sound.rfind(b"PK\x05\x06") + 16
    (place,) = struct.unpack_from("<L", sound, at)
    return sound[:at] + struct.pack("<L", place + 7) + sound[at + 4 :]


def _large_directory(sound: bytes) -> bytes:
    at = sound.rfind(b"PK\x05\x06") + 12
    return sound[:at] + struct.pack("<L", 2**31) + sound[at + 4 :]


def _bundles() -> list[BadFile]:
    sound = sound_bundle()

    def nothing(_members: dict[str, bytes]) -> None:
        return None

    def outside(members: dict[str, bytes]) -> None:
        members["../a.jsonl"] = b""

    cases: dict[str, tuple[bytes, tuple[str, ...]]] = {
        "empty": (b"", ("no whole bundle", "copy it again")),
        "a tarball": (b"\x1f\x8b" + bytes(100), ("no whole bundle", "copy it again")),
        "half": (sound[: len(sound) // 2], ("no whole bundle", "copy it again")),
        "another zip": (zipped({"letter.txt": b"Dear reader"}), ("no manifest.json", "export_study")),
        "a bomb": (rezipped(sound, _bomb), ("a.jsonl", "200 times its size")),
        "LZMA": (rezipped(sound, nothing, zipfile.ZIP_LZMA), ("packed in another way", "copy it again")),
        "bzip2": (rezipped(sound, nothing, zipfile.ZIP_BZIP2), ("packed in another way", "copy it again")),
        "members before the file": (_shifted(sound), ("no whole bundle", "copy it again")),
        "a directory of 2 GB": (_large_directory(sound), ("directory has 2,147,483,648 bytes", "copy it again")),
        "a path that leads out": (rezipped(sound, outside), ("../a.jsonl", "leads out of it")),
        "another format": (rezipped(sound, stated(format="x")), ("the format is 'x'", "no study bundle")),
        "another version": (
            rezipped(sound, stated(format_version=99)),
            ("format version 99", "same version of greenllm"),
        ),
        "members that are a number": (rezipped(sound, stated(members=5)), ("manifest.json", "misstates")),
        "a manifest that is a list": (
            rezipped(sound, lambda members: members.update({MANIFEST: b"[]"})),
            ("format is none",),
        ),
        "a deep manifest": (
            rezipped(sound, lambda members: members.update({MANIFEST: b"[" * _DEEP})),
            ("manifest.json is no json",),
        ),
    }
    return [BadFile("bundles", why, *case) for why, case in cases.items()]


def _backups(sound: bytes) -> list[BadFile]:
    def nothing(_members: dict[str, bytes]) -> None:
        return None

    stored = zipfile.ZIP_STORED
    cases: dict[str, tuple[bytes, tuple[str, ...]]] = {
        "empty": (b"", ("no backup of greenllm", "manage.py backup file")),
        "half": (sound[: len(sound) // 2], ("cut short or is damaged", "copy it again")),
        "packed": (rezipped(sound, nothing), ("packed in another way than stored", "copy it again")),
        "LZMA": (rezipped(sound, nothing, zipfile.ZIP_LZMA), ("packed in another way than stored", "copy it again")),
        "members before the file": (_shifted(sound), ("cut short or is damaged", "copy it again")),
        "a directory of 2 GB": (_large_directory(sound), ("directory has 2,147,483,648 bytes", "copy it again")),
        "another format": (rezipped(sound, stated(format="x"), stored), ("the format is 'x'", "no backup")),
        "another version": (
            rezipped(sound, stated(format_version=9), stored),
            ("reads version 1", "use that greenllm"),
        ),
        "parts that are a number": (rezipped(sound, stated(parts=5), stored), ("manifest.json lacks or misstates",)),
        "a deep manifest": (
            rezipped(sound, lambda members: members.update({MANIFEST: b"[" * _DEEP}), stored),
            ("manifest.json is no json",),
        ),
    }
    return [BadFile("backups", why, *case) for why, case in cases.items()]


def bad_files(sound_backup: bytes) -> list[BadFile]:
    """Return the whole corpus; `sound_backup` is a backup that is whole, to be spoilt."""
    return [*_prompts(), *_outcomes(), *_labels(), *_federations(), *_bundles(), *_backups(sound_backup)]
