"""Which labels of a file are new, and how they are stored. What is here is left as it is."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from django.db import transaction
from django.db.models import Q

from benchmarks.bundling.archive import Line, Place
from benchmarks.bundling.rows import insert
from benchmarks.models import Response, Study
from labeling.exchanging.entries import Entry
from labeling.exchanging.fields import LineRefused, Refusal
from labeling.exchanging.references import Guidelines, Judges
from labeling.models import Grade, Label

_Pair = tuple[Entry, int]  # a line and the key of its answer
_Judge = tuple[int, str, int | None, str]  # answer, source, person, kind: one label of these counts
_GradeKey = tuple[int, str, int]  # answer, grader, version
_STAYS = "Labels are never changed: the one that is here stays."


@dataclass(slots=True)
class _Known:
    """What has to be known of a label that is here, or that an earlier line makes."""

    uuid: UUID
    pk: int | None
    response_id: int
    source: str
    labeler_id: int | None
    kind: str
    verdict: str
    external_id: str
    is_current: bool
    voided_at: datetime | None
    superseded: UUID | None

    @property
    def judge(self) -> _Judge:
        """Return of which labels only one counts."""
        return self.response_id, self.source, self.labeler_id, self.kind

    @property
    def counts_alone(self) -> bool:
        """Return whether no other label of the same judge may count beside it."""
        return self.is_current and self.voided_at is None and self.source != Label.Source.IMPORTED


_COLUMNS = (
    "uuid", "pk", "response_id", "source", "labeler_id", "kind", "verdict", "external_id", "is_current", "voided_at",
    "supersedes__uuid",
)  # fmt: skip


@dataclass
class _Here:
    """The labels and grades of the answers of a batch, those of earlier lines among them."""

    labels: dict[UUID, _Known] = field(default_factory=dict)
    external: dict[tuple[int, str], _Known] = field(default_factory=dict)
    current: dict[_Judge, _Known] = field(default_factory=dict)
    superseded: set[UUID] = field(default_factory=set)
    grades: dict[_GradeKey, Grade] = field(default_factory=dict)

    def add(self, known: _Known) -> None:
        """Take one more label."""
        self.labels[known.uuid] = known
        if known.external_id:
            self.external[known.response_id, known.external_id] = known
        if known.counts_alone:
            self.current[known.judge] = known
        if known.superseded is not None:
            self.superseded.add(known.superseded)


@dataclass(frozen=True)
class _New:
    """One line and the label that is made of it, not stored yet."""

    entry: Entry
    label: Label
    known: _Known


@dataclass
class Storage:
    """Stores the lines of a file batch by batch; a preview only says what it would do."""

    study: Study
    now: datetime
    is_preview: bool
    judges: Judges
    guidelines: Guidelines
    _lines: dict[UUID | tuple[int, str], int] = field(default_factory=dict)
    _planned: dict[int, list[_Known]] = field(default_factory=dict)  # by answer; what a preview never finds stored

    def store(self, pairs: Sequence[_Pair]) -> list[Refusal | str | None]:
        """Return for each line why it is refused, or the source of its new label, or None where it is here already.

        Whoever votes on one of these answers meanwhile waits for the batch, as for another vote.
        """
        self.judges.look_up(entry.annotator for entry, _ in pairs)
        self.guidelines.learn(entry for entry, _ in pairs)
        numbers = {number for _, number in pairs}
        if self.is_preview:
            outcomes, new = self._decide(pairs, self._found(pairs, numbers))
            for one in new:
                self._planned.setdefault(one.known.response_id, []).append(one.known)
            return outcomes
        with transaction.atomic():
            locked = Response.objects.select_for_update(no_key=True).filter(pk__in=numbers).order_by("pk")
            list(locked.values_list("pk"))
            here = self._found(pairs, numbers)
            outcomes, new = self._decide(pairs, here)
            _write(new, here)
        return outcomes

    def _found(self, pairs: Sequence[_Pair], numbers: set[int]) -> _Here:
        here = _Here()
        uuids = {one for entry, _ in pairs for one in (entry.uuid, entry.supersedes) if one is not None}
        labels = Label.objects.filter(Q(response_id__in=numbers) | Q(uuid__in=uuids)).order_by("pk")
        for row in labels.values_list(*_COLUMNS):
            here.add(_Known(*row))
        for number in numbers & self._planned.keys():
            for known in self._planned[number]:
                here.add(known)
        if any(entry.grade is not None for entry, _ in pairs):
            for grade in Grade.objects.filter(response_id__in=numbers).order_by("pk"):
                here.grades[grade.response_id, grade.grader, grade.grader_version] = grade
        return here

    def _decide(self, pairs: Sequence[_Pair], here: _Here) -> tuple[list[Refusal | str | None], list[_New]]:
        outcomes: list[Refusal | str | None] = []
        new = []
        for entry, number in pairs:
            try:
                self._check_line(entry, number)
                made = None if self._is_here(entry, number, here) else self._new(entry, number, here)
            except LineRefused as error:
                outcomes.append(error.at(entry.line))
                continue
            outcomes.append(made.known.source if made is not None else None)
            if made is not None:
                here.add(made.known)
                new.append(made)
        return outcomes, new

    def _check_line(self, entry: Entry, number: int) -> None:
        key = entry.uuid or (number, entry.external_id)
        first = self._lines.setdefault(key, entry.line)
        if first != entry.line:
            raise LineRefused(
                "id", f"It is the same label as on line {first}.",
                "Leave it out; where two people said the same, give each label an 'id' or an 'annotator'.",
            )  # fmt: skip

    def _is_here(self, entry: Entry, number: int, here: _Here) -> bool:
        known = here.labels.get(entry.uuid) if entry.uuid is not None else None
        if known is None and entry.external_id:
            known = here.external.get((number, entry.external_id))
        if known is None:
            return False
        said: dict[str, object] = {"response": number, "verdict": entry.values["verdict"]}
        stored: dict[str, object] = {"response": known.response_id, "verdict": known.verdict}
        if entry.uuid == known.uuid:
            said |= {"annotator": self.judges.id_of(entry), **{name: entry.values[name] for name in ("source", "kind")}}
            stored |= {"annotator": known.labeler_id, "source": known.source, "kind": known.kind}
        differing = next((name for name in said if said[name] != stored[name]), "")
        if differing:
            raise LineRefused(differing, f"This label is here already and says {stored[differing]!r}.", _STAYS)
        if entry.values["voided_at"] is not None and known.voided_at is None:
            raise LineRefused("voided_at", "This label is here already and counts.", "Void it here as well.")
        return True

    def _new(self, entry: Entry, number: int, here: _Here) -> _New:
        values = entry.values
        label = Label(
            **{**values, "created_at": values["created_at"] or self.now},
            uuid=entry.uuid or uuid4(),
            external_id=entry.external_id,
            response_id=number,
            labeler_id=self.judges.id_of(entry),
            guideline=self.guidelines.of(entry),
        )
        known = _Known(
            label.uuid, None, number, label.source, label.labeler_id, label.kind, label.verdict, label.external_id,
            label.is_current, label.voided_at, entry.supersedes,
        )  # fmt: skip
        superseded = self._superseded(entry, number, here)
        rival = here.current.get(known.judge) if known.counts_alone else None
        if rival is not None and rival is not superseded:
            reason = f"A label of {entry.annotator or 'graders'} counts for this answer already: {rival.verdict}."
            raise LineRefused("annotator", reason, f"{_STAYS} Void it first where the file's shall count.")
        if entry.grade is not None:
            label.grade = self._grade(entry.grade, number, here)
        if superseded is not None and superseded.is_current:
            superseded.is_current = False
            here.current.pop(superseded.judge, None)
        return _New(entry, label, known)

    def _superseded(self, entry: Entry, number: int, here: _Here) -> _Known | None:
        if entry.supersedes is None:
            return None
        found = here.labels.get(entry.supersedes)
        if found is None or found.response_id != number:
            reason = "The label that it replaces is neither here nor on an earlier line."
            raise LineRefused("supersedes", reason, "Put the earlier label before it, or empty 'supersedes'.")
        if entry.supersedes in here.superseded:
            raise LineRefused("supersedes", "Another label replaces that one already.", _STAYS)
        return found

    def _grade(self, told: dict[str, object], number: int, here: _Here) -> Grade:
        grade = Grade(response_id=number, **told)
        key = (number, grade.grader, grade.grader_version)
        known = here.grades.setdefault(key, grade)
        if known.verdict != grade.verdict:
            reason = f"{known} found this answer {known.verdict} here."
            raise LineRefused("grade", reason, "A grader of the same version says the same: grade the study here.")
        return known


def _write(new: Sequence[_New], here: _Here) -> None:
    """Store labels; what they replace stops to count before, because one label of a judge counts."""
    replaced = [here.labels[one.known.superseded] for one in new if one.known.superseded is not None]
    Label.objects.filter(pk__in=[known.pk for known in replaced if known.pk is not None]).update(is_current=False)
    grades = {id(one.label.grade): (_line(one.entry), one.label.grade) for one in new if one.label.grade is not None}
    for _ in insert(((line, grade) for line, grade in grades.values() if grade.pk is None), restored=["created_at"]):
        pass
    for one in new:
        one.label.grade = one.label.grade  # which has its key by now
    for _ in insert(((_line(one.entry), one.label) for one in new), restored=["created_at"]):
        pass
    linked = []
    for one in new:
        one.known.pk = one.label.pk
        if one.known.superseded is not None:
            one.label.supersedes_id = here.labels[one.known.superseded].pk
            linked.append(one.label)
    Label.objects.bulk_update(linked, ["supersedes"])


def _line(entry: Entry) -> Line:
    return Line(Place("the file", entry.line), {})
