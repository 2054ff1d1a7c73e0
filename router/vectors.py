"""Exact nearest-neighbour search over the embeddings of the known prompts, in numpy."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_ROUGH_ERROR = 1e-4  # well above what float32 loses in the inner products of unit vectors
_TWIN = 1 - 5e-6  # cosine above which two vectors are of the same text
TWIN_DISTANCE = 2.0 - 2.0 * _TWIN
LOOKED_AT = 1000  # known prompts whose neighbours are looked up for the usual distance
_CHUNK = 250  # of these at a time, so that many known prompts do not need much memory
_USUAL_SHARE = 0.99
_LEAST_NOVEL = 1.0

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


def squared_lengths(matrix: Matrix) -> Matrix:
    """Return the squared length of each row; for unit vectors 1, but for what float32 loses."""
    lengths: Matrix = np.einsum("ij,ij->i", matrix, matrix)
    return lengths


def nearest(
    matrix: Matrix,
    prompt_ids: npt.NDArray[np.int64],
    vector: npt.NDArray[Any],
    count: int,
    *,
    lengths: Matrix | None = None,
) -> list[Neighbour]:
    """Return the `count` nearest rows by squared L2 distance, exactly; ties by the smaller prompt id.

    `matrix` has one embedding a row; `prompt_ids` belongs to its rows, and so do their squared `lengths`, which are
    worked out where nobody kept them. The distances are taken of the
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
    rough = (squared_lengths(matrix) if lengths is None else lengths) - 2.0 * (matrix @ asked)
    kth = np.partition(rough, min(count, len(rough)) - 1)[min(count, len(rough)) - 1]
    shortlist = np.flatnonzero(rough <= kth + _ROUGH_ERROR)
    difference = matrix[shortlist].astype(np.float64) - asked
    exact = np.einsum("ij,ij->i", difference, difference)
    order = np.lexsort((prompt_ids[shortlist], exact))[:count]
    return [Neighbour(int(prompt_ids[shortlist[row]]), float(exact[row])) for row in order]


def cosines_of(neighbours: Sequence[Neighbour]) -> npt.NDArray[np.float64]:
    """Return the cosines of a prompt with its neighbours, (n,): of unit vectors, by their distances."""
    return 1.0 - np.array([one.squared_distance for one in neighbours], dtype=np.float64) / 2.0


def usual_distance(matrix: Matrix) -> float | None:
    """Return how far a prompt like the known ones may be from the nearest of them, as squared L2 distance.

    It is the distance that 99 of 100 known prompts keep to their nearest other one, and at least 1, a cosine of one
    half: known prompts of one template lie closer together than what people ask. Looked at are 1,000 rows, evenly
    spread. Twins of a prompt are no others. None where there are not two different prompts.
    """
    rows = matrix[np.unique(np.linspace(0, len(matrix) - 1, min(LOOKED_AT, len(matrix))).astype(np.int64))]
    nearest_other = []
    for start in range(0, len(rows), _CHUNK):
        cosines = rows[start : start + _CHUNK] @ matrix.T
        cosines[cosines > _TWIN] = -np.inf
        nearest_other.append(cosines.max(axis=1))
    found = np.concatenate(nearest_other)
    return usual_of(2.0 - 2.0 * found[np.isfinite(found)].astype(np.float64))


def usual_of(nearest_other: npt.NDArray[np.float64]) -> float | None:
    """Return the usual distance of known prompts that have these squared distances to their nearest other one."""
    if len(nearest_other) == 0:
        return None
    return max(_LEAST_NOVEL, float(np.quantile(nearest_other, _USUAL_SHARE)))


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
