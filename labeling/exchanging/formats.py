"""The formats that labels leave and come in, and how to tell which one a file has."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import IO

from benchmarks.models import Study
from labeling.exchanging.entries import FileRefused, Reading
from labeling.exchanging.label_studio import read_label_studio
from labeling.exchanging.reading import CARRIED, Read, read_csv, read_doccano, read_jsonl, require_utf8_start
from labeling.exchanging.writing import as_csv, as_doccano, as_jsonl, as_label_studio


class Format(StrEnum):
    """What a file of labels may be."""

    JSONL = "jsonl"
    CSV = "csv"
    LABEL_STUDIO = "label-studio"
    DOCCANO = "doccano"

    @property
    def name_shown(self) -> str:
        """Return what people call it."""
        return _TITLES[self]

    @property
    def suffix(self) -> str:
        """Return how the name of such a file ends."""
        return {"csv": ".csv", "label-studio": ".json"}.get(self.value, ".jsonl")

    @property
    def content_type(self) -> str:
        """Return the media type."""
        return {".csv": "text/csv; charset=utf-8", ".json": "application/json"}.get(self.suffix, "application/jsonl")


_TITLES = {
    Format.JSONL: "JSON Lines",
    Format.CSV: "CSV",
    Format.LABEL_STUDIO: "Label Studio",
    Format.DOCCANO: "doccano",
}
_READERS: Mapping[Format, Callable[[IO[bytes], Reading], Read]] = {
    Format.JSONL: read_jsonl,
    Format.CSV: read_csv,
    Format.LABEL_STUDIO: read_label_studio,
    Format.DOCCANO: read_doccano,
}


def read_labels(*, file: IO[bytes], file_format: Format, reading: Reading) -> Read:
    """Give the labels of a file one by one.

    Raises:
        FileRefused: nothing of it can be read in that format.
    """
    return _READERS[file_format](file, reading)


def format_of(*, file: IO[bytes]) -> Format:
    """Tell the format of a file by its beginning; the file stands at its beginning before and after.

    Raises:
        FileRefused: it cannot be told.
    """
    start = file.read(64 * 1024)
    file.seek(0)
    require_utf8_start(start)
    text = start.decode("utf-8-sig", errors="replace").lstrip()
    if not text:
        raise FileRefused("The file is empty. Export it again, or choose another one.")
    if text.startswith("["):
        return Format.LABEL_STUDIO
    if text.startswith("{"):
        line, _, _ = text.partition("\n")
        ours, _, _ = line.partition(f'"{CARRIED}"')
        return Format.DOCCANO if '"label"' in line and '"verdict"' not in ours else Format.JSONL
    line, _, _ = text.partition("\n")
    if "verdict" in line and any(mark in line for mark in ",;"):
        return Format.CSV
    raise FileRefused("The format cannot be told from the file: say which one it is.")


def written(*, study: Study, file_format: Format, with_unlabeled: bool = False) -> Iterator[str]:
    """Give a study's labels as the text of a file, piece by piece.

    `with_unlabeled` adds the answers that have no label, for judging them elsewhere, in Label Studio or doccano.
    """
    if file_format is Format.CSV:
        return as_csv(study)
    if file_format is Format.LABEL_STUDIO:
        return as_label_studio(study, with_unlabeled=with_unlabeled)
    if file_format is Format.DOCCANO:
        return as_doccano(study, with_unlabeled=with_unlabeled)
    return as_jsonl(study)
