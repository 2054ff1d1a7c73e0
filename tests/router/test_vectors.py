import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.vectors import DimensionMismatch, Matrix, is_unit_length, nearest, to_unit_length, usual_distance

WIDTH = 384


def unit_rows(count: int, *, seed: int, width: int = WIDTH) -> Matrix:
    rows = np.random.default_rng(seed).standard_normal((count, width))
    unit: Matrix = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def in_double_precision(matrix: Matrix, prompt_ids: npt.NDArray[np.int64], vector: Matrix, count: int) -> list[int]:
    """Find the nearest by the plain definition, in float64."""
    difference = matrix.astype(np.float64) - vector.astype(np.float64)
    return [int(prompt_ids[row]) for row in np.lexsort((prompt_ids, (difference**2).sum(axis=1)))[:count]]


class TestNearest:
    @pytest.mark.slow
    @pytest.mark.parametrize("size", [1, 5, 1000, 20_000])
    @pytest.mark.parametrize("count", [1, 5])
    def test_equals_the_definition_in_double_precision(self, size: int, count: int) -> None:
        matrix = unit_rows(size, seed=size)
        prompt_ids = np.random.default_rng(1).permutation(size).astype(np.int64) + 1
        for vector in unit_rows(5, seed=size + 1):
            found = [one.prompt_id for one in nearest(matrix, prompt_ids, vector, count)]
            assert found == in_double_precision(matrix, prompt_ids, vector, count)

    def test_gives_the_squared_distance(self) -> None:
        matrix = np.asarray([[1.0, 0.0], [0.6, 0.8]], dtype=np.float32)
        found = nearest(matrix, np.asarray([7, 8]), np.asarray([0.0, 1.0]), 2)
        assert [one.prompt_id for one in found] == [8, 7]
        assert [one.squared_distance for one in found] == pytest.approx([0.4, 2.0])

    def test_finds_each_known_prompt_at_distance_zero(self) -> None:
        matrix = unit_rows(500, seed=3)
        prompt_ids = np.arange(500)
        for row in range(0, 500, 50):
            [found] = nearest(matrix, prompt_ids, matrix[row], 1)
            assert (found.prompt_id, found.squared_distance) == (row, 0.0)

    def test_orders_duplicates_by_prompt_id(self) -> None:
        matrix = np.repeat(unit_rows(4, seed=4, width=7), 25, axis=0)
        prompt_ids = np.random.default_rng(5).permutation(100)
        asked = matrix[0] + np.float32(0.01)
        twins = sorted(int(key) for key in prompt_ids[:25])
        assert [one.prompt_id for one in nearest(matrix, prompt_ids, asked, 25)] == twins

    def test_tells_vectors_apart_that_differ_in_their_last_bits(self) -> None:
        base = unit_rows(1, seed=6)[0]
        matrix = np.stack([base] * 60)
        for row in range(60):
            matrix[row, row] = np.nextafter(matrix[row, row], np.float32(2.0))
        prompt_ids = np.arange(60)
        asked = unit_rows(1, seed=7)[0]
        found = [one.prompt_id for one in nearest(matrix, prompt_ids, asked, 60)]
        assert found == in_double_precision(matrix, prompt_ids, asked, 60)

    def test_returns_all_when_asked_for_more_than_there_are(self) -> None:
        assert len(nearest(unit_rows(3, seed=8), np.arange(3), unit_rows(1, seed=9)[0], 10)) == 3

    @pytest.mark.parametrize("width", [383, 385, 1], ids=["one short", "one long", "far off"])
    def test_refuses_a_vector_of_another_length_with_the_remedy(self, width: int) -> None:
        with pytest.raises(DimensionMismatch, match=rf"has {width} numbers, the index 384: .* manage.py build_index"):
            nearest(unit_rows(3, seed=8), np.arange(3), unit_rows(1, seed=9, width=width)[0], 1)

    def test_refuses_a_whole_matrix_for_a_vector(self) -> None:
        with pytest.raises(DimensionMismatch):
            nearest(unit_rows(3, seed=8), np.arange(3), unit_rows(2, seed=9), 1)

    @given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.integers(2, 16), st.integers(1, 20))
    def test_equals_the_definition_for_any_size(self, seed: int, size: int, width: int, count: int) -> None:
        matrix = unit_rows(size, seed=seed, width=width)
        matrix[size // 2] = matrix[0]  # a duplicate among them
        vector = unit_rows(1, seed=seed + 1, width=width)[0]
        found = [one.prompt_id for one in nearest(matrix, np.arange(size), vector, count)]
        assert found == in_double_precision(matrix, np.arange(size), vector, count)


class TestToUnitLength:
    def test_scales_every_row(self) -> None:
        matrix = to_unit_length([[3.0, 4.0], [0.0, 0.1]])
        assert matrix.dtype == np.float32
        assert matrix.tolist() == [pytest.approx([0.6, 0.8]), [0.0, 1.0]]
        assert all(is_unit_length(row) for row in matrix)

    @pytest.mark.parametrize(
        "vectors",
        [
            pytest.param([], id="none"),
            pytest.param([[]], id="empty"),
            pytest.param([[1.0], [1.0, 2.0]], id="unlike lengths"),
            pytest.param([[1.0, 0.0], [0.0, 0.0]], id="zeros"),
            pytest.param([[1.0, float("nan")]], id="nan"),
            pytest.param([[1.0, float("inf")]], id="infinity"),
        ],
    )
    def test_refuses_what_is_no_embedding(self, vectors: list[list[float]]) -> None:
        with pytest.raises(ValueError, match="The embedder returned"):
            to_unit_length(vectors)


class TestIsUnitLength:
    @pytest.mark.parametrize(
        ("vector", "said"), [([0.6, 0.8], True), ([0.6, 0.8005], True), ([0.6, 0.81], False), ([0.0, 0.0], False)]
    )
    def test_allows_rounding_only(self, vector: list[float], said: bool) -> None:
        assert is_unit_length(np.asarray(vector)) is said


class TestUsualDistance:
    def test_is_what_nearly_all_known_prompts_keep_to_their_nearest_other_one(self) -> None:
        matrix = unit_rows(300, seed=1)
        distances = ((matrix[:, None] - matrix[None]) ** 2).sum(axis=2) + np.diag(np.full(300, 9.0))
        assert usual_distance(matrix) == pytest.approx(float(np.quantile(distances.min(axis=1), 0.99)), abs=1e-4)

    def test_takes_no_twin_for_another_prompt(self) -> None:
        matrix = unit_rows(50, seed=2)
        assert usual_distance(np.concatenate([matrix, matrix])) == pytest.approx(usual_distance(matrix), abs=1e-3)

    def test_is_at_least_that_of_a_cosine_of_one_half(self) -> None:
        angles = np.linspace(0, 0.5, 40)
        assert usual_distance(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)) == 1.0

    @pytest.mark.parametrize("count", [1, 3])
    def test_is_unknown_without_two_different_prompts(self, count: int) -> None:
        assert usual_distance(np.repeat(unit_rows(1, seed=3), count, axis=0)) is None

    @pytest.mark.slow
    def test_looks_at_some_of_many(self) -> None:
        matrix = unit_rows(4000, seed=4, width=16)
        whole = 2 - 2 * np.sort(matrix @ matrix.T, axis=1)[:, -2]
        assert usual_distance(matrix) == pytest.approx(max(1.0, float(np.quantile(whole, 0.99))), abs=0.05)
