"""What Postgres's planner knows of a table after a large import."""

import pytest
from django.db import connection

from benchmarks.models import Prompt
from benchmarks.planner import tell_planner
from tests.factories import make_prompt

pytestmark = pytest.mark.django_db


def known_rows() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'benchmarks_prompt'")
        return float(cursor.fetchone()[0])


def test_knows_the_rows_of_an_import_within_its_transaction() -> None:
    count = Prompt.objects.count()
    for _ in range(30):
        make_prompt()
    tell_planner(Prompt)
    assert known_rows() == count + 30
