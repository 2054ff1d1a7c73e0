"""Label Studio's JSON: tasks with annotations, and what a project of it must be set up with."""

import codecs
import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

from labeling.exchanging.entries import Entry, FileRefused, Reading
from labeling.exchanging.fields import Refusal
from labeling.exchanging.reading import CARRIED, Read, made_of, not_utf8

LABEL_CONFIG = """<View>
  <Header value="Prompt"/>
  <Text name="prompt" value="$prompt"/>
  <Header value="Reference"/>
  <Text name="reference" value="$reference"/>
  <Header value="Answer"/>
  <Text name="response" value="$response"/>
  <Choices name="verdict" toName="response" choice="single" required="true">
    <Choice value="correct" hotkey="a"/>
    <Choice value="incorrect" hotkey="x"/>
    <Choice value="unsure" hotkey="n"/>
  </Choices>
  <TextArea name="comment" toName="response" placeholder="Comment"/>
</View>
"""
_BLOCK = 64 * 1024
_LARGEST_TASK = 16 * 1024 * 1024  # letters
_EXPORT_AGAIN = "Export it again from Label Studio, as JSON."


def read_label_studio(file: IO[bytes], reading: Reading) -> Read:
    """Give the labels of a file that Label Studio exported as JSON, or that was written for it.

    A label that we carried out comes back as it was; where its annotation says otherwise by now, that is a label from
    elsewhere, and so is every further annotation.

    Raises:
        FileRefused: it is empty, or no list of tasks.
    """
    for line, task in _tasks(file):
        if isinstance(task, Refusal):
            yield task
            continue
        meta = task.get("meta")
        told = meta.get(CARRIED) if isinstance(meta, dict) else None
        rows = told.get("labels") if isinstance(told, dict) else None
        carried = {str(row.get("id")): row for row in _objects(rows)}
        for row in carried.values():
            yield made_of(line, row, "label-studio")
        given = _objects(task.get("annotations"))
        reading.prediction_count += len(_objects(task.get("predictions"))) if not carried else 0
        reading.blank_count += not given and not carried
        for annotation in given:
            made = _annotated(line, task, annotation, carried)
            if made is not None:
                yield made


def _annotated(
    line: int, task: Mapping[str, Any], annotation: Mapping[str, Any], carried: Mapping[str, Mapping[str, Any]]
) -> Entry | Refusal | None:
    """Return the label of an annotation; None where it is one that was carried, unchanged."""
    if annotation.get("was_cancelled"):
        return Refusal(line, "was_cancelled", "The task was skipped.", "Judge it there, and export again.")
    results = _objects(annotation.get("result"))
    chosen = [one for one in results if one.get("type") == "choices"]
    verdicts = [word for one in chosen for word in _values(one, "choices")]
    if len(verdicts) != 1:
        reason = f"The annotation has {len(verdicts)} choices."
        return Refusal(line, "result", reason, "An answer has one: correct, incorrect or unsure.")
    comment = "\n".join(text for one in results if one.get("type") == "textarea" for text in _values(one, "text"))
    known = carried.get(str(chosen[0].get("id")))
    if known is not None and known.get("verdict") == verdicts[0] and (known.get("comment") or "") == comment:
        return None
    told = task.get("data")
    data = told if isinstance(told, dict) else {}
    number = annotation.get("id")
    row = {
        **{name: data.get(name) for name in ("model", "model_digest", "server", "parameters", "repeat")},
        "id": "" if number is None else number,
        "response": data.get("response_id"),
        "prompt": data.get("prompt_id"),
        "text": data.get("response"),
        "verdict": verdicts[0],
        "comment": comment,
        "annotator": _annotator(annotation.get("completed_by")),
        "created_at": annotation.get("created_at"),
        "active_seconds": annotation.get("lead_time"),
    }
    return made_of(line, row, "label-studio")


def _objects(told: Any) -> list[dict[str, Any]]:
    """Return the objects of what should be a list of them."""
    return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []


def _values(result: Mapping[str, Any], name: str) -> list[str]:
    value = result.get("value")
    said = value.get(name) if isinstance(value, dict) else None
    return [str(one) for one in said] if isinstance(said, list) else [] if said is None else [str(said)]


def _annotator(completed_by: Any) -> str:
    """Return the name of whoever annotated: their e-mail address or name, or else their number in Label Studio."""
    if isinstance(completed_by, dict):
        named = [completed_by.get(key) for key in ("username", "email")]
        completed_by = next((one for one in named if one), completed_by.get("id"))
    if completed_by is None:
        return ""
    return f"label-studio-{completed_by}" if isinstance(completed_by, int) else str(completed_by)


def _tasks(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | Refusal]]:
    """Give the objects of a list with the line on which each begins, without ever holding the whole list."""
    window = _Window(file)
    start = window.peek()
    if not start:
        raise FileRefused("The file is empty. Export it again, or choose another one.")
    if start != "[":
        raise FileRefused("Line 1: Label Studio's JSON is a list of tasks, and this file is none. Choose its format.")
    window.drop(1)
    while (letter := window.peek()) != "]":
        if letter == ",":
            window.drop(1)
            continue
        line = window.line
        if not letter:
            yield line, Refusal(line, "", "The file ends in the middle of the list.", _EXPORT_AGAIN)
            return
        task = window.take()
        if isinstance(task, Refusal):
            yield line, task
            return
        yield line, task if isinstance(task, dict) else Refusal(line, "", "It is no task.", _EXPORT_AGAIN)


class _Window:
    """The part of a JSON text that is being read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="surrogateescape").decode
        self._json = json.JSONDecoder()
        self._text = ""
        self._at = 0
        self._is_over = False
        self.line = 1

    def peek(self) -> str:
        """Return the next letter that is no white space, empty at the end."""
        while True:
            while self._at < len(self._text):
                letter = self._text[self._at]
                if not letter.isspace():
                    return letter
                self.drop(1)
            if not self._read(_BLOCK):
                return ""

    def drop(self, count: int) -> None:
        """Leave so many letters behind."""
        self.line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def take(self) -> Any:
        """Return the next JSON value, or why there is none."""
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except RecursionError:
                return Refusal(self.line, "", "It is too deep for JSON of tasks.", _EXPORT_AGAIN)
            except ValueError as error:
                left = len(self._text) - self._at
                if left < _LARGEST_TASK and self._read(max(_BLOCK, left)):
                    continue
                reason = f"The task that begins here is no JSON: {error}, or the file was cut short."
                return Refusal(self.line, "", reason, _EXPORT_AGAIN)
            problem = not_utf8(self.line, self._text[self._at : end])
            self.drop(end - self._at)
            return problem or value

    def _read(self, size: int) -> bool:
        """Read on; tell whether there was anything."""
        if self._is_over:
            return False
        block = self._file.read(size)
        self._is_over = not block
        self._text = self._text[self._at :] + self._decode(block, final=self._is_over)
        self._at = 0
        return not self._is_over
