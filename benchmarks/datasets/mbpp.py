"""MBPP, all splits: small Python tasks with asserts (github.com/google-research/google-research, mbpp)."""

import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks.datasets.base import LineProblem, json_lines
from benchmarks.datasets.published import Download, PublishedDataset, RawContent, RawItem, RawRecord, read_json

_TIMEOUT_S = 10
_SLOW_TASKS_S = {123: 120}  # its reference takes 20 to 50 s; every other one less than 3 s
_DEFINED = re.compile(r"^def\s+(\w+)", re.MULTILINE)
_CALLED = re.compile(r"(\w+)\s*\(")


def _item(record: RawRecord) -> RawItem:
    record.expect("task_id", record.position)
    task, code, tests = record.text("text"), record.text("code"), record.texts("test_list")
    asserts = "".join(f"{test}\n" for test in tests)
    return RawItem(
        item_text=task,
        text=f"You are an expert Python programmer, and here is your task: {task} "
        f"Your code should pass these tests:\n\n{asserts}",
        reference=code,
        checks={
            "kind": "python_asserts",
            "tests": tests,
            "setup": record.text("test_setup_code", may_be_empty=True),
            "entry_point": _entry_point(code, tests),
            "timeout_s": _SLOW_TASKS_S.get(record.position, _TIMEOUT_S),
        },
        source_fields=record.without("text", "code"),
    )


def _entry_point(code: str, tests: Sequence[str]) -> str:
    """Return the function that the tests call: the first called name that the code defines at its outermost level."""
    defined = set(_DEFINED.findall(code))
    for test in tests:
        for name in _CALLED.findall(test):
            if name in defined:
                return str(name)
    raise LineProblem("test_list", "no test calls a function that the code defines")


def _read(folder: Path) -> RawContent:
    return read_json(folder=folder, names=("mbpp.jsonl",), records=json_lines, convert=_item)


def _download() -> Download:
    # no hash: the file is changed now and then on its branch, so what comes is checked by its structure
    url = "https://raw.githubusercontent.com/google-research/google-research/master/mbpp/mbpp.jsonl"
    return Download(url=url, file_name="mbpp.jsonl", known_hash=None)


MBPP = PublishedDataset(
    name="mbpp",
    title="MBPP",
    category="code",
    id_prefix="mbpp",
    item_count=974,
    licence="CC BY 4.0",
    attribution="Austin et al., Program Synthesis with Large Language Models, 2021.",
    source_url="https://github.com/google-research/google-research/tree/master/mbpp",
    known_version="sha256:ccf64ceae9c5403bf50a044cb6d505bfd2a2963ee58338ba268fd65beab92a9f",
    download=_download,
    read=_read,
)
