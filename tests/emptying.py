"""How the database of a test run is emptied between tests that commit: as Django's `flush` does, ten times as fast.

`flush` truncates every table, which makes new files for it and each of its indexes, and then Django finds all content
types and permissions anew. Here rows are deleted where there are any, and those two tables are kept.
"""

from functools import cache

from django.apps import apps
from django.db import connection
from django.test import TransactionTestCase

_KEPT = ("django_content_type", "auth_permission")  # what `migrate` put there; `flush` would put the same there again
_BLOATED_BYTES = 512 * 1024  # beyond it a table is truncated, so that no later test looks through what was deleted
# the tables of some apps, and whatever refers to them, as TRUNCATE ... CASCADE would find
_REFERRING = """
WITH RECURSIVE emptied AS (
    SELECT oid FROM pg_class WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace
    UNION
    SELECT conrelid FROM pg_constraint JOIN emptied ON confrelid = emptied.oid WHERE contype = 'f'
)
SELECT relname FROM pg_class JOIN emptied USING (oid) ORDER BY relname
"""


def empty_database(_case: TransactionTestCase) -> None:
    """Delete every row that a test may have committed, of the apps that it knows; sequences go on."""
    there = connection.introspection.table_names()
    of_models = connection.introspection.django_table_names(include_views=False)
    labels = tuple(f"{one.label}_" for one in apps.get_app_configs())  # tables that triggers keep have no model
    tables = {name for name in there if name in of_models or name.startswith(labels)}
    with connection.cursor() as cursor:
        cursor.execute(_emptying(tuple(sorted(tables - set(_KEPT)))))


@cache
def _emptying(tables: tuple[str, ...]) -> str:
    with connection.cursor() as cursor:
        cursor.execute(_REFERRING, [list(tables)])
        found = [name for (name,) in cursor.fetchall() if name not in _KEPT]
    bloated = f"""
        FOR bloated IN SELECT oid::regclass FROM pg_class
            WHERE oid = ANY(ARRAY[{", ".join(f"'{name}'::regclass" for name in found)}]::oid[])
            AND pg_relation_size(oid) > {_BLOATED_BYTES}
        LOOP EXECUTE 'TRUNCATE ' || bloated || ' CASCADE'; END LOOP;
    """
    rows = " ".join(f'IF EXISTS (SELECT FROM "{name}") THEN DELETE FROM "{name}"; END IF;' for name in found)
    # as a replica runs neither triggers nor checks of references: everything that refers is emptied as well
    return f"""
        DO $$ DECLARE bloated regclass; BEGIN
            SET LOCAL session_replication_role = replica; {bloated} {rows}
        END $$
    """
