"""Rows of tables as JSON objects and back, by the fields that a model has; foreign keys are the members' own matter."""

import math
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Any, TypeVar, cast
from uuid import UUID

from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, models

from benchmarks.bundling.archive import BundleError, Line, Place, Row

BATCH = 500
_T = TypeVar("_T")
_M = TypeVar("_M", bound=models.Model)
_Field = models.Field[Any, Any]  # Any: the value may be of whatever type a column has


@dataclass(frozen=True)
class Shape:
    """Which columns of a model travel: all but its keys and those that are left where they are.

    Columns that a later version adds travel too; read by that version, an older bundle leaves them at their default.
    """

    model: type[models.Model]
    left: frozenset[str] = frozenset()

    @cached_property
    def fields(self) -> tuple[_Field, ...]:
        """Return the columns that travel."""
        concrete = cast(Sequence[_Field], self.model._meta.concrete_fields)
        return tuple(
            one for one in concrete if not one.primary_key and not one.is_relation and one.name not in self.left
        )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns that travel."""
        return tuple(field.name for field in self.fields)

    def row_of(self, values: models.Model) -> Row:
        """Return the columns of one instance as JSON has them."""
        return {name: _as_json(getattr(values, name)) for name in self.names}

    def values_of(self, line: Line, *references: str) -> dict[str, Any]:
        """Return the columns of a line, checked; `references` are the further keys that the line must have.

        Raises:
            BundleError: a key is missing or strange, or a value is not what its column holds.
        """
        strange = sorted(line.row.keys() - set(self.names) - set(references))
        missing = [name for name in references if name not in line.row]
        if strange or missing:
            what = f"{strange[0]!r} is not known here" if strange else f"{missing[0]!r} is missing"
            raise line.place.error(f"{what}; was it made by another version of GreenLLM?")
        values = {}
        for field in self.fields:
            if field.name in line.row:
                values[field.name] = _checked(field, line.row[field.name], line.place)
            elif field.has_default() or field.null or field.blank:
                values[field.name] = field.get_default()
            else:
                raise line.place.error(f"{field.name!r} is missing.")
        return values


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return b64encode(value).decode()
    return value


def _checked(field: _Field, value: Any, place: Place) -> Any:
    if value is None:
        if not field.null:
            raise place.error(f"{field.name!r} is empty.")
        return None
    for kind, convert in _CONVERTERS:
        if isinstance(field, kind):
            try:
                made = convert(value)
                if not isinstance(field, ArrayField):  # of thousands of numbers, whose range Postgres checks
                    _check_limits(field, made)
            except (TypeError, ValueError, OverflowError, ValidationError) as error:
                reason = "; ".join(error.messages) if isinstance(error, ValidationError) else str(error)
                raise place.error(f"{field.name!r} cannot be {_short(value)}: {reason}") from error
            return made
    return value  # JSON as it is


def _check_limits(field: _Field, value: Any) -> None:
    if field.choices and value not in {key for key, _ in field.flatchoices} and not (value == "" and field.blank):
        raise ValueError("it is none of the choices.")
    field.run_validators(value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it is no text.")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("it is neither true nor false.")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError("it is no whole number.")
    return int(value)


def _numbers(value: Any) -> list[int | None]:
    if not isinstance(value, list):
        raise TypeError("it is no list.")
    return [None if one is None else _whole(one) for one in value]


def _decimal(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TypeError("it is no number.")
    return float(value)


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(_text(value))
    if moment.tzinfo is None:
        raise ValueError("it has no time zone.")
    return moment


_CONVERTERS: tuple[tuple[type[_Field], Callable[[Any], Any]], ...] = (
    (models.CharField, _text),
    (models.TextField, _text),
    (models.BooleanField, _flag),
    (models.IntegerField, _whole),
    (models.FloatField, _decimal),
    (models.DateTimeField, _moment),
    (ArrayField, _numbers),
    (models.UUIDField, lambda value: UUID(_text(value))),
    (models.BinaryField, lambda value: b64decode(_text(value), validate=True)),
)


def in_batches(items: Iterable[_T], size: int = BATCH) -> Iterator[list[_T]]:
    """Give the items in lists of at most `size`."""
    running = iter(items)
    while batch := list(islice(running, size)):
        yield batch


def insert(rows: Iterable[tuple[Line, _M]], *, restored: Sequence[str] = ()) -> Iterator[_M]:
    """Insert instances in batches and give them back with their keys, in the same order.

    `restored` are moments that Django fills by itself when a row is made; they become what the instances had.

    Raises:
        BundleError: the database refuses one; the message names the member and the lines of the batch.
    """
    for batch in in_batches(rows):
        made = [instance for _, instance in batch]
        kept = [{name: getattr(instance, name) for name in restored} for instance in made]
        manager = type(made[0])._default_manager
        with database_errors(batch[0][0].place, batch[-1][0].place):
            manager.bulk_create(made)
            if restored:
                for instance, moments in zip(made, kept, strict=True):
                    vars(instance).update(moments)
                manager.bulk_update(made, restored)
        yield from made


class database_errors:  # noqa: N801  used like a function
    """Turn what the database refuses into an error that names the lines."""

    def __init__(self, first: Place, last: Place) -> None:
        self._first, self._last = first, last

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, IntegrityError | DataError | OverflowError):
            lines = f"line {self._first.line}"
            if self._last.line != self._first.line:
                lines = f"lines {self._first.line} to {self._last.line}"
            reason = str(error).strip().splitlines()[0]
            raise BundleError(f"{self._first.member}, {lines}: the database refuses it: {reason}") from error
