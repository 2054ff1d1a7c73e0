"""Run graders over answers: store what they suggest, and let them stand in for people where that is switched on."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db import transaction

from benchmarks.models import Response, Study
from labeling.grading import GRADERS, UnusableCheck
from labeling.models import Grade, Label, Verdict


@dataclass(frozen=True)
class Suggested:
    """What a run of the graders did."""

    graded_count: int
    ungradable_count: int


def suggest(*, study: Study, clock: Callable[[], float] = time.perf_counter) -> Suggested:
    """Grade every finished answer of a study that its prompt's grader has not graded in its present version.

    An answer whose prompt has no usable check is left to people and counted as ungradable.
    """
    grades: list[Grade] = []
    ungradable = 0
    finished = study.responses.finished().select_related("prompt").prefetch_related("grades").order_by("pk")
    for response in finished:
        grader = GRADERS.get(str(response.prompt.checks.get("kind")))
        if grader is None:
            ungradable += 1
            continue
        key = (grader.name, grader.version)
        if any((grade.grader, grade.grader_version) == key for grade in response.grades.all()):
            continue
        started = clock()
        try:
            found = grader.grade(answer=response.text, checks=response.prompt.checks)
        except UnusableCheck:
            ungradable += 1
            continue
        grades.append(
            Grade(
                response=response,
                grader=grader.name,
                grader_version=grader.version,
                verdict=found.verdict,
                score=found.score,
                extracted=found.extracted,
                reason=found.reason,
                duration_ms=(clock() - started) * 1000,
            )
        )
    # a second run at the same time has stored the same grades: the pair is unique, and the same by construction
    Grade.objects.bulk_create(grades, batch_size=1000, ignore_conflicts=True)
    return Suggested(len(grades), ungradable)


def accept_suggestions(*, study: Study) -> int:
    """Let the graders' suggestions stand in for labels of answers that nobody has labeled; return how many.

    The labels say `source=grader`; a person's label counts before them (`labeling.verdicts`).
    """
    with transaction.atomic():
        Study.objects.select_for_update().get(pk=study.pk)  # two runs take turns, so none labels twice
        unlabeled = Response.objects.filter(study=study).exclude(labels__is_current=True)
        grades = Grade.objects.filter(response__in=unlabeled).exclude(verdict=Verdict.UNSURE)
        latest = _latest_per_response(grades.order_by("response_id", "grader_version", "pk"))
        labels = [
            Label(
                response_id=grade.response_id,
                verdict=grade.verdict,
                score=grade.score,
                source=Label.Source.GRADER,
                grade=grade,
            )
            for grade in latest
        ]
        Label.objects.bulk_create(labels, batch_size=1000)
    return len(labels)


def _latest_per_response(grades: Iterable[Grade]) -> list[Grade]:
    return list({grade.response_id: grade for grade in grades}.values())
