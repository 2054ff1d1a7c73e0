"""Everything that reads files and bodies from elsewhere, with sound input to spoil and the errors that it may raise."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.bundling.archive import MANIFEST, BundleError, Origin, open_bundle, write_bundle
from benchmarks.datasets import DATASETS
from benchmarks.datasets.base import PromptFileError
from benchmarks.datasets.files import parse_prompts
from benchmarks.datasets.outcomes import OutcomeFileError, read_outcomes
from benchmarks.datasets.published import parse_published
from benchmarks.federation_file import FederationFileError, read_federation_file
from benchmarks.grid.yearly import OUR_WORLD_IN_DATA, TableError, read_table
from greenllm.backup.archive import BackupError, open_archive
from labeling.exchanging.entries import FileRefused, Reading
from labeling.exchanging.formats import Format, format_of, read_labels
from router.wire import ChatRequest, parse_chat_request, parse_route_request
from router.wires import ollama_requests
from router.wires.embeddings import parse_embeddings_request
from router.wires.fields import WireError
from router.wires.openai import COMPLETION
from tests.benchmarks.datasets.raw_files import (
    GSM8K_RECORDS,
    MBPP_RECORDS,
    PETSQL_RECORDS,
    WEBQUESTIONS_RECORDS,
    WMT18_PAIRS,
    write_pairs,
)
from tests.fuzz.mutating import changed, spoilt_json, spoilt_lines
from tests.fuzz.sound import (
    CHAT,
    COMPLETED,
    DOCCANO,
    EMBEDDED,
    FEDERATION,
    LABEL,
    OLLAMA_CHAT,
    OLLAMA_GENERATE,
    PROMPT,
    ROUTE,
    TASK,
)
from tests.fuzz.tally import Hung, Tally, limited, timed
from tests.greenllm.backup.archives import write_archive

MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Target:
    """A reader, an input that it takes, what spoils one for it, and the errors by which it may refuse."""

    name: str
    sound: bytes
    made: Callable[[Random], bytes]
    read: Callable[[bytes, Path], object]
    refusals: tuple[type[Exception], ...]


def fuzz(target: Target, random: Random, count: int, folder: Path) -> Tally:
    """Give a reader so many spoilt inputs; anything but a result or one of its refusals is a fault."""
    tally = Tally(target.name)
    with timed(tally):
        for _ in range(count):
            content = target.sound if random.random() < 0.02 else target.made(random)
            tally.generated += 1
            try:
                with limited():
                    target.read(content, folder)
            except target.refusals as error:
                tally.refused += 1
                if not str(error).strip():
                    tally.note(f"{type(error).__name__} says nothing", content[:300])
            except Hung:
                tally.hangs += 1
                tally.examples["hang"] = repr(content[:300])
            except Exception as error:  # noqa: BLE001  whatever it is counts
                tally.fault(error, content[:2000])
    return tally


_TOML = (
    '"\\u0000"', "[" * 500, "{a=" * 300, "1979-13-01", "9" * 5000, '"""', "inf", "nan", "'\\'", '"\\ud800"', "0x",
    "a.b.c = 1\n", "[servers]\n", "[[servers.a]]\n", "= 1\n", "\r", "1e9999", '"x\\u0000y"', "true", "07:32:00",
)  # fmt: skip
ORIGIN = Origin("0.1.0", "2026-01-02T03:04:05+00:00", "first", "6f1c9a58-0000-4000-8000-000000000000", "lab")


def as_csv(rows: Sequence[Mapping[str, Any]], delimiter: str = ",") -> bytes:
    """Write rows as CSV; nested values as JSON."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow(list(rows[0]))
    for row in rows:
        writer.writerow([json.dumps(one) if isinstance(one, dict | list) else one for one in row.values()])
    return file.getvalue().encode()


def as_lines(*records: Any) -> bytes:
    """Write records as JSON lines."""
    return "".join(f"{json.dumps(one)}\n" for one in records).encode()


def _made_lines(*records: Any) -> Callable[[Random], bytes]:
    return lambda random: spoilt_lines(random, [random.choice(records) for _ in range(random.randint(1, 4))])


def _made_text(sound: bytes, most: int = 8) -> Callable[[Random], bytes]:
    return lambda random: changed(random, sound, most=most)


def _made_array(*records: Any) -> Callable[[Random], bytes]:
    return lambda random: spoilt_json(random, [random.choice(records) for _ in range(random.randint(1, 3))])


def _made_body(record: Any) -> Callable[[Random], bytes]:
    return lambda random: spoilt_json(random, record)


def _made_toml(random: Random) -> bytes:
    text = FEDERATION
    for _ in range(random.randint(1, 3)):
        lines = text.split("\n")
        at = random.randrange(len(lines))
        name, equals, _ = lines[at].partition("=")
        lines[at] = f"{name}={random.choice(_TOML)}" if equals and random.random() < 0.7 else random.choice(_TOML)
        text = "\n".join(lines)
    return changed(random, text.encode()) if random.random() < 0.3 else text.encode()


def _made_zip(sound: bytes) -> Callable[[Random], bytes]:
    """Spoil the bytes of a zip, or its members; some are packed in ways that its writer never uses."""

    def made(random: Random) -> bytes:
        if random.random() < 0.4:
            return changed(random, sound, most=3)
        with zipfile.ZipFile(io.BytesIO(sound)) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        name = random.choice(list(members))
        is_manifest = random.random() < 0.6
        if is_manifest:
            members[MANIFEST] = spoilt_json(random, json.loads(members[MANIFEST]))
        else:
            members[name] = changed(random, members[name])
        file = io.BytesIO()
        kind = random.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
        with zipfile.ZipFile(file, "w", kind) as archive:
            for member, content in members.items():
                archive.writestr(member, content)
        written = file.getvalue()
        return changed(random, written, most=2) if random.random() < 0.4 else written

    return made


def sound_bundle() -> bytes:
    file = io.BytesIO()
    write_bundle(
        file, origin=ORIGIN, members=[("a.jsonl", iter([{"text": "grün", "value": 0.1}] * 3)), ("b.jsonl", iter([]))]
    )
    return file.getvalue()


def sound_backup(folder: Path) -> bytes:
    path = write_archive(folder / "sound.backup")
    content = path.read_bytes()
    path.unlink()
    return content


def _from_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes, Path], object]:
    def reading(content: bytes, folder: Path) -> object:
        path = folder / name
        path.write_bytes(content)
        return read(path)

    return reading


def _read_prompts(path: Path) -> object:
    return parse_prompts(path=path, category_name=None)


def _read_intensities(path: Path) -> object:
    return read_table(path=path, table=OUR_WORLD_IN_DATA)


def _read_federation(path: Path) -> object:
    return read_federation_file(path=path, default_machine="here")


def _read_wmt(content: bytes, folder: Path) -> object:
    write_pairs(folder, WMT18_PAIRS)
    (folder / "newstest2018-deen-src.de").write_bytes(content)
    return parse_published(dataset=replace(DATASETS["wmt18"], item_count=3), folder=folder)


def _read_outcomes(content: bytes, folder: Path) -> object:
    prompts, _, outcomes = content.partition(b"\x1e")
    (folder / "prompts.csv").write_bytes(prompts)
    (folder / "outcomes.csv").write_bytes(outcomes)
    return read_outcomes(folder)


def _sound_outcomes() -> bytes:
    prompts = [{"prompt_id": one, "category": "math", "prompt": f"{one}?"} for one in "ab"]
    rows = [
        {"prompt_id": one, "model": model, "score": 1, "energy_j": 2.5, "quality": "measured"}
        for one in "ab"
        for model in "xy"
    ]
    return as_csv(prompts) + b"\x1e" + as_csv(rows)


def _read_bundle(content: bytes, _folder: Path) -> object:
    bundle = open_bundle(io.BytesIO(content), member_names=("a.jsonl", "b.jsonl"), max_bytes=MAX_BYTES)
    return [list(bundle.lines(member.name)) for member in bundle.manifest.members]


def _read_backup(content: bytes, _folder: Path) -> object:
    archive = open_archive(io.BytesIO(content))
    archive.settings()
    return [list(archive.blocks(part.name)) for part in archive.manifest.parts]


def _labels(file_format: Format) -> Callable[[bytes, Path], object]:
    return lambda content, _folder: list(
        read_labels(file=io.BytesIO(content), file_format=file_format, reading=Reading())
    )


def _told_labels(content: bytes, _folder: Path) -> object:
    file = io.BytesIO(content)
    return list(read_labels(file=file, file_format=format_of(file=file), reading=Reading()))


def _body(read: Callable[[bytes], object]) -> Callable[[bytes, Path], object]:
    """Read a body; what was taken must be such that it can be sent on to either kind of server."""

    def reading(content: bytes, _folder: Path) -> object:
        asked = read(content)
        if isinstance(asked, ChatRequest):
            calls = [call for message in asked.messages for call in message.tool_calls]
            sent = [asked.demands.on_openai(), asked.demands.on_ollama(), [call.on_ollama(0) for call in calls]]
            texts = [message.content for message in asked.messages]
            json.dumps([sent, texts, asked.parameters.stop], ensure_ascii=False, allow_nan=False).encode()
        return asked

    return reading


def _published(name: str, file_name: str, records: Sequence[Any], *, is_array: bool = False) -> Target:
    """Return the reader of a published data set, as if it had one item."""
    dataset = replace(DATASETS[name], item_count=1)
    read = _from_file(file_name, lambda path: parse_published(dataset=dataset, folder=path.parent))
    if is_array:
        return Target(dataset.title, json.dumps(records[:1]).encode(), _made_array(*records), read, (PromptFileError,))
    return Target(dataset.title, as_lines(records[0]), _made_lines(*records), read, (PromptFileError,))


def _data_set_targets() -> list[Target]:
    lines, table = as_lines(PROMPT), as_csv([PROMPT])
    wmt, outcomes = "Guten Tag.\nMüller & Söhne\nEnde.\n".encode(), _sound_outcomes()
    intensities = as_csv([dict(zip(OUR_WORLD_IN_DATA.columns, ["DEU", "2022", "385.0"], strict=True))])
    return [
        Target(
            "prompts in JSON lines",
            lines,
            _made_lines(PROMPT),
            _from_file("a.jsonl", _read_prompts),
            (PromptFileError,),
        ),
        Target("prompts in CSV", table, _made_text(table), _from_file("a.csv", _read_prompts), (PromptFileError,)),
        _published("gsm8k", "test.jsonl", GSM8K_RECORDS),
        _published("mbpp", "mbpp.jsonl", MBPP_RECORDS),
        _published("webquestions", "webquestions.examples.test.json", WEBQUESTIONS_RECORDS, is_array=True),
        _published("petsql", "ppl_dev.json", PETSQL_RECORDS, is_array=True),
        Target("WMT18", wmt, _made_text(wmt), _read_wmt, (PromptFileError,)),
        Target("tables of outcomes", outcomes, _made_text(outcomes), _read_outcomes, (OutcomeFileError,)),
        Target(
            "tables of carbon intensity",
            intensities,
            _made_text(intensities),
            _from_file("t.csv", _read_intensities),
            (TableError,),
        ),
    ]


def _label_targets() -> list[Target]:
    table, semicolons = as_csv([LABEL]), as_csv([LABEL], ";")
    lines, doccano, tasks = as_lines(LABEL), as_lines(DOCCANO), json.dumps([TASK]).encode()
    ways = [_made_lines(LABEL, DOCCANO), _made_text(table), _made_text(semicolons), _made_array(TASK)]
    return [
        Target(f"labels: {name}", sound, made, read, (FileRefused,))
        for name, sound, made, read in (
            ("JSON lines", lines, _made_lines(LABEL), _labels(Format.JSONL)),
            ("CSV", table, _made_text(table), _labels(Format.CSV)),
            ("Label Studio", tasks, _made_array(TASK), _labels(Format.LABEL_STUDIO)),
            ("doccano", doccano, _made_lines(DOCCANO), _labels(Format.DOCCANO)),
            ("told from the file", semicolons, lambda random: random.choice(ways)(random), _told_labels),
        )
    ]


def file_targets(folder: Path) -> list[Target]:
    """Return the readers of files."""
    bundle, backup = sound_bundle(), sound_backup(folder)
    return [
        *_data_set_targets(),
        *_label_targets(),
        Target(
            "federation files",
            FEDERATION.encode(),
            _made_toml,
            _from_file("f.toml", _read_federation),
            (FederationFileError,),
        ),
        Target("study bundles", bundle, _made_zip(bundle), _read_bundle, (BundleError,)),
        Target("backups", backup, _made_zip(backup), _read_backup, (BackupError,)),
    ]


def wire_targets() -> list[Target]:
    """Return the readers of request bodies."""
    read: dict[str, tuple[Any, Callable[[bytes], object]]] = {
        "/v1/chat/completions": (CHAT, parse_chat_request),
        "/v1/completions": (COMPLETED, COMPLETION.parse),
        "/v1/embeddings": (EMBEDDED, parse_embeddings_request),
        "/v1/greenllm/route": (ROUTE, parse_route_request),
        "/api/chat": (OLLAMA_CHAT, ollama_requests.parse_chat),
        "/api/generate": (OLLAMA_GENERATE, ollama_requests.parse_generate),
        "/api/embed": (EMBEDDED, ollama_requests.parse_embed),
        "/api/embeddings": (OLLAMA_GENERATE, ollama_requests.parse_embeddings),
        "/api/show": ({"model": "small"}, ollama_requests.parse_name),
    }
    return [
        Target(f"bodies of {path}", json.dumps(record).encode(), _made_body(record), _body(parse), (WireError,))
        for path, (record, parse) in read.items()
    ]
