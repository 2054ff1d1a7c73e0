import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks.models import Category, Measurement
from benchmarks.paging import KeyedPage, Order, Place, keyed_page, place_in
from tests import factories as make


class TestPlaceIn:
    @pytest.mark.parametrize(
        ("query", "place"),
        [
            ({}, Place()),
            ({"after": "7", "page": "3"}, Place(after=7, number=3)),
            ({"before": "7", "page": "3"}, Place(before=7, number=3)),
            ({"after": "7", "before": "9"}, Place(after=7)),
            ({"page": "9"}, Place()),
            ({"after": "-1", "page": "2"}, Place()),
            ({"after": "٣"}, Place()),
            ({"after": "9" * 19}, Place()),
            ({"after": "7", "page": "x"}, Place(after=7)),
            ({"after": "7", "page": "0"}, Place(after=7)),
        ],
    )
    def test_reads_what_an_address_says(self, query: dict[str, str], place: Place) -> None:
        assert place_in(query) == place


@pytest.mark.django_db
class TestKeyedPage:
    @pytest.fixture
    def keys(self) -> list[int]:
        made = Category.objects.bulk_create([Category(name=f"kind-{number}") for number in range(5)])
        return [one.pk for one in made]

    def page(self, place: Place, *, count: int = 5) -> KeyedPage:
        return keyed_page(Category.objects.all(), order=Order(), place=place, size=2, count=count)

    def test_begins_with_the_first_rows(self, keys: list[int]) -> None:
        first = self.page(Place())
        assert (list(first.keys), first.number, first.page_count) == (keys[:2], 1, 3)
        assert (first.has_previous, first.has_next) == (False, True)
        assert first.next_query == f"after={keys[1]}&page=2"

    def test_goes_on_after_a_key_up_to_the_end(self, keys: list[int]) -> None:
        last = self.page(Place(after=keys[3], number=3))
        assert (list(last.keys), last.number, last.has_previous, last.has_next) == (keys[4:], 3, True, False)
        assert last.previous_query == f"before={keys[4]}&page=2"

    def test_goes_back_before_a_key_in_the_order_of_the_list(self, keys: list[int]) -> None:
        middle = self.page(Place(before=keys[4], number=2))
        assert (list(middle.keys), middle.number) == (keys[2:4], 2)
        assert (middle.has_previous, middle.has_next, middle.previous_query) == (True, True, "page=1")

    def test_knows_that_it_is_the_first_whatever_its_address_says(self, keys: list[int]) -> None:
        first = self.page(Place(before=keys[2], number=7))
        assert (list(first.keys), first.number, first.has_previous, first.has_next) == (keys[:2], 1, False, True)

    def test_begins_anew_where_nothing_is_left(self, keys: list[int]) -> None:
        assert list(self.page(Place(after=keys[4])).keys) == keys[:2]
        assert list(self.page(Place(before=keys[0])).keys) == keys[:2]

    def test_of_nothing_is_one_empty_page(self) -> None:
        empty = self.page(Place(), count=0)
        assert (empty.keys, empty.number, empty.page_count, empty.has_next) == ((), 1, 1, False)


@pytest.mark.django_db
class TestOrder:
    """Energies with equals among them, and some that are missing."""

    ENERGIES = (3.0, None, 0.1 + 0.2, 3.0, 0.3, None, 3.0, 0.25, None)

    @pytest.fixture(params=[Order(column="energy_j"), Order("pk", "energy_j", True), Order(is_descending=True)])
    def order(self, request: pytest.FixtureRequest) -> Order:
        for energy_j in self.ENERGIES:
            make.make_measurement(energy_j, quality="estimated" if energy_j is not None else "missing")
        found: Order = request.param
        return found

    def page(self, order: Order, place: Place, size: int = 2) -> KeyedPage:
        rows = Measurement.objects.all()
        return keyed_page(rows, place=place, size=size, count=len(self.ENERGIES), order=order)

    def wanted(self, order: Order) -> list[int]:
        rows = [(row.energy_j if order.column else 0.0, row.pk) for row in Measurement.objects.all()]
        known = sorted((row for row in rows if row[0] is not None), reverse=order.is_descending)
        missing = sorted((row for row in rows if row[0] is None), reverse=order.is_descending)
        return [key for _, key in known + missing]

    @pytest.mark.parametrize("size", [1, 2, 3, 4, 20])
    def test_has_each_row_once_forth_and_back(self, order: Order, size: int) -> None:
        pages = [self.page(order, Place(), size)]
        while pages[-1].has_next:
            pages.append(self.page(order, Place(after=pages[-1].keys[-1], number=len(pages) + 1), size))
        assert [key for page in pages for key in page.keys] == self.wanted(order)
        assert [page.number for page in pages] == list(range(1, len(pages) + 1))
        for later, earlier in zip(pages[:0:-1], pages[-2::-1], strict=True):
            back = self.page(order, Place(before=later.keys[0], number=earlier.number), size)
            assert (back.keys, back.number, back.has_previous) == (earlier.keys, earlier.number, earlier.has_previous)

    def test_goes_on_where_a_row_is_that_left_the_list(self, order: Order) -> None:
        at = random.Random(1).randrange(len(self.ENERGIES) - 1)
        gone, after = self.wanted(order)[at : at + 2]
        rows = Measurement.objects.exclude(pk=gone)
        page = keyed_page(rows, place=Place(after=gone), size=1, count=8, order=order, every=Measurement.objects.all())
        assert page.keys == (after,)

    def test_begins_anew_where_the_row_is_gone(self, order: Order) -> None:
        nobody = max(self.wanted(order)) + 1
        found = self.page(order, Place(after=nobody) if order.column else Place(before=nobody))
        assert list(found.keys) == self.wanted(order)[:2]
        assert found.number == 1

    def test_skips_nothing_to_come_to_a_late_page(self, order: Order) -> None:
        with CaptureQueriesContext(connection) as seen:
            self.page(order, Place(after=self.wanted(order)[2], number=3))
        assert "OFFSET" not in str(seen.captured_queries)
