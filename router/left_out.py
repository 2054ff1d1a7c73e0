"""Estimates of known prompts as if each were new: what it says itself is left out. Pure numpy."""

import numpy as np
import numpy.typing as npt

from router.estimate import Estimator, Floats, Integers, Known, Shrinkage

_SAME = 1.0 - 1e-6  # cosine; float32 does not tell a text from itself more exactly
_CHUNK = 512


class LeftOutEstimator(Estimator):
    """An estimator to which a prompt's neighbours are all known prompts but itself, and but those of the same text.

    Of fewer than two different prompts nothing is left: `neighbour_count` is 0 then.
    """

    def __init__(self, known: Known, shrinkage: Shrinkage | None = None) -> None:
        super().__init__(known, shrinkage)
        self.neighbour_count = min(self.neighbour_count, len(known.vectors) - self._most_alike())

    def nearest(self, vectors: npt.NDArray[np.float32], count: int) -> tuple[Integers, Floats]:
        """Return the rows of the nearest other prompts and their cosines, (q, count), nearest first."""
        cosines = (vectors.astype(np.float32, copy=False) @ self._vectors.T).astype(np.float64)
        cosines[cosines > _SAME] = -np.inf
        rows = np.argpartition(-cosines, count - 1, axis=1)[:, :count]
        near = np.take_along_axis(cosines, rows, axis=1)
        order = np.lexsort((rows, -near), axis=1)
        return np.take_along_axis(rows, order, axis=1).astype(np.int64), np.take_along_axis(near, order, axis=1)

    def _most_alike(self) -> int:
        """Return how many prompts the most frequent text has."""
        most = 1
        for start in range(0, len(self._vectors), _CHUNK):
            alike = self._vectors[start : start + _CHUNK] @ self._vectors.T > _SAME
            most = max(most, int(alike.sum(axis=1).max()))
        return most
