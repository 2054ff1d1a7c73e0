"""Figures as text that says all of them, and figures made of it again: what outlives a process is kept so. Pure.

Numbers come back to the last digit. Text holds values and no code, so that reading it can do no harm.
"""

import json
import types
from collections import Counter
from collections.abc import Mapping
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
    return _made(json.loads(text), kind)


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
        return [_plain(one) for one in value]
    if is_dataclass(value):
        kind: type = type(value)
        return [_plain(getattr(value, name)) for name, _ in _fields_of(kind)]
    raise TypeError(f"a {type(value).__name__} has no text")


def _made(value: Any, kind: Any) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        [kind] = [one for one in parts if one is not type(None)]
        return None if value is None else _made(value, kind)
    if origin is tuple:
        kinds = parts[:1] * len(value) if parts[-1] is ... else parts
        return tuple(_made(one, own) for one, own in zip(value, kinds, strict=True))
    if origin is list:
        return [_made(one, parts[0]) for one in value]
    if origin is Counter:
        return Counter({_made(key, parts[0]): count for key, count in value})
    if origin in (dict, Mapping):
        return {_made(key, parts[0]): _made(one, parts[1]) for key, one in value}
    return _made_of_class(value, kind)


def _made_of_class(value: Any, kind: type) -> Any:
    if kind in _PLAIN:
        return value
    if kind is datetime:
        return datetime.fromisoformat(value)
    if issubclass(kind, Enum):
        return kind(value)
    if is_dataclass(kind):
        return kind(*(_made(one, own) for one, (_, own) in zip(value, _fields_of(kind), strict=True)))
    raise TypeError(f"a {kind.__name__} is not made of text")


@cache
def _fields_of(kind: type) -> tuple[tuple[str, Any], ...]:
    """Return the names and types of what a data class is made of, in order."""
    hints = get_type_hints(kind)
    return tuple((one.name, hints[one.name]) for one in fields(kind) if one.init)
