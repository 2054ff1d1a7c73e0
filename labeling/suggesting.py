"""Run graders over answers: store what they suggest, and let them stand in for people where that is switched on."""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from benchmarks.models import Response, Study
from labeling.grading import GRADERS, Grader, Suggestion, UnusableCheck
from labeling.models import Grade, Label, Verdict

_BATCH_SIZE = 50  # few enough that a run of slow programs that is stopped loses little


@dataclass(frozen=True)
class Suggested:
    """What a run of the graders did; `reasons` counts why answers were left, by what was said of them.

    Ungradable answers are for people. Postponed ones lacked something of this machine: a later run grades them.
    """

    graded_count: int
    ungradable_count: int
    postponed_count: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict, compare=False)


def suggest(
    *, study: Study, graders: Mapping[str, Grader] = GRADERS, clock: Callable[[], float] = time.perf_counter
) -> Suggested:
    """Grade every finished answer of a study that its prompt's grader has not graded in its present version.

    Grades are stored in small batches, and no transaction is open while a grader runs: it may take a minute.
    """
    waiting: list[Grade] = []
    ungradable: Counter[str] = Counter()
    postponed: Counter[str] = Counter()
    graded_count = 0
    finished = study.responses.finished().select_related("prompt").prefetch_related("grades").order_by("pk")
    for response in finished:
        kind = str(response.prompt.checks.get("kind", ""))
        grader = graders.get(kind)
        if grader is None:
            ungradable[f"no grader for checks of kind {kind!r}" if kind else "the prompt has no check"] += 1
            continue
        key = (grader.name, grader.version)
        if any((grade.grader, grade.grader_version) == key for grade in response.grades.all()):
            continue
        started = clock()
        try:
            found = _graded(grader, response)
        except UnusableCheck as error:
            ungradable[str(error)] += 1
            continue
        if not found.is_settled:
            postponed[found.reason] += 1
            continue
        waiting.append(_grade(response, grader, found, duration_ms=(clock() - started) * 1000))
        if len(waiting) >= _BATCH_SIZE:
            graded_count += _store(waiting)
    graded_count += _store(waiting)
    return Suggested(graded_count, ungradable.total(), postponed.total(), ungradable + postponed)


def accept_suggestions(*, study: Study) -> int:
    """Let the graders' suggestions stand in for labels of answers that nobody has labeled; return how many.

    The labels say `source=grader`; a person's label counts before them (`labeling.verdicts`).
    """
    with transaction.atomic():
        Study.objects.select_for_update().get(pk=study.pk)  # two runs take turns, so none labels twice
        labels = [
            Label(
                response_id=grade.response_id,
                verdict=grade.verdict,
                score=grade.score,
                source=Label.Source.GRADER,
                grade=grade,
            )
            for grade in _acceptable(study)
        ]
        Label.objects.bulk_create(labels, batch_size=1000)
    return len(labels)


def acceptable_count(*, study: Study) -> int:
    """Return how many answers `accept_suggestions` would label now."""
    return len(_acceptable(study))


def _acceptable(study: Study) -> list[Grade]:
    """Return the latest grade of each answer without a label, where it says right or wrong."""
    labeled = Label.objects.current().filter(response__study=study).values("response")
    unlabeled = Response.objects.filter(study=study).exclude(pk__in=labeled)
    grades = Grade.objects.filter(response__in=unlabeled)
    latest = _latest_per_response(grades.order_by("response_id", "grader_version", "pk"))
    return [grade for grade in latest if grade.verdict != Verdict.UNSURE]


def _graded(grader: Grader, response: Response) -> Suggestion:
    prompt = response.prompt
    return grader.grade(answer=response.text, checks=prompt.checks, reference=prompt.reference, item=prompt.item_text)


def _grade(response: Response, grader: Grader, found: Suggestion, *, duration_ms: float) -> Grade:
    return Grade(
        response=response,
        grader=grader.name,
        grader_version=grader.version,
        verdict=found.verdict,
        score=found.score,
        extracted=_storable(found.extracted),
        reason=_storable(found.reason),
        duration_ms=duration_ms,
    )


def _storable(value: Any) -> Any:
    """Return evidence as Postgres can hold it: without NUL characters, lone surrogates and numbers without end."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf8", "replace").decode("utf8")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {_storable(key): _storable(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(part) for part in value]
    return value


def _store(waiting: list[Grade]) -> int:
    """Store grades and empty the list; return how many there were."""
    count = len(waiting)
    # a second run at the same time has stored the same grades: the pair is unique, and the same by construction
    Grade.objects.bulk_create(waiting, ignore_conflicts=True)
    waiting.clear()
    return count


def _latest_per_response(grades: Iterable[Grade]) -> list[Grade]:
    return list({grade.response_id: grade for grade in grades}.values())
