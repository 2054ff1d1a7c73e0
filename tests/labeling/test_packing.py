"""Columns of numbers, packed and in few bytes."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeling.packing import (
    fewest_bytes,
    packed_columns,
    roomy,
    unpacked_columns,
    unpacked_floats,
    unpacked_whole,
    widened,
)


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


class TestPackedColumns:
    @given(st.lists(st.integers(0, 2**63 - 1)), st.lists(st.floats()), st.lists(st.integers(0, 9)), st.lists(st.text()))
    def test_come_back_as_they_were(
        self, whole: list[int], floats: list[float], few: list[int], told: list[str]
    ) -> None:
        columns = {"whole": np.array(whole, np.int64), "floats": np.array(floats), "few": np.array(few, np.uint8)}

        found, told_too = unpacked_columns(packed_columns(columns, told))

        assert told_too == told
        assert found.keys() == columns.keys()
        for name, column in columns.items():
            assert found[name].dtype == column.dtype
            assert np.array_equal(found[name], column, equal_nan=name == "floats")

    def test_keep_one_number_all_through_once(self) -> None:
        packed = packed_columns({"same": np.full(10_000, 385.0), "missing": np.full(10_000, np.nan)}, None)

        assert len(packed) < 200
        found, _ = unpacked_columns(packed)
        assert found["same"].tolist() == [385.0] * 10_000
        assert np.isnan(found["missing"]).all()
