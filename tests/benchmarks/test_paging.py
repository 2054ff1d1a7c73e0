import pytest

from benchmarks.models import Category
from benchmarks.paging import KeyedPage, Place, keyed_page, place_in


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
        return keyed_page(Category.objects.all(), key="pk", place=place, size=2, count=count)

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
