"""Columns of numbers, as Postgres packs them and in as few bytes as they need: a web process keeps a dozen. Pure."""

from typing import Any

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.integer[Any]]


def unpacked_whole(column: bytes | None) -> npt.NDArray[np.int64]:
    """Return what `string_agg(int8send(...), '')` put together; None is none."""
    return np.frombuffer(column or b"", ">i8").astype(np.int64)


def unpacked_floats(column: bytes | None) -> npt.NDArray[np.float64]:
    """Return what `string_agg(float8send(...), '')` put together; None is none."""
    return np.frombuffer(column or b"", ">f8").astype(np.float64)


def fewest_bytes(column: Whole) -> Whole:
    """Return a column of numbers, none of them negative, with as few bytes a number as the largest needs."""
    kind = np.min_scalar_type(int(column.max(initial=0)))
    return column.astype(kind if kind.itemsize < np.dtype(np.int64).itemsize else np.int64)


def widened(column: Whole) -> npt.NDArray[np.int64]:
    """Return a column that takes any number."""
    return column.astype(np.int64)
