import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.datasets.base import LineError, PromptFileError
from benchmarks.datasets.published import PublishedDataset, parse_published
from tests.benchmarks.datasets.raw_files import (
    GSM8K_RECORDS,
    MBPP_RECORDS,
    PETSQL_RECORDS,
    WEBQUESTIONS_RECORDS,
    small,
    write_array,
    write_lines,
)

Write = Callable[[Path, list[dict[str, Any]]], Path]

# Each JSON data set: its raw file, how that is written, its records, the line on which the first one stands.
JSON_DATASETS = {
    "gsm8k": ("test.jsonl", write_lines, GSM8K_RECORDS, 1),
    "mbpp": ("mbpp.jsonl", write_lines, MBPP_RECORDS, 1),
    "webquestions": ("webquestions.examples.test.json", write_array, WEBQUESTIONS_RECORDS, 2),
    "petsql": ("ppl_dev.json", write_array, PETSQL_RECORDS, 2),
}
FIELDS = [
    (name, field)
    for name, (_, _, records, _) in JSON_DATASETS.items()
    for field in records[0]
    if field not in {"challenge_test_list", "url", "full_ddl"}  # kept as they are, asked for by nothing
]


def errors_of(dataset: PublishedDataset, folder: Path) -> list[LineError]:
    with pytest.raises(PromptFileError) as caught:
        parse_published(dataset=dataset, folder=folder)
    return caught.value.errors


class TestParsePublished:
    def test_gives_place_role_and_id_by_position(self, tmp_path: Path) -> None:
        records = [{"question": f"What is {n}?", "answer": f"#### {n}"} for n in range(1, 58)]
        write_lines(tmp_path / "test.jsonl", records)

        lines = parse_published(dataset=small("gsm8k", 57), folder=tmp_path).lines

        assert [line.role for line in lines] == ["train"] * 50 + ["validation"] * 5 + ["unused"] * 2
        assert [line.position for line in lines] == list(range(1, 58))
        assert (lines[0].external_id, lines[56].external_id) == ("gsm8k-test-0001", "gsm8k-test-0057")
        assert {line.category for line in lines} == {"math"}

    def test_takes_the_sha256_of_the_file_for_its_version(self, tmp_path: Path) -> None:
        (tmp_path / "test.jsonl").write_text('{"question": "2?", "answer": "#### 2"}\n', encoding="utf-8")

        parsed = parse_published(dataset=small("gsm8k", 1), folder=tmp_path)

        # by sha256sum
        assert parsed.version == "sha256:4fc10152762d0e5d9a443183a76f17c32460299e54dd50d395796c128c63d5a0"

    def test_refuses_a_file_that_is_cut_short_between_two_items(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "test.jsonl", GSM8K_RECORDS[:2])

        (error,) = errors_of(small("gsm8k", 3), tmp_path)

        assert str(error) == "file: it holds 2 items, but GSM8K, test has 3"

    @pytest.mark.parametrize("name", JSON_DATASETS)
    def test_names_each_wrong_line(self, tmp_path: Path, name: str) -> None:
        file, write, records, first = JSON_DATASETS[name]
        broken = [dict.fromkeys(record, 7) for record in records]
        write(tmp_path / file, broken)

        errors = errors_of(small(name, len(records)), tmp_path)

        assert [error.line for error in errors] == list(range(first, first + len(records)))

    @pytest.mark.parametrize(("name", "field"), FIELDS)
    def test_names_a_renamed_column(self, tmp_path: Path, name: str, field: str) -> None:
        file, write, records, first = JSON_DATASETS[name]
        renamed = {("other" if key == field else key): value for key, value in records[0].items()}
        write(tmp_path / file, [renamed, *records[1:]])

        (error,) = errors_of(small(name, len(records)), tmp_path)

        assert (error.line, error.field) == (first, field)
        assert error.message.startswith("it is missing; the fields are: ")
        assert "other" in error.message

    @pytest.mark.parametrize(("name", "field"), [pair for pair in FIELDS if pair[1] != "test_setup_code"])
    @pytest.mark.parametrize("value", [None, "", "a\0b", [], {"a": 1}, 7.5], ids=repr)
    def test_refuses_a_value_of_another_kind(self, tmp_path: Path, name: str, field: str, value: object) -> None:
        file, write, records, first = JSON_DATASETS[name]
        write(tmp_path / file, [{**records[0], field: value}, *records[1:]])

        (error,) = errors_of(small(name, len(records)), tmp_path)

        assert (error.line, error.field) == (first, field)

    @pytest.mark.parametrize("name", JSON_DATASETS)
    def test_names_the_line_of_broken_json(self, tmp_path: Path, name: str) -> None:
        file, write, records, first = JSON_DATASETS[name]
        path = write(tmp_path / file, records)
        lines = path.read_text(encoding="utf-8").split("\n")
        lines[first] = lines[first].replace(":", "", 1)
        path.write_text("\n".join(lines), encoding="utf-8")

        (error,) = errors_of(small(name, len(records)), tmp_path)

        assert error.line == first + 1
        assert error.message.startswith("it is not JSON")

    @pytest.mark.parametrize("name", JSON_DATASETS)
    def test_names_the_line_of_another_encoding(self, tmp_path: Path, name: str) -> None:
        file, write, records, first = JSON_DATASETS[name]
        path = write(tmp_path / file, records)
        lines = path.read_bytes().split(b"\n")
        lines[first] += "ü".encode("latin-1")
        path.write_bytes(b"\n".join(lines))

        (error,) = errors_of(small(name, len(records)), tmp_path)

        assert str(error) == f"line {first + 1}: it is not UTF-8; save the file as UTF-8"

    @pytest.mark.parametrize("name", JSON_DATASETS)
    def test_refuses_an_empty_file(self, tmp_path: Path, name: str) -> None:
        (tmp_path / JSON_DATASETS[name][0]).touch()

        assert len(errors_of(small(name, 3), tmp_path)) == 1

    def test_refuses_a_page_in_the_place_of_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "test.jsonl").write_text("<html>Sign in</html>\n", encoding="utf-8")

        assert "not JSON" in str(errors_of(small("gsm8k", 3), tmp_path)[0])


class TestFindingTheFile:
    def test_tells_what_is_looked_for_and_what_is_there(self, tmp_path: Path) -> None:
        write_lines(tmp_path / "train.jsonl", GSM8K_RECORDS)

        (error,) = errors_of(small("gsm8k", 3), tmp_path)

        assert str(error) == "file: the folder has no gsm8k_test.jsonl or test.jsonl; it holds: train.jsonl"

    @pytest.mark.parametrize("is_file", [True, False], ids=["a file", "nothing"])
    def test_refuses_what_is_no_folder(self, tmp_path: Path, is_file: bool) -> None:
        path = tmp_path / "test.jsonl"
        if is_file:
            path.write_text(json.dumps(GSM8K_RECORDS[0]), encoding="utf-8")

        (error,) = errors_of(small("gsm8k", 1), path)

        assert "it is not a folder" in str(error)
