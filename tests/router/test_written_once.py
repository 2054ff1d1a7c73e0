"""A federation whose rows are put there as they were written once is the one that the makers make."""

from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Model

from tests.router import standins
from tests.router.standins import Federation, make_federation
from tests.router.written_once import MODELS

pytestmark = pytest.mark.django_db

# where triggers note each change, of which the makers make more
_NOT_COMPARED = {"labeling_changestamp", "labeling_sourcechange", "django_migrations"}


def facts_of(row: Model) -> dict[str, Any]:
    """Return what a row says but for what each row has of its own."""
    told = {}
    for field in row._meta.concrete_fields:
        is_own = field.primary_key or field.name in ("uuid", "position") or getattr(field, "auto_now_add", False)
        value = getattr(row, field.attname)
        if field.name in ("name", "external_id") and isinstance(value, str):
            value = value.rsplit("-", 1)[0] if value[-1:].isdigit() else value
        if field.is_relation and value is not None:
            value = facts_of(getattr(row, field.name))
        if not is_own:
            told[field.attname] = value
    return told


def everything() -> dict[str, Any]:
    """Return what every row of `MODELS` says, and how many rows there are in each table."""
    said: dict[str, Any] = {
        model.__name__: [facts_of(row) for row in model._default_manager.order_by("pk")] for model in MODELS
    }
    with connection.cursor() as cursor:
        for name in sorted(set(connection.introspection.table_names()) - _NOT_COMPARED):
            cursor.execute(f'SELECT count(*) FROM "{name}"')
            said[name] = cursor.fetchone()[0]
    return said


def told(made: Federation) -> list[Any]:
    named = [made.server, made.small, made.large, made.embedder.language_model, made.math, made.code, made.index]
    [(ids, matrix)] = made.store.collections.values()
    assert ids.tolist() == [made.math.pk, made.code.pk]
    return [*map(facts_of, named), matrix.tolist(), made.embedder.client.texts]  # type: ignore[attr-defined]


@pytest.mark.parametrize("policy", ["nearest", None])
def test_is_what_the_makers_make(policy: str | None) -> None:
    sid = transaction.savepoint()
    by_makers = standins._make_federation("http://127.0.0.1:7", policy)
    expected = everything(), told(by_makers)
    transaction.savepoint_rollback(sid)
    if policy not in standins._written:
        sid = transaction.savepoint()
        make_federation(policy=policy)
        transaction.savepoint_rollback(sid)
    made = make_federation("http://127.0.0.1:7", policy=policy)
    assert (everything(), told(made)) == expected
    assert not {made.math.pk, made.code.pk} & {by_makers.math.pk, by_makers.code.pk}
    assert made.small.server.pk == made.server.pk
    for one in (made.server, made.small, made.math, made.index):
        found = type(one)._default_manager.get(pk=one.pk)
        assert {f.attname: getattr(found, f.attname) for f in found._meta.concrete_fields} == {
            f.attname: getattr(one, f.attname) for f in one._meta.concrete_fields
        }
