"""How the database of a test run is emptied between tests that commit: as Django's `flush` does, much faster.

`flush` truncates every table, which makes new files for it and each of its indexes, and then Django finds all content
types and permissions anew. Here rows are deleted where there may be any, and those two tables are kept.
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
# A table whose file has no byte never had a row. To ask Postgres for its size, or to delete from it, would have a
# connection that is just open read all that is known of the table, which takes longer than all else.
# As a replica runs neither triggers nor checks of references: everything that refers is emptied as well.
_EMPTYING = f"""
DO $$ DECLARE one record; BEGIN
    SET LOCAL session_replication_role = replica;
    FOR one IN
        SELECT relname, size FROM pg_class JOIN pg_database ON datname = current_database(),
        pg_stat_file(format('base/%%s/%%s', pg_database.oid, relfilenode))
        WHERE relname = ANY(%s) AND relnamespace = 'public'::regnamespace AND relkind = 'r' AND size > 0
    LOOP
        IF one.size > {_BLOATED_BYTES} THEN EXECUTE format('TRUNCATE %%I CASCADE', one.relname);
        ELSE EXECUTE format('DELETE FROM %%I', one.relname); END IF;
    END LOOP;
END $$
"""


def empty_database(_case: TransactionTestCase) -> None:
    """Delete every row that a test may have committed, of the apps that it knows; sequences go on."""
    there = connection.introspection.table_names()
    of_models = connection.introspection.django_table_names(include_views=False)
    labels = tuple(f"{one.label}_" for one in apps.get_app_configs())  # tables that triggers keep have no model
    tables = {name for name in there if name in of_models or name.startswith(labels)}
    found = _with_referring(tuple(sorted(tables - set(_KEPT))))
    with connection.cursor() as cursor:
        cursor.execute(_EMPTYING, [found])


@cache
def _with_referring(tables: tuple[str, ...]) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(_REFERRING, [list(tables)])
        return [name for (name,) in cursor.fetchall() if name not in _KEPT]
