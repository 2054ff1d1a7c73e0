"""One label as a file tells it: its columns, checked one by one, and what is said where one is wrong."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from uuid import UUID

from benchmarks.bundling.archive import BundleError, Line, Place
from benchmarks.bundling.rows import Shape
from labeling.exchanging.fields import (
    LineRefused,
    as_choice,
    as_flag,
    as_moment,
    as_seconds,
    as_share,
    as_text,
    as_uuid,
    as_whole,
    get,
)
from labeling.models import MAX_EXTERNAL_ID, Grade, Label, Verdict

# The columns of a row, in the order in which they are written. Which answer it is about stands first.
ANSWER_COLUMNS = (
    "response", "study", "category", "prompt", "model", "model_digest", "server", "parameters", "repeat",
)  # fmt: skip
LABEL_COLUMNS = (
    "verdict", "score", "source", "kind", "annotator", "comment", "saw_evidence", "active_seconds", "shown_at",
    "created_at", "supersedes", "is_current", "voided_at", "void_reason", "external_id", "guideline_category",
    "guideline_version", "guideline_text", "grade",
)  # fmt: skip
COLUMNS = ("id", *ANSWER_COLUMNS, *LABEL_COLUMNS)
GRADE = Shape(Grade)


class FileRefused(ValueError):
    """Nothing of the file can be read; the message says why, and what would help."""


@dataclass(frozen=True)
class NamedAnswer:
    """Which answer a line is about, as far as it says; empty where it does not."""

    number: int | None = None
    prompt: str = ""
    model: str = ""
    digest: str = ""
    server: str = ""
    parameters: str = ""
    repeat: int | None = None
    text_digest: str = ""  # so that a number of another installation is not taken for one of this

    @property
    def is_described(self) -> bool:
        """Return whether it can be found without its number."""
        return bool(self.prompt and self.model)


@dataclass(frozen=True)
class Entry:
    """One label of a file. Those of a GreenLLM have their `uuid`; all others have an `external_id`."""

    line: int
    answer: NamedAnswer
    uuid: UUID | None
    external_id: str
    values: dict[str, Any]  # Any: columns of a label by name, as they are stored
    annotator: str = ""
    supersedes: UUID | None = None
    guideline: tuple[str | None, int] | None = None
    guideline_text: str = ""
    grade: dict[str, Any] | None = None  # Any: columns of a grade by name, as they are stored


@dataclass
class Reading:
    """What a reader leaves out, for the report."""

    unread_names: set[str] = field(default_factory=set)
    blank_count: int = 0
    prediction_count: int = 0

    def notes(self) -> list[str]:
        """Return what a person should know of it."""
        said = []
        if self.unread_names:
            said.append(f"Not read, because no label has it: {', '.join(sorted(self.unread_names)[:20])}.")
        if self.blank_count:
            said.append(f"{self.blank_count:,} answers come without a label.")
        if self.prediction_count:
            said.append(
                f"{self.prediction_count:,} predictions were not read: manage.py grade makes what machines suggest."
            )
        return said


def digest_of_text(answer: Any) -> str:
    """Return what tells whether an answer is the one that was judged."""
    return sha256(as_text(answer).encode()).hexdigest()[:16]


def entry_of(line: int, row: Mapping[str, Any], *, numbered_by: str) -> Entry:
    """Make a label of a row, whose values are texts or as JSON has them.

    `numbered_by` says whose numbers its ids are, where they are not those of a GreenLLM.

    Raises:
        LineRefused: a column is missing or wrong.
    """
    answer = NamedAnswer(
        number=get(row, "response", as_whole, None),
        prompt=get(row, "prompt", as_text, ""),
        model=get(row, "model", as_text, ""),
        digest=get(row, "model_digest", as_text, ""),
        server=get(row, "server", as_text, ""),
        parameters=get(row, "parameters", as_text, ""),
        repeat=get(row, "repeat", as_whole, None),
        text_digest=get(row, "text", digest_of_text, "") or get(row, "text_digest", as_text, ""),
    )
    if answer.number is None and not answer.is_described:
        raise LineRefused(
            "response",
            "The line names no answer.",
            "Give 'response', the number of the answer, or 'prompt', 'model' and 'repeat'.",
        )
    uuid, external_id = _identity(row, numbered_by)
    values = _label_values(row, is_ours=uuid is not None)
    annotator = get(row, "annotator", as_text, "")
    return Entry(
        line=line,
        answer=answer,
        uuid=uuid,
        external_id=external_id or ("" if uuid is not None else _digest_of(answer, annotator, values)),
        values=values,
        annotator=annotator,
        supersedes=get(row, "supersedes", as_uuid, None),
        guideline=_guideline(row),
        guideline_text=get(row, "guideline_text", as_text, ""),
        grade=_grade(line, row, values),
    )


def _identity(row: Mapping[str, Any], numbered_by: str) -> tuple[UUID | None, str]:
    external_id = get(row, "external_id", as_text, "")
    given = str(row.get("id") or "")
    is_ours = bool(row.get("source"))
    if given and is_ours:
        uuid: UUID | None = get(row, "id", as_uuid, None)
    elif is_ours and row["source"] != Label.Source.IMPORTED:
        raise LineRefused(
            "source",
            f"Only labels that a GreenLLM exported, with their 'id', are restored as {row['source']!r}.",
            "Leave 'source' out: the label comes in as imported.",
        )
    else:
        uuid, external_id = None, external_id or (f"{numbered_by}:{given}" if given else "")
    if len(external_id) > MAX_EXTERNAL_ID:
        raise LineRefused("id", f"It has {len(external_id)} letters.", f"Give one of at most {MAX_EXTERNAL_ID - 20}.")
    return uuid, external_id


def _digest_of(answer: NamedAnswer, annotator: str, values: Mapping[str, Any]) -> str:
    """Return the number of a label that has none: the same row has the same, in whatever file."""
    said = [
        answer.number, answer.prompt, answer.model, answer.digest, answer.server, answer.parameters, answer.repeat,
        annotator, values["verdict"], values["kind"], values["comment"], str(values["created_at"] or ""),
    ]  # fmt: skip
    return f"row:{sha256(json.dumps(said).encode()).hexdigest()[:32]}"


def _label_values(row: Mapping[str, Any], *, is_ours: bool) -> dict[str, Any]:
    verdict = row.get("verdict")
    if verdict in (None, ""):
        raise LineRefused("verdict", "It is empty.", f"Give one of {', '.join(Verdict.values)}.")
    values = {
        "verdict": get(row, "verdict", lambda value: as_choice(value.strip().lower(), Verdict.values), ""),
        "score": get(row, "score", as_share, None),
        "source": Label.Source.IMPORTED.value,
        "kind": get(row, "kind", lambda value: as_choice(value, Label.Kind.values), Label.Kind.JUDGEMENT.value),
        "comment": get(row, "comment", as_text, ""),
        "saw_evidence": get(row, "saw_evidence", as_flag, False),
        "active_seconds": get(row, "active_seconds", as_seconds, None),
        "shown_at": get(row, "shown_at", as_moment, None),
        "created_at": get(row, "created_at", as_moment, None),
        "is_current": True,
        "voided_at": None,
        "void_reason": "",
    }
    if is_ours:
        values["source"] = get(row, "source", lambda value: as_choice(value, Label.Source.values), "")
        values["is_current"] = get(row, "is_current", as_flag, True)
        values["voided_at"] = get(row, "voided_at", as_moment, None)
        values["void_reason"] = get(row, "void_reason", as_text, "")
        if values["source"] == Label.Source.GRADER and values["kind"] != Label.Kind.JUDGEMENT:
            raise LineRefused("kind", "What a grader says is a judgement.", "Give judgement, or leave it empty.")
        if values["voided_at"] is not None and not values["void_reason"]:
            raise LineRefused("void_reason", "A voided label has a reason.", "Say why it was voided.")
    return values


def _guideline(row: Mapping[str, Any]) -> tuple[str | None, int] | None:
    version = get(row, "guideline_version", as_whole, None)
    return None if version is None else (get(row, "guideline_category", as_text, None), version)


def _grade(line: int, row: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the grade that a grader's label stands on, which the row carries whole."""
    given = row.get("grade")
    if given in (None, ""):
        if values["source"] == Label.Source.GRADER:
            raise LineRefused("grade", "A grader's label names its grade.", "Export it again from where it was made.")
        return None
    try:
        told = json.loads(given) if isinstance(given, str) else given
        if not isinstance(told, dict):
            raise TypeError("it is no JSON object")
        if told.get("score") is not None:
            as_share(told["score"])
        return GRADE.values_of(Line(Place("grade", line), told))
    except (BundleError, ValueError, TypeError) as error:
        raise LineRefused("grade", f"It cannot be read: {error}.", "Export it again from where it was made.") from error
