import pytest
from django.contrib.auth.models import Permission
from django.test import RequestFactory
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from greenllm.roles import Role, grant_role
from router.api.doors import is_anonymous_allowed, judges_blind
from tests import factories as make


class TestAnonymousAccess:
    @pytest.mark.parametrize(
        ("setting", "address", "headers", "allowed"),
        [
            pytest.param("loopback", "127.0.0.1", {}, True, id="IPv4"),
            pytest.param("loopback", "::1", {}, True, id="IPv6"),
            pytest.param("loopback", "::ffff:127.0.0.1", {}, True, id="IPv4 in IPv6"),
            pytest.param("off", "127.0.0.1", {}, False, id="switched off"),
            pytest.param("loopback", "192.168.1.7", {}, False, id="another machine"),
            pytest.param("loopback", "127.0.0.10", {}, False, id="looks alike"),
            pytest.param("loopback", "", {}, False, id="unknown address"),
            pytest.param("loopback", "127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, False, id="X-Forwarded-For"),
            pytest.param("loopback", "127.0.0.1", {"X-Forwarded-For": ""}, False, id="empty X-Forwarded-For"),
            pytest.param("loopback", "127.0.0.1", {"Forwarded": "for=127.0.0.1"}, False, id="Forwarded"),
            pytest.param("loopback", "127.0.0.1", {"X-Real-IP": "127.0.0.1"}, False, id="X-Real-IP"),
        ],
    )
    def test_is_only_from_this_very_machine(
        self, settings: Settings, setting: str, address: str, headers: dict[str, str], allowed: bool
    ) -> None:
        settings.ANONYMOUS_ACCESS = setting
        request = RequestFactory().get("/", REMOTE_ADDR=address, headers=headers)
        assert is_anonymous_allowed(request) is allowed


@pytest.mark.django_db
class TestJudgingBlind:
    @pytest.mark.parametrize("role", [None, *Role])
    def test_is_by_the_permissions_that_a_role_gives(self, role: Role | None) -> None:
        person = make.make_user()
        if role is not None:
            grant_role(user=person, role=role)
        expected = person.has_perm("labeling.add_label") and not person.has_perm("benchmarks.view_study")
        assert judges_blind(person) is expected
        assert expected or role != Role.ANNOTATOR

    def test_is_by_a_permission_of_ones_own_and_not_of_a_superuser(self) -> None:
        person = make.make_user()
        person.user_permissions.add(Permission.objects.get(codename="add_label", content_type__app_label="labeling"))
        assert judges_blind(person)
        person.is_superuser = True
        assert not judges_blind(person)

    @pytest.mark.parametrize("role", [Role.RESEARCHER, Role.ADMIN])
    def test_is_one_query_for_whoever_may_see_results(
        self, role: Role, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        person = make.make_user()
        grant_role(user=person, role=role)
        with django_assert_num_queries(1):
            assert not judges_blind(person)
