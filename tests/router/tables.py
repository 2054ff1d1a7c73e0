"""A table of outcomes of three models on two kinds of prompts, embedded apart."""

from dataclasses import dataclass

import numpy as np

from router.evaluation.running import Written
from router.evaluation.table import Table

MODELS = ("bad", "cheap", "dear")


@dataclass(frozen=True)
class Made:
    """A table, and its prompts written otherwise."""

    table: Table

    def written(self, *, seed: int) -> Written:
        """Return the prompts with embeddings a little off."""
        chance = np.random.default_rng(seed)
        vectors = self.table.vectors + chance.normal(scale=0.15, size=self.table.vectors.shape)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return Written(self.table.texts, vectors.astype(np.float32))


def outcomes_table(count: int = 240, *, noise: float = 0.0, seed: int = 0) -> Made:
    """Make a table in gCO2e: the cheap model answers every second prompt right, the dear one all, the bad one none."""
    chance = np.random.default_rng(seed)
    kinds = np.arange(count) % 2
    vectors = chance.normal(scale=0.1, size=(count, 8))
    vectors[np.arange(count), kinds] += 1
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    right = np.stack([np.zeros(count), kinds == 0, np.ones(count)], axis=1).astype(np.float64)
    flipped = chance.random(right.shape) < noise
    right[flipped] = 1 - right[flipped]
    costs = np.tile([0.0005, 0.002, 0.02], (count, 1)) * chance.uniform(0.7, 1.3, size=(count, 3))
    texts = tuple(f"{('easy', 'hard')[kind]} question number {n}" for n, kind in enumerate(kinds))
    return Made(Table(MODELS, vectors.astype(np.float32), kinds, ("Easy", "Hard"), texts, right, costs, "gCO2e"))
