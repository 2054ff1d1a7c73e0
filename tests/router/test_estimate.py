"""Estimates from neighbours: by hand on small tables, and what must hold on any table."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.estimate import Estimates, Estimator, Known, Shrinkage, UnusableOutcomes

NAN = float("nan")
# prompts 0 and 1 lie close together (category 0), prompt 2 apart (category 1)
VECTORS = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
CATEGORIES = np.array([0, 0, 1])


def known(
    scores: list[list[float]], *, sci: list[list[float]] | None = None, counts: list[list[int]] | None = None
) -> Known:
    table = np.array(scores, dtype=np.float64)
    return Known(
        vectors=VECTORS[: len(table)],
        categories=CATEGORIES[: len(table)],
        scores=table,
        label_counts=np.array(counts) if counts else (~np.isnan(table)).astype(np.int64),
        sci_gco2e=np.array(sci, dtype=np.float64) if sci else np.ones_like(table),
    )


def ask(table: Known, vector: list[float], **shrinkage: float) -> Estimates:
    return Estimator(table, Shrinkage(**shrinkage)).estimate(np.array([vector], dtype=np.float32))  # type: ignore[arg-type]


class TestProbability:
    def test_is_the_similarity_weighted_mean_where_nothing_is_shrunk(self) -> None:
        found = ask(known([[1.0], [0.0], [0.0]]), [1, 0], neighbour_count=2, category_weight=0)
        assert found.p[0, 0] == pytest.approx(1 / 1.8)

    def test_is_shrunk_to_category_and_model_by_the_formula(self) -> None:
        found = ask(known([[1.0], [0.0], [0.0]]), [1, 0], neighbour_count=2, category_weight=4, model_weight=2)
        category = (1 + 2 * (1 / 3)) / (2 + 2)
        assert found.p[0, 0] == pytest.approx((2 / 1.8 + 4 * category) / (2 + 4))

    def test_of_a_model_without_labels_in_the_category_is_its_mean_elsewhere(self) -> None:
        found = ask(known([[NAN], [NAN], [1.0]]), [1, 0], neighbour_count=2)
        assert found.p[0, 0] == pytest.approx(1.0)
        assert found.label_count[0, 0] == 0

    def test_of_a_model_that_nobody_judged_is_not_a_number(self) -> None:
        found = ask(known([[1.0, NAN], [0.0, NAN]]), [1, 0])
        assert np.isnan([found.p[0, 1], found.p_low[0, 1], found.p_high[0, 1]]).all()
        assert found.evidence[0, 1] == 0.0
        assert 0 < found.p[0, 0] < 1

    def test_counts_every_label_of_a_neighbour(self) -> None:
        found = ask(known([[0.5], [1.0]], counts=[[4], [3]]), [1, 0])
        assert found.label_count[0, 0] == 7

    def test_works_with_a_single_prompt(self) -> None:
        found = ask(known([[1.0]]), [0, 1])
        assert found.p[0, 0] == pytest.approx(1.0)
        assert found.squared_distance[0] == pytest.approx(2.0)

    def test_is_less_sure_with_less_evidence(self) -> None:
        sure = ask(known([[1.0], [1.0], [1.0]]), [1, 0])
        unsure = ask(known([[1.0], [NAN], [NAN]]), [1, 0])
        assert unsure.p_low[0, 0] < sure.p_low[0, 0]


class TestSci:
    def test_is_in_grams_and_weighs_models_alike(self) -> None:
        found = ask(
            known([[1.0, 1.0], [1.0, 1.0]], sci=[[1.0, 1000.0], [3.0, 3000.0]]), [1, 0],
            neighbour_count=2, category_weight=0,
        )  # fmt: skip
        assert found.sci_gco2e[0] == pytest.approx([(1 + 3 * 0.8) / 1.8, 1000 * (1 + 3 * 0.8) / 1.8])
        assert found.sci_count[0].tolist() == [2, 2]

    def test_that_was_never_measured_is_not_a_number(self) -> None:
        found = ask(known([[1.0, 1.0], [1.0, 1.0]], sci=[[1.0, NAN], [1.0, NAN]]), [1, 0])
        assert np.isnan(found.sci_gco2e[0, 1])
        assert found.sci_gco2e[0, 0] == pytest.approx(1.0)
        assert found.sci_count[0].tolist() == [2, 0]

    def test_lies_in_an_interval_that_is_never_below_nothing(self) -> None:
        found = ask(known([[1.0], [1.0]], sci=[[0.001], [100.0]]), [1, 0])
        assert 0 <= found.sci_low[0, 0] <= found.sci_gco2e[0, 0] <= found.sci_high[0, 0]


class TestBestModel:
    def test_is_the_one_that_is_right_most_often(self) -> None:
        assert Estimator(known([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])).best_model == 0  # as good: the first
        assert Estimator(known([[0.0, 1.0], [1.0, 1.0], [0.0, 0.0]])).best_model == 1

    def test_is_no_new_model_with_a_single_label(self) -> None:
        assert Estimator(known([[1.0, NAN], [1.0, 1.0], [1.0, NAN]])).best_model == 0
        assert Estimator(known([[NAN, 1.0], [1.0, 1.0], [NAN, 1.0]])).best_model == 1

    def test_without_any_label_is_the_first(self) -> None:
        assert Estimator(known([[NAN, NAN]])).best_model == 0


class TestNeighbours:
    def test_come_nearest_first_and_ties_by_place(self) -> None:
        table = Known(
            vectors=np.array([[0, 1], [1, 0], [1, 0]], dtype=np.float32), categories=np.zeros(3, dtype=np.int64),
            scores=np.ones((3, 1)), label_counts=np.ones((3, 1), dtype=np.int64), sci_gco2e=np.ones((3, 1)),
        )  # fmt: skip
        rows, cosines = Estimator(table).nearest(np.array([[1, 0]], dtype=np.float32), 9)
        assert rows[0].tolist() == [1, 2, 0]
        assert cosines[0].tolist() == [1, 1, 0]

    def test_that_somebody_else_found_are_taken(self) -> None:
        estimator = Estimator(known([[1.0, NAN], [0.0, 1.0], [1.0, 0.0]]), Shrinkage(neighbour_count=2))
        asked = np.array([[0.6, 0.8]], dtype=np.float32)
        rows, cosines = estimator.nearest(asked, 3)
        found = estimator.around(rows[0], cosines[0]).with_neighbours(2).estimate(np.zeros_like(asked))
        for name, value in vars(estimator.estimate(asked)).items():
            np.testing.assert_array_equal(vars(found)[name], value, err_msg=name)

    def test_of_no_prompt_are_none(self) -> None:
        found = Estimator(known([[1.0], [0.0]])).estimate(np.empty((0, 2), dtype=np.float32))
        assert found.p.shape == (0, 1)

    def test_are_the_same_for_one_prompt_and_for_many(self) -> None:
        generator = np.random.default_rng(5)
        vectors = generator.normal(size=(40, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        scores = generator.integers(0, 2, size=(40, 3)).astype(np.float64)
        scores[generator.random((40, 3)) < 0.3] = NAN
        table = Known(vectors, generator.integers(0, 4, 40), scores, (~np.isnan(scores)).astype(np.int64), scores + 1)
        estimator = Estimator(table, Shrinkage(neighbour_count=7))
        together = estimator.estimate(vectors)
        alone = [estimator.estimate(vectors[place : place + 1]) for place in range(40)]
        np.testing.assert_allclose(together.p, np.concatenate([one.p for one in alone]))
        np.testing.assert_allclose(together.sci_gco2e, np.concatenate([one.sci_gco2e for one in alone]))


class TestKnownPrompts:
    def table(self) -> tuple[Known, np.ndarray]:
        """Return 300 prompts, most of a text of their own, and the numbers of their texts."""
        generator = np.random.default_rng(6)
        vectors = generator.normal(size=(300, 8)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        scores = generator.integers(0, 2, size=(300, 3)).astype(np.float64)
        scores[generator.random((300, 3)) < 0.2] = NAN
        groups = np.concatenate([[0, 0, 1, 1, 1], np.arange(2, 297)])
        counts = (~np.isnan(scores)).astype(np.int64)
        costs = generator.lognormal(0, 0.3, (300, 3))
        return Known(vectors, generator.integers(0, 3, 300), scores, counts, costs), groups

    def test_are_estimated_as_if_their_text_were_unknown(self) -> None:
        table, groups = self.table()
        found = Estimator(table).estimate_known(groups)
        for row in (0, 2, 40, 299):
            alone = Estimator(rows_of(table, groups != groups[row])).estimate(table.vectors[[row]])
            assert found.p[row] == pytest.approx(alone.p[0], abs=0.01)  # the models' means over all prompts stay
            assert found.sci_gco2e[row] == pytest.approx(alone.sci_gco2e[0], rel=0.02)
            assert found.squared_distance[row] == pytest.approx(alone.squared_distance[0])

    def test_do_not_tell_their_own_score(self) -> None:
        table, groups = self.table()
        other = replace(table, scores=np.where(groups[:, None] == 50, 1 - table.scores, table.scores))
        found, moved = (Estimator(one).estimate_known(groups).p[groups == 50] for one in (table, other))
        assert moved == pytest.approx(found, abs=0.01)

    def test_of_one_text_cannot_be_estimated(self) -> None:
        with pytest.raises(UnusableOutcomes, match="nothing is known"):
            Estimator(known([[1.0], [0.0]])).estimate_known(np.zeros(2, dtype=np.int64))


def rows_of(table: Known, kept: np.ndarray) -> Known:
    return Known(**{name: value[kept] for name, value in vars(table).items()})


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 4), st.integers(1, 5), st.floats(0, 100), st.floats(0.1, 50), st.integers(0, 999)
)
def test_any_table_gives_shares_in_their_intervals(
    prompts: int, models: int, neighbours: int, n0: float, n1: float, seed: int
) -> None:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(prompts, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = np.where(generator.random((prompts, models)) < 0.4, NAN, generator.random((prompts, models)))
    sci = np.where(generator.random((prompts, models)) < 0.4, NAN, generator.lognormal(size=(prompts, models)))
    table = Known(vectors, generator.integers(0, 3, prompts), scores, (~np.isnan(scores)).astype(np.int64), sci)
    found = Estimator(table, Shrinkage(neighbours, n0, n1)).estimate(vectors)
    judged = ~np.isnan(scores).all(axis=0)
    if n0 > 0:
        assert (~np.isnan(found.p[:, judged])).all()
    assert np.isnan(found.p[:, ~judged]).all()
    is_known = ~np.isnan(found.p)
    assert (found.p_low[is_known] <= found.p[is_known] + 1e-9).all()
    assert (found.p[is_known] <= found.p_high[is_known] + 1e-9).all()
    assert ((found.p[is_known] >= -1e-9) & (found.p[is_known] <= 1 + 1e-9)).all()
    assert (found.sci_gco2e[~np.isnan(found.sci_gco2e)] > 0).all()


@pytest.mark.parametrize(
    ("scores", "changes", "message"),
    [
        ([[1.5]], {}, "between 0 and 1"),
        ([[1.0]], {"sci_gco2e": np.array([[0.0]])}, "above 0"),
        ([[1.0]], {"label_counts": np.array([[0]])}, "at least one label"),
        ([[NAN]], {"label_counts": np.array([[1]])}, "a missing score none"),
        ([[1.0]], {"sci_gco2e": np.ones((1, 2))}, "the shape of scores"),
        ([[1.0]], {"categories": np.array([-1])}, "from 0"),
        ([[1.0]], {"vectors": VECTORS}, "a row for each of the 1 prompts"),
    ],
)
def test_refuses(scores: list[list[float]], changes: dict[str, np.ndarray], message: str) -> None:
    table = np.array(scores)
    columns = {
        "vectors": VECTORS[:1], "categories": np.zeros(1, dtype=np.int64), "scores": table,
        "label_counts": (~np.isnan(table)).astype(np.int64), "sci_gco2e": np.ones_like(table), **changes,
    }  # fmt: skip
    with pytest.raises(UnusableOutcomes, match=message):
        Known(**columns)  # type: ignore[arg-type]


def test_refuses_shrinkage_without_neighbours() -> None:
    with pytest.raises(UnusableOutcomes, match="neighbour_count"):
        Shrinkage(neighbour_count=0)
