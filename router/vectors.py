"""Exact nearest-neighbour search over the embeddings of the known prompts, in numpy."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_ROUGH_ERROR = 1e-4  # well above what float32 loses in the inner products of unit vectors

Matrix = npt.NDArray[np.float32]


class DimensionMismatch(ValueError):
    """A vector has another length than those of the index: another embedder made it."""


class UnusableEmbedding(ValueError):
    """What the embedder returned is no embedding."""


@dataclass(frozen=True)
class Neighbour:
    """One known prompt and its squared L2 distance to the one that was asked."""

    prompt_id: int
    squared_distance: float


def nearest(matrix: Matrix, prompt_ids: npt.NDArray[np.int64], vector: npt.NDArray[Any], count: int) -> list[Neighbour]:
    """Return the `count` nearest rows by squared L2 distance, exactly; ties by the smaller prompt id.

    `matrix` has one embedding a row; `prompt_ids` belongs to its rows. The distances are taken of the
    differences, not of inner products, so that a prompt's distance to itself is exactly 0.

    Raises:
        DimensionMismatch: the vector's length is not the matrix's width.
    """
    asked = np.asarray(vector, dtype=np.float32)
    if asked.shape != (matrix.shape[1],):
        raise DimensionMismatch(
            f"The embedding has {asked.shape[-1] if asked.ndim else 0} numbers, the index {matrix.shape[1]}: the "
            f"embedder is not the one that built the index. Build it again with manage.py build_index."
        )
    # inner products find a short list fast; the distances in double precision then order it
    rough = np.einsum("ij,ij->i", matrix, matrix) - 2.0 * (matrix @ asked)
    kth = np.partition(rough, min(count, len(rough)) - 1)[min(count, len(rough)) - 1]
    shortlist = np.flatnonzero(rough <= kth + _ROUGH_ERROR)
    difference = matrix[shortlist].astype(np.float64) - asked
    exact = np.einsum("ij,ij->i", difference, difference)
    order = np.lexsort((prompt_ids[shortlist], exact))[:count]
    return [Neighbour(int(prompt_ids[shortlist[row]]), float(exact[row])) for row in order]


def is_unit_length(vector: npt.NDArray[Any], tolerance: float = 1e-3) -> bool:
    """Tell whether a vector has length 1 within the tolerance."""
    return bool(abs(float(np.linalg.norm(vector)) - 1.0) <= tolerance)


def to_unit_length(vectors: list[list[float]]) -> Matrix:
    """Return embeddings as rows of length 1.

    Raises:
        UnusableEmbedding: a vector is empty, of another length than the others, all zeros or not finite.
    """
    if len({len(vector) for vector in vectors}) != 1 or not vectors[0]:
        raise UnusableEmbedding("The embedder returned vectors of different lengths, or empty ones.")
    matrix = np.asarray(vectors, dtype=np.float32)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or (lengths == 0).any():
        raise UnusableEmbedding("The embedder returned a vector of zeros or of numbers that are not finite.")
    unit: Matrix = matrix / lengths
    return unit
