"""Columns of numbers, as Postgres packs them and in as few bytes as they need: a web process keeps a dozen. Pure."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.integer[Any]]
Column = npt.NDArray[Any]  # Any: of whatever kind of number

_ALIGNED = 8  # bytes
_ROOM = 16_384  # numbers: so many judgements are days of work


def unpacked_whole(column: bytes | None) -> npt.NDArray[np.int64]:
    """Return what `string_agg(int8send(...), '')` put together; None is none."""
    return np.frombuffer(column or b"", ">i8").astype(np.int64)


def unpacked_floats(column: bytes | None) -> npt.NDArray[np.float64]:
    """Return what `string_agg(float8send(...), '')` put together; None is none."""
    return np.frombuffer(column or b"", ">f8").astype(np.float64)


def fewest_bytes(column: Whole) -> Whole:
    """Return a column of numbers, none of them negative, with as few bytes a number as the largest needs; `roomy`."""
    kind = np.min_scalar_type(int(column.max(initial=0)))
    return roomy(column, kind if kind.itemsize < np.dtype(np.int64).itemsize else np.dtype(np.int64))


def roomy(column: Column, kind: npt.DTypeLike | None = None) -> Column:
    """Return a column, as another kind of number where one is given, in memory that has room for `_ROOM` at least.

    A column that is kept is replaced by one that is a little longer, again and again. As both take the same memory, all
    of it in use from the start, the next one fits where the latest but one was: the process grows once in `_ROOM`
    numbers, and not with each.
    """
    held = np.empty(-(-max(1, len(column)) // _ROOM) * _ROOM, column.dtype if kind is None else kind)
    held[: len(column)] = column
    held[len(column) :] = 0
    return held[: len(column)]


def widened(column: Whole) -> npt.NDArray[np.int64]:
    """Return a column that takes any number."""
    return column.astype(np.int64)


def packed_columns(columns: Mapping[str, Column], told: object) -> bytes:
    """Return columns of numbers, each as it is in memory, with what is told beside them, as JSON has it.

    A column of one number all through is that number once.
    """
    heads, parts = [], []
    for name, column in columns.items():
        packed, first = column.tobytes(), column[:1].tobytes()
        is_even = packed == first * len(column)
        heads.append([name, column.dtype.str, len(column), is_even])
        parts.append(_aligned(first if is_even else packed))
    head = _aligned(json.dumps([heads, told]).encode(), b" ")
    return b"".join([len(head).to_bytes(_ALIGNED, "little"), head, *parts])


def unpacked_columns(packed: bytes) -> tuple[dict[str, Column], Any]:  # Any: as JSON has it
    """Return what `packed_columns` put together; nobody may change the columns."""
    begin = _ALIGNED + int.from_bytes(packed[:_ALIGNED], "little")
    heads, told = json.loads(packed[_ALIGNED:begin])
    columns: dict[str, Column] = {}
    for name, kind, length, is_even in heads:
        count = min(length, 1) if is_even else length
        column = np.frombuffer(packed, kind, count, begin)
        columns[name] = np.repeat(column, length) if is_even else column
        begin += -(-column.nbytes // _ALIGNED) * _ALIGNED
    return columns, told


def _aligned(part: bytes, filling: bytes = b"\0") -> bytes:
    return part + filling * (-len(part) % _ALIGNED)
