"""The database knows the same values as the choices of fields that pages rely on."""

from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction
from django.db.migrations.state import ModelState, ProjectState
from django.db.models import BigIntegerField, CheckConstraint, Model, Q, TextField
from django.db.utils import NotSupportedError

from benchmarks.concurrent_checks import AddCheck
from labeling.models import Label
from tests import factories as make

RELIED_ON = {
    "benchmarks.deployment.state",
    "benchmarks.response.state",
    "benchmarks.study.kind",
    "benchmarks.study.state",
    "labeling.label.kind",
    "labeling.label.source",
    "labeling.label.verdict",
    "router.gatewayrequest.state",
    "router.routingdecision.reason",
}


def known_values() -> dict[str, tuple[type[Model], str, list[str]]]:
    """Return the model, field and values of each constraint that names values."""
    found = {}
    for model in apps.get_models():
        for one in model._meta.constraints:
            if isinstance(one, CheckConstraint) and one.name.endswith("_known"):
                ((lookup, values),) = one.condition.children  # type: ignore[misc]  # a Q of one lookup
                field = lookup.removesuffix("__in")
                found[f"{model._meta.label_lower}.{field}"] = (model, field, list(values))
    return found


class TestKnownValues:
    @pytest.mark.parametrize("name", known_values())
    def test_are_the_choices_of_the_field(self, name: str) -> None:
        model, field_name, values = known_values()[name]
        field: Any = model._meta.get_field(field_name)
        assert sorted(values) == sorted([*([""] if field.blank else []), *(value for value, _ in field.flatchoices)])

    def test_are_those_of_each_field_that_pages_rely_on(self) -> None:
        assert known_values().keys() >= RELIED_ON

    @pytest.mark.django_db
    def test_are_held_by_the_database(self) -> None:
        label = make.make_label(make.make_response(make.make_prompt(), make.make_deployment()))
        with pytest.raises(IntegrityError, match="label_verdict_known"), transaction.atomic():
            Label.objects.filter(pk=label.pk).update(verdict="lost")


@pytest.mark.django_db(transaction=True)
class TestAddCheck:
    @pytest.fixture(autouse=True)
    def table(self) -> Any:
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE benchmarks_checked (id bigint, name text)")
            yield
            cursor.execute("DROP TABLE benchmarks_checked")

    def add(self, *, atomic: bool = False) -> None:
        state = ProjectState()
        fields = [("id", BigIntegerField(primary_key=True)), ("name", TextField())]
        state.add_model(ModelState("benchmarks", "checked", fields, {"constraints": []}))
        operation = AddCheck("checked", CheckConstraint(condition=Q(name__in=["a", "b"]), name="checked_name_known"))
        after = state.clone()
        operation.state_forwards("benchmarks", after)
        with connection.schema_editor(atomic=atomic) as editor:
            operation.database_forwards("benchmarks", editor, state, after)

    def insert(self, name: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("INSERT INTO benchmarks_checked VALUES (1, %s)", [name])

    def is_validated(self) -> list[tuple[bool]]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT convalidated FROM pg_constraint WHERE conname = 'checked_name_known'")
            return list(cursor.fetchall())

    def test_holds_old_and_new_rows(self) -> None:
        self.insert("a")
        self.add()
        assert self.is_validated() == [(True,)]
        with pytest.raises(IntegrityError, match="checked_name_known"):
            self.insert("c")

    def test_goes_on_once_a_row_that_broke_it_is_corrected(self) -> None:
        self.insert("c")
        with pytest.raises(IntegrityError, match="violated by some row"):
            self.add()
        assert self.is_validated() == [(False,)]
        with connection.cursor() as cursor:
            cursor.execute("UPDATE benchmarks_checked SET name = 'b'")
        self.add()
        self.add()
        assert self.is_validated() == [(True,)]

    def test_needs_a_migration_that_is_not_atomic(self) -> None:
        with pytest.raises(NotSupportedError):
            self.add(atomic=True)
