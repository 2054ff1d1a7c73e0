"""The regression finds what words and shape tell, and knows when they tell nothing."""

import numpy as np
import pytest

from router.estimate import Estimator, Known, UnusableOutcomes
from router.regression import RegressionEstimator, Words, shapes_of

HARD, EASY = "prove the theorem about integrals", "add the numbers of apples"


def table(count: int = 200, *, is_telling: bool = True, seed: int = 0) -> tuple[Known, list[str]]:
    """Return prompts whose embedding tells nothing; the dear model is right always, the cheap one on easy prompts."""
    chance = np.random.default_rng(seed)
    vectors = chance.normal(size=(count, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    is_hard = chance.random(count) < 0.5
    texts = [f"{HARD if hard else EASY} {number}" for number, hard in enumerate(is_hard)]
    if not is_telling:
        is_hard = chance.permutation(is_hard)
    scores = np.stack([~is_hard, np.ones(count)], axis=1).astype(np.float64)
    costs = np.stack([np.where(is_hard, 2.0, 1.0), np.full(count, 9.0)], axis=1)
    return (
        Known(vectors.astype(np.float32), np.zeros(count, dtype=np.int64), scores, np.ones((count, 2), int), costs),
        texts,
    )


class TestShapes:
    def test_count_what_is_written(self) -> None:
        shape = np.expm1(shapes_of(["a + 12\n\\frac"]))
        assert shape.round(6).tolist() == [[12, 4, 1, 2, 1, 1]]

    def test_of_no_text_have_no_row(self) -> None:
        assert shapes_of([]).shape == (0, 6)


class TestWords:
    def test_lie_close_for_texts_of_the_same_words(self) -> None:
        words = Words([HARD, EASY] * 5)
        one, two, other = words.vectors([HARD, "prove the integrals", "apples"])
        assert one @ two > 0.8 > 0.2 > one @ other

    def test_of_an_unknown_language_are_zeros(self) -> None:
        assert not Words([HARD, EASY] * 5).vectors(["совсем другое"]).any()

    def test_that_are_all_different_tell_nothing(self) -> None:
        assert Words(["alpha", "beta", "gamma"]).vectors(["alpha"]).shape == (1, 0)


class TestEstimates:
    def test_see_difficulty_that_neighbours_do_not(self) -> None:
        known, texts = table()
        new, new_texts = table(seed=1)
        plain = Estimator(known).estimate(new.vectors)
        found = RegressionEstimator(known, texts).estimate(new.vectors, new_texts)
        error, plain_error = (np.mean((one.p[:, 0] - new.scores[:, 0]) ** 2) for one in (found, plain))
        assert error < plain_error / 3
        assert np.corrcoef(found.sci_gco2e[:, 0], new.sci_gco2e[:, 0])[0, 1] > 0.9

    def test_stay_with_the_means_where_nothing_tells(self) -> None:
        known, texts = table(is_telling=False)
        found = RegressionEstimator(known, texts).estimate(known.vectors, texts)
        assert np.abs(found.p[:, 0] - known.scores[:, 0].mean()).max() < 0.3

    @pytest.mark.slow
    def test_of_known_prompts_are_those_of_a_fit_without_them(self) -> None:
        known, texts = table()
        texts[1] = texts[0]
        groups = np.array([texts.index(text) for text in texts])
        found = RegressionEstimator(known, texts).estimate_known(groups, texts)
        within = RegressionEstimator(known, texts).estimate(known.vectors, texts)
        left_out, seen = [], []
        for row in range(0, 60, 3):
            kept = groups != groups[row]
            others = Known(**{name: value[kept] for name, value in vars(known).items()})
            words = [text for text, is_kept in zip(texts, kept, strict=True) if is_kept]
            alone = RegressionEstimator(others, words).estimate(known.vectors[[row]], [texts[row]])
            left_out.append(np.abs(alone.p[0] - found.p[row]).max())
            seen.append(np.abs(alone.p[0] - within.p[row]).max())
        assert np.mean(left_out) < np.mean(seen) / 3

    def test_lie_in_their_intervals(self) -> None:
        known, texts = table()
        found = RegressionEstimator(known, texts).estimate(known.vectors, texts)
        assert (found.p_low <= found.p).all()
        assert (found.p <= found.p_high).all()
        assert (found.sci_low <= found.sci_gco2e).all()
        assert (found.sci_gco2e <= found.sci_high).all()
        assert (found.sci_gco2e > 0).all()

    def test_of_a_half_judged_table_are_numbers(self) -> None:
        known, texts = table()
        scores = known.scores.copy()
        scores[::2, 0] = np.nan
        half = Known(known.vectors, known.categories, scores, (~np.isnan(scores)).astype(int), known.sci_gco2e)
        found = RegressionEstimator(half, texts).estimate(known.vectors, texts)
        assert not np.isnan(found.p).any()

    def test_of_a_model_that_nobody_judged_are_not_numbers(self) -> None:
        known, texts = table(20)
        scores = known.scores.copy()
        scores[:, 0] = np.nan
        unjudged = Known(known.vectors, known.categories, scores, (~np.isnan(scores)).astype(int), known.sci_gco2e)
        found = RegressionEstimator(unjudged, texts).estimate(known.vectors, texts)
        assert np.isnan(found.p[:, 0]).all()
        assert not np.isnan(found.p[:, 1]).any()

    def test_of_a_single_prompt_are_those_of_its_neighbour(self) -> None:
        known, texts = table(1)
        assert RegressionEstimator(known, texts).estimate(known.vectors, texts).p.shape == (1, 2)

    def test_of_prompts_of_one_text_are_numbers(self) -> None:
        known, texts = table(8)
        found = RegressionEstimator(known, texts[:1] * 8).estimate(known.vectors, texts)
        assert not np.isnan(found.p).any()

    def test_need_the_texts(self) -> None:
        known, texts = table(20)
        with pytest.raises(UnusableOutcomes, match="texts"):
            RegressionEstimator(known, texts[1:])
        with pytest.raises(UnusableOutcomes, match="texts"):
            RegressionEstimator(known, texts).estimate(known.vectors)
