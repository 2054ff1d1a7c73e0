import numpy as np
import pytest

from router.evaluation.table import Table
from tests.bench import choice
from tests.bench.table import Table as Shown


def courses(*saved: float) -> np.ndarray:
    """Return a course of one split that loses nothing: it saves so much, and from then on as much as at the end."""
    saving = np.full(len(choice.SHARES), saved[-1])
    saving[: len(saved)] = saved
    return np.stack([np.zeros(len(saving)), saving], axis=1)[None]


class TestNeeded:
    def test_is_where_it_holds_from_then_on(self) -> None:
        assert choice.needed(courses(0.3, 0.1, 0.3), 0.2) == choice.SHARES[2]
        assert choice.needed(courses(0.3), 0.2) == choice.SHARES[0]

    def test_is_never_where_too_much_is_lost_or_too_little_saved(self) -> None:
        losing = courses(0.3)
        losing[:, :, 0] = -0.02
        assert choice.needed(losing, 0.2) == float("inf")
        assert choice.needed(courses(0.1), 0.2) == float("inf")


@pytest.mark.slow
class TestRun:
    def test_prints_what_each_order_needs(self, capsys: pytest.CaptureFixture[str]) -> None:
        chance = np.random.default_rng(1)
        vectors = chance.normal(size=(120, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        right = (chance.random((120, 3)) < (0.7, 0.68, 0.2)).astype(float)
        costs = np.tile([1.0, 3.0, 9.0], (120, 1))
        texts = tuple(f"Prompt {number}" for number in range(120))
        table = Table(
            ("a", "b", "c"), vectors, chance.integers(0, 2, 120), ("one", "two"), texts, right, costs, "J"
        )  # fmt: skip
        choice.run(Shown(), "made-up", table, split_count=2, seed=0)
        told = capsys.readouterr().out
        assert "made-up: 252 labels to give, 2 splits" in told
        assert "saved, random" in told
        assert "no more than random" in told
