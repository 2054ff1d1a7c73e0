import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.datasets.base import MAX_FILE_BYTES
from benchmarks.datasets.files import LineError, PromptFileError, PromptLine, parse_prompts

Write = Callable[[str, str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writing(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return writing


def parse(path: Path, category_name: str | None = "math") -> list[PromptLine]:
    return parse_prompts(path=path, category_name=category_name)


def errors_of(path: Path, category_name: str | None = "math") -> list[LineError]:
    with pytest.raises(PromptFileError) as caught:
        parse(path, category_name)
    return caught.value.errors


def line_of(**fields: Any) -> str:
    return json.dumps({"prompt": "2 + 2?", **fields})


# What one line may be wrong in: the line, the field that is named, a word of the message.
BAD_LINES = {
    "not JSON": ('{"prompt": "2 + 2?"', "", "not JSON"),
    "not an object": ('["2 + 2?"]', "", "not a JSON object"),
    "nested beyond reading": ('{"prompt": ' + "[" * 100_000, "", "nested too deeply"),
    "no prompt": ('{"id": "a"}', "prompt", "is empty"),
    "blank prompt": (line_of(prompt=" \t "), "prompt", "is empty"),
    "prompt that is a number": (line_of(prompt=4), "prompt", "must be text, not int"),
    "prompt that is null": (line_of(prompt=None), "prompt", "is empty"),
    "NUL in the prompt": (line_of(prompt="2 +\0 2?"), "prompt", "NUL"),
    "NUL in the checks": (line_of(checks={"kind": "exact", "answers": ["a\0"]}), "checks", "NUL"),
    "NUL in a further field": (line_of(note={"deep": ["\0"]}), "note", "NUL"),
    "half a surrogate pair": ('{"prompt": "\\ud83d?"}', "prompt", "surrogate"),
    "checks with a NaN": ('{"prompt": "x", "checks": {"kind": "number", "value": NaN}}', "checks", "not a number"),
    "checks beyond any number": ('{"prompt": "x", "checks": {"kind": "number", "value": 1e999}}', "checks", "inf"),
    "checks nested too deeply": (line_of(checks={"kind": json.loads("[" * 30 + "]" * 30)}), "checks", "nested"),
    "checks that are a list": (line_of(checks=["exact"]), "checks", "must be a JSON object"),
    "checks without a kind": (line_of(checks={"value": "4"}), "checks", "no 'kind'"),
    "checks with an odd kind": (line_of(checks={"kind": 4}), "checks", "no 'kind'"),
    "checks as text that is not JSON": (line_of(checks="{exact"), "checks", "not JSON"),
    "unknown role": (line_of(role="test"), "role", "'test' is not one of train, validation, unused"),
    "position 0": (line_of(position=0), "position", "0 is not a whole number from 1"),
    "position that is a word": (line_of(position="first"), "position", "'first' is not"),
    "position with a fraction": (line_of(position=1.5), "position", "1.5 is not"),
    "position that is true": (line_of(position=True), "position", "True is not"),
    "position beyond the database": (line_of(position=2**31), "position", "is not a whole number"),
    "id beyond the database": (line_of(id="x" * 101), "id", "longer than 100"),
    "id that is a number": (line_of(id=7), "id", "must be text"),
}


class TestJsonLines:
    def test_give_every_field(self, write: Write) -> None:
        full = {
            "id": "a-1", "position": 3, "role": "validation", "item": "2 + 2", "prompt": "Add: 2 + 2",
            "reference": "4", "checks": {"kind": "number", "value": "4"}, "level": 1,
        }  # fmt: skip

        assert parse(write("a.jsonl", json.dumps(full))) == [
            PromptLine(
                line=1,
                external_id="a-1",
                position=3,
                role="validation",
                item_text="2 + 2",
                text="Add: 2 + 2",
                reference="4",
                checks={"kind": "number", "value": "4"},
                category="math",
                source_fields={"level": 1},
            )
        ]

    def test_need_nothing_but_the_prompt(self, write: Write) -> None:
        (line,) = parse(write("sums.jsonl", line_of()))

        assert (line.external_id, line.position, line.role) == ("sums-1", None, "train")
        assert (line.item_text, line.reference, line.checks) == ("2 + 2?", "", {})

    def test_may_have_blank_lines_a_bom_and_windows_line_ends(self, write: Write) -> None:
        content = f"\ufeff{line_of(id='a')}\r\n\r\n{line_of(id='b')}\r\n"

        assert [(line.line, line.external_id) for line in parse(write("a.jsonl", content))] == [(1, "a"), (3, "b")]

    def test_may_hold_the_separators_that_only_unicode_calls_line_ends(self, write: Write) -> None:
        (line,) = parse(write("a.jsonl", '{"prompt": "one\u2028two\x85three"}'))

        assert line.text == "one\u2028two\x85three"

    @pytest.mark.parametrize(("bad", "field", "message"), BAD_LINES.values(), ids=BAD_LINES)
    def test_are_refused_by_the_number_of_the_broken_line(
        self, write: Write, bad: str, field: str, message: str
    ) -> None:
        lines = [line_of(id=str(number)) for number in range(1, 61)]
        lines[36] = bad

        (error,) = errors_of(write("a.jsonl", "\n".join(lines)))

        assert (error.line, error.field) == (37, field)
        assert message in error.message

    def test_are_refused_with_all_that_is_wrong_at_once(self, write: Write) -> None:
        content = "\n".join([line_of(id="a"), "{", line_of(id="a"), line_of(role="x")])

        errors = errors_of(write("a.jsonl", content))

        assert [(error.line, error.field) for error in errors] == [(2, ""), (3, "id"), (4, "role")]
        assert errors[1].message == "'a' stands on line 1 already"

    def test_are_told_about_up_to_twenty_at_a_time(self, write: Write) -> None:
        with pytest.raises(PromptFileError) as caught:
            parse(write("a.jsonl", "{\n" * 25))

        assert str(caught.value).count("it is not JSON") == 20
        assert str(caught.value).endswith("and 5 more")


class TestCsv:
    def test_gives_cells_as_fields_and_leaves_empty_ones_out(self, write: Write) -> None:
        content = 'id,prompt,position,checks,level\na-1,"Add: 2, 2",3,"{""kind"": ""number"", ""value"": 4}",\n'

        (line,) = parse(write("a.csv", content))

        assert (line.external_id, line.text, line.position) == ("a-1", "Add: 2, 2", 3)
        assert line.checks == {"kind": "number", "value": 4}
        assert line.source_fields == {}

    def test_counts_lines_not_records(self, write: Write) -> None:
        content = 'id,prompt\na,"one\ntwo\n\nthree"\n\nb,second\nb,third\n'

        (error,) = errors_of(write("a.csv", content))

        assert str(error) == "line 8, id: 'b' stands on line 7 already"

    def test_may_begin_with_a_bom_and_blank_lines(self, write: Write) -> None:
        (line,) = parse(write("a.csv", "\ufeff\r\n\r\nprompt\r\n2 + 2?\r\n"))

        assert (line.line, line.text) == (4, "2 + 2?")

    @pytest.mark.parametrize(
        ("bad", "message"),
        {
            "more cells": ("a,b,c", "more cells than the header"),
            "fewer cells": ("a", "fewer cells than the header"),
            "text behind a quote": ('a,"b"c', "not CSV"),
            "quote that never ends": ('a,"b', "not CSV"),
            "NUL": ("a,b\0", "NUL"),
            "no prompt": ("a,", "is empty"),
        }.values(),
    )
    def test_is_refused_by_the_number_of_the_broken_line(self, write: Write, bad: str, message: str) -> None:
        rows = ["id,prompt", *(f"{number},two\tand two" for number in range(2, 61))]
        rows[36] = bad

        (error,) = errors_of(write("a.csv", "\n".join(rows)))

        assert error.line == 37
        assert message in error.message

    @pytest.mark.parametrize(
        ("content", "message"),
        {
            "empty": ("", "the header line has no column 'prompt'"),
            "without a header": ("2 + 2?\n3 + 3?\n", "the header line has no column 'prompt'"),
            "a column twice": ("prompt,id,id\na,b,c\n", "the header line names 'id' more than once"),
        }.values(),
    )
    def test_needs_a_header_that_says_what_is_what(self, write: Write, content: str, message: str) -> None:
        (error,) = errors_of(write("a.csv", content))

        assert str(error) == f"line 1: {message}"

    def test_with_nothing_but_a_header_holds_no_prompt(self, write: Write) -> None:
        (error,) = errors_of(write("a.csv", "prompt\n"))

        assert str(error) == "file: it holds no prompt"


class TestFile:
    @pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
    def test_without_a_prompt_is_refused(self, write: Write, content: str) -> None:
        assert [str(error) for error in errors_of(write("a.jsonl", content))] == ["file: it holds no prompt"]

    def test_of_another_kind_is_refused(self, write: Write) -> None:
        (error,) = errors_of(write("a.xlsx", "prompt\n"))

        assert "must end in .csv or .jsonl" in error.message

    def test_may_have_its_suffix_in_capitals(self, write: Write) -> None:
        assert len(parse(write("A.JSONL", line_of()))) == 1

    def test_that_is_a_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "a.jsonl").mkdir()

        (error,) = errors_of(tmp_path / "a.jsonl")

        assert error.message == "it cannot be read: Is a directory"

    def test_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(PromptFileError, match=r"gone\.jsonl: nothing was imported.*\n.*No such file"):
            parse(tmp_path / "gone.jsonl")

    def test_that_is_huge_is_refused_unread(self, write: Write) -> None:
        path = write("a.jsonl", "")
        with path.open("r+b") as file:
            file.truncate(MAX_FILE_BYTES + 1)  # a hole: takes no space

        (error,) = errors_of(path)

        assert "larger than" in error.message

    def test_that_is_not_utf_8_is_refused_by_its_line(self, write: Write) -> None:
        lines = [line_of(id=str(number)).encode() for number in range(1, 61)]
        lines[36] = '{"prompt": "Grüße"}'.encode("latin-1")

        (error,) = errors_of(write("a.jsonl", b"\n".join(lines)))

        assert str(error) == "line 37: it is not UTF-8; save the file as UTF-8"

    def test_that_is_utf_16_is_refused(self, write: Write) -> None:
        assert errors_of(write("a.csv", "prompt\n2 + 2?\n".encode("utf-16")))[0].line == 1


class TestCategory:
    def test_may_be_named_on_each_line(self, write: Write) -> None:
        content = f"{line_of(id='a', category='math')}\n{line_of(id='b', category='code')}"

        assert [line.category for line in parse(write("a.jsonl", content), None)] == ["math", "code"]

    def test_of_the_caller_goes_before_that_of_a_line(self, write: Write) -> None:
        assert parse(write("a.jsonl", line_of(category="code")))[0].category == "math"

    def test_is_needed(self, write: Write) -> None:
        (error,) = errors_of(write("a.jsonl", line_of()), None)

        assert str(error) == "line 1, category: none is given; add the column or name one with --category"

    @pytest.mark.parametrize("name", ["two words", "x" * 41, "../up", "", "naïve"])
    def test_must_be_a_plain_name(self, write: Write, name: str) -> None:
        (error,) = errors_of(write("a.jsonl", f"{line_of()}\n{line_of()}"), name)

        assert (error.line, error.field) == (0, "category")

    def test_of_a_line_must_be_a_plain_name_too(self, write: Write) -> None:
        (error,) = errors_of(write("a.jsonl", line_of(category="two words")), None)

        assert (error.line, error.field) == (1, "category")
