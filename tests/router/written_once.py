"""Rows that many tests begin with: makers write them once, and from then on one statement puts the like of them there.

They get keys, numbers, moments and UUIDs of their own: nothing that a process keeps of an earlier test fits them.
"""

import copy
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Field, Model
from django.utils import timezone

from benchmarks.models import (
    CarbonIntensity,
    Category,
    Dataset,
    Deployment,
    InferenceServer,
    LanguageModel,
    Machine,
    Measurement,
    ParameterSet,
    Prompt,
    Response,
    Study,
)
from labeling.models import Grade, JudgementRule, Label
from router.models import IndexedPrompt, PolicyVersion, PromptIndex

MODELS: tuple[type[Model], ...] = (
    Machine, CarbonIntensity, LanguageModel, InferenceServer, Deployment, Category, Dataset, Prompt, Study,
    ParameterSet, Measurement, Response, JudgementRule, Grade, Label, PolicyVersion, PromptIndex, IndexedPrompt,
)  # fmt: skip
# what the makers number: a name ends in its number
_NUMBERED = {(InferenceServer, "name"), (Study, "name"), (Prompt, "external_id"), (Prompt, "position")}

Key = tuple[type[Model], int]


@dataclass
class Fresh:
    """What stands in for the keys, numbers and moments of the rows that were written."""

    keys: dict[Key, int]
    next_number: Callable[[], int]
    now: datetime
    numbers: dict[int, int]

    def value_of(self, field: "Field[Any, Any]", value: Any) -> Any:
        """Return the value of a field in the row that is like the one with this value."""
        if field.primary_key:
            return self.keys[field.model, value]
        if field.is_relation and value is not None:
            return self.keys[field.related_model, value]  # type: ignore[index]  # a class by now
        if getattr(field, "auto_now_add", False):
            return self.now
        if field.default is uuid.uuid4:
            return uuid.uuid4()
        if (field.model, field.name) in _NUMBERED:
            return self._number(value) if isinstance(value, int) else self._named(value)
        return value

    def _named(self, name: str) -> str:
        head, number = name.rsplit("-", 1)
        return f"{head}-{self._number(int(number))}"

    def _number(self, former: int) -> int:
        if former not in self.numbers:
            self.numbers[former] = self.next_number()
        return self.numbers[former]

    def of(self, instances: Sequence[Model]) -> list[Model]:
        """Return copies of instances, of whatever they lead to as well, as the rows are that stand in for theirs."""
        made = copy.deepcopy(list(instances))
        for one in _reachable(made):
            for field in one._meta.concrete_fields:
                setattr(one, field.attname, self.value_of(field, getattr(one, field.attname)))
        return made


def _reachable(instances: Iterable[Model]) -> Iterator[Model]:
    seen, left = set[int](), list(instances)
    while left:
        one = left.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            left += [value for value in one._state.fields_cache.values() if isinstance(value, Model)]


class Written:
    """All rows of `MODELS`, as they were when this was made."""

    def __init__(self) -> None:
        found = ((model, list(model._default_manager.order_by("pk"))) for model in MODELS)
        self._rows = [(model, rows) for model, rows in found if rows]

    def write_again(self, next_number: Callable[[], int], *, but: dict[tuple[type[Model], str], object]) -> Fresh:
        """Write rows like them, with some fields as told, into a database that has none."""
        fresh = Fresh(self._keys(), next_number, timezone.now(), {})
        statements, values = [], list[Any]()
        for model, rows in self._rows:
            fields = model._meta.concrete_fields
            line = f"({', '.join(['%s'] * len(fields))})"
            columns = ", ".join(f'"{field.column}"' for field in fields)
            statements.append(
                f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES {", ".join([line] * len(rows))}'
            )
            for row in rows:
                for field in fields:
                    value = but.get((model, field.name), fresh.value_of(field, getattr(row, field.attname)))
                    values.append(field.get_db_prep_save(value, connection))
        with connection.cursor() as cursor:
            cursor.execute("; ".join(statements), values)
        return fresh

    def _keys(self) -> dict[Key, int]:
        wanted = ", ".join(
            f"ARRAY(SELECT nextval(pg_get_serial_sequence('{model._meta.db_table}', 'id')) "
            f"FROM generate_series(1, {len(rows)}))"
            for model, rows in self._rows
        )
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {wanted}")
            taken = cursor.fetchone()
        return {
            (model, row.pk): key
            for (model, rows), keys in zip(self._rows, taken, strict=True)
            for row, key in zip(rows, keys, strict=True)
        }


def is_nothing_there() -> bool:
    """Tell whether there is no row of `MODELS`."""
    looked = " OR ".join(f'EXISTS (SELECT FROM "{model._meta.db_table}")' for model in MODELS)
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT NOT ({looked})")
        return bool(cursor.fetchone()[0])
