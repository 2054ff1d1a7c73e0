"""The emptying of the database between tests leaves what Django's own would leave."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import connection
from django.test import TransactionTestCase

from greenllm.models import User
from tests import factories as make
from tests.emptying import empty_database

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
_NOT_COMPARED = {"django_migrations", "labeling_changestamp", "labeling_sourcechange"}  # which note the emptying itself


def rows_of_tables() -> dict[str, int]:
    names = connection.introspection.table_names()
    with connection.cursor() as cursor:
        counts = {}
        for name in sorted(set(names) - _NOT_COMPARED):
            cursor.execute(f'SELECT count(*) FROM "{name}"')
            counts[name] = cursor.fetchone()[0]
        return counts


def fill() -> None:
    user = make.make_user()
    user.groups.add(Group.objects.create(name="some"))
    make.make_label(make.make_response(make.make_prompt(), make.make_deployment()))


def test_leaves_what_flush_leaves() -> None:
    empty_database(TransactionTestCase())  # flush leaves rows of tables that triggers keep, also of an earlier test
    fill()
    call_command("flush", verbosity=0, interactive=False)
    flushed = rows_of_tables()
    fill()
    assert rows_of_tables() != flushed
    empty_database(TransactionTestCase())
    assert rows_of_tables() == flushed
    assert not User.objects.exists()
    assert ContentType.objects.exists()
    assert Permission.objects.exists()


def test_is_followed_by_rows_of_the_same_kind() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('session_replication_role')")
        assert cursor.fetchone() == ("origin",)
    fill()
    assert User.objects.count() >= 1
