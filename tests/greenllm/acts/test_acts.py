"""What admins do is written down with the act itself, and stays."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, connection, transaction
from django.test import Client

from benchmarks.models import Deployment, InferenceServer
from greenllm.acts import views
from greenllm.acts.watched import WATCHED
from greenllm.models import AdminAct, User
from greenllm.roles import Role, grant_role
from router.keys import create_key
from router.models import ApiKey
from tests import factories as make

pytestmark = pytest.mark.django_db
FROM = "203.0.113.7"


@pytest.fixture
def admin() -> User:
    for role in Role:  # a test that ran before may have emptied the table of groups
        Group.objects.get_or_create(name=role.value)
    person = make.make_user("ada")
    grant_role(user=person, role=Role.ADMIN)
    return person


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client(REMOTE_ADDR=FROM)
    client.force_login(admin)
    return client


def told() -> list[tuple[Any, ...]]:
    return list(AdminAct.objects.order_by("pk").values_list("kind", "table", "object_id", "before", "after"))


class TestActs:
    def test_tell_who_did_what_from_where(self, browser: Client, admin: User) -> None:
        key = create_key(owner_id=make.make_user().pk, name="theirs").key
        browser.post(f"/account/keys/{key.pk}/revoke/")
        act = AdminAct.objects.get()
        assert (act.person, act.address, act.kind) == (admin, FROM, "changed")
        assert (act.table, act.object_id) == ("router_apikey", str(key.pk))
        assert act.before == {"revoked_at": None}
        assert act.after["revoked_at"]

    def test_tell_of_a_new_key_and_of_nothing_that_opens_anything(self, browser: Client) -> None:
        owner = make.make_user("owner")
        page = browser.post("/account/keys/give/", {"username": "owner", "name": "ci", "requests_per_minute": "5"})
        assert page.status_code == 200
        [(kind, table, _, before, after)] = told()
        assert (kind, table, before) == ("added", "router_apikey", {})
        assert (after["owner_id"], after["requests_per_minute"]) == (owner.pk, 5)
        assert not set(after) & {"digest", "prefix"}
        assert ApiKey.objects.get().digest not in str(told())

    def test_tell_of_people_roles_and_links(self, browser: Client) -> None:
        browser.post("/account/people/add/", {"username": "new", "roles": ["annotator"]})
        person = User.objects.get(username="new")
        browser.post(f"/account/people/{person.pk}/switch/", {"to": "off"})
        kinds = [(kind, table) for kind, table, *_ in told()]
        assert kinds == [
            ("added", "greenllm_user"),
            ("added", "greenllm_user_groups"),
            ("link_made", "greenllm_user"),
            ("changed", "greenllm_user"),
        ]
        assert told()[-1][3:] == ({"is_active": True}, {"is_active": False})

    def test_tell_of_the_federation(self, browser: Client) -> None:
        make.make_deployment("kept")
        deployment = make.make_deployment("gone")
        browser.post(f"/federation/models/{deployment.pk}/retire/")
        assert Deployment.objects.get(pk=deployment.pk).state == "retired"
        assert (
            "changed",
            "benchmarks_deployment",
            str(deployment.pk),
            {"state": "active"},
            {"state": "retired"},
        ) in told()

    def test_tell_of_the_admin_site(self) -> None:
        client = Client(REMOTE_ADDR=FROM)
        client.force_login(make.make_user(is_staff=True, is_superuser=True))
        machine = make.make_machine("old")
        client.post(f"/admin/benchmarks/machine/{machine.pk}/delete/", {"post": "yes"})
        [(kind, table, object_id, before, after)] = told()
        assert (kind, table, object_id, after) == ("deleted", "benchmarks_machine", str(machine.pk), {})
        assert before["name"] == "old"

    def test_tell_no_password_in_an_address(self, admin: User) -> None:
        actor = f'{{"person": {admin.pk}, "address": "{FROM}"}}'
        machine = make.make_machine()
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('greenllm.actor', %s, true)", [actor])
        InferenceServer.objects.create(name="s", base_url="https://me:word@host.example/v1", machine=machine)
        assert told()[-1][4]["base_url"] == "https://host.example/v1"

    def test_go_with_the_act_where_it_is_taken_back(self, browser: Client) -> None:
        key = create_key(owner_id=make.make_user().pk, name="theirs").key
        with transaction.atomic():
            browser.post(f"/account/keys/{key.pk}/revoke/")
            transaction.set_rollback(True)
        assert ApiKey.objects.get().revoked_at is None
        assert told() == []

    def test_are_not_those_of_other_people_nor_of_a_later_request(self, browser: Client) -> None:
        own = make.make_user()
        client = Client()
        client.force_login(own)
        browser.post("/account/people/add/", {"username": "new"})
        count = AdminAct.objects.count()
        client.post("/account/keys/add/", {"name": "mine"})
        make.make_machine("made by nobody")
        assert ApiKey.objects.count() == 1
        assert AdminAct.objects.count() == count


class TestKeeping:
    @pytest.fixture
    def act(self, browser: Client) -> AdminAct:
        browser.post("/account/people/add/", {"username": "new"})
        return AdminAct.objects.order_by("pk")[0]

    def test_refuses_to_change_or_delete_an_act(self, act: AdminAct) -> None:
        acts = AdminAct.objects.filter(pk=act.pk)
        for attempt in (
            acts.delete,
            lambda: acts.update(object_id="7"),
            lambda: acts.update(person=None, kind="changed"),
        ):
            with pytest.raises(IntegrityError, match="neither changed nor deleted"), transaction.atomic():
                attempt()
        act.refresh_from_db()
        assert (act.kind, act.address) == ("added", FROM)

    def test_erases_who_and_where_with_the_person(self, act: AdminAct, admin: User) -> None:
        admin.delete()
        act.refresh_from_db()
        assert (act.person, act.address, act.kind) == (None, None, "added")


class TestWatching:
    def test_names_tables_and_columns_that_are_there_and_nothing_that_is_secret(self) -> None:
        for table, (_, columns) in WATCHED.items():
            with connection.cursor() as cursor:
                there = {one.name for one in connection.introspection.get_table_description(cursor, table)}
            assert set(columns.split()) <= there, table
            assert not set(columns.split()) & {"digest", "prefix", "password", "text", "reason", "username"} or (
                table == "benchmarks_languagemodel"  # whose digest is that of its weights
            )


class TestPage:
    @pytest.mark.slow
    def test_lists_narrows_and_goes_out_as_csv(self, browser: Client, admin: User) -> None:
        browser.post("/account/people/add/", {"username": "new", "roles": ["annotator"]})
        page = browser.get("/account/acts/").content.decode()
        assert "Added person" in page
        assert FROM in page
        narrowed = browser.get("/account/acts/?table=greenllm_user_groups&name=ad&since=2026-01-01").content.decode()
        assert "Added role of a person" in narrowed
        assert "Added person" not in narrowed
        assert "Nothing was found" in browser.get("/account/acts/?name=nobody").content.decode()
        lines = browser.get("/account/acts.csv?table=greenllm_user_groups").content.decode().splitlines()
        assert lines[0].startswith("when (UTC),who,person")
        assert len(lines) == 2
        assert browser.get("/account/acts/?since=yesterday").status_code == 400

    def test_writes_moments_in_the_form_of_all_dates(self, browser: Client) -> None:
        moment, odd = "2026-01-02T03:04:05.678901+00:00", "2026-01-02T03:04:05 or so"
        AdminAct.objects.create(
            kind="changed", table="labeling_correction", object_id="1", happened_at=make.NOW,
            before={"undone_at": None, "read_at": odd}, after={"undone_at": moment},
        )  # fmt: skip
        page = browser.get("/account/acts/").content.decode()
        assert "2026-01-02 03:04:05\u00a0UTC" in page
        assert moment not in page.replace("&#x2B;", "+")
        assert odd in page
        assert moment in browser.get("/account/acts.csv").content.decode()

    @pytest.mark.slow
    def test_is_sorted_by_its_heads_over_all_pages_and_in_its_file(
        self, browser: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(views, "_ON_A_PAGE", 2)
        people = [make.make_user(name) for name in ("cy", "bea", "bea-2")]
        for number, person in enumerate([*people, None, *people]):
            AdminAct.objects.create(
                happened_at=make.NOW + timedelta(seconds=number % 4), person=person, kind="added",
                table="router_apikey", object_id=str(number), address=f"10.0.0.{20 - number}" if number else None,
            )  # fmt: skip

        def pages(query: str) -> list[str]:
            found: list[str] = []
            url: str | None = f"/account/acts/?{query}"
            while url:
                answer = browser.get(url)
                found += [act.object_id for act, _, _ in answer.context["rows"]]
                following = re.search(r'href="(\?[^"]+)" rel="next"', answer.content.decode())
                url = f"/account/acts/{unescape(following[1])}" if following else None
            return found

        for query, wanted in (
            ("", "3625140"), ("sort=when", "0415263"), ("sort=who", "1526043"), ("sort=-who", "4062513"),
            ("sort=from", "6543210"), ("sort=-from", "1234560"), ("sort=id", "3625140"),
        ):  # fmt: skip
            assert "".join(pages(query)) == wanted, query
            lines = browser.get(f"/account/acts.csv?{query}").content.decode().splitlines()
            assert "".join(line.split(",")[6] for line in lines[1:]) == wanted, query
        page = browser.get("/account/acts/?name=be&sort=who").content.decode()
        assert (
            '<th scope="col" aria-sort="ascending"><a class="sort" href="?name=be&amp;sort=-who">Who</a></th>' in page
        )
        assert 'href="/account/acts.csv?name=be&amp;sort=who&amp;"' in page
        assert '<input type="hidden" name="sort" value="who">' in page
