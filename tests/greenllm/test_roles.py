from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group

from greenllm.roles import Role, grant_role
from tests import factories as make

pytestmark = pytest.mark.django_db


class TestRoles:
    def test_are_made_and_removed_by_their_migration(self) -> None:
        migration = import_module("greenllm.migrations.0002_roles")
        migration.remove_roles(apps, None)
        assert not Group.objects.filter(name__in=Role.values).exists()
        migration.make_roles(apps, None)
        migration.make_roles(apps, None)
        assert set(Group.objects.values_list("name", flat=True)) == set(Role.values)

    @pytest.mark.parametrize("role", list(Role))
    def test_are_given_once_however_often(self, role: Role) -> None:
        person = make.make_user()
        grant_role(user=person, role=role)
        grant_role(user=person, role=role)
        assert list(person.groups.values_list("name", flat=True)) == [role.value]

    def test_may_be_several(self) -> None:
        person = make.make_user()
        grant_role(user=person, role=Role.ANNOTATOR)
        grant_role(user=person, role=Role.RESEARCHER)
        assert set(person.groups.values_list("name", flat=True)) == {"annotator", "researcher"}
