"""The difficulty of a prompt moves all models at once, and says nothing where nothing is known."""

import numpy as np
import pytest

from router.difficulty import Difficulty

PRIORS = np.array([0.8, 0.5])  # the dear model and the cheap one


def learned(steepness: tuple[float, float], count: int = 4000) -> Difficulty:
    """Return slopes fitted to labels drawn from a world where difficulty moves the two models so steeply."""
    chance = np.random.default_rng(0)
    expected = np.clip(PRIORS + chance.uniform(-0.3, 0.19, (count, 1)), 0.02, 0.98)
    truth = Difficulty(np.array(steepness)).applied(priors=np.tile(PRIORS, (count, 1)), expected=expected)
    scores = (chance.random(truth.shape) < truth).astype(np.float64)
    return Difficulty.learned(priors=np.tile(PRIORS, (count, 1)), expected=expected, scores=scores)


class TestSlopes:
    @pytest.mark.parametrize("steepness", [(1.0, 1.0), (0.5, 1.8)])
    def test_are_those_of_the_world(self, steepness: tuple[float, float]) -> None:
        assert learned(steepness).slopes == pytest.approx(steepness, abs=0.15)

    def test_of_few_labels_are_near_one(self) -> None:
        assert learned((0.0, 3.0), 8).slopes == pytest.approx([1, 1], abs=0.4)

    def test_stay_finite_where_every_label_is_foretold(self) -> None:
        expected = np.where(np.arange(200)[:, None] % 2, 0.99, 0.01) * np.ones(2)
        found = Difficulty.learned(priors=np.full((200, 2), 0.5), expected=expected, scores=expected.round())
        assert (found.slopes >= 1).all()
        assert (found.slopes <= 3).all()


class TestApplied:
    def test_brings_models_together_at_both_ends(self) -> None:
        shift = np.array([[-0.45], [0.0], [0.19]])
        p = Difficulty(np.ones(2)).applied(priors=np.tile(PRIORS, (3, 1)), expected=np.clip(PRIORS + shift, 0.01, 0.99))
        gaps = p[:, 0] - p[:, 1]
        assert (gaps > 0).all()
        assert gaps[1] == pytest.approx(0.3)
        assert gaps[[0, 2]].max() < 0.25

    def test_keeps_the_priors_of_a_usual_prompt(self) -> None:
        assert Difficulty(np.array([2.0, 1.0])).applied(priors=PRIORS[None], expected=PRIORS[None])[0] == pytest.approx(
            PRIORS
        )

    def test_knows_nothing_of_a_model_that_nobody_judged(self) -> None:
        half = np.array([[0.8, np.nan]])
        p = Difficulty(np.ones(2)).applied(priors=half, expected=half + 0.1)
        assert p[0, 0] == pytest.approx(0.9)
        assert np.isnan(p[0, 1])
