"""Columns of numbers, packed and in few bytes."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.packing import fewest_bytes, roomy, unpacked_floats, unpacked_whole, widened


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


class TestRoomy:
    @given(st.lists(st.floats(allow_nan=False)))
    def test_keeps_every_number(self, numbers: list[float]) -> None:
        assert roomy(np.array(numbers, np.float64)).tolist() == numbers

    @pytest.mark.parametrize(("count", "room"), [(0, 16_384), (1, 16_384), (16_384, 16_384), (16_385, 32_768)])
    def test_has_room_for_whole_steps(self, count: int, room: int) -> None:
        column = roomy(np.ones(count, np.float64), np.uint8)

        assert column.tolist() == [1] * count
        assert column.base is not None
        assert column.base.nbytes == room

    def test_is_written_to_as_a_whole(self) -> None:
        assert not roomy(np.ones(3, np.int64)).base[3:].any()


class TestUnpacked:
    @given(st.lists(st.integers(-(2**63), 2**63 - 1)))
    def test_are_whole_numbers_one_after_the_other(self, numbers: list[int]) -> None:
        assert unpacked_whole(struct.pack(f">{len(numbers)}q", *numbers)).tolist() == numbers

    @given(st.lists(st.floats(allow_nan=False)))
    def test_are_floats_one_after_the_other(self, numbers: list[float]) -> None:
        assert unpacked_floats(struct.pack(f">{len(numbers)}d", *numbers)).tolist() == numbers

    def test_of_nothing_are_none(self) -> None:
        assert unpacked_whole(None).tolist() == unpacked_floats(None).tolist() == []
