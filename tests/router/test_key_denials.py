"""Sums of what keys were refused, as they come to the database."""

import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError

from router.key_denials import Sums, denials_by_day, denials_since, store_denials
from router.keys import create_key
from router.models import ApiKey, KeyDenial
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> ApiKey:
    return create_key(owner_id=make.make_user().pk, name="test").key


def summed(key: ApiKey, **counts: int) -> Sums:
    sums = Sums()
    for reason, count in counts.items():
        sums.add(key.pk, reason, count)
    return sums


class TestStoring:
    def test_adds_to_the_row_of_the_hour(self, key: ApiKey) -> None:
        for minutes, counts in ((0, {"rate": 3, "scope": 1}), (10, {"rate": 2}), (60, {"rate": 1})):
            store_denials(now=make.NOW + timedelta(minutes=minutes), sums=summed(key, **counts))
        rows = KeyDenial.objects.order_by("began_at", "reason").values_list("reason", "count")
        assert list(rows) == [("rate", 5), ("scope", 1), ("rate", 1)]

    def test_stores_once_and_asks_nothing_where_nothing_was_refused(
        self, key: ApiKey, django_assert_num_queries: object
    ) -> None:
        sums = summed(key, rate=3)
        store_denials(now=make.NOW, sums=sums)
        with django_assert_num_queries(0):  # type: ignore[operator]  # a context manager
            store_denials(now=make.NOW, sums=sums)
        assert KeyDenial.objects.get().count == 3

    def test_leaves_out_a_key_that_is_gone(self, key: ApiKey) -> None:
        sums = summed(key, rate=3)
        ApiKey.objects.all().delete()
        store_denials(now=make.NOW, sums=sums)
        assert not KeyDenial.objects.exists()

    def test_keeps_what_could_not_be_stored(self, key: ApiKey, monkeypatch: pytest.MonkeyPatch) -> None:
        sums = summed(key, rate=3)

        def fail(*_: object) -> None:
            raise DatabaseError("away")

        with monkeypatch.context() as patched:
            patched.setattr("router.key_denials._add", fail)
            with pytest.raises(DatabaseError):
                store_denials(now=make.NOW, sums=sums)
        store_denials(now=make.NOW, sums=sums)
        assert KeyDenial.objects.get().count == 3

    def test_loses_none_of_many_threads(self, key: ApiKey) -> None:
        sums = Sums()
        threads = [threading.Thread(target=lambda: [sums.add(key.pk, "rate") for _ in range(500)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sums.take() == {(key.pk, "rate"): 2000}


class TestReading:
    def test_is_by_day_and_reason_of_one_key(self, key: ApiKey) -> None:
        other = create_key(owner_id=make.make_user("other").pk, name="other").key
        day = timedelta(days=1)
        for one, now, counts in (
            (key, make.NOW, {"rate": 3, "scope": 1}),
            (key, make.NOW - day, {"rate": 2}),
            (key, make.NOW - 9 * day, {"rate": 7}),
            (other, make.NOW, {"rate": 9}),
        ):
            store_denials(now=now, sums=summed(one, **counts))
        since = make.NOW - 2 * day
        assert denials_by_day(key=key, since=since) == {
            make.NOW.date(): {"rate": 3, "scope": 1}, (make.NOW - day).date(): {"rate": 2},
        }  # fmt: skip
        assert denials_since(key=key, since=since) == {"rate": 5, "scope": 1}
