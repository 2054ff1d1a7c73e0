"""Columns of numbers in few bytes: a web process keeps a dozen of them, with each answer that was judged. Pure."""

from typing import Any

import numpy as np
import numpy.typing as npt

Whole = npt.NDArray[np.integer[Any]]


def fewest_bytes(column: Whole) -> Whole:
    """Return a column of numbers, none of them negative, with as few bytes a number as the largest needs."""
    kind = np.min_scalar_type(int(column.max(initial=0)))
    return column.astype(kind if kind.itemsize < np.dtype(np.int64).itemsize else np.int64)


def widened(column: Whole) -> npt.NDArray[np.int64]:
    """Return a column that takes any number."""
    return column.astype(np.int64)
