"""The labels of a study as the text of a file, piece by piece."""

import csv
import io
import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from benchmarks.models import Response, Study
from benchmarks.spreadsheets import harmless
from labeling.exchanging.entries import COLUMNS
from labeling.exchanging.reading import CARRIED
from labeling.exchanging.rows import Row, facts_of, label_rows, unlabeled_answers
from labeling.models import Label


def as_jsonl(study: Study) -> Iterator[str]:
    """Give the labels in our own format, which loses nothing."""
    return (_json(row) + "\n" for _, row in label_rows(study=study))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def as_csv(study: Study) -> Iterator[str]:
    """Give the labels as CSV with a header; what a spreadsheet would run has an apostrophe before it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for _, row in label_rows(study=study):
        writer.writerow(_cell(row[name]) for name in COLUMNS)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
    yield text.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return _json(value)
    return harmless(value) if isinstance(value, str) else value


def as_doccano(study: Study, *, with_unlabeled: bool) -> Iterator[str]:
    """Give the labels as doccano's JSON Lines, one a line."""
    for label, row in label_rows(study=study):
        words = [row["verdict"]] if _counts(row) else []
        yield _json({"text": _shown(label.response), "label": words, **facts_of(label.response), CARRIED: row}) + "\n"
    for response in unlabeled_answers(study=study) if with_unlabeled else ():
        yield _json({"text": _shown(response), "label": [], **facts_of(response)}) + "\n"


def _shown(response: Response) -> str:
    return f"{response.prompt.text}\n\n---\n\n{response.text}"


def _counts(row: Row) -> bool:
    """Return whether a label counts, so that other programs may show it as one."""
    return bool(row["is_current"] and row["voided_at"] is None and row["kind"] != "self_check")


def as_label_studio(study: Study, *, with_unlabeled: bool) -> Iterator[str]:
    """Give the answers as tasks of Label Studio, their labels as annotations and their grades as predictions."""
    start = "[\n"
    for _, pairs in groupby(label_rows(study=study), key=lambda pair: pair[0].response_id):
        yield start + _json(_task(list(pairs)))
        start = ",\n"
    for response in unlabeled_answers(study=study) if with_unlabeled else ():
        yield start + _json(_bare_task(response))
        start = ",\n"
    yield "[]\n" if start == "[\n" else "\n]\n"


def _bare_task(response: Response) -> Row:
    """Return a task without labels; its data say nothing of the model."""
    prompt = response.prompt
    data = {"prompt": prompt.text, "reference": prompt.reference, "response": response.text, **facts_of(response)}
    return {"id": response.pk, "data": data, "annotations": [], "predictions": []}


def _task(labels: list[tuple[Label, Row]]) -> Row:
    """Return a task; what only GreenLLM knows of its labels stands in its meta, which Label Studio keeps."""
    counting = [(label, row) for label, row in labels if _counts(row)]
    return {
        **_bare_task(labels[0][0].response),
        "meta": {CARRIED: {"labels": [row for _, row in labels]}},
        "annotations": [_annotation(label, row) for label, row in counting if label.source != Label.Source.GRADER],
        "predictions": [_prediction(row) for _, row in counting if row["grade"] is not None],
    }


def _annotation(label: Label, row: Row) -> Row:
    """Return an annotation; its choice has the id of the label, by which an unchanged one is known again."""
    results = [_result(row["id"], "verdict", "choices", {"choices": [label.verdict]})]
    if label.comment:
        results.append(_result(f"{row['id']}-comment", "comment", "textarea", {"text": [label.comment]}))
    return {
        "id": label.pk,
        "task": label.response_id,
        "completed_by": label.labeler_id,
        "result": results,
        "result_count": len(results),
        "was_cancelled": False,
        "ground_truth": label.kind == Label.Kind.ADJUDICATION,
        "lead_time": label.active_seconds,
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
    }


def _prediction(row: Row) -> Row:
    grade = row["grade"]
    return {
        "model_version": f"{grade['grader']}@{grade['grader_version']}",
        "score": grade["score"],
        "result": [_result(f"{row['id']}-grade", "verdict", "choices", {"choices": [grade["verdict"]]})],
    }


def _result(number: str, name: str, kind: str, value: Row) -> Row:
    return {"id": number, "from_name": name, "to_name": "response", "type": kind, "value": value}
