"""Labels of a file become labels of a study: what is new, what is here already, and what is refused."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.bundling.rows import BATCH, in_batches
from benchmarks.models import Study
from benchmarks.planner import tell_planner
from labeling.exchanging.entries import Entry, Reading
from labeling.exchanging.fields import Refusal
from labeling.exchanging.matching import match
from labeling.exchanging.references import Guidelines, Judges
from labeling.exchanging.storing import Storage
from labeling.models import Grade, Label

MOST_KEPT = 500


@dataclass
class ImportReport:
    """What became of a file, or what would become of it."""

    study: Study
    is_preview: bool
    imported: Counter[str] = field(default_factory=Counter)  # by source
    already_count: int = 0
    refused_count: int = 0
    refusals: list[Refusal] = field(default_factory=list)  # the first ones
    made_names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def imported_count(self) -> int:
        """Return how many labels are new."""
        return self.imported.total()

    @property
    def by_source(self) -> list[tuple[str, int]]:
        """Return how many labels are new from each source that has any."""
        return sorted(self.imported.items())


def import_labels(
    *,
    study: Study,
    entries: Iterable[Entry | Refusal],
    reading: Reading,
    now: datetime,
    makes_annotators: bool = False,
    is_preview: bool = False,
    on_refusal: Callable[[Refusal], None] | None = None,
) -> ImportReport:
    """Import the labels of a file, a batch at a time, each in a transaction of its own.

    What is here already is left as it is, so that a file may be imported again after it was mended or broken off.

    Raises:
        FileRefused: nothing of the file can be read.
    """
    report = ImportReport(study, is_preview)
    judges, guidelines = Judges(may_make=makes_annotators, is_preview=is_preview), Guidelines(is_preview=is_preview)
    storage = Storage(study=study, now=now, is_preview=is_preview, judges=judges, guidelines=guidelines)

    def refuse(refusal: Refusal) -> None:
        report.refused_count += 1
        if len(report.refusals) < MOST_KEPT:
            report.refusals.append(refusal)
        if on_refusal is not None:
            on_refusal(refusal)

    for batch in in_batches(entries, BATCH):
        for outcome in _take(study, batch, storage):
            if isinstance(outcome, Refusal):
                refuse(outcome)
            elif outcome is None:
                report.already_count += 1
            else:
                report.imported[outcome] += 1
    if not is_preview:
        tell_planner(Label, Grade)
    report.made_names = judges.made_names
    report.notes = reading.notes() + guidelines.notes
    if report.imported[Label.Source.GRADER]:
        report.notes.append("Labels by graders count only in categories in which graders may label: see /label/rules/.")
    return report


def _take(study: Study, batch: Sequence[Entry | Refusal], storage: Storage) -> Iterator[Refusal | str | None]:
    """Give what becomes of each line: a refusal, the source of a label that is new, or nothing."""
    entries = [one for one in batch if isinstance(one, Entry)]
    matched = iter(match(study=study, entries=entries))
    answered = [one if isinstance(one, Refusal) else next(matched) for one in batch]
    pairs = [
        (entry, number)
        for entry, number in zip(batch, answered, strict=True)
        if isinstance(entry, Entry) and not isinstance(number, Refusal)
    ]
    stored = iter(storage.store(pairs))
    for one in answered:
        yield one if isinstance(one, Refusal) else next(stored)
