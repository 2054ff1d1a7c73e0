"""Check constraints that migrations add while others write."""

from collections.abc import Sequence

from django.contrib.postgres.operations import AddConstraintNotValid, NotInTransactionMixin
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState
from django.db.models import CheckConstraint, Q

_IS_THERE = "SELECT count(*) > 0 FROM pg_constraint WHERE conrelid = to_regclass(%s) AND conname = %s"


class AddCheck(NotInTransactionMixin, AddConstraintNotValid):
    """Add a check constraint and hold every row to it, in a migration that is not atomic.

    New rows are held to it from the first statement on, which reads none of the others; the second one reads them
    under a lock that lets others write. One that was cut short, or that a row has broken, is taken up again.
    """

    model_name: str
    constraint: CheckConstraint

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._ensure_not_in_transaction(schema_editor)
        table = to_state.apps.get_model(app_label, self.model_name)._meta.db_table
        if schema_editor.collect_sql or not _is_there(schema_editor, table, self.constraint.name):
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        quote = schema_editor.quote_name
        schema_editor.execute(f"ALTER TABLE {quote(table)} VALIDATE CONSTRAINT {quote(self.constraint.name)}")


def hold_to(model_name: str, field_name: str, values: Sequence[str], name: str) -> AddCheck:
    """Return what holds a column to some values, in a migration that is not atomic."""
    check = CheckConstraint(condition=Q((f"{field_name}__in", values)), name=name)
    return AddCheck(model_name=model_name, constraint=check)


def _is_there(schema_editor: BaseDatabaseSchemaEditor, table: str, name: str) -> bool:
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(_IS_THERE, [schema_editor.quote_name(table), name])
        return bool(cursor.fetchone()[0])
