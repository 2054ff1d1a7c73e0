"""Made-up embeddings that lie as those of real prompts do: in kinds of tasks, along few directions, and without end."""

import numpy as np

from router.vectors import Matrix

_WIDTH = 384
_KINDS = 2000
_CHUNK = 50_000


def vectors_of(count: int, *, seed: int = 0) -> Matrix:
    """Return unit vectors; the first ones are the same however many are asked for.

    The spread around a kind of task falls with the direction as its rank to the power of -0.5, as that of the
    embeddings of real prompts does roughly; independent numbers in 384 directions would have no neighbours at all.
    """
    chance = np.random.default_rng(seed)
    scale = (np.arange(1, _WIDTH + 1) ** -0.5).astype(np.float32)
    turn, _ = np.linalg.qr(chance.normal(size=(_WIDTH, _WIDTH)))
    kinds = chance.normal(size=(_KINDS, _WIDTH)).astype(np.float32) * scale
    found = np.empty((count, _WIDTH), dtype=np.float32)
    for start in range(0, count, _CHUNK):
        own = np.random.default_rng([seed, start])
        rows = kinds[own.integers(0, _KINDS, _CHUNK)] + own.normal(size=(_CHUNK, _WIDTH)).astype(np.float32) * scale
        rows = rows[: count - start] @ turn.astype(np.float32)
        found[start : start + len(rows)] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found
