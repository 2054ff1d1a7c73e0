import pytest
from django.contrib.auth.models import Group

from greenllm.roles import Role, grant_role
from tests import factories as make

pytestmark = pytest.mark.django_db


class TestRoles:
    def test_stand_in_the_database_from_the_first_migration(self) -> None:
        assert set(Role.values) <= set(Group.objects.values_list("name", flat=True))

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
