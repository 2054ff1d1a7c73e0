import json
from typing import Any

import pytest

from benchmarks.datasets.base import json_array


def lines_of(text: str) -> list[tuple[int, dict[str, Any] | str]]:
    return list(json_array(text))


class TestJsonArray:
    def test_names_the_line_on_which_each_item_begins(self) -> None:
        text = '[\n  {"a": "}\\n,"},\n\n  {\n    "b": [1,\n 2]\n  }, {"c": 3}\n]\n'

        assert lines_of(text) == [(2, {"a": "}\n,"}), (4, {"b": [1, 2]}), (7, {"c": 3})]

    @pytest.mark.parametrize("text", ["[]", " [ \n ] \n"])
    def test_of_nothing_gives_nothing(self, text: str) -> None:
        assert lines_of(text) == []

    def test_gives_what_json_gives(self) -> None:
        records = [{"n": number, "text": "x" * number} for number in range(50)]

        assert [record for _, record in lines_of(json.dumps(records, indent=3))] == records

    def test_names_an_item_that_is_no_object(self) -> None:
        assert lines_of('[{"a": 1},\n7]') == [(1, {"a": 1}), (2, "it is not a JSON object")]

    @pytest.mark.parametrize(
        ("text", "line", "said"),
        [
            pytest.param('[\n{"a": 1},\n{"b": }\n]', 3, "it is not JSON (Expecting value)", id="broken item"),
            pytest.param('[\n{"a": 1}\n{"b": 2}\n]', 3, "it is not JSON (Expecting ',' delimiter)", id="no comma"),
            pytest.param('[\n{"a": 1},\n{"b": "cut sh', 3, "Unterminated string", id="cut short"),
            pytest.param('[{"a": 1}]\n[]', 2, "Extra data", id="more behind it"),
            pytest.param('{"a": 1}', 1, "it is not a JSON array", id="an object"),
            pytest.param("", 1, "Expecting value", id="empty"),
            pytest.param("[" * 100_000, 0, "nested too deeply", id="nested"),
            pytest.param(f"[{'1' * 5000}]", 0, "it is not JSON (Exceeds the limit", id="endless number"),
        ],
    )
    def test_names_what_is_wrong_by_its_line(self, text: str, line: int, said: str) -> None:
        ((number, message),) = lines_of(text)

        assert number == line
        assert isinstance(message, str)
        assert said in message
