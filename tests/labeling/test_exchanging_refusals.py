"""What an import refuses: each line with its number, the field and what would help; the other lines come in."""

import io
import json
from typing import Any

import pytest

from benchmarks.models import Study
from greenllm.models import User
from labeling.exchanging.entries import FileRefused
from labeling.exchanging.formats import Format, format_of
from labeling.models import Guideline, Label
from tests import factories as make
from tests.labeling.exchanges import as_lines, exported, forget_labels, imported, lines_of, make_judged_study

pytestmark = pytest.mark.django_db
_ALIKE = {(one.suffix, one.suffix) for one in Format}  # JSON Lines are JSON Lines


@pytest.fixture
def study() -> Study:
    return make_judged_study()


def free_answer(study: Study) -> int:
    """Return an answer without labels."""
    return int(study.responses.get(labels__isnull=True).pk)


class TestLines:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("facts", "field", "reason", "remedy"),
        [
            pytest.param({"response": 999_999_999}, "response", "no finished answer", "address", id="unknown"),
            pytest.param({"response": "first"}, "response", "cannot be 'first'", "the answer", id="no number"),
            pytest.param({"response": None}, "response", "names no answer", "'prompt', 'model'", id="no answer"),
            pytest.param(
                {"response": None, "prompt": "test/none", "model": "small"}, "prompt",
                "no finished answer of small to test/none, repeat 1", "dataset/id", id="unknown prompt",
            ),
            pytest.param({"prompt": "test/none"}, "response", "another one", "'prompt', 'model'", id="other prompt"),
            pytest.param({"text": "Another."}, "response", "another one here", "'prompt', 'model'", id="other text"),
            pytest.param({"verdict": "fine"}, "verdict", "cannot be 'fine'", "correct, incorrect", id="verdict"),
            pytest.param({"verdict": ""}, "verdict", "It is empty", "correct, incorrect, unsure", id="no verdict"),
            pytest.param({"verdict": ["correct"]}, "verdict", "cannot be", "correct, incorrect, unsure", id="list"),
            pytest.param({"annotator": "carl"}, "annotator", "nobody named 'carl'", "add the person", id="annotator"),
            pytest.param({"created_at": "9 March"}, "created_at", "cannot be '9 March'", "time zone", id="date"),
            pytest.param({"created_at": "2026-01-31T12:00"}, "created_at", "cannot be", "time zone", id="no zone"),
            pytest.param({"created_at": "0001-01-01T00:00+14:00"}, "created_at", "cannot", "time zone", id="antiquity"),
            pytest.param({"created_at": 1_700_000_000}, "created_at", "cannot be", "time zone", id="epoch"),
            pytest.param({"score": 1.5}, "score", "cannot be '1.5'", "0 to 1", id="score"),
            pytest.param({"score": "nan"}, "score", "cannot be 'nan'", "0 to 1", id="nan"),
            pytest.param({"active_seconds": -1}, "active_seconds", "cannot be '-1'", "not negative", id="seconds"),
            pytest.param({"saw_evidence": "maybe"}, "saw_evidence", "cannot be", "true or false", id="flag"),
            pytest.param({"kind": "second"}, "kind", "cannot be 'second'", "self_check", id="kind"),
            pytest.param({"comment": "a\x00b"}, "comment", "cannot be", "without NUL", id="nul"),
            pytest.param({"comment": "\ud800"}, "comment", "cannot be", "UTF-8", id="half a letter"),
            pytest.param({"source": "person"}, "source", "restored as 'person'", "Leave 'source' out", id="source"),
            pytest.param({"source": "person", "id": "5"}, "id", "cannot be '5'", "leave 'source' out", id="no uuid"),
            pytest.param({"guideline_version": 7}, "guideline_version", "no guideline 7", "empty", id="guideline"),
            pytest.param({"id": "x" * 300}, "id", "letters", "at most", id="long id"),
            pytest.param({"repeat": 2**70}, "repeat", "cannot be", "whole number", id="huge"),
        ],
    )  # fmt: skip
    def test_are_refused_alone(self, study: Study, facts: dict[str, Any], field: str, reason: str, remedy: str) -> None:
        good = {"response": free_answer(study), "verdict": "correct"}
        bad = {**good, **facts}
        report = imported(study, as_lines({**good, "id": 1}, {**good, "id": 2}, bad, {**good, "id": 3}))
        assert report.imported_count == 3
        assert len(report.refusals) == report.refused_count == 1
        refusal = report.refusals[0]
        assert (refusal.line, refusal.field) == (3, field)
        assert reason in refusal.reason
        assert remedy in refusal.remedy

    def test_that_stand_twice_are_told_with_the_first(self, study: Study) -> None:
        row = {"response": free_answer(study), "verdict": "correct"}
        report = imported(study, as_lines(row, row))
        assert report.imported_count == 1
        assert str(report.refusals[0]).startswith("line 2: id: It is the same label as on line 1.")

    def test_that_say_otherwise_now_leave_the_label(self, study: Study) -> None:
        rows = lines_of(exported(study))
        report = imported(study, as_lines({**rows[1], "verdict": "unsure"}))
        assert (report.refusals[0].field, report.imported_count) == ("verdict", 0)
        assert "says 'correct'" in report.refusals[0].reason

    @pytest.mark.slow
    def test_of_a_judge_who_has_judged_here_already(self, study: Study) -> None:
        content = exported(study)
        row = lines_of(content)[2]
        forget_labels()
        make.make_label(
            study.responses.get(pk=row["response"]), "correct", labeler=User.objects.get(username=row["annotator"])
        )
        report = imported(study, content)
        assert [refusal.line for refusal in report.refusals] == [3]
        assert "A label of bert@lab.example counts for this answer already: correct." in report.refusals[0].reason

    @pytest.mark.slow
    def test_that_replace_a_label_nobody_has(self, study: Study) -> None:
        rows = lines_of(exported(study))
        forget_labels()
        report = imported(study, as_lines({**rows[1], "guideline_text": rows[0]["guideline_text"]}, *rows[2:]))
        assert [(refusal.line, refusal.field) for refusal in report.refusals] == [(1, "supersedes")]

    def test_that_replace_a_label_here_make_it_count_no_more(self, study: Study) -> None:
        rows = lines_of(exported(study))
        changed = {
            **rows[2],
            "id": "00000000-0000-4000-8000-000000000001",
            "supersedes": rows[2]["id"],
            "verdict": "unsure",
        }
        assert imported(study, as_lines(changed)).imported == {"person": 1}
        assert not Label.objects.get(uuid=rows[2]["id"]).is_current
        again = {**changed, "id": "00000000-0000-4000-8000-000000000002"}
        assert "replaces that one already" in imported(study, as_lines(again)).refusals[0].reason

    @pytest.mark.slow
    def test_whose_guideline_has_another_text_here(self, study: Study) -> None:
        content = exported(study)
        forget_labels()
        Guideline.objects.create(version=1, text="Another one.")
        report = imported(study, content)
        assert [(one.line, one.field) for one in report.refusals] == [(3, "guideline_version")]
        assert "another text" in report.refusals[0].reason

    def test_whose_grade_cannot_be_read(self, study: Study) -> None:
        rows = lines_of(exported(study))
        row = next(row for row in rows if row["source"] == "grader")
        forget_labels()
        report = imported(study, as_lines({**row, "grade": {**row["grade"], "score": 7}}, {**row, "grade": None}))
        assert [(one.line, one.field) for one in report.refusals] == [(1, "grade"), (2, "grade")]

    def test_of_a_grader_that_settles(self, study: Study) -> None:
        row = next(row for row in lines_of(exported(study)) if row["source"] == "grader")
        forget_labels()
        assert [one.field for one in imported(study, as_lines({**row, "kind": "adjudication"})).refusals] == ["kind"]

    def test_voided_elsewhere_must_be_voided_here(self, study: Study) -> None:
        rows = lines_of(exported(study))
        voided = {**rows[2], "voided_at": rows[5]["voided_at"], "void_reason": "wrong"}
        assert [one.field for one in imported(study, as_lines(voided)).refusals] == ["voided_at"]


class TestBrokenLines:
    def test_of_json_are_told(self, study: Study) -> None:
        good = as_lines({"response": free_answer(study), "verdict": "correct"})
        report = imported(study, good + b'{"response": 1,\n[]\n{"comment": "\xff"}\n')
        assert report.imported_count == 1
        assert [(one.line, one.reason.partition(":")[0]) for one in report.refusals] == [
            (2, "It is no JSON"), (3, "It is no JSON object."), (4, "It is not in UTF-8."),
        ]  # fmt: skip

    def test_of_csv_are_told_by_where_they_begin(self, study: Study) -> None:
        number = free_answer(study)
        content = f'response,verdict,comment\n{number},correct,"two\nlines"\n{number},correct\n'.encode()
        report = imported(study, content + f"{number},unsure,\xff\n".encode("latin-1"), Format.CSV)
        assert report.imported_count == 1
        assert [(one.line, one.reason) for one in report.refusals] == [
            (4, "It has 2 fields, the header 3."), (5, "It is not in UTF-8."),
        ]  # fmt: skip

    def test_of_label_studio_are_told_and_end_the_file(self, study: Study) -> None:
        whole = exported(study, Format.LABEL_STUDIO)
        report = imported(study, whole[: len(whole) - 200], Format.LABEL_STUDIO)
        assert report.already_count > 0
        assert [one.line for one in report.refusals] == [4]
        assert "cut short" in report.refusals[0].reason

    @pytest.mark.parametrize(
        ("annotation", "field"),
        [
            ({"was_cancelled": True}, "was_cancelled"),
            ({"result": []}, "result"),
            ({"result": [{"type": "choices", "value": {"choices": ["correct", "unsure"]}}]}, "result"),
            ({"result": [{"type": "choices", "value": {"choices": ["Good"]}}]}, "verdict"),
        ],
    )
    def test_annotations_without_one_verdict(self, study: Study, annotation: dict[str, Any], field: str) -> None:
        task = {"data": {"response_id": free_answer(study)}, "annotations": [annotation]}
        report = imported(study, json.dumps([task]).encode(), Format.LABEL_STUDIO)
        assert [one.field for one in report.refusals] == [field]

    def test_texts_of_doccano_with_two_labels(self, study: Study) -> None:
        row = {"text": "?", "label": ["correct", "incorrect"], "response_id": free_answer(study)}
        report = imported(study, as_lines({**row, "label": []}, row), Format.DOCCANO)
        assert [(one.line, one.field) for one in report.refusals] == [(2, "label")]
        assert report.notes == ["1 answers come without a label."]


class TestFiles:
    @pytest.mark.parametrize("file_format", list(Format))
    def test_that_are_empty(self, study: Study, file_format: Format) -> None:
        with pytest.raises(FileRefused, match="empty"):
            imported(study, b"", file_format)

    @pytest.mark.parametrize("file_format", [Format.JSONL, Format.CSV, Format.DOCCANO])
    def test_in_another_encoding(self, study: Study, file_format: Format) -> None:
        with pytest.raises(FileRefused, match="Save it as UTF-8"):
            imported(study, "response,verdict\n".encode("utf-16"), file_format)

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("other", "file_format"),
        [(other, one) for other in Format for one in Format if (other.suffix, one.suffix) not in _ALIKE],
    )
    def test_in_another_format(self, study: Study, other: Format, file_format: Format) -> None:
        content = exported(study, other)
        with pytest.raises(FileRefused, match="format"):
            imported(study, content, file_format)

    def test_whose_format_nobody_can_tell(self) -> None:
        with pytest.raises(FileRefused, match="say which one"):
            format_of(file=io.BytesIO(b"PK\x03\x04"))
        with pytest.raises(FileRefused, match="empty"):
            format_of(file=io.BytesIO(b"\n"))

    def test_with_columns_that_no_label_has_are_told(self, study: Study) -> None:
        report = imported(study, as_lines({"response": free_answer(study), "verdict": "correct", "mood": "good"}))
        assert report.notes == ["Not read, because no label has it: mood."]
