"""Columns of labels in order, with others put in, are as if all had been put in order."""

import numpy as np
import pytest

from labeling.label_columns import LabelColumns


def labels(ids: list[int], moments: list[int]) -> LabelColumns:
    whole = {
        "id": np.array(ids, np.int64), "response": np.array(ids, np.int64) * 10, "person": np.array(ids, np.int64) % 3,
        "moment_us": np.array(moments, np.int64), "facts": np.array(ids, np.int64) % 256,
    }  # fmt: skip
    return LabelColumns(whole, np.array(ids, np.float64) / 7).in_order()


def shown(found: LabelColumns) -> dict[str, list[float]]:
    return {name: column.tolist() for name, column in found.whole.items()} | {"seconds": found.seconds.tolist()}


class TestWithOthers:
    @pytest.mark.parametrize(
        ("ids", "moments"),
        [
            ([], []), ([9], [5]), ([9, 8], [5, 95]), ([9], [1]), ([9, 7], [15, 15]), ([9], [20]), ([1, 9], [20, 40]),
            ([70_000], [99]),
        ],
    )  # fmt: skip
    def test_is_all_of_them_in_order(self, ids: list[int], moments: list[int]) -> None:
        before = [2, 3, 4, 5], [10, 20, 20, 30]
        found = labels(*before).with_others(labels(ids, moments))
        whole = labels(before[0] + ids, before[1] + moments)
        assert shown(found) == shown(whole)
        assert [one.dtype for one in found.whole.values()] == [one.dtype for one in whole.whole.values()]

    def test_of_none_are_the_others(self) -> None:
        assert shown(labels([], []).with_others(labels([3, 2], [7, 9]))) == shown(labels([3, 2], [7, 9]))


class TestCounts:
    def test_are_of_each_stretch(self) -> None:
        found = labels([1, 2, 3, 5, 7], [10, 20, 30, 40, 50])  # the first fact is so of odd ids
        assert found.counts("is_judgement", [(0, 2), (2, 3), (3, 5)]) == [1, 1, 2]
        assert found.counts("is_correct", [(0, 5)]) == [3]  # the second bit: of 2, 3 and 7
        assert found.counts("is_judgement", []) == []
