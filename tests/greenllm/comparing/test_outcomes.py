"""After a change the answers of a study are those of now, though only those that changed are read."""

import random
from collections.abc import Callable, Collection

import numpy as np
import pytest
from django.db import connection

from benchmarks.models import Measurement, Response, Study
from greenllm import study_columns
from greenllm.answer_columns import Columns
from greenllm.comparing import outcomes
from greenllm.comparing.outcomes import answers_of
from labeling import renewing
from labeling.renewing import Packing, Renewals
from tests import factories as make

pytestmark = pytest.mark.django_db


def same(one: outcomes.StudyAnswers, other: outcomes.StudyAnswers) -> bool:
    columns = [(getattr(one, name), getattr(other, name)) for name in ("prompts", "models")]
    columns += [(one.values[name], other.values[name]) for name in other.values]
    facts = [(found.names, found.qualities, found.boundaries) for found in (one, other)]
    return facts[0] == facts[1] and all(np.array_equal(a, b, equal_nan=True) for a, b in columns)


def anew(study: Study, monkeypatch: pytest.MonkeyPatch, packing: Packing[Columns] | None) -> outcomes.StudyAnswers:
    """Return the answers as a process that has just begun reads them; with a packing it goes on from what is kept."""
    with monkeypatch.context() as fresh:
        fresh.setattr(study_columns, "_LATEST", Renewals(most=1, packing=packing))
        return answers_of(study)


class TestAnswersOf:
    @pytest.mark.slow
    def test_reads_what_changed_alone_and_equals_the_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(renewing, "_LEAST_ROWS", 0)
        study, dice = make.make_study(), random.Random(4)
        deployments = [make.make_deployment(name) for name in "ab"]
        for category in ("math", "code"):
            for deployment in deployments:
                make.make_response(make.make_prompt(category=category), deployment, study=study, energy_j=2.0)

        def an_answer() -> Response:
            return dice.choice(list(study.responses.order_by("pk")))

        def fold() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT labeling_fold_answers()")

        changes: list[Callable[[], object]] = [
            lambda: make.make_label(an_answer(), dice.choice(("correct", "incorrect"))),
            lambda: study.responses.filter(pk=an_answer().pk).update(state="failed", error="x"),
            lambda: study.responses.filter(pk=an_answer().pk).update(state="finished", error=""),
            lambda: Measurement.objects.filter(response=an_answer()).update(
                energy_j=dice.randrange(1, 9), quality=dice.choice(("measured", "estimated"))
            ),
            lambda: make.make_response(make.make_prompt(), an_answer().deployment, study=study, energy_j=None),
            fold,
        ]
        read: list[object] = []
        columns = study_columns._read

        def reading(study: Study, *ids: Collection[int]) -> Columns:
            read.append(ids)
            return columns(study, *ids)

        for _ in range(40):
            for _ in range(dice.randrange(1, 3)):
                dice.choice(changes)()
            monkeypatch.setattr(study_columns, "_read", reading)
            found = answers_of(study)
            monkeypatch.setattr(study_columns, "_read", columns)
            assert same(found, anew(study, monkeypatch, None))
            assert same(found, anew(study, monkeypatch, study_columns.PACKING))
        assert read.count(()) < 4 < 20 < len(read)  # the whole study first, and after another model came to it
