"""Columns of numbers in few bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.narrow import fewest_bytes, widened


class TestFewestBytes:
    @given(st.lists(st.integers(0, 2**63 - 1)))
    def test_keeps_every_number(self, numbers: list[int]) -> None:
        column = fewest_bytes(np.array(numbers, np.int64))

        assert column.tolist() == numbers
        assert widened(column).tolist() == numbers

    @pytest.mark.parametrize(
        ("largest", "wanted"),
        [(255, np.uint8), (256, np.uint16), (65_536, np.uint32), (2**32 - 1, np.uint32), (2**32, np.int64)],
    )
    def test_takes_what_the_largest_needs(self, largest: int, wanted: type) -> None:
        assert fewest_bytes(np.array([0, largest], np.int64)).dtype == wanted
