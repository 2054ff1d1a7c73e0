"""What a bundle is made of: members that are written and read one after the other, and what they share meanwhile."""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.bundling.archive import Line, Row
from benchmarks.bundling.rows import BATCH
from benchmarks.models import Machine, Study


@dataclass
class Outgoing:
    """A study on its way out. Rows point to each other by their line in a member, because keys mean nothing elsewhere.

    The keys of responses and measurements are kept in packed arrays, 8 bytes each, so that 100,000 of them cost little.
    """

    study: Study
    response_ids: "array[int]" = field(default_factory=lambda: array("q"))
    measurement_ids: "array[int]" = field(default_factory=lambda: array("q"))
    accompanying_ids: list[int] = field(default_factory=list)
    prompt_lines: dict[int, int] = field(default_factory=dict)
    deployment_lines: dict[int, int] = field(default_factory=dict)
    parameter_set_lines: dict[int, int] = field(default_factory=dict)


@dataclass
class Incoming:
    """A study on its way in: what earlier members made, found by line number less 1, and what a person should know."""

    study_name: str
    now: datetime
    study: Study | None = None
    machines: dict[str, Machine] = field(default_factory=dict)
    category_ids: dict[str, int] = field(default_factory=dict)
    dataset_ids: dict[str, int] = field(default_factory=dict)
    server_ids: dict[str, int] = field(default_factory=dict)
    language_model_ids: dict[tuple[str, str], int] = field(default_factory=dict)
    deployment_ids: "array[int]" = field(default_factory=lambda: array("q"))
    parameter_set_ids: "array[int]" = field(default_factory=lambda: array("q"))
    prompt_ids: "array[int]" = field(default_factory=lambda: array("q"))
    measurement_ids: "array[int]" = field(default_factory=lambda: array("q"))
    response_ids: "array[int]" = field(default_factory=lambda: array("q"))
    notes: list[str] = field(default_factory=list)
    kept: dict[str, object] = field(default_factory=dict)  # what has no place here, stored with the study

    @property
    def made(self) -> Study:
        """Return the study, which an earlier member made."""
        if self.study is None:
            raise LookupError("The members are read in the wrong order.")
        return self.study


@dataclass(frozen=True)
class Member:
    """One file of a bundle: how its rows are made, and what is made of them.

    Apps that come after `benchmarks` bring members of their own; they are written and read after those of the study.
    """

    name: str
    write: Callable[[Outgoing], Iterator[Row]]
    read: Callable[[Incoming, Iterator[Line]], None]


def in_chunks(ids: "array[int]") -> Iterator[tuple[int, list[int]]]:
    """Give packed keys in lists, each with the line number of its first one."""
    for start in range(0, len(ids), BATCH):
        yield start + 1, ids[start : start + BATCH].tolist()


def referred(line: Line, name: str, ids: "array[int]") -> int:
    """Return the key that a row refers to by its line in an earlier member.

    Raises:
        BundleError: there is no such line.
    """
    number = line.row.get(name)
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= len(ids):
        raise line.place.error(f"{name!r} is {number!r}, but there are {len(ids):,} of these.")
    return ids[number - 1]


def optional(line: Line, name: str, ids: "array[int]") -> int | None:
    """Return the key that a row may refer to, as `referred` does."""
    return None if line.row.get(name) is None else referred(line, name, ids)
