"""Known prompts estimated as if each were new."""

import numpy as np

from router.estimate import Estimator, Known, Shrinkage
from router.left_out import LeftOutEstimator

AXES = np.eye(4, dtype=np.float32)


def known(vectors: np.ndarray, scores: list[float]) -> Known:
    table = np.array(scores, dtype=np.float64)[:, None]
    return Known(
        vectors=vectors,
        categories=np.zeros(len(vectors), dtype=np.int64),
        scores=table,
        label_counts=np.ones(table.shape, dtype=np.int64),
        sci_gco2e=np.ones(table.shape),
    )


def tilted(first: int, second: int) -> np.ndarray:
    mixed = AXES[first] + 0.2 * AXES[second]
    return np.asarray(mixed / np.linalg.norm(mixed), dtype=np.float32)


class TestLeavingOut:
    def test_takes_a_prompt_from_its_own_neighbours(self) -> None:
        vectors = np.stack([AXES[0], tilted(0, 1), AXES[2]])
        table, one = known(vectors, [1.0, 0.0, 1.0]), Shrinkage(neighbour_count=1)
        assert Estimator(table, one).estimate(vectors).neighbours[:, 0].tolist() == [0, 1, 2]
        assert LeftOutEstimator(table, one).estimate(vectors).neighbours[:2, 0].tolist() == [1, 0]

    def test_takes_prompts_of_the_same_text_with_it(self) -> None:
        vectors = np.stack([AXES[0], AXES[0], tilted(0, 1), AXES[3]])
        found = LeftOutEstimator(known(vectors, [1.0] * 4), Shrinkage(neighbour_count=3)).estimate(vectors)
        assert found.neighbours.shape == (4, 2)  # two others are left to the twins
        assert found.neighbours[0].tolist() == [2, 3]
        assert found.neighbours[1].tolist() == [2, 3]

    def test_leaves_nothing_of_a_single_text(self) -> None:
        vectors = np.stack([AXES[0], AXES[0]])
        assert LeftOutEstimator(known(vectors, [1.0, 0.0])).neighbour_count == 0

    def test_keeps_its_own_label_out_of_the_estimate(self) -> None:
        vectors = np.stack([AXES[0], tilted(0, 1), AXES[2], AXES[3]])
        only = Shrinkage(neighbour_count=1, category_weight=0.0)
        with_it, without = known(vectors, [1.0, 0.0, 1.0, 1.0]), known(vectors, [0.0, 0.0, 1.0, 1.0])
        asked = vectors[:1]
        assert LeftOutEstimator(with_it, only).estimate(asked).p[0, 0] == 0.0
        assert LeftOutEstimator(without, only).estimate(asked).p[0, 0] == 0.0
