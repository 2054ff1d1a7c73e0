from pathlib import Path

import pytest

from benchmarks.datasets.base import PromptFileError, PromptLine
from benchmarks.datasets.published import parse_published
from tests.benchmarks.datasets.raw_files import WEBQUESTIONS_RECORDS, small, write_array


def parse(folder: Path, records: list[dict[str, str]]) -> list[PromptLine]:
    write_array(folder / "webquestions.examples.test.json", records)
    return list(parse_published(dataset=small("webquestions", len(records)), folder=folder).lines)


class TestWebQuestions:
    def test_asks_for_a_brief_answer(self, tmp_path: Path) -> None:
        line = parse(tmp_path, WEBQUESTIONS_RECORDS)[0]

        assert (line.external_id, line.item_text) == ("webquestions-test-0001", "what is the capital?")
        assert line.text == "Answer the following question as briefly as possible.\n\nwhat is the capital?"

    def test_reads_answers_with_quotation_marks_inside(self, tmp_path: Path) -> None:
        line = parse(tmp_path, WEBQUESTIONS_RECORDS)[1]

        assert line.checks == {"kind": "answer_list", "answers": ['The "Old" Bridge', "1967", '"Quoted"']}
        assert line.reference == 'The "Old" Bridge\n1967\n"Quoted"'

    def test_keeps_where_the_answer_is_from(self, tmp_path: Path) -> None:
        fields = parse(tmp_path, WEBQUESTIONS_RECORDS)[0].source_fields

        assert fields == {"url": "http://a.example/1", "targetValue": "(list (description Rome))"}

    @pytest.mark.parametrize("target", ["Rome", "(list)", "(list (description Rome)", '(list (description ""))'])
    def test_refuses_another_form_of_answers(self, tmp_path: Path, target: str) -> None:
        with pytest.raises(PromptFileError, match="line 2, targetValue: "):
            parse(tmp_path, [{**WEBQUESTIONS_RECORDS[0], "targetValue": target}])
