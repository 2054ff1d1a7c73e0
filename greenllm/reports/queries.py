"""What a report reads of a study: its answers as columns, and its validation prompts added up by Postgres."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection

from benchmarks.models import Category, LanguageModel, Study
from benchmarks.products import Products
from greenllm.reports.adding import bases_of, cells_of
from greenllm.reports.cells import Basis, ReportCell
from greenllm.study_columns import study_columns
from labeling.unchanged import unchanged

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


@dataclass(frozen=True)
class _Sums:
    """What the answers of a study add up to, by category and model and by what their SCI was made with."""

    cells: dict[tuple[str, str], ReportCell]
    bases: list[Basis]


def report_cells(study: Study) -> dict[tuple[str, str], ReportCell]:
    """Return the cells of a study by category and model, over its training answers; kept until an answer changes."""
    return _sums(study).cells


def bases(study: Study) -> list[Basis]:
    """Return what the SCI of a study's answers was made with, the most used first, `MOST_BASES` at most.

    Kept as `report_cells` are.
    """
    return _sums(study).bases


def _sums(study: Study) -> _Sums:
    return unchanged(("reports.sums", study.pk), lambda: _added_up(study), studies=[study.pk], kind=_Sums)


def _added_up(study: Study) -> _Sums:
    columns = study_columns(study)
    asked = Category.objects.filter(pk__in=np.unique(columns.whole["category"]).tolist()).order_by("name")
    answering = LanguageModel.objects.filter(pk__in=np.unique(columns.whole["model"]).tolist()).order_by("name", "pk")
    models: dict[str, list[int]] = {}
    for pk, name in answering.values_list("pk", "name"):  # a name may come twice
        models.setdefault(name, []).append(pk)
    categories = [(name, [pk]) for pk, name in asked.values_list("pk", "name")]
    cells = cells_of(columns, categories=categories, models=list(models.items()))
    return _Sums(cells, bases_of(columns, most=MOST_BASES))


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
