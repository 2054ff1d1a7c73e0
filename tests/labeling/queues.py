"""Answers that wait and people who judge, for the tests of the queue."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from benchmarks.models import Category, Response, Study
from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.assigning import Reader
from labeling.models import Grade, JudgementRule
from labeling.waiting import Mode, QueueFilter
from tests import factories as make

NOW = make.NOW


def make_annotator(username: str = "") -> User:
    user = make.make_user(username)
    grant_role(user=user, role=Role.ANNOTATOR)
    return user


def make_answers(count: int, *, category: str = "math", study: Study | None = None) -> list[Response]:
    """Make finished answers of one model in one study."""
    study = study or make.make_study()
    deployment = make.make_deployment(f"model-of-{study.name}-{category}")
    prompts = make.make_prompts(count, category=category)
    return make.make_responses(
        ((prompt, deployment, {"text": f"Answer {number}."}) for number, prompt in enumerate(prompts)), study=study
    )


def make_rule(category: str = "", **facts: Any) -> JudgementRule:
    """Put a rule in force, for every category where none is named; at most one reader more than judgements."""
    found = Category.objects.get_or_create(name=category)[0] if category else None
    values = {"max_readers": facts.get("judgements", 1) + 1, **facts}
    return JudgementRule.objects.create(category=found, **values)


def make_graded(
    count: int, *, blind: int, grader: str = "number", version: int = 1, verdict: str = "correct"
) -> list[Response]:
    """Make answers in math that a grader graded, of which one person judged so many blind and the rest not."""
    person, answers = make.make_user(), make_answers(count)
    Grade.objects.bulk_create(
        Grade(response=response, grader=grader, grader_version=version, verdict=verdict, reason="7", duration_ms=1)
        for response in answers
    )
    for number, response in enumerate(answers):
        make.make_label(response, labeler=person, saw_evidence=number >= blind)
    return answers


def reader_of(
    user: User, *, seed: int = 1, study: Study | None = None, category: Category | None = None,
    families: tuple[str, ...] | None = None, mode: Mode = Mode.EVERYTHING,
) -> Reader:  # fmt: skip
    return Reader(person_id=user.pk, order_seed=seed, chosen=QueueFilter(study, category, families, mode))


def make_many_answers(count: int) -> None:
    """Make so many finished answers of one model to ten prompts, by SQL: each is a repeat."""
    study = make.make_study("many")
    deployment = make.make_deployment("many")
    prompts = [make.make_prompt(reference="Four.", category=name) for name in ("math", "code") for _ in range(5)]
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO benchmarks_response (study_id, deployment_id, prompt_id, parameter_set_id, repeat, sequence,
                state, error, text, thinking_text, finished_at, done_reason, answered_by, gateway_request_public_id,
                differing_text_count)
            SELECT %s, %s, prompt, %s, number, number, 'finished', '', 'Answer ' || number || '.', '', %s, '', '', '', 0
            FROM generate_series(1, %s) AS number, unnest(%s::bigint[]) AS prompt
            """,
            [
                study.pk, deployment.pk, study.parameter_sets.get().pk, NOW, count // len(prompts),
                [prompt.pk for prompt in prompts],
            ],
        )  # fmt: skip
        cursor.execute("ANALYZE")


def moment(**delta: float) -> datetime:
    return NOW + timedelta(**delta)
