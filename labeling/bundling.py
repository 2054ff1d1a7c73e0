"""The judgements' members of a study bundle: guidelines, grades, and the whole history of labels.

Judges are people, and a bundle travels: their names are replaced by `annotator-1` and so on unless somebody asks for
the names. Where a bundle is imported each judge becomes a person of the study's own who cannot sign in, because a name
alone does not say that it is the same person as somebody here.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.db.models import Count

from benchmarks.bundling.archive import Line, Row
from benchmarks.bundling.members import Incoming, Member, Outgoing, in_chunks, referred
from benchmarks.bundling.rows import Shape, database_errors, insert
from benchmarks.models import Category, Study
from labeling.models import GoldAnswer, Grade, Guideline, Label
from labeling.ruling import grader_category_ids
from labeling.standing_in import NameRefused, stand_in

_GUIDELINE = Shape(Guideline)
_GRADE = Shape(Grade)
_LABEL = Shape(Label)
_GOLD = Shape(GoldAnswer)
_LONGEST_NAME = 120
_MIN_BATCH = 500


def judgement_members(*, with_names: bool = False) -> tuple[Member, ...]:
    """Return the members that carry what was judged; with the judges' names only where that is asked for."""
    return (
        Member("guidelines.jsonl", _write_guidelines, _read_guidelines),
        Member("grades.jsonl", _write_grades, _read_grades),
        Member("labels.jsonl", lambda outgoing: _write_labels(outgoing, with_names=with_names), _read_labels),
        Member("gold.jsonl", _write_gold, _read_gold),
    )


def _write_guidelines(outgoing: Outgoing) -> Iterator[Row]:
    used = Label.objects.filter(response__study=outgoing.study, guideline__isnull=False).values("guideline")
    for guideline in (
        Guideline.objects.filter(pk__in=used).select_related("category").order_by("category__name", "version")
    ):
        yield {"category": _category_of(guideline), **_GUIDELINE.row_of(guideline)}


def _category_of(guideline: Guideline) -> str | None:
    return guideline.category.name if guideline.category is not None else None


def _read_guidelines(incoming: Incoming, lines: Iterator[Line]) -> None:
    """Find or make the guidelines; one that is another text here is kept with the study, and labels go without it."""
    kept = []
    for line in lines:
        values = _GUIDELINE.values_of(line, "category")
        created_at = values.pop("created_at") or incoming.now
        name = line.row["category"]
        with database_errors(line.place, line.place):
            category = None if name is None else Category.objects.get_or_create(name=str(name))[0]
            guideline, is_new = Guideline.objects.get_or_create(
                category=category, version=values["version"], defaults=values
            )
            if is_new:
                Guideline.objects.filter(pk=guideline.pk).update(created_at=created_at)
        if guideline.text != values["text"]:
            kept.append({"category": name, "version": values["version"], "text": values["text"]})
            incoming.notes.append(
                f"{guideline} has another text here: labels of the study stand without it, and its text is kept with "
                f"the study."
            )
    if kept:
        incoming.kept["guidelines"] = kept


def _write_grades(outgoing: Outgoing) -> Iterator[Row]:
    for first, ids in in_chunks(outgoing.response_ids):
        numbers = {pk: number for number, pk in enumerate(ids, start=first)}
        found = Grade.objects.filter(response_id__in=ids).order_by("grader", "grader_version")
        for grade in sorted(found, key=lambda grade: numbers[grade.response_id]):
            yield {"response": numbers[grade.response_id], **_GRADE.row_of(grade)}


def _read_grades(incoming: Incoming, lines: Iterator[Line]) -> None:
    rows = (
        (
            line,
            Grade(response_id=referred(line, "response", incoming.response_ids), **_GRADE.values_of(line, "response")),
        )
        for line in lines
    )
    for _ in insert(rows, restored=["created_at"]):
        pass


def _write_gold(outgoing: Outgoing) -> Iterator[Row]:
    """Who set an answer as gold stays behind, as names do; their label says it where they settled it."""
    for first, ids in in_chunks(outgoing.response_ids):
        numbers = {pk: number for number, pk in enumerate(ids, start=first)}
        for gold in GoldAnswer.objects.filter(response_id__in=ids).order_by("pk"):
            yield {"response": numbers[gold.response_id], **_GOLD.row_of(gold)}


def _read_gold(incoming: Incoming, lines: Iterator[Line]) -> None:
    rows = (
        (
            line,
            GoldAnswer(
                response_id=referred(line, "response", incoming.response_ids), **_GOLD.values_of(line, "response")
            ),
        )
        for line in lines
    )
    for _ in insert(rows, restored=["created_at"]):
        pass


def _write_labels(outgoing: Outgoing, *, with_names: bool) -> Iterator[Row]:
    judges = _Judges(outgoing.study, with_names=with_names)
    for first, ids in in_chunks(outgoing.response_ids):
        numbers = {pk: number for number, pk in enumerate(ids, start=first)}
        found = (
            Label.objects.filter(response_id__in=ids)
            .select_related("labeler", "grade", "guideline__category")
            .order_by("pk")
        )
        in_order = sorted(found, key=lambda label: numbers[label.response_id])  # stable: history stays in order
        for _, history in groupby(in_order, key=lambda label: label.response_id):
            places: dict[int, int] = {}
            for label in history:
                places[label.pk] = len(places) + 1
                yield _label_row(label, numbers[label.response_id], places, judges)


def _label_row(label: Label, number: int, places: dict[int, int], judges: "_Judges") -> Row:
    grade, guideline = label.grade, label.guideline
    return {
        "response": number,
        "supersedes": places.get(label.supersedes_id) if label.supersedes_id is not None else None,
        "judge": judges.name_of(label.labeler),
        "grade": [grade.grader, grade.grader_version] if grade is not None else None,
        "guideline": [_category_of(guideline), guideline.version] if guideline is not None else None,
        **_LABEL.row_of(label),
    }


class _Judges:
    """The names that judges have in a bundle: numbered as they come, or their own."""

    def __init__(self, study: Study, *, with_names: bool) -> None:
        self._suffix = _suffix_of(study)
        self._with_names = with_names
        self._numbers: dict[int, int] = {}

    def name_of(self, judge: Any) -> str | None:  # Any: the person of the settings' user model
        if judge is None:
            return None
        number = self._numbers.setdefault(judge.pk, len(self._numbers) + 1)
        return str(judge.get_username()).removesuffix(self._suffix) if self._with_names else f"annotator-{number}"


def _suffix_of(study: Study) -> str:
    return f"@{study.uuid.hex[:8]}"


def _read_labels(incoming: Incoming, lines: Iterator[Line]) -> None:
    reader = _LabelReader(incoming)
    batch: list[Line] = []
    for _, history in groupby(lines, key=lambda line: line.row.get("response")):
        batch.extend(history)  # an answer's history stays together: its labels point to each other
        if len(batch) >= _MIN_BATCH:
            reader.read(batch)
            batch = []
    if batch:
        reader.read(batch)
    _note_what_counts(incoming)


def _note_what_counts(incoming: Incoming) -> None:
    """Say where labels by graders count for no verdict here: the switch is this installation's, and no bundle's."""
    by_graders = Label.objects.current().filter(source=Label.Source.GRADER, response__study=incoming.made)
    uncounted = by_graders.exclude(response__prompt__category_id__in=grader_category_ids())
    names = uncounted.order_by("response__prompt__category__name").values_list("response__prompt__category__name")
    for name, count in names.annotate(count=Count("pk")):
        incoming.notes.append(
            f"{count} labels by graders in {name} count for no verdict here, until graders may label there: "
            "/label/rules/ shows how right they are and switches it on."
        )


class _LabelReader:
    """Makes labels of rows, a batch of whole histories at a time."""

    def __init__(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._judge_ids: dict[str, int] = {}
        self._guideline_ids = {
            (_category_of(one), one.version): one.pk
            for one in Guideline.objects.select_related("category").order_by("pk")
        }
        kept: Any = incoming.kept.get("guidelines", [])
        for one in kept:
            self._guideline_ids.pop((one["category"], one["version"]), None)
        self._left_out = {(one["category"], one["version"]) for one in kept}

    def read(self, batch: Sequence[Line]) -> None:
        response_ids = [referred(line, "response", self._incoming.response_ids) for line in batch]
        grades = Grade.objects.filter(response_id__in=set(response_ids)).order_by("pk")
        self._grade_ids = {
            (grade.response_id, grade.grader, grade.grader_version): grade.pk
            for grade in grades.only("response_id", "grader", "grader_version")
        }
        rows = [(line, self._label(line, response_id)) for line, response_id in zip(batch, response_ids, strict=True)]
        _renumber(label for _, label in rows)
        made = list(insert(rows, restored=["created_at"]))
        self._link(batch, made)

    def _label(self, line: Line, response_id: int) -> Label:
        values = _LABEL.values_of(line, "response", "supersedes", "judge", "grade", "guideline")
        row = line.row
        return Label(
            **values,
            response_id=response_id,
            labeler_id=None if row["judge"] is None else self._judge_id(line),
            grade_id=None if row["grade"] is None else self._grade_id(line, response_id),
            guideline_id=None if row["guideline"] is None else self._guideline_id(line),
        )

    def _link(self, batch: Sequence[Line], made: Sequence[Label]) -> None:
        linked = []
        for _, pairs in groupby(zip(batch, made, strict=True), key=lambda pair: pair[1].response_id):
            history: list[Label] = []
            for line, label in pairs:
                earlier = line.row["supersedes"]
                if earlier is not None:
                    if earlier not in range(1, len(history) + 1):
                        raise line.place.error(f"'supersedes' is {earlier!r}: no earlier label of the answer has it.")
                    label.supersedes = history[earlier - 1]
                    linked.append((line, label))
                history.append(label)
        if linked:
            with database_errors(linked[0][0].place, linked[-1][0].place):
                Label.objects.bulk_update([label for _, label in linked], ["supersedes"])

    def _judge_id(self, line: Line) -> int:
        name = line.row["judge"]
        if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_NAME:
            raise line.place.error("'judge' is no name.")
        if name not in self._judge_ids:
            self._judge_ids[name] = _judge(line, name + _suffix_of(self._incoming.made))
        return self._judge_ids[name]

    def _grade_id(self, line: Line, response_id: int) -> int:
        named = line.row["grade"]
        found = self._grade_ids.get((response_id, *named)) if _is_pair(named) else None
        if found is None:
            raise line.place.error(f"'grade' is {named!r}: the answer has no such grade.")
        return found

    def _guideline_id(self, line: Line) -> int | None:
        named = line.row["guideline"]
        found = self._guideline_ids.get(tuple(named)) if _is_pair(named) else None
        if found is None and not (_is_pair(named) and tuple(named) in self._left_out):
            raise line.place.error(f"'guideline' is {named!r}: the bundle holds no such guideline.")
        return found


def _renumber(labels: Iterable[Label]) -> None:
    """Give labels that are here already, in another study, a uuid of their own."""
    by_uuid = {label.uuid: label for label in labels}
    for uuid in Label.objects.filter(uuid__in=by_uuid).order_by("pk").values_list("uuid", flat=True):
        by_uuid[uuid].uuid = uuid4()


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(one, str | int | None) for one in value)


def _judge(line: Line, username: str) -> int:
    """Return the person who stands for a judge of the study; a new one cannot sign in."""
    people: Any = get_user_model()
    known = people._default_manager.filter(username=username).first()
    if known is not None and known.is_active:
        raise line.place.error(f"'judge' would be {username!r}, who is somebody else here.")
    if known is not None:
        return int(known.pk)
    try:
        return int(stand_in(username=username).pk)
    except NameRefused as error:
        raise line.place.error(f"'judge' cannot be {username!r}: {error}") from error
