"""Every prompt against a separately made copy of the five data sets, where that lies beside the checkout."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.datasets import DATASETS
from benchmarks.datasets.databases import staged_databases
from benchmarks.datasets.downloading import download_raw
from benchmarks.datasets.petsql import PETSQL
from benchmarks.datasets.published import PublishedPrompts, parse_published
from tests.benchmarks.datasets.raw_files import SHARED
from tests.benchmarks.datasets.raw_server import RawServer, running

pytestmark = [pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is not there"), pytest.mark.slow]

# The file of each data set, and how many of its items it holds.
FILES = {
    "mbpp": ("mbpp.jsonl", 974),
    "gsm8k": ("gsm8k.jsonl", 1319),
    "webquestions": ("webquestions.jsonl", 2032),
    "petsql": ("petsql_spider.jsonl", 439),
    "wmt18": ("wmt18_deen.jsonl", 500),
}


def expected(name: str) -> list[dict[str, Any]]:
    text = (SHARED / FILES[name][0]).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.split("\n") if line]


def parsed(name: str) -> PublishedPrompts:
    return parse_published(dataset=DATASETS[name], folder=SHARED / "raw")


def written(reference: object) -> str:
    return "\n".join(reference) if isinstance(reference, list) else str(reference)


@pytest.mark.parametrize("name", FILES)
class TestEveryItem:
    def test_has_the_same_id_place_role_words_and_reference(self, name: str) -> None:
        rows = expected(name)
        lines = parsed(name).lines

        assert len(rows) == FILES[name][1]
        assert [
            (line.external_id, line.category, line.position, line.role, line.item_text, line.text, line.reference)
            for line in lines[: len(rows)]
        ] == [
            (
                row["id"], row["category"], row["position"], row["paper_role"] or "unused", row["source_text"],
                row["prompt"], written(row["reference"]),
            )
            for row in rows
        ]  # fmt: skip

    def test_has_the_same_checks_as_far_as_both_have_them(self, name: str) -> None:
        given = ("kind", "entry_point", "timeout_s", "tolerance", "order_matters", "source_language", "target_language")
        for row, line in zip(expected(name), parsed(name).lines, strict=False):
            checks = {key: value for key, value in row["checks"].items() if key in given}
            assert {key: line.checks[key] for key in checks} == checks, row["id"]

    def test_is_of_the_known_version(self, name: str) -> None:
        assert parsed(name).version == DATASETS[name].known_version


class TestMbpp:
    def test_has_the_same_tests(self) -> None:
        for row, line in zip(expected("mbpp"), parsed("mbpp").lines, strict=True):
            assert (line.checks["tests"], line.checks["setup"]) == (row["test_list"], row["test_setup_code"]), row["id"]


class TestPetsql:
    def test_finds_its_databases_with_all_tables(self, tmp_path: Path) -> None:
        rows, lines = expected("petsql"), parsed("petsql").lines[:439]
        assert PETSQL.databases is not None

        with staged_databases(
            needed=PETSQL.databases(lines), source=SHARED / "spider_databases", target=tmp_path / "petsql"
        ) as staged:
            assert sorted(staged.new) == sorted({row["db_id"] for row in rows})
            assert len(staged.new) == 10


@pytest.mark.parametrize("name", ["mbpp", "gsm8k", "webquestions", "petsql"])
class TestDownload:
    def test_of_the_official_file_passes_its_check(self, name: str, tmp_path: Path) -> None:
        dataset = DATASETS[name]
        content = parsed(name).path.read_bytes()

        with running(RawServer(content)) as home:
            official = replace(dataset.download(), url=home.url)
            here = replace(dataset, download=lambda: official)
            folder = download_raw(dataset=here, into=tmp_path, report=lambda done, total: None)

        assert (folder / official.file_name).read_bytes() == content
        assert parse_published(dataset=dataset, folder=folder).lines == parsed(name).lines
