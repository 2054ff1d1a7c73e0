"""Answers as their judges read them: the few columns of an answer, its prompt and category, by SQL that stays as it is.

Putting such a query together anew for each vote would cost more than Postgres takes to answer it.
"""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from django.db.models import Model

from benchmarks.models import Category, Prompt, Response

_Row = TypeVar("_Row", bound=Model)

READ_COLUMNS = """response.id, response.text, response.prompt_id, prompt.text, prompt.item_text, prompt.reference,
       prompt.checks, prompt.category_id, category.name, category.title"""
READ_JOINS = """JOIN benchmarks_response AS response ON response.id = response_id
JOIN benchmarks_prompt AS prompt ON prompt.id = response.prompt_id
JOIN benchmarks_category AS category ON category.id = prompt.category_id"""


def read_answer(columns: Sequence[Any]) -> Response:
    """Return the answer of `READ_COLUMNS` with its prompt and category; what was not read is fetched when asked for."""
    response_id, text, prompt_id, prompt_text, item, reference, checks, category_id, name, title = columns
    prompt = loaded(
        Prompt, id=prompt_id, category_id=category_id, item_text=item, text=prompt_text, reference=reference,
        checks=json.loads(checks),
    )  # fmt: skip
    prompt.category = loaded(Category, id=category_id, name=name, title=title)
    response = loaded(Response, id=response_id, prompt_id=prompt_id, text=text)
    response.prompt = prompt
    return response


def loaded(model: type[_Row], **columns: object) -> _Row:
    """Return a row of a model of which only some columns were read."""
    names = [field.attname for field in model._meta.concrete_fields if field.attname in columns]
    return model.from_db(None, names, [columns[name] for name in names])
