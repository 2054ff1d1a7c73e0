"""The verdict in SQL is the verdict in words."""

from random import Random

import pytest
from django.db import connection

from labeling.decided import decided_sql
from labeling.models import Label, Verdict
from labeling.ruling import switch_graders_in
from labeling.verdicts import UNDECIDED, verdicts_of
from tests import factories as make

QUERY = f"""
SELECT response.id, decided.is_correct, coalesce(decided.source, '')
FROM benchmarks_response AS response {decided_sql(of="answer.study_id = %s")}
WHERE response.study_id = %s
"""
ANSWERS = 120


@pytest.mark.django_db
def test_decides_as_the_rule_in_words() -> None:
    random = Random(5)
    study, deployment, people = make.make_study(), make.make_deployment(), [make.make_user() for _ in range(4)]
    responses = [
        make.make_response(make.make_prompt(category=random.choice(["math", "code"])), deployment, study=study)
        for _ in range(ANSWERS)
    ]
    for response in responses:
        for labeler in random.sample(people, random.randint(0, 4)):
            kind = random.choice(["judgement", "judgement", "judgement", "self_check", "adjudication"])
            make.make_label(response, random.choice(Verdict.values), labeler=labeler, kind=kind)
        if random.random() < 0.4:
            Label.objects.create(response=response, verdict=random.choice(Verdict.values), source="imported")
        if random.random() < 0.4:
            make.make_grader_label(response, random.choice(Verdict.values))
    for category in {one.prompt.category for one in responses}:
        switch_graders_in(category=category, is_on=category.name == "math", person_id=None)
    with connection.cursor() as cursor:
        cursor.execute(QUERY, [study.pk, study.pk])
        found = {pk: (is_correct, source) for pk, is_correct, source in cursor.fetchall()}
    wanted = verdicts_of(found)
    assert found == {
        pk: (decision.is_correct, decision.source) for pk in found for decision in [wanted.get(pk, UNDECIDED)]
    }
    assert {is_correct for is_correct, _ in found.values()} == {True, False, None}
    assert {source for _, source in found.values()} == {"person", "imported", "grader", ""}
