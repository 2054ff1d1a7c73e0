"""Files of labels, read line by line: JSON Lines, CSV and doccano's JSON Lines."""

import csv
import json
from collections.abc import Iterator, Mapping
from typing import IO, Any

from benchmarks.spreadsheets import original
from labeling.exchanging.entries import COLUMNS, Entry, FileRefused, Reading, entry_of
from labeling.exchanging.fields import LineRefused, Refusal, is_unicode

Read = Iterator[Entry | Refusal]
LONGEST_LINE = 4 * 1024 * 1024  # bytes
CARRIED = "greenllm"  # the key under which files of others carry our own rows
_KNOWN = frozenset({*COLUMNS, "text"})
_OF_DOCCANO = frozenset({*_KNOWN, "label", "Comments", "response_id", "prompt_id", "text_digest", CARRIED})
_OTHER_ENCODINGS = (b"\xff\xfe", b"\xfe\xff")
_EMPTY = "The file is empty. Export it again, or choose another one."


def read_jsonl(file: IO[bytes], reading: Reading) -> Read:
    """Give the labels of a file in our own format.

    Raises:
        FileRefused: it is empty or no JSON Lines.
    """
    for line, row in _json_lines(file):
        if isinstance(row, Refusal):
            yield row
        else:
            reading.unread_names |= row.keys() - _KNOWN
            yield made_of(line, row, "jsonl")


def read_doccano(file: IO[bytes], reading: Reading) -> Read:
    """Give the labels of a file that doccano wrote, or that was written for it.

    A label that we carried out comes back as it was; where the word in `label` was changed meanwhile, the change is a
    label from elsewhere.

    Raises:
        FileRefused: it is empty or no JSON Lines.
    """
    for line, row in _json_lines(file):
        if isinstance(row, Refusal):
            yield row
            continue
        reading.unread_names |= row.keys() - _OF_DOCCANO
        carried = row.get(CARRIED)
        if isinstance(carried, dict):
            yield made_of(line, carried, "doccano")
        labels = row.get("label")
        if labels in (None, "", []):
            reading.blank_count += not isinstance(carried, dict)
        elif not isinstance(carried, dict) or labels not in (carried.get("verdict"), [carried.get("verdict")]):
            yield _made_of_doccano(line, row, labels)


def read_csv(file: IO[bytes], reading: Reading) -> Read:
    """Give the labels of a CSV file with a header, parted by commas or semicolons.

    Raises:
        FileRefused: it is empty, or its header is not one of labels.
    """
    lines = _Lines(file)
    first = next(lines, "")
    names = _header_names(first)
    if "verdict" not in names or not ("response" in names or {"prompt", "model"} <= set(names)):
        raise FileRefused(
            "Line 1: the header of a CSV file of labels has 'verdict', and 'response' or 'prompt' and 'model'. "
            "Name the columns so, or choose another format."
        )
    reading.unread_names |= set(names) - _KNOWN - {""}
    rows = csv.reader(lines, delimiter=_delimiter(first), strict=True)
    while True:
        start = lines.number + 1
        try:
            values = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            yield Refusal(start, "", f"It is no line of CSV: {error}.", "Look for a quotation mark that is not closed.")
            continue
        if values:
            yield _made_of_csv(start, names, values)


def _header_names(first: str) -> list[str]:
    """Return the names of the columns.

    Raises:
        FileRefused: the line is none of CSV.
    """
    try:
        header = next(csv.reader([first], delimiter=_delimiter(first)), [])
    except csv.Error as error:
        reason = "it holds a line break of old Macs" if "\r" in first.rstrip("\r\n") else str(error)
        raise FileRefused(f"Line 1: the header cannot be read: {reason}. Save the file as CSV in UTF-8.") from error
    return [name.strip() for name in header]


def require_utf8_start(start: bytes) -> None:
    """Refuse a file that says by its first bytes that it is in UTF-16."""
    if start.startswith(_OTHER_ENCODINGS):
        raise FileRefused("The file is in UTF-16. Save it as UTF-8.")


class _Lines:
    """The lines of a file as text, with the number of the latest; bytes that are no UTF-8 become surrogates."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.number = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        raw = self._file.readline(LONGEST_LINE + 1)
        if not raw:
            if self.number == 0:
                raise FileRefused(_EMPTY)
            raise StopIteration
        if self.number == 0:
            require_utf8_start(raw)
        self.number += 1
        if len(raw) > LONGEST_LINE:
            raise FileRefused(f"Line {self.number} is longer than 4 MB: this is no file of labels.")
        return raw.decode("utf-8-sig" if self.number == 1 else "utf-8", errors="surrogateescape")


def _json_lines(file: IO[bytes]) -> Iterator[tuple[int, dict[str, Any] | Refusal]]:
    lines = _Lines(file)
    is_first = True
    for text in lines:
        if not text.strip():
            continue
        line = lines.number
        problem = not_utf8(line, text)
        row: Any = None
        if problem is None:
            try:
                row = json.loads(text)
            except (ValueError, RecursionError) as error:
                problem = Refusal(line, "", f"It is no JSON: {error}.", "Each line is one JSON object.")
            else:
                if not isinstance(row, dict):
                    problem = Refusal(line, "", "It is no JSON object.", "Each line is one JSON object.")
        if problem is not None and is_first:
            raise FileRefused(
                f"{str(problem).capitalize()} Choose the format that the file has, or save it in this one."
            )
        is_first = False
        yield line, problem or row


def not_utf8(line: int, text: str) -> Refusal | None:
    """Return what to say of a text that was not in UTF-8, None of one that was."""
    return None if is_unicode(text) else Refusal(line, "", "It is not in UTF-8.", "Save the file as UTF-8.")


def made_of(line: int, row: Mapping[str, Any], numbered_by: str) -> Entry | Refusal:
    """Return the label of a row, or why it is refused."""
    try:
        return entry_of(line, row, numbered_by=numbered_by)
    except LineRefused as error:
        return error.at(line)


def _made_of_csv(line: int, names: list[str], values: list[str]) -> Entry | Refusal:
    if len(values) != len(names):
        return Refusal(
            line,
            "",
            f"It has {len(values)} fields, the header {len(names)}.",
            "Put texts with commas in quotation marks.",
        )
    return not_utf8(line, "".join(values)) or made_of(line, dict(zip(names, map(original, values), strict=True)), "csv")


def _delimiter(header: str) -> str:
    return ";" if header.count(";") > header.count(",") else ","


def _made_of_doccano(line: int, row: Mapping[str, Any], labels: Any) -> Entry | Refusal:
    words = labels if isinstance(labels, list) else [labels]
    if len(words) != 1 or not isinstance(words[0], str):
        return Refusal(
            line, "label", f"It has {len(words)} labels.", "An answer has one: correct, incorrect or unsure."
        )
    told = {name: value for name, value in row.items() if name in _OF_DOCCANO and name != "source"}
    comments = row.get("Comments")
    told.update(
        verdict=words[0],
        response=row.get("response_id", row.get("response")),
        prompt=row.get("prompt_id", row.get("prompt")),
        text=None,  # doccano's text is prompt and answer
    )
    if isinstance(comments, list) and comments and "comment" not in told:
        told["comment"] = "\n".join(map(str, comments))
    return made_of(line, told, "doccano")
