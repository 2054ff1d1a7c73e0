"""What graders found in an answer, as a person may see it after the vote or on demand; never which model answered."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection

from benchmarks.models import Response
from labeling.grading import GRADERS, Suggestion, UnusableCheck
from labeling.models import EvidenceLook, Grade, JudgementRule, Verdict
from labeling.word_diff import Piece, compare_words

SHOWN_ROWS = 20
SHOWN_COLUMNS = 12
SHOWN_ALIASES = 30
_LONGEST_GRADED_HERE = 20_000
# said in SQL, since each vote asks it and the ORM takes longer to write it than Postgres to answer
_MODES = """
SELECT DISTINCT ON (category_id) category_id, evidence FROM labeling_judgementrule ORDER BY category_id, id DESC
"""
_GRADES = "SELECT * FROM labeling_grade WHERE response_id = ANY(%s) ORDER BY grader_version, id"
_Found = Mapping[str, Any]  # Any: a grader's evidence as it was stored, whatever it holds


@dataclass(frozen=True)
class Assertion:
    """One assert and whether it holds."""

    test: str
    is_passed: bool
    reason: str


@dataclass(frozen=True)
class Grid:
    """The first rows of what a query returned."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    row_count: int
    hidden_column_count: int


@dataclass(frozen=True)
class Alias:
    """One accepted answer, and whether it was found."""

    text: str
    is_found: bool


@dataclass(frozen=True)
class Evidence:
    """What a grader says of one answer, and what it goes by."""

    verdict: str
    reason: str
    grader: str
    facts: tuple[tuple[str, str], ...] = ()
    assertions: tuple[Assertion, ...] = ()
    grids: tuple[Grid, ...] = ()
    aliases: tuple[Alias, ...] = ()
    pieces: tuple[Piece, ...] = ()

    @property
    def has_details(self) -> bool:
        """Tell whether there is more than verdict and reason."""
        return bool(self.facts or self.assertions or self.grids or self.aliases or self.pieces)


@dataclass(frozen=True)
class EvidenceModes:
    """When judges may see evidence, by the rules in force: by category, and for those without a rule of their own."""

    by_category: Mapping[int | None, JudgementRule.Evidence]

    def of(self, category_id: int) -> JudgementRule.Evidence:
        """Return when the judges of a category may see evidence."""
        general = self.by_category.get(None, JudgementRule.Evidence.AFTER_VOTE)
        return self.by_category.get(category_id, general)


def evidence_modes() -> EvidenceModes:
    """Return when the judges of every category may see evidence, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(_MODES)
        rows = cursor.fetchall()
    return EvidenceModes({category_id: JudgementRule.Evidence(evidence) for category_id, evidence in rows})


def evidence_of(responses: Iterable[Response]) -> dict[int, Evidence]:
    """Return what graders found, by the number of the response, in one query; prompts must be loaded.

    The stored grade is shown. Where there is none, a grader that only reads is asked now; one that runs code or
    queries is not, and the evidence says so.
    """
    wanted = {response.pk: response for response in responses}
    grades = Grade.objects.raw(_GRADES, [list(wanted)]) if wanted else ()
    latest = {grade.response_id: grade for grade in grades}
    found = ((pk, _evidence(response, latest.get(pk))) for pk, response in wanted.items())
    return {pk: evidence for pk, evidence in found if evidence is not None}


def remember_look(*, person_id: int, response_id: int, now: datetime) -> None:
    """Keep that a person has seen the evidence on an answer; what they say of it from now on is not blind."""
    look = EvidenceLook(response_id=response_id, person_id=person_id, seen_at=now)
    EvidenceLook.objects.bulk_create([look], ignore_conflicts=True)


def has_seen_evidence(*, person_id: int, response_id: int) -> bool:
    """Tell whether a person has seen the evidence on an answer, at whatever time."""
    return EvidenceLook.objects.filter(person_id=person_id, response_id=response_id).exists()


def _evidence(response: Response, grade: Grade | None) -> Evidence | None:
    kind = str(response.prompt.checks.get("kind", ""))
    if grade is not None:
        said = Evidence(Verdict(grade.verdict).label, grade.reason, f"{grade.grader}@{grade.grader_version}")
        return _with_details(said, kind, response, grade.extracted)
    if not kind:
        return None
    suggestion = _graded_here(kind, response)
    if suggestion is None:
        return Evidence("", "The grader has not looked at this answer yet (manage.py grade lets it).", kind)
    grader = GRADERS[kind]
    said = Evidence(Verdict(suggestion.verdict).label, suggestion.reason, f"{grader.name}@{grader.version}")
    return _with_details(said, kind, response, suggestion.extracted)


def _graded_here(kind: str, response: Response) -> Suggestion | None:
    """Ask a grader that only reads; None where it would run something, cannot be asked, or would read for long."""
    grader, prompt = GRADERS.get(kind), response.prompt
    if grader is None or len(response.text) > _LONGEST_GRADED_HERE:
        return None
    try:
        return grader.grade(
            answer=response.text, checks=prompt.checks, reference=prompt.reference, item=prompt.item_text
        )
    except UnusableCheck:
        return None


def _with_details(said: Evidence, kind: str, response: Response, found: _Found) -> Evidence:
    details = _DETAILS.get(kind)
    return details(said, response, found) if details is not None and isinstance(found, dict) else said


def _number(said: Evidence, response: Response, found: _Found) -> Evidence:
    number, how = found.get("number"), found.get("how")
    read = f"{number} ({how})" if number is not None else "no number"
    wanted = _text(response.prompt.checks.get("value", ""))
    return replace(said, facts=(("Reference number", wanted), ("Number read from the answer", read)))


def _code(said: Evidence, _response: Response, found: _Found) -> Evidence:
    tests = [test for test in _list(found.get("tests")) if isinstance(test, dict)]
    made = (
        Assertion(_text(test.get("test")), test.get("passed") is True, _text(test.get("reason", ""))) for test in tests
    )
    return replace(said, assertions=tuple(made))


def _sql(said: Evidence, _response: Response, found: _Found) -> Evidence:
    titles = {"wanted": "The reference query returns", "found": "The query of the answer returns"}
    grids = tuple(_grid(title, found[name]) for name, title in titles.items() if isinstance(found.get(name), dict))
    query = _text(found.get("query", ""))
    return replace(said, grids=grids, facts=(("Query read from the answer", query),) if query else ())


def _grid(title: str, table: _Found) -> Grid:
    columns = [_text(column) for column in _list(table.get("columns"))]
    rows = [_list(row)[:SHOWN_COLUMNS] for row in _list(table.get("rows"))[:SHOWN_ROWS]]
    count = table.get("row_count")
    return Grid(
        title=title,
        columns=tuple(columns[:SHOWN_COLUMNS]),
        rows=tuple(tuple("NULL" if cell is None else _text(cell) for cell in row) for row in rows),
        row_count=count if isinstance(count, int) else len(rows),
        hidden_column_count=max(0, len(columns) - SHOWN_COLUMNS),
    )


def _answers(said: Evidence, response: Response, found: _Found) -> Evidence:
    hits = {_text(hit) for hit in [*_list(found.get("found")), found.get("matched")]}
    accepted = dict.fromkeys(_text(answer) for answer in _list(response.prompt.checks.get("answers")))
    aliases = sorted((Alias(text, text in hits) for text in accepted), key=lambda alias: not alias.is_found)
    facts = [("Holds what it must not", _text(found["forbidden"]))] if "forbidden" in found else []
    if len(aliases) > SHOWN_ALIASES:
        facts.append(("Accepted answers", f"{len(aliases)}, of which {SHOWN_ALIASES} are listed"))
    return replace(said, aliases=tuple(aliases[:SHOWN_ALIASES]), facts=tuple(facts))


def _translation(said: Evidence, response: Response, found: _Found) -> Evidence:
    chrf = found.get("chrf")
    facts = (("chrF to the reference", f"{chrf:.2f} of 1"),) if isinstance(chrf, int | float) else ()
    reference, text = response.prompt.reference.strip(), response.text.strip()
    return replace(said, facts=facts, pieces=compare_words(reference, text) if reference and text else ())


def _text(value: object) -> str:
    return value if isinstance(value, str) else str(value)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


_DETAILS: Mapping[str, Callable[[Evidence, Response, _Found], Evidence]] = {
    "number": _number,
    "python_asserts": _code,
    "sql_execution": _sql,
    "answer_list": _answers,
    "exact": _answers,
    "contains": _answers,
    "translation": _translation,
}
