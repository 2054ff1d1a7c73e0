"""What a report reads of a study: its answers as columns, and its validation prompts added up by Postgres."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from django.db import connection

from benchmarks.models import Category, Deployment, LanguageModel, Study
from benchmarks.products import Products
from greenllm.answer_columns import Columns, distinct
from greenllm.reports.adding import Part, Place, bases_of, parts_of
from greenllm.reports.cells import Basis, ReportCell
from greenllm.study_columns import study_columns
from labeling.renewing import Touched, renewed

MOST_BASES = 50
MOST_PROMPTS = 100  # of Table 2 on a page; a file has them all

# the verdict of each answer is known already, as `labeling.verdicts` has it
_DECIDED = """
SELECT response_id, CASE verdict WHEN 'correct' THEN true WHEN 'incorrect' THEN false END AS is_correct
FROM labeling_currentanswer WHERE study_id = %(study)s
"""
_FROM = f"""
FROM benchmarks_response AS response LEFT JOIN ({_DECIDED}) AS decided ON decided.response_id = response.id
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
JOIN benchmarks_category AS category ON category.id = prompt.category_id
JOIN benchmarks_deployment AS deployment ON deployment.id = response.deployment_id
JOIN benchmarks_languagemodel AS model ON model.id = deployment.language_model_id
LEFT JOIN benchmarks_measurement AS measurement ON measurement.id = response.measurement_id
WHERE response.study_id = %(study)s AND response.state = 'finished'
"""
_RIGHT = "FILTER (WHERE decided.is_correct AND measurement.sci_gco2e IS NOT NULL)"
_VALIDATION = f"""
WITH asked AS (
    SELECT prompt.id FROM benchmarks_prompt AS prompt
    JOIN benchmarks_category AS category ON category.id = prompt.category_id
    WHERE prompt.role = 'validation' AND EXISTS (
        SELECT FROM benchmarks_response AS response
        WHERE response.prompt_id = prompt.id AND response.study_id = %(study)s AND response.state = 'finished')
    ORDER BY category.name, prompt.position, prompt.id LIMIT %(most)s
)
SELECT prompt.id, prompt.external_id, category.name, left(prompt.item_text, 80), model.name, min(response.id),
       count(*), count(decided.is_correct), count(*) FILTER (WHERE decided.is_correct),
       coalesce(array_agg(DISTINCT coalesce(measurement.quality, 'missing')) FILTER (WHERE decided.is_correct), '{{}}'),
       count(*) {_RIGHT}, coalesce(sum(measurement.sci_gco2e) {_RIGHT}, 0)::float8,
       coalesce(sum(measurement.sci_gco2e::float8 * measurement.sci_gco2e) {_RIGHT}, 0)::float8
{_FROM} AND prompt.id IN (SELECT id FROM asked)
GROUP BY prompt.id, category.name, model.name ORDER BY category.name, prompt.position, prompt.id, model.name
"""  # noqa: S608 - put together of constants


@dataclass(frozen=True)
class PromptCell:
    """One model on one validation prompt: its answers, how many are judged and right, and the right ones' SCI.

    `response_id` is that of its first answer, `qualities` are those of the right ones' energies.
    """

    prompt_id: int
    model: str
    response_id: int
    answer_count: int
    judged_count: int
    correct_count: int
    qualities: tuple[str, ...]
    sci_of_right: Products


@dataclass(frozen=True)
class ValidationPrompt:
    """One validation prompt with its cells by model."""

    name: str
    category: str
    text: str
    cells: Mapping[str, PromptCell]


def report_cells(study: Study) -> dict[Place, ReportCell]:
    """Return the cells of a study by category and model, over its training answers.

    Kept until an answer changes; then those are added up anew that have a changed answer.
    """
    return {place: part.cell for place, part in _parts(study).items() if part.cell is not None}


def bases(study: Study) -> list[Basis]:
    """Return what the SCI of a study's answers was made with, the most used first, `MOST_BASES` at most.

    Kept as `report_cells` are.
    """
    return bases_of(_parts(study).values(), most=MOST_BASES)


def _parts(study: Study) -> dict[Place, Part]:
    return renewed(
        ("reports.parts", study.pk),
        lambda: _added_up(study),
        lambda before, touched: _renewed(study, before, touched),
        studies=[study.pk],
        kind=dict[Place, Part],
    )


def _added_up(study: Study) -> dict[Place, Part]:
    columns = study_columns(study)
    return parts_of(columns, categories=_named(Category, columns), models=_named(LanguageModel, columns))


def _renewed(study: Study, before: Mapping[Place, Part], touched: Touched) -> dict[Place, Part]:
    """Return the parts with those added up anew that have, or had, an answer that changed."""
    columns = study_columns(study)
    categories, models = _named(Category, columns), _named(LanguageModel, columns)
    category_of = {pk: name for name, its in categories for pk in its}
    name_of = {pk: name for name, its in models for pk in its}
    asked = Deployment.objects.filter(pk__in=touched.deployment_ids).values_list("pk", "language_model_id")
    model_of = {pk: name_of.get(model) for pk, model in asked}
    changed = {(category_of.get(category), model_of.get(deployment)) for deployment, category in touched.cells}
    places = {(category, model) for category, model in changed if category is not None and model is not None}
    if len(places) < len(changed):  # the last answer of a category or a model is gone
        return parts_of(columns, categories=categories, models=models)
    fresh = parts_of(columns, categories=categories, models=models, only=places)
    found = {place: part for place, part in before.items() if place not in places} | fresh
    order = product((name for name, _ in categories), (name for name, _ in models))
    return {place: found[place] for place in order if place in found}


def _named(kind: type[Category] | type[LanguageModel], columns: Columns) -> list[tuple[str, list[int]]]:
    """Return the names of what a study's answers are of, in order, each with all that bear it."""
    name = "category" if kind is Category else "model"
    asked = kind.objects.filter(pk__in=distinct(columns.whole[name])[0].tolist()).order_by("name", "pk")
    found: dict[str, list[int]] = {}
    for pk, one in asked.values_list("pk", "name"):  # a name may come twice
        found.setdefault(one, []).append(pk)
    return list(found.items())


def validation_prompts(study: Study, *, most: int | None = MOST_PROMPTS) -> list[ValidationPrompt]:
    """Return the first validation prompts that have finished answers, with a cell for each model. One query."""
    rows = _rows(_VALIDATION, study, most=most)
    found: dict[int, ValidationPrompt] = {}
    cells: dict[int, dict[str, PromptCell]] = {}
    for pk, name, category, text, model, *rest in rows:
        own = cells.setdefault(pk, {})
        found.setdefault(pk, ValidationPrompt(name, category, text, own))
        sci = Products(rest[5], (rest[6],), (rest[7],))
        columns: list[Any] = [pk, model, *rest[:4], tuple(rest[4]), sci]
        own[model] = PromptCell(*columns)
    return list(found.values())


def validation_prompt_count(study: Study) -> int:
    """Return how many validation prompts have a finished answer."""
    finished = study.responses.filter(state="finished", prompt__role="validation")
    return finished.values("prompt_id").distinct().count()


def studied_models(study: Study) -> list[LanguageModel]:
    """Return the models that a study asks, in its order, each name once. One query."""
    targets = study.targets.select_related("deployment__language_model").order_by("position")
    return list({one.deployment.language_model.name: one.deployment.language_model for one in targets}.values())


def _rows(query: str, study: Study, **values: int | list[int] | None) -> list[tuple[Any, ...]]:
    """Return rows of numbers and words."""
    with connection.cursor() as cursor:
        cursor.execute(query, {"study": study.pk, **values})
        return list(cursor.fetchall())
