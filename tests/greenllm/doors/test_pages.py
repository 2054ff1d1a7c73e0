"""Every page, file, fragment and form of the URL configuration, asked for from outside by everybody."""

from collections.abc import Iterator

import pytest
from django.urls import get_resolver
from pytest_django.fixtures import Settings

from greenllm import access
from greenllm.access import Visitor, door_of, rules_of
from tests.bench.routes import leaves
from tests.greenllm.doors.asking import (
    ELSEWHERE,
    METHODS,
    Caller,
    expected_of,
    missing_headers,
    outcome_of,
)
from tests.greenllm.doors.world import NOT_DJANGO, Address, World, all_roles_in_one, make_world

pytestmark = [pytest.mark.slow, pytest.mark.django_db]

# of these the installation has nothing to show: who is let in is told so, everybody else is refused before
NOTHING_THERE = {
    "routing:csv": "missing",
    "routing:json": "missing",
    **dict.fromkeys(("mfa_deactivate_totp", "mfa_download_recovery_codes", "mfa_view_recovery_codes"), "missing"),
    # nobody here has a password or a second factor to prove who they are: tests/greenllm/test_second_factor.py
    **dict.fromkeys(("account_reauthenticate", "mfa_reauthenticate"), "forbidden"),
}
WHOLE_PAGES = (
    "account:",
    "account_",
    "mfa_",
    "chat:",
    "dashboards:home",
    "admin-",
    "labeling:verdict-rule",
)  # no script asks for a part of them
EVIL = "https://evil.example/"


@pytest.fixture
def world() -> World:
    return make_world()


def pages_of(world: World) -> list[Address]:
    return [one for one in world.addresses if one.name.partition(":")[0] not in {"admin", *NOT_DJANGO}]


def admin_pages_of(world: World) -> list[Address]:
    return [one for one in world.addresses if one.name.startswith("admin:") and one.path != "/admin/login/"]


def faults_of(caller: Caller, visitor: Visitor, addresses: list[Address]) -> Iterator[str]:
    for address in addresses:
        for method in METHODS:
            response = caller.ask(method, address)
            found, expected = outcome_of(response), expected_of(address.name, method, visitor)
            if "in" in expected and address.name in NOTHING_THERE:
                expected = {NOTHING_THERE[address.name]}
            if found not in expected:
                yield f"{visitor}: {method} {address.path} ({address.name}): {found}, not {' or '.join(expected)}"
            for lacking in missing_headers(address, response):
                yield f"{visitor}: {method} {address.path} ({address.name}) comes without {lacking}"


class TestTable:
    def test_tells_of_every_route_and_of_none_that_is_not_there(self) -> None:
        names = {one.name for one in leaves(get_resolver(), (), ())}
        for name in names:
            rules_of(name)
        told = {name for rule in access.RULES for name in rule.names if "*" not in name}
        assert told <= names

    def test_refuses_a_route_that_it_does_not_tell_of(self) -> None:
        with pytest.raises(access.NoRule, match="news:page"):
            rules_of("news:page")


@pytest.mark.parametrize("visitor", list(Visitor), ids=lambda one: one.name.lower())
class TestPages:
    def test_open_to_whom_the_table_says(self, visitor: Visitor, world: World, settings: Settings) -> None:
        settings.ANONYMOUS_ACCESS = "loopback"  # lets nobody in who comes from elsewhere
        caller = Caller(world.people.get(visitor), address="127.0.0.1" if visitor is Visitor.LOCAL else ELSEWHERE)
        faults = list(faults_of(caller, visitor, pages_of(world)))
        assert not faults, "\n".join(faults)


class TestParts:
    def test_never_put_the_sign_in_page_where_a_part_belongs(self, world: World) -> None:
        caller = Caller()
        for address in pages_of(world):
            for method in ("GET", "POST"):
                door = door_of(address.name, method)
                if door is None or Visitor.UNNAMED in door.lets_in or address.name.startswith(WHOLE_PAGES):
                    continue
                response = caller.ask(method, address, **{"HX-Request": "true"})
                assert response.status_code == 403 or "HX-Redirect" in response.headers, address


class TestAdminSite:
    def test_is_shut_to_people_who_are_no_staff(self, world: World) -> None:
        for person, methods in ((None, ("GET", "POST")), (all_roles_in_one(), METHODS)):
            caller = Caller(person)
            for address in admin_pages_of(world):
                for method in methods:
                    found = outcome_of(caller.ask(method, address))
                    assert found in {"sign in", "forbidden", "missing", "no such method"}, (method, address, found)

    def test_shows_nothing_to_staff_without_permissions(self, world: World) -> None:
        caller = Caller(world.people[Visitor.STAFF])
        for address in admin_pages_of(world):
            door = door_of(address.name, "GET")
            for method in ("GET", "POST"):
                found = outcome_of(caller.ask(method, address))
                if door is access.STAFF:
                    assert found in {"in", "missing", "no such method"}, (method, address, found)
                else:
                    assert found in {"forbidden", "missing", "no such method"}, (method, address, found)

    @pytest.mark.filterwarnings("ignore::django.utils.deprecation.RemovedInDjango60Warning")  # of Django's own URLField
    def test_shows_every_page_to_a_superuser_with_all_headers(self, world: World) -> None:
        caller = Caller(world.people[Visitor.SUPERUSER])
        for address in admin_pages_of(world):
            response = caller.ask("GET", address)
            # RQ's own pages fail on workers and jobs that are not there
            assert response.status_code < 500 or address.name.startswith("admin:django_rq_"), address
            assert missing_headers(address, response) == [], address

    def test_leads_to_the_page_where_everybody_signs_in(self) -> None:
        [address] = [one for one in make_world().addresses if one.name == "admin-sign-in"]
        response = Caller().ask("GET", address, query="next=/admin/auth/group/")
        assert response.headers["Location"] == "/account/sign-in/?next=/admin/auth/group/"


class TestForms:
    @pytest.mark.parametrize("visitor", [Visitor.UNNAMED, Visitor.OWNER, Visitor.SUPERUSER])
    def test_are_refused_without_their_token(self, visitor: Visitor, world: World) -> None:
        caller = Caller(world.people.get(visitor), strict=True)
        for address in [*pages_of(world), *admin_pages_of(world)]:
            if door_of(address.name, "POST") is not None:
                response = caller.ask("POST", address)
                assert response.status_code == 403, address
                assert b"CSRF" in response.content, address


class TestRedirects:
    def test_lead_nowhere_else(self, world: World) -> None:
        for person in (world.people[Visitor.SUPERUSER], world.people[Visitor.OWNER], None):
            caller = Caller(person)
            for address in pages_of(world):
                for method in ("GET", "POST"):
                    response = caller.ask(method, address, query=f"next={EVIL}&to={EVIL}", Referer=EVIL)
                    place = response.headers.get("Location") or response.headers.get("HX-Redirect") or "/"
                    assert place.startswith("/"), (address, place)
                    assert not place.startswith(("//", "/\\")), (address, place)
