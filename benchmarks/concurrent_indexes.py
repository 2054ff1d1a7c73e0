"""Indexes that migrations build while others write."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState

_IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"


class BuildIndex(AddIndexConcurrently):
    """Build an index without a lock against writers, in a migration that is not atomic.

    What a migration that was cut short left behind is taken into account: an index that is whole stays, and one that
    Postgres marked invalid is built anew.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        name = schema_editor.quote_name(self.index.name)
        found = _is_valid(schema_editor, name)
        if found:
            return
        if found is False:
            schema_editor.execute(f"DROP INDEX CONCURRENTLY {name}")
        super().database_forwards(app_label, schema_editor, from_state, to_state)


def _is_valid(schema_editor: BaseDatabaseSchemaEditor, name: str) -> Any:
    """Return whether an index is whole; None where there is none."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_IS_VALID, [name])
        row = cursor.fetchone()
    return row and row[0]
