"""Columns of numbers, as Postgres packs them and in as few bytes as they need: a web process keeps a dozen. Pure."""

from typing import Any

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.integer[Any]]
Column = npt.NDArray[Any]  # Any: of whatever kind of number

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
