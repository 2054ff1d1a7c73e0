"""Studies with labels of every kind, and files of labels, for the tests of import and export."""

import io
import json
from datetime import timedelta
from typing import Any

from benchmarks.models import Study
from labeling.exchanging.entries import Reading
from labeling.exchanging.formats import Format, read_labels, written
from labeling.exchanging.importing import ImportReport, import_labels
from labeling.models import Grade, Guideline, Label
from tests import factories as make

LATER = make.NOW + timedelta(days=3, microseconds=123_456)
AWKWARD = "=SUM(A1) \"said\", 'he'\r\nGrüße; \u2028 <b>"


def make_judged_study(name: str = "judged") -> Study:
    """Make two models' answers to two prompts, with every column of a label filled in one label at least."""
    study = make.make_study(name)
    prompts = [make.make_prompt(reference="Four.", category="math") for _ in range(2)]
    answers = [
        make.make_response(prompt, deployment, study=study, text=f"Answer of {deployment} to {prompt}.")
        for deployment in (make.make_deployment("small"), make.make_deployment("large"))
        for prompt in prompts
    ]
    category = prompts[0].category
    general = Guideline.objects.create(version=1, text="Judge what is said.")
    own = Guideline.objects.create(category=category, version=2, text="The last number counts.\nRounded is wrong.")
    ada, bert = make.make_user("ada"), make.make_user("bert@lab.example")
    first = make.make_label(
        answers[0], "incorrect", labeler=ada, guideline=own, comment=AWKWARD, active_seconds=4.5, shown_at=make.NOW,
        is_current=False,
    )  # fmt: skip
    make.make_label(answers[0], "correct", labeler=ada, guideline=own, supersedes=first, saw_evidence=True, score=0.25)
    make.make_label(answers[0], "incorrect", labeler=bert, guideline=general, active_seconds=1 / 3)
    make.make_label(answers[0], "unsure", labeler=ada, kind=Label.Kind.SELF_CHECK)
    make.make_label(answers[0], "correct", labeler=make.make_user("judge"), kind=Label.Kind.ADJUDICATION, comment="ok")
    make.make_label(answers[1], "correct", labeler=ada, voided_at=LATER, void_reason="taken back by its judge")
    grade = Grade.objects.create(
        response=answers[2], grader="number", grader_version=2, verdict="correct", score=0.5, reason="as told",
        extracted={"value": "2"}, duration_ms=0.25,
    )  # fmt: skip
    Label.objects.create(response=answers[2], verdict="correct", source=Label.Source.GRADER, grade=grade)
    Label.objects.create(
        response=answers[2], verdict="incorrect", source=Label.Source.IMPORTED, external_id="label-studio:17"
    )
    for number, label in enumerate(Label.objects.order_by("pk")):  # an update leaves created_at as it is given
        Label.objects.filter(pk=label.pk).update(created_at=LATER + timedelta(seconds=number))
    Grade.objects.update(created_at=LATER)
    return study


def exported(study: Study, file_format: Format = Format.JSONL, **options: Any) -> bytes:
    """Return a study's labels as a file."""
    return "".join(written(study=study, file_format=file_format, **options)).encode()


def imported(study: Study, content: bytes, file_format: Format = Format.JSONL, **options: Any) -> ImportReport:
    """Import a file."""
    reading = Reading()
    entries = read_labels(file=io.BytesIO(content), file_format=file_format, reading=reading)
    return import_labels(study=study, entries=entries, reading=reading, now=make.NOW, **options)


def forget_labels() -> None:
    """Take every judgement and guideline away, as if they had never been here; the product never does."""
    Label.objects.update(supersedes=None)
    Label.objects.all().delete()
    Grade.objects.all().delete()
    Guideline.objects.all().delete()


def everything() -> list[dict[str, Any]]:
    """Return every label with every column but its key, and what its foreign keys point to."""
    columns = [field.attname for field in Label._meta.concrete_fields if not field.is_relation and field.name != "id"]
    pointed = [
        "response_id", "labeler__username", "supersedes__uuid", "guideline__category__name", "guideline__version",
        "guideline__text", *(f"grade__{name}" for name in (
            "grader", "grader_version", "verdict", "score", "extracted", "reason", "duration_ms", "created_at"
        )),
    ]  # fmt: skip
    return list(Label.objects.order_by("uuid").values(*columns, *pointed))


def lines_of(content: bytes) -> list[dict[str, Any]]:
    """Return the objects of JSON Lines."""
    return [json.loads(line) for line in content.splitlines()]


def as_lines(*rows: dict[str, Any]) -> bytes:
    """Return objects as JSON Lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()
