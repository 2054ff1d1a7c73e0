"""Labels leave as files and come back: nothing is lost, nothing comes twice, nothing is taken for another's."""

import csv
import io
import json
from typing import Any
from xml.etree import ElementTree

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks.models import Response
from greenllm.models import User
from labeling.exchanging.formats import Format, format_of
from labeling.exchanging.label_studio import LABEL_CONFIG
from labeling.models import Guideline, Label, Verdict
from labeling.verdicts import verdicts_of
from tests import factories as make
from tests.labeling.exchanges import (
    AWKWARD,
    as_lines,
    everything,
    exported,
    forget_labels,
    imported,
    lines_of,
    make_judged_study,
)

pytestmark = pytest.mark.django_db
EVERY = pytest.mark.parametrize("file_format", list(Format))


class TestRoundTrip:
    @pytest.mark.slow
    @EVERY
    def test_brings_back_every_column(self, file_format: Format) -> None:
        study = make_judged_study()
        before, content = everything(), exported(study, file_format)
        forget_labels()
        report = imported(study, content, file_format)
        assert report.refusals == []
        assert report.imported == {"person": 6, "grader": 1, "imported": 1}
        assert everything() == before

    @pytest.mark.slow
    @EVERY
    def test_imports_nothing_twice(self, file_format: Format) -> None:
        study = make_judged_study()
        before = everything()
        report = imported(study, exported(study, file_format), file_format)
        assert (report.imported_count, report.already_count, report.refused_count) == (0, 8, 0)
        assert everything() == before

    @pytest.mark.slow
    @EVERY
    def test_makes_the_same_file_again(self, file_format: Format) -> None:
        study = make_judged_study()
        rows = exported(study)
        content = exported(study, file_format)
        forget_labels()
        imported(study, content, file_format)
        assert exported(study) == rows

    @pytest.mark.slow
    def test_makes_people_only_where_that_is_asked_for(self) -> None:
        study = make_judged_study()
        content = exported(study)
        forget_labels()
        User.objects.all().delete()
        refused = imported(study, content)
        assert refused.refused_count == 6
        assert "There is nobody named 'ada' here." in str(refused.refusals[0])
        report = imported(study, content, makes_annotators=True)
        assert report.imported == {"person": 6}
        assert sorted(report.made_names) == ["ada", "bert@lab.example", "judge"]
        assert not User.objects.get(username="ada").is_active

    @pytest.mark.slow
    def test_takes_no_number_of_another_installation_for_one_of_this(self) -> None:
        study = make_judged_study()
        before = everything()
        numbers = list(study.responses.order_by("pk").values_list("pk", flat=True))
        turned = dict(zip(numbers, numbers[1:] + numbers[:1], strict=True))
        rows = [{**row, "response": turned[row["response"]]} for row in lines_of(exported(study))]
        forget_labels()
        assert imported(study, as_lines(*rows)).refused_count == 0
        assert everything() == before

    def test_leaves_verdicts_as_they_were(self) -> None:
        study = make_judged_study()
        ids = list(study.responses.values_list("pk", flat=True))
        before, content = verdicts_of(ids), exported(study)
        forget_labels()
        imported(study, content)
        assert verdicts_of(ids) == before


class TestPreview:
    @pytest.mark.slow
    def test_says_the_same_and_changes_nothing(self) -> None:
        study = make_judged_study()
        nameless = {"response": study.responses.earliest("pk").pk, "verdict": "correct", "annotator": "An na/"}
        content = exported(study) + as_lines(nameless) + b'{"response": 999999999, "verdict": "correct"}\n'
        forget_labels()
        User.objects.all().delete()
        preview = imported(study, content, is_preview=True, makes_annotators=True)
        assert not Label.objects.exists()
        assert not User.objects.exists()
        assert not Guideline.objects.exists()
        real = imported(study, content, makes_annotators=True)
        assert [(one.line, one.field) for one in real.refusals] == [(9, "annotator"), (10, "response")]
        assert (preview.imported, preview.refusals, preview.made_names, preview.notes) == (
            real.imported, real.refusals, real.made_names, real.notes,
        )  # fmt: skip


class TestQueries:
    @pytest.mark.slow
    def test_do_not_grow_with_the_lines_of_a_batch(self) -> None:
        study = make_judged_study()
        number = study.responses.get(labels__isnull=True).pk
        counts = []
        for first, count in ((0, 5), (100, 200)):
            rows = [{"id": first + one, "response": number, "verdict": "correct"} for one in range(count)]
            with CaptureQueriesContext(connection) as queries:
                assert imported(study, as_lines(*rows)).imported_count == count
            counts.append(len(queries))
        assert counts[0] == counts[1]

    @pytest.mark.slow
    def test_of_an_export_do_not_grow_with_the_labels(self) -> None:
        study = make_judged_study()
        with CaptureQueriesContext(connection) as few:
            exported(study)
        for number in range(20):
            imported(
                study, as_lines({"id": number, "response": study.responses.earliest("pk").pk, "verdict": "unsure"})
            )
        with CaptureQueriesContext(connection) as many:
            exported(study, Format.LABEL_STUDIO)
        assert len(few) == len(many)


class TestOutsideLabels:
    def test_come_in_as_imported_and_count_after_people(self) -> None:
        study = make_judged_study()
        response = study.responses.order_by("pk").last()
        assert response is not None
        imported(study, as_lines({"response": response.pk, "verdict": "Correct", "annotator": "ada", "id": 5}))
        label = response.labels.get()
        assert (label.source, label.external_id, label.verdict) == ("imported", "jsonl:5", "correct")
        assert label.labeler == User.objects.get(username="ada")
        assert label.created_at == make.NOW
        assert verdicts_of([response.pk])[response.pk].is_correct is True
        make.make_label(response, "incorrect")
        assert verdicts_of([response.pk])[response.pk].is_correct is False

    def test_are_found_by_prompt_model_and_repeat(self) -> None:
        study = make_judged_study()
        response = make.make_response(
            study.responses.order_by("pk")[0].prompt, make.make_deployment("third"), study=study, repeat=2
        )
        prompt = f"test/{response.prompt.external_id}"
        content = f"prompt,model,repeat,verdict,annotator\n{prompt},third,2,incorrect,ada\n".encode()
        assert imported(study, content, Format.CSV).imported_count == 1
        assert response.labels.get().verdict == "incorrect"

    def test_come_once_though_they_have_no_number(self) -> None:
        study = make_judged_study()
        number = study.responses.order_by("pk")[3].pk
        row = {"response": number, "verdict": "correct", "annotator": "ada"}
        assert imported(study, as_lines(row, {**row, "annotator": None})).imported_count == 2
        assert imported(study, as_lines(row, {**row, "annotator": None})).already_count == 2

    def test_in_csv_may_be_parted_by_semicolons(self) -> None:
        study = make_judged_study()
        number = study.responses.order_by("pk")[3].pk
        content = f"\ufeffresponse;verdict;comment\r\n{number};unsure;'=1, or 2\r\n".encode()
        assert imported(study, content, Format.CSV).imported_count == 1
        assert Label.objects.latest("pk").comment == "=1, or 2"


def _annotation(verdict: str, **facts: Any) -> dict[str, Any]:
    chosen = {"from_name": "verdict", "to_name": "response", "type": "choices", "value": {"choices": [verdict]}}
    said = {"from_name": "c", "to_name": "response", "type": "textarea", "value": {"text": ["Why", "not"]}}
    return {
        "id": 1001, "completed_by": {"id": 10, "email": "bert@lab.example"}, "lead_time": 4.288,
        "created_at": "2021-03-09T22:16:08.728353Z", "was_cancelled": False, "result": [chosen, said], **facts,
    }  # fmt: skip


class TestLabelStudio:
    def test_annotations_become_labels(self) -> None:
        study = make_judged_study()
        response = study.responses.order_by("pk")[3]
        data = {
            "response_id": response.pk,
            "prompt_id": f"test/{response.prompt.external_id}",
            "response": response.text,
        }
        task = {"id": 7, "data": data, "annotations": [_annotation("correct")], "predictions": [{}]}
        content = json.dumps([task], indent=1).encode()
        report = imported(study, content, Format.LABEL_STUDIO)
        assert report.refusals == []
        label = response.labels.get()
        assert (label.verdict, label.comment, label.active_seconds) == ("correct", "Why\nnot", 4.288)
        assert label.external_id == "label-studio:1001"
        assert label.created_at.isoformat() == "2021-03-09T22:16:08.728353+00:00"
        assert label.labeler == User.objects.get(username="bert@lab.example")
        assert "1 predictions were not read" in report.notes[0]
        assert imported(study, content, Format.LABEL_STUDIO).already_count == 1

    def test_what_was_changed_there_is_a_label_from_elsewhere(self) -> None:
        study = make_judged_study()
        before = everything()
        tasks = json.loads(exported(study, Format.LABEL_STUDIO))
        annotation = tasks[0]["annotations"][1]
        annotation["result"][0]["value"]["choices"] = ["correct"]
        annotation["completed_by"] = None
        report = imported(study, json.dumps(tasks).encode(), Format.LABEL_STUDIO)
        assert (report.imported, report.already_count) == ({"imported": 1}, 8)
        added = Label.objects.latest("pk")
        assert (added.verdict, added.external_id) == ("correct", f"label-studio:{annotation['id']}")
        assert [one for one in everything() if one["uuid"] != added.uuid] == before

    def test_tasks_tell_nothing_of_the_model(self) -> None:
        study = make_judged_study()
        for task in json.loads(exported(study, Format.LABEL_STUDIO, with_unlabeled=True)):
            model = Response.objects.get(pk=task["id"]).deployment.language_model
            data = {**task["data"], "response": ""}  # the answer of this study names it
            assert model.name not in json.dumps(data)
            assert set(task["data"]) == {
                "prompt", "reference", "response", "response_id", "prompt_id", "category", "text_digest"
            }  # fmt: skip

    def test_shows_what_counts_and_numbers_it_once(self) -> None:
        study = make_judged_study()
        tasks = json.loads(exported(study, Format.LABEL_STUDIO, with_unlabeled=True))
        assert [len(task["annotations"]) for task in tasks] == [3, 0, 1, 0]
        assert [one["model_version"] for task in tasks for one in task["predictions"]] == ["number@2"]
        assert [one["ground_truth"] for one in tasks[0]["annotations"]] == [False, False, True]
        results = [result for task in tasks for one in task["annotations"] for result in one["result"]]
        assert len({result["id"] for result in results}) == len(results) == 5

    def test_configuration_offers_every_verdict(self) -> None:
        view = ElementTree.fromstring(LABEL_CONFIG)
        assert [one.get("value") for one in view.iter("Choice")] == Verdict.values
        named = {one.get("name") for one in view.iter() if one.get("name")}
        assert {one.get("toName") for one in view.iter() if one.get("toName")} <= named


class TestDoccano:
    def test_labels_are_words_and_texts_tell_nothing_of_the_model(self) -> None:
        study = make_judged_study()
        rows = lines_of(exported(study, Format.DOCCANO, with_unlabeled=True))
        assert [row["label"] for row in rows[:3]] == [[], ["correct"], ["incorrect"]]
        assert rows[-1]["label"] == []
        assert "greenllm" not in rows[-1]

    def test_what_was_changed_there_is_a_label_from_elsewhere(self) -> None:
        study = make_judged_study()
        rows = lines_of(exported(study, Format.DOCCANO))
        rows[2] |= {"label": ["correct"], "id": 44, "Comments": ["Seen", "again"]}
        report = imported(study, as_lines(*rows), Format.DOCCANO)
        assert (report.imported, report.already_count) == ({"imported": 1}, 8)
        added = Label.objects.latest("pk")
        assert (added.external_id, added.comment) == ("doccano:44", "Seen\nagain")


class TestCsv:
    def test_leaves_nothing_that_a_spreadsheet_would_run(self) -> None:
        rows = list(csv.DictReader(io.StringIO(exported(make_judged_study(), Format.CSV).decode(), newline="")))
        assert rows[0]["comment"] == f"'{AWKWARD}"
        assert not [cell for row in rows for cell in row.values() if cell.startswith(("=", "+", "-", "@"))]


class TestFormatOf:
    @EVERY
    def test_tells_what_was_exported(self, file_format: Format) -> None:
        content = exported(make_judged_study(), file_format)
        assert format_of(file=io.BytesIO(content)) is file_format
