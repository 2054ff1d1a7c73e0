"""Values come back binary as they do in digits, by Django's ways of counting and failing."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from benchmarks.binary_reading import binary_cursor
from benchmarks.models import Category
from tests import factories as make

pytestmark = pytest.mark.django_db

_VALUES = """
SELECT %(bytes)s::bytea, 1::smallint, 2::bigint, 0.1::float8, 'NaN'::float8, 12.50::numeric, 'ü'::text, NULL::text,
       true, '[1, {"a": null}]'::json, ARRAY['a', NULL, 'c'], ARRAY[1, 2]::bigint[], 'pg_class'::regclass::oid,
       '2026-01-02 03:04:05.678901+00'::timestamptz, current_database(), 3 = ANY(%(ids)s), %(none)s::text
"""
_GIVEN = {"bytes": bytes(range(256)) * 300, "ids": [1, 70_000, 3], "none": None}


class TestBinaryCursor:
    def test_returns_the_same_values(self) -> None:
        found = []
        for made in (connection.cursor, binary_cursor):
            with made() as cursor:
                cursor.execute(_VALUES, _GIVEN)
                found.append(repr(cursor.fetchone()))
                assert cursor.fetchone() is None
        assert found[0] == found[1]
        assert found[0].startswith("(b'\\x00\\x01")

    def test_takes_no_ids_and_says_percent_signs(self) -> None:
        with binary_cursor() as cursor:
            cursor.execute("SELECT count(*), '100 %%' FROM benchmarks_prompt WHERE id = ANY(%(ids)s)", {"ids": []})
            assert cursor.fetchall() == [(0, "100 %")]

    def test_is_of_the_same_transaction(self) -> None:
        category = make.make_prompt(category="fresh").category
        with binary_cursor() as cursor:
            cursor.execute("SELECT name FROM benchmarks_category WHERE id = %(id)s", {"id": category.pk})
            assert cursor.fetchall() == [("fresh",)]

    def test_is_counted_and_seen(self) -> None:
        with CaptureQueriesContext(connection) as asked, binary_cursor() as cursor:
            cursor.execute("SELECT %(one)s::int", {"one": 1})
        assert [one["sql"] for one in asked] == ["SELECT $1::int"]

    def test_fails_as_django_does(self) -> None:
        Category.objects.create(name="twice")
        with pytest.raises(IntegrityError, match="twice"), transaction.atomic(), binary_cursor() as cursor:
            cursor.execute("INSERT INTO benchmarks_category (name) VALUES (%(name)s)", {"name": "twice"})
