"""GSM8K, test split: school mathematics in words (github.com/openai/grade-school-math)."""

import re
from pathlib import Path

from benchmarks.datasets.base import LineProblem, json_lines
from benchmarks.datasets.published import Download, PublishedDataset, RawContent, RawItem, RawRecord, read_json

_VERSION = "sha256:3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14"
_COMMIT = "3101c7d5072418e28b9008a6636bde82a006892c"
_ASKING = (
    'Solve the problem step by step, then write the final answer as a single number on the last line after "####".'
)
_ANSWER = re.compile(r"####\s*(-?\d[\d,]*(?:\.\d+)?)\s*\Z")
_TOLERANCE = 1e-6  # an answer that a model wrote as 17.9999999 is the whole number it stands for


def _item(record: RawRecord) -> RawItem:
    question = record.text("question")
    found = _ANSWER.search(record.text("answer"))
    if found is None:
        raise LineProblem("answer", "it does not end in '####' and a number")
    value = found[1].replace(",", "")
    return RawItem(
        item_text=question,
        text=f"{question}\n\n{_ASKING}",
        reference=value,
        checks={"kind": "number", "value": value, "tolerance": _TOLERANCE},
        source_fields=record.without("question"),
    )


def _read(folder: Path) -> RawContent:
    return read_json(folder=folder, names=("gsm8k_test.jsonl", "test.jsonl"), records=json_lines, convert=_item)


def _download() -> Download:
    return Download(
        url=f"https://raw.githubusercontent.com/openai/grade-school-math/{_COMMIT}/grade_school_math/data/test.jsonl",
        file_name="test.jsonl",
        known_hash=_VERSION,
    )


GSM8K = PublishedDataset(
    name="gsm8k",
    title="GSM8K, test",
    category="math",
    id_prefix="gsm8k-test",
    item_count=1319,
    licence="MIT",
    attribution="Cobbe et al., Training Verifiers to Solve Math Word Problems, 2021. Copyright (c) 2021 OpenAI.",
    source_url="https://github.com/openai/grade-school-math",
    known_version=_VERSION,
    download=_download,
    read=_read,
)
