"""Columns of numbers, packed and in few bytes."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.packing import fewest_bytes, unpacked_floats, unpacked_whole, widened


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


class TestUnpacked:
    @given(st.lists(st.integers(-(2**63), 2**63 - 1)))
    def test_are_whole_numbers_one_after_the_other(self, numbers: list[int]) -> None:
        assert unpacked_whole(struct.pack(f">{len(numbers)}q", *numbers)).tolist() == numbers

    @given(st.lists(st.floats(allow_nan=False)))
    def test_are_floats_one_after_the_other(self, numbers: list[float]) -> None:
        assert unpacked_floats(struct.pack(f">{len(numbers)}d", *numbers)).tolist() == numbers

    def test_of_nothing_are_none(self) -> None:
        assert unpacked_whole(None).tolist() == unpacked_floats(None).tolist() == []
