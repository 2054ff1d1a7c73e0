"""The verdict as Postgres reckons it is the one that the rule in words gives."""

import numpy as np
import pytest
from django.db import connection

from benchmarks.models import Response
from labeling.deciding import decided_sql
from labeling.models import JudgementRule, Label
from labeling.verdicts import verdicts_of
from tests import factories as make

pytestmark = pytest.mark.django_db


def decided() -> dict[int, bool | None]:
    with connection.cursor() as cursor:
        cursor.execute(decided_sql(among="SELECT id FROM benchmarks_response") % {})
        return dict(cursor.fetchall())


def label_at_random(response: Response, chance: np.random.Generator) -> None:
    for _ in range(chance.integers(0, 6)):
        source = str(chance.choice(["person", "person", "imported", "grader"]))
        verdict = str(chance.choice(["correct", "incorrect", "unsure"]))
        kind = str(chance.choice(["judgement", "judgement", "self_check", "adjudication"]))
        facts = {"is_current": bool(chance.random() < 0.9)}
        if chance.random() < 0.1:
            facts |= {"is_current": False, "voided_at": make.NOW, "void_reason": "a mistake"}
        if source == "person":
            make.make_label(response, verdict, kind=kind, **facts)
        elif source == "imported":
            Label.objects.create(response=response, verdict=verdict, source=source, kind=kind, **facts)
        elif not response.labels.filter(source="grader").exists():
            make.make_grader_label(response, verdict)


@pytest.mark.slow
def test_is_the_rule_in_words_whoever_said_what() -> None:
    chance = np.random.default_rng(3)
    model = make.make_deployment("small")
    for number in range(60):
        prompt = make.make_prompt(f"prompt {number}", category=("math", "code", "text")[number % 3])
        response = make.make_response(prompt, model)
        label_at_random(response, chance)
    JudgementRule.objects.create(category=prompt.category, judgements=2, grades_count=True)
    by_rule = {key: one.is_correct for key, one in verdicts_of(Response.objects.values_list("pk", flat=True)).items()}
    found = decided()
    assert found == by_rule
    assert set(found.values()) == {True, False, None}
