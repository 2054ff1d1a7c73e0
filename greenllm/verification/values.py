"""Whether columns hold what their fields choose from, which pages look up and know no other of."""

from collections.abc import Iterator

from django.apps import apps
from django.db import connection
from django.db.models import CharField, Model, Q

from greenllm.verification.tally import Tally

_APPS = ("benchmarks", "labeling", "router", "greenllm")
_FOR_NEW_ROWS_ONLY = """
SELECT conname, conrelid::regclass::text FROM pg_constraint
WHERE contype = 'c' AND NOT convalidated AND connamespace = current_schema()::regnamespace ORDER BY conname
"""


def check_values() -> Tally:
    """Look for values that are none of a field's choices, and for constraints that rows of before were not held to."""
    tally = Tally()
    for model, choices in _with_choices():
        tally.look(model._base_manager.count())
        _hold(tally, model, choices)
    with connection.cursor() as cursor:
        cursor.execute(_FOR_NEW_ROWS_ONLY)
        for name, table in cursor.fetchall():
            tally.broken(f"constraint {name} of {table} holds for new rows only; manage.py migrate holds all to it")
    return tally


def _with_choices() -> Iterator[tuple[type[Model], dict[str, list[str]]]]:
    """Give each model of ours that has such fields, with the values of each."""
    for label in _APPS:
        for model in apps.get_app_config(label).get_models():
            fields = [one for one in model._meta.concrete_fields if isinstance(one, CharField) and one.choices]
            if fields and model._meta.managed:
                yield model, {one.name: _values_of(one) for one in fields}


def _values_of(field: "CharField[str, str]") -> list[str]:
    return [*([""] if field.blank else []), *(str(value) for value, _ in field.flatchoices)]


def _hold(tally: Tally, model: type[Model], choices: dict[str, list[str]]) -> None:
    unknown = Q()
    for name, values in choices.items():
        unknown |= ~Q((f"{name}__in", values)) & Q((f"{name}__isnull", False))
    rows = model._base_manager.filter(unknown).order_by("pk").values_list("pk", *choices)
    for pk, *found in rows.iterator():
        for (name, values), value in zip(choices.items(), found, strict=True):
            if value is not None and value not in values:
                tally.broken(f"{model._meta.verbose_name} {pk}: {name} is {value!r}, none of {', '.join(values)}")
