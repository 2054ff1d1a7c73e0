"""Figures as text that says all of them, and figures made of it again: what outlives a process is kept so. Pure.

Numbers come back to the last digit. Text holds values and no code, so that reading it can do no harm.
"""

import json
import types
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

_PLAIN = (bool, int, float, str, type(None))


def to_text(value: object) -> str:
    """Return a value as text: numbers, words, moments, enums, tuples, lists, dicts and data classes of these.

    Raises:
        TypeError: something else is in it.
    """
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":"))


def from_text(text: str, kind: Any) -> Any:  # Any: a type such as `dict[str, int]`, for which Python 3.11 has no type
    """Return the value of a type that was made text.

    Raises:
        TypeError: values of the type, or of a part of it, have no text.
    """
    made = _maker(kind)
    value = json.loads(text)
    return made(value) if made else value


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Mapping):
        return [[_plain(key), _plain(one)] for key, one in value.items()]
    if isinstance(value, tuple | list):
        return _plain_all(value)
    if is_dataclass(value):
        kind: type = type(value)
        return _plain_all([getattr(value, name) for name, _ in _fields_of(kind)])
    raise TypeError(f"a {type(value).__name__} has no text")


def _plain_all(values: Sequence[Any]) -> list[Any]:
    return [one if type(one) in _PLAIN else _plain(one) for one in values]  # most are numbers


_Maker = Callable[[Any], Any]  # Any: of plain values, and of whatever type was asked for


@cache
def _maker(kind: Any) -> _Maker | None:
    """Return what makes a value of a type of plain values; None where these are the value.

    Looking at a type for each of ten thousand parts of a figure took half of the time of reading it.
    """
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        [kind] = [one for one in parts if one is not type(None)]
        return _unless_none(_maker(kind))
    if origin is tuple:
        return _maker_of_tuple(parts)
    if origin is list:
        return _each(_maker(parts[0]))
    if origin is Counter:
        key = _as_made(_maker(parts[0]))
        return lambda value: Counter({key(one): count for one, count in value})
    if origin in (dict, Mapping):
        key, made = (_as_made(_maker(one)) for one in parts)
        return lambda value: {key(one): made(own) for one, own in value}
    return _maker_of_class(kind)


def _maker_of_class(kind: type) -> _Maker | None:
    if kind in _PLAIN:
        return None
    if kind is datetime:
        return datetime.fromisoformat
    if issubclass(kind, Enum):
        return kind
    if is_dataclass(kind):
        made = _each_own([_maker(own) for _, own in _fields_of(kind)])
        return lambda value: kind(*made(value))
    raise TypeError(f"a {kind.__name__} is not made of text")


def _maker_of_tuple(parts: tuple[Any, ...]) -> _Maker:
    if parts[-1] is ...:
        made = _each(_maker(parts[0]))
        return lambda value: tuple(made(value) if made else value)
    own = _each_own([_maker(one) for one in parts])
    return lambda value: tuple(own(value))


def _each(made: _Maker | None) -> _Maker | None:
    return None if made is None else lambda value: [made(one) for one in value]


def _each_own(makers: list[_Maker | None]) -> _Maker:
    """Return what makes each of several values in its own way."""
    places = [(place, made) for place, made in enumerate(makers) if made is not None]

    def make(value: list[Any]) -> list[Any]:
        if len(value) != len(makers):
            raise ValueError(f"{len(makers)} values are wanted, {len(value)} stand there")
        if places:
            value = value.copy()
            for place, made in places:
                value[place] = made(value[place])
        return value

    return make


def _unless_none(made: _Maker | None) -> _Maker | None:
    return None if made is None else lambda value: None if value is None else made(value)


def _as_made(made: _Maker | None) -> _Maker:
    return made or _itself


def _itself(value: Any) -> Any:
    return value


@cache
def _fields_of(kind: type) -> tuple[tuple[str, Any], ...]:
    """Return the names and types of what a data class is made of, in order."""
    hints = get_type_hints(kind)
    return tuple((one.name, hints[one.name]) for one in fields(kind) if one.init)
