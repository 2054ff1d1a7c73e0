from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from playwright.sync_api import expect

from greenllm.account.inviting import NotYours, invite_person, link_tokens, password_path, set_roles, switch_person
from greenllm.models import User
from greenllm.roles import Role, grant_role
from router.keys import create_key, find_key
from router.models import ApiKey
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page

pytestmark = pytest.mark.slow

PAGE = "/account/"
PEOPLE = "/account/people/"
PASSWORD = "a long password"
NEW = "correct horse battery"


def person(*roles: Role, **facts: Any) -> User:
    user = make.make_user(**facts)
    for role in roles:
        grant_role(user=user, role=role)
    return user


def client_of(user: User, *, strict: bool = False) -> Client:
    client = Client(enforce_csrf_checks=strict)
    client.force_login(user)
    return client


def page_of(response: Any) -> str:  # Django's test client has a type of its own for every kind of answer
    return str(response.content.decode())


@pytest.mark.django_db
class TestOwnPage:
    def test_wants_somebody_signed_in(self) -> None:
        for path in (PAGE, "/account/password/"):
            assert Client().get(path)["Location"] == f"/account/sign-in/?next={path}"
        assert Client().post("/account/keys/add/", {"name": "x"}).status_code == 302
        assert not ApiKey.objects.exists()

    def test_tells_the_roles_in_words(self) -> None:
        page = page_of(client_of(person(Role.ANNOTATOR)).get(PAGE))
        assert "Annotator: judges answers" in page
        assert 'href="/account/people/"' not in page
        assert "You have no role yet" in page_of(client_of(person()).get(PAGE))

    def test_is_reached_by_ones_name_on_every_page(self) -> None:
        page = page_of(client_of(person(username="ada")).get("/", headers={"Accept": "text/html"}))
        assert '<a class="who" href="/account/">ada' in page

    def test_is_never_kept_by_a_browser(self) -> None:
        assert "no-store" in client_of(person()).get(PAGE)["Cache-Control"]


@pytest.mark.django_db
class TestKeys:
    def test_are_shown_once(self) -> None:
        client = client_of(person())
        page = page_of(client.post("/account/keys/add/", {"name": "notebook"}))
        secret = page.split('aria-label="The new key">')[1].split("<")[0]
        found = find_key(secret=secret)
        assert found is not None
        assert (found.name, page.count(secret)) == ("notebook", 2)
        assert secret not in page_of(client.get(PAGE))
        assert f"{secret[:12]}…" in page_of(client.get(PAGE))

    @pytest.mark.parametrize(
        ("name", "said"),
        [("", "Say what the key is for"), (" ", "Say what the key is for"), ("x" * 101, "most 100")],
    )
    def test_want_a_name(self, name: str, said: str) -> None:
        response = client_of(person()).post("/account/keys/add/", {"name": name})
        assert response.status_code == 400
        assert said in page_of(response)
        assert not ApiKey.objects.exists()

    def test_are_revoked_once_that_is_confirmed(self) -> None:
        owner = person()
        made = create_key(owner_id=owner.pk, name="old")
        client, path = client_of(owner), f"/account/keys/{made.key.pk}/revoke/"
        assert "cannot be undone" in page_of(client.get(path))
        assert find_key(secret=made.secret) is not None
        assert "is revoked." in page_of(client.post(path, follow=True))
        assert find_key(secret=made.secret) is None
        assert client.get(path).status_code == 404

    def test_of_others_are_not_there(self) -> None:
        made = create_key(owner_id=person().pk, name="theirs")
        client = client_of(person(Role.RESEARCHER))
        assert "theirs" not in page_of(client.get(PAGE))
        assert client.post(f"/account/keys/{made.key.pk}/revoke/").status_code == 404
        assert find_key(secret=made.secret) is not None

    def test_want_the_token_of_the_form(self) -> None:
        owner = person()
        made = create_key(owner_id=owner.pk, name="mine")
        client = client_of(owner, strict=True)
        assert client.post("/account/keys/add/", {"name": "x"}).status_code == 403
        assert client.post(f"/account/keys/{made.key.pk}/revoke/").status_code == 403
        assert client.get("/account/keys/add/").status_code == 405


@pytest.mark.django_db
class TestPassword:
    def change(self, client: Client, old: str, new: str) -> str:
        body = {"old_password": old, "new_password1": new, "new_password2": new}
        return page_of(client.post("/account/password/", body, follow=True))

    def test_is_changed_and_ends_the_other_sessions(self) -> None:
        user = person(password=PASSWORD)
        here, elsewhere = client_of(user), client_of(user)
        assert "Your password is changed" in self.change(here, PASSWORD, NEW)
        user.refresh_from_db()
        assert user.check_password(NEW)
        assert here.get(PAGE).status_code == 200
        assert elsewhere.get(PAGE).status_code == 302

    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            pytest.param("wrong", NEW, "old password was entered incorrectly", id="wrong old one"),
            pytest.param(PASSWORD, "short", "too short", id="too short"),
            pytest.param(PASSWORD, "password123456", "too common", id="too common"),
        ],
    )
    def test_is_refused_with_the_reason(self, old: str, new: str, said: str) -> None:
        user = person(password=PASSWORD)
        assert said in self.change(client_of(user), old, new)
        user.refresh_from_db()
        assert user.check_password(PASSWORD)


@pytest.mark.django_db
class TestPeopleDoors:
    @pytest.mark.parametrize("role", [None, Role.RESEARCHER, Role.ANNOTATOR, Role.ADJUDICATOR])
    def test_are_closed_to_all_but_admins(self, role: Role | None) -> None:
        target = person(Role.ANNOTATOR)
        client = client_of(person(*([role] if role else [])))
        for path in ("", "add/", f"{target.pk}/"):
            assert Client().get(PEOPLE + path)["Location"].startswith("/account/sign-in/")
            assert client.get(PEOPLE + path).status_code == 403
        for path in ("add/", f"{target.pk}/roles/", f"{target.pk}/switch/", f"{target.pk}/link/"):
            assert client.post(PEOPLE + path, {"username": "eve", "roles": ["admin"]}).status_code == 403
        target.refresh_from_db()
        assert target.is_active
        assert not User.objects.filter(username="eve").exists()

    def test_want_the_token_of_the_form_and_a_post(self) -> None:
        target, admin = person(), person(Role.ADMIN)
        for path in (f"{target.pk}/roles/", f"{target.pk}/switch/", f"{target.pk}/link/"):
            assert client_of(admin, strict=True).post(PEOPLE + path).status_code == 403
            assert client_of(admin).get(PEOPLE + path).status_code == 405


@pytest.mark.django_db
class TestPeople:
    def test_are_listed_with_roles_and_state(self) -> None:
        person(Role.ANNOTATOR, username="ann", password=PASSWORD)
        person(username="off", is_active=False)
        page = page_of(client_of(person(Role.ADMIN, username="boss")).get(PEOPLE))
        assert '<span class="badge">annotator</span>' in page
        assert "switched off" in page
        assert "invited" in page

    def test_are_found_by_a_part_of_the_name(self) -> None:
        client = client_of(person(Role.ADMIN, username="boss"))
        person(username="ann")
        assert ">ann</a>" in page_of(client.get(f"{PEOPLE}?name=AN"))
        assert "<table" not in page_of(client.get(f"{PEOPLE}?name=zzz"))

    @pytest.mark.parametrize("count", [1, 120])
    def test_come_in_pages_with_the_same_queries(self, count: int, django_assert_num_queries: Any) -> None:
        client = client_of(person(Role.ADMIN))
        User.objects.bulk_create(User(username=f"u{number:03}") for number in range(count))
        with django_assert_num_queries(8):  # session, person, permissions (2); count, people, roles; notices
            page = page_of(client.get(PEOPLE))
        assert ("Page 1 of 3" in page) is (count == 120)

    def test_get_their_roles_changed(self) -> None:
        target = person(Role.ANNOTATOR)
        client = client_of(person(Role.ADMIN))
        client.post(f"{PEOPLE}{target.pk}/roles/", {"roles": ["researcher", "adjudicator"]})
        assert set(target.groups.values_list("name", flat=True)) == {"researcher", "adjudicator"}
        page = page_of(client.post(f"{PEOPLE}{target.pk}/roles/", {"roles": ["king"]}, follow=True))
        assert "king is not one of the available choices" in page
        assert target.groups.count() == 2

    def test_switched_off_are_signed_out_at_once_and_their_keys_refused(self) -> None:
        target = person(Role.RESEARCHER)
        secret = create_key(owner_id=target.pk, name="theirs").secret
        theirs, admin = client_of(target), client_of(person(Role.ADMIN))
        assert theirs.get(PAGE).status_code == 200
        assert "is switched off" in page_of(admin.post(f"{PEOPLE}{target.pk}/switch/", {"to": "off"}, follow=True))
        assert theirs.get(PAGE).status_code == 302
        assert theirs.get("/dashboards/").status_code == 302
        assert find_key(secret=secret) is None
        assert "may sign in again" in page_of(admin.post(f"{PEOPLE}{target.pk}/switch/", {"to": "on"}, follow=True))
        assert find_key(secret=secret) is not None

    def test_cannot_switch_themselves_off_nor_drop_their_own_admin_role(self) -> None:
        boss = person(Role.ADMIN)
        client = client_of(boss)
        said = page_of(client.post(f"{PEOPLE}{boss.pk}/switch/", {"to": "off"}, follow=True))
        assert "You cannot switch yourself off" in said
        said = page_of(client.post(f"{PEOPLE}{boss.pk}/roles/", {"roles": ["researcher"]}, follow=True))
        assert "You cannot take the admin role from yourself" in said
        boss.refresh_from_db()
        assert boss.is_active
        assert [group.name for group in boss.groups.all()] == ["admin"]

    @pytest.mark.parametrize("facts", [{"is_superuser": True}, {"is_staff": True}], ids=["superuser", "staff"])
    def test_of_the_admin_site_are_for_superusers_alone(self, facts: dict[str, bool]) -> None:
        target = person(**facts)
        client = client_of(person(Role.ADMIN))
        for path, body in (("switch/", {"to": "off"}), ("roles/", {"roles": ["admin"]}), ("link/", {})):
            page = page_of(client.post(f"{PEOPLE}{target.pk}/{path}", body, follow=True))
            assert "only a superuser may change such a person" in page
            assert "set-password" not in page
        target.refresh_from_db()
        assert target.is_active
        assert not target.groups.exists()
        root = client_of(person(is_superuser=True))
        assert "set-password" in page_of(root.post(f"{PEOPLE}{target.pk}/link/"))


@pytest.mark.django_db
class TestInvitation:
    def test_makes_a_person_who_sets_a_password_by_a_link_that_works_once(self) -> None:
        admin = client_of(person(Role.ADMIN))
        page = page_of(admin.post(f"{PEOPLE}add/", {"username": "ann", "roles": ["annotator"]}))
        link = page.split('aria-label="The link">http://testserver')[1].split("<")[0]
        ann = User.objects.get(username="ann")
        assert not ann.has_usable_password()
        assert [group.name for group in ann.groups.all()] == ["annotator"]

        guest = Client()
        shown = guest.get(link)
        assert shown.status_code == 302
        assert link.rstrip("/").split("/")[-1] not in shown["Location"]
        assert shown["Referrer-Policy"] == "same-origin"
        said = guest.post(shown["Location"], {"new_password1": NEW, "new_password2": NEW}, follow=True)
        assert "Your password is set." in page_of(said)
        ann.refresh_from_db()
        assert ann.check_password(NEW)
        assert "no longer good" in page_of(Client().get(link, follow=True))

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            pytest.param({"username": ""}, "This field is required", id="no name"),
            pytest.param({"username": "BOB"}, "There is a person named BOB already", id="known but for its case"),
            pytest.param({"username": "a b"}, "Enter a valid username", id="a space"),
            pytest.param({"username": "ann", "roles": ["king"]}, "king is not one of", id="unknown role"),
        ],
    )
    def test_says_what_is_wrong_and_keeps_what_was_typed(self, body: dict[str, Any], said: str) -> None:
        make.make_user("bob")
        response = client_of(person(Role.ADMIN)).post(f"{PEOPLE}add/", {"roles": ["annotator"], **body})
        page = page_of(response)
        assert response.status_code == 400
        assert said in page
        assert f'value="{body["username"]}"' in page or not body["username"]
        assert not User.objects.filter(username__in=["ann", "BOB", "a b"]).exists()


@pytest.mark.django_db
class TestLink:
    def link(self, target: User) -> str:
        return password_path(person=target, by=person(Role.ADMIN))

    def is_good(self, link: str) -> bool:
        return "Set it and sign in" in page_of(Client().get(link, follow=True))

    def test_is_good_for_three_days(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert django_settings.PASSWORD_RESET_TIMEOUT == 259_200
        link = self.link(person())
        now = timezone.now().replace(tzinfo=None)
        for days, is_good in ((2.9, True), (3.1, False)):
            monkeypatch.setattr(link_tokens, "_now", lambda days=days: now + timedelta(days=days))
            assert self.is_good(link) is is_good

    def test_is_void_after_the_next_sign_in(self) -> None:
        target = person()
        link = self.link(target)
        assert self.is_good(link)
        client_of(target)
        assert not self.is_good(link)

    @pytest.mark.parametrize("field", ["is_staff", "is_superuser"])
    def test_is_void_once_the_person_has_a_higher_rank(self, field: str) -> None:
        target = person()
        link = self.link(target)
        User.objects.filter(pk=target.pk).update(**{field: True})
        assert not self.is_good(link)

    def test_is_void_for_somebody_switched_off_and_not_made_for_them(self) -> None:
        target = person()
        link = self.link(target)
        switch_person(person=target, is_active=False, by=person(Role.ADMIN))
        assert not self.is_good(link)
        with pytest.raises(NotYours, match="switched off"):
            self.link(target)

    @pytest.mark.parametrize("wrong", ["set-password", "abc-def", "cx1-%00"])
    def test_with_a_wrong_token_is_void(self, wrong: str) -> None:
        uid = self.link(person()).split("/")[3]
        assert not self.is_good(f"/account/set-password/{uid}/{wrong}/")
        assert not self.is_good(f"/account/set-password/OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5/{wrong}/")

    def test_leaves_the_old_password_good_until_it_is_used(self) -> None:
        target = person(password=PASSWORD)
        client_of(person(Role.ADMIN)).post(f"{PEOPLE}{target.pk}/link/")
        target.refresh_from_db()
        assert target.check_password(PASSWORD)


@pytest.mark.django_db
class TestServices:
    def test_keep_groups_that_are_no_roles(self) -> None:
        from django.contrib.auth.models import Group

        target = invite_person(username="ann", roles=[Role.ANNOTATOR])
        target.groups.add(Group.objects.create(name="choir"))
        set_roles(person=target, roles=[Role.RESEARCHER], by=person(Role.ADMIN))
        assert set(target.groups.values_list("name", flat=True)) == {"choir", "researcher"}


class TestInTheBrowser:
    pytestmark = BROWSING

    def test_a_key_made_here_works_at_the_endpoint(self, site: Site) -> None:
        page = site.open(PAGE, user=person(Role.RESEARCHER))
        page.get_by_label("What the key is for").fill("notebook")
        page.get_by_role("button", name="Make a key").click()
        secret = page.get_by_label("The new key").inner_text()
        models = page.request.get("/v1/models", headers={"Authorization": f"Bearer {secret}"})
        assert (models.status, models.json()["object"]) == (200, "list")
        page.get_by_role("link", name="Revoke… notebook").click()
        page.get_by_role("button", name="Revoke it").click()
        expect(page.locator("#messages")).to_contain_text("is revoked")
        assert page.request.get("/v1/models", headers={"Authorization": f"Bearer {secret}"}).status == 401

    def test_an_invitation_sets_a_password_and_signs_in(self, site: Site) -> None:
        page = site.open(PEOPLE, user=person(Role.ADMIN))
        page.get_by_role("link", name="Invite somebody").click()
        page.get_by_label("Name to sign in with").fill("ann")
        page.get_by_label("Annotator").check()
        page.get_by_role("button", name="Make the invitation").click()
        link = page.get_by_label("The link").inner_text()
        guest = site.open(link)
        assert link.rstrip("/").split("/")[-1] not in guest.url
        guest.get_by_label("New password", exact=False).first.fill(NEW)
        guest.get_by_label("New password confirmation").fill(NEW)
        guest.get_by_role("button", name="Set it and sign in").click()
        expect(guest.get_by_role("status")).to_contain_text("Your password is set")
        expect(guest.get_by_role("heading", name="ann")).to_be_visible()

    def test_is_accessible(self, site: Site) -> None:
        boss = person(Role.ADMIN, username="boss")
        check_page(site, PAGE, user=boss)
        check_page(site, f"{PEOPLE}?name=zzz", user=boss)
        create_key(owner_id=boss.pk, name="notebook of the lab")
        ann = person(Role.ANNOTATOR, username="ann")
        for path in (PAGE, "/account/password/", PEOPLE, f"{PEOPLE}add/", f"{PEOPLE}{ann.pk}/"):
            check_page(site, path, user=boss)
        check_page(site, password_path(person=ann, by=boss))
