"""Tables of pages, sorted by the server."""

import pytest

from benchmarks.sorting import Sorting, heads, sorted_rows


class TestSorting:
    @pytest.mark.parametrize(
        ("asked", "direction", "query"),
        [
            ("energy", "ascending", "sort=energy&"),
            ("-energy", "descending", "sort=-energy&"),
            ("", "", ""),
            ("password", "", ""),
            ("--energy", "", ""),
        ],
    )
    def test_takes_columns_that_are_offered_alone(self, asked: str, direction: str, query: str) -> None:
        found = Sorting.of(asked, {"energy"})
        assert (found.direction, found.query) == (direction, query)

    def test_leads_from_no_order_to_the_rising_the_falling_and_back(self) -> None:
        sorting, seen = Sorting(), []
        for _ in range(3):
            head = heads({"energy": "Energy"}, sorting, kept="per=cells&")["energy"]
            seen.append(head.query)
            sorting = Sorting.of(head.query.partition("sort=")[2], {"energy"})
        assert seen == ["per=cells&sort=energy", "per=cells&sort=-energy", "per=cells"]

    @pytest.mark.parametrize(("is_descending", "wanted"), [(False, [1, 2, 3, None]), (True, [3, 2, 1, None])])
    def test_has_what_is_missing_last(self, is_descending: bool, wanted: list[int | None]) -> None:
        rows = [3, None, 1, 2]
        assert sorted_rows(rows, Sorting("n", is_descending), {"n": lambda row: row}) == wanted
        assert sorted_rows(rows, Sorting(), {}) == rows
