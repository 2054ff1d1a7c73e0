"""Run graders over answers: store what they suggest, and let them stand in for people where that is switched on."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet

from benchmarks.models import Response, Study
from labeling.grading import GRADERS, Grader, Suggestion, UnusableCheck
from labeling.models import Grade, Label, Verdict
from labeling.ruling import grader_category_ids

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

    Only in categories in which an admin let graders label (`labeling.ruling`). The labels say `source=grader`; a
    person's label counts before them (`labeling.verdicts`).
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
            for grade in _switched_on(study).order_by("response_id")
        ]
        Label.objects.bulk_create(labels, batch_size=1000)
    return len(labels)


@dataclass(frozen=True)
class Acceptable:
    """What `accept_suggestions` would do now: how many answers it labels, and how many it leaves in which category."""

    count: int
    held_back: Mapping[str, int]  # by the name of a category in which graders may not label


def acceptable_in(*, study: Study) -> Acceptable:
    """Return how many suggestions would become labels, and how many the switch leaves as they are; in two queries."""
    rows = _acceptable(study).values_list("response__prompt__category_id", "response__prompt__category__name")
    counts = list(rows.annotate(count=Count("pk")).order_by("response__prompt__category__name"))
    switched_on = grader_category_ids()
    return Acceptable(
        sum(count for category_id, _, count in counts if category_id in switched_on),
        {name: count for category_id, name, count in counts if category_id not in switched_on},
    )


def told_held_back(held_back: Mapping[str, int]) -> str:
    """Return in words how many suggestions stay suggestions in which categories, and what to do about it."""
    counts = ", ".join(f"{count} suggestion{'' if count == 1 else 's'} in {name}" for name, count in held_back.items())
    return (
        f"{counts} left to people, because graders may not label there. Look at their precision and recall on "
        f"/label/rules/ and switch them on there, or with manage.py switch_graders on {' '.join(held_back)}."
    )


def _switched_on(study: Study) -> QuerySet[Grade]:
    return _acceptable(study).filter(response__prompt__category_id__in=grader_category_ids())


def _acceptable(study: Study) -> QuerySet[Grade]:
    """Return the latest grade of each answer without a label, where it says right or wrong."""
    labels = Label.objects.current().filter(response=OuterRef("response"))  # looked up for what was graded alone
    grades = Grade.objects.filter(~Exists(labels), response__study=study)
    latest = grades.order_by("response_id", "-grader_version", "-pk").distinct("response_id")
    return Grade.objects.filter(pk__in=latest.values("pk")).exclude(verdict=Verdict.UNSURE)


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
