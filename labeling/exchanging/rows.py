"""The labels of a study as rows: every column, named so that another installation finds what they point to."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from benchmarks.bundling.rows import BATCH
from benchmarks.models import Response, Study
from labeling.exchanging.entries import GRADE, digest_of_text
from labeling.models import Label

Row = dict[str, Any]  # Any: each column has a type of its own; all are such as JSON has
_ANSWER = (
    "prompt__category", "prompt__dataset", "deployment__language_model", "deployment__server", "parameter_set",
)  # fmt: skip


def label_rows(*, study: Study) -> Iterator[tuple[Label, Row]]:
    """Give every label of a study: the whole history, answer by answer, the earlier ones first.

    The text of a guideline comes with the first label that was given by it.
    """
    labels = (
        Label.objects.filter(response__study=study)
        .select_related(
            "labeler", "grade", "guideline__category", "supersedes", *(f"response__{one}" for one in _ANSWER)
        )
        .order_by("response_id", "pk")
    )
    told: set[int] = set()
    for label in labels.iterator(chunk_size=BATCH):
        is_told = label.guideline_id is None or label.guideline_id in told
        if label.guideline_id is not None:
            told.add(label.guideline_id)
        yield label, _row(study, label, is_told=is_told)


def unlabeled_answers(*, study: Study) -> Iterator[Response]:
    """Give the finished answers of a study that have no label."""
    answers = Response.objects.finished().filter(study=study, labels__isnull=True)
    return answers.select_related(*_ANSWER).order_by("pk").iterator(chunk_size=BATCH)


def facts_of(response: Response) -> Row:
    """Return what may be told of an answer to whoever judges it: nothing of its model."""
    prompt = response.prompt
    return {
        "response_id": response.pk,
        "prompt_id": f"{prompt.dataset.name}/{prompt.external_id}",
        "category": prompt.category.name,
        "text_digest": digest_of_text(response.text),
    }


def _row(study: Study, label: Label, *, is_told: bool) -> Row:
    response, guideline = label.response, label.guideline
    model, prompt = response.deployment.language_model, response.prompt
    category = guideline.category if guideline is not None else None
    return {
        "id": str(label.uuid),
        "response": response.pk,
        "study": study.name,
        "category": prompt.category.name,
        "prompt": f"{prompt.dataset.name}/{prompt.external_id}",
        "model": model.name,
        "model_digest": model.digest,
        "server": response.deployment.server.name,
        "parameters": response.parameter_set.name,
        "repeat": response.repeat,
        "verdict": label.verdict,
        "score": label.score,
        "source": label.source,
        "kind": label.kind,
        "annotator": label.labeler.get_username() if label.labeler is not None else None,
        "comment": label.comment,
        "saw_evidence": label.saw_evidence,
        "active_seconds": label.active_seconds,
        "shown_at": _moment(label.shown_at),
        "created_at": _moment(label.created_at),
        "supersedes": str(label.supersedes.uuid) if label.supersedes is not None else None,
        "is_current": label.is_current,
        "voided_at": _moment(label.voided_at),
        "void_reason": label.void_reason,
        "external_id": label.external_id,
        "guideline_category": category.name if category is not None else None,
        "guideline_version": guideline.version if guideline is not None else None,
        "guideline_text": guideline.text if guideline is not None and not is_told else None,
        "grade": GRADE.row_of(label.grade) if label.grade is not None else None,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()
