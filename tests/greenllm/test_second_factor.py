"""Signing in with a second factor, from outside."""

import re
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from django.core.management import CommandError, call_command
from django.test import Client
from playwright.sync_api import expect
from pytest_django.fixtures import Settings

from greenllm.account.inviting import password_path
from greenllm.account.second_factor import has_second_factor, sealed, unsealed
from greenllm.models import AdminAct, User
from greenllm.roles import Role, grant_role
from tests import factories as make
from tests.browsing import BROWSING, Site, check_schemes

SIGN_IN, FACTOR, ADD = "/account/sign-in/", "/account/second-factor/sign-in/", "/account/second-factor/add/"
CONFIRM, CODES = "/account/confirm/", "/account/second-factor/codes/"
PASSWORD = "a long password"


# each class says what it needs: those of the browser commit their rows
ROWS = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    person = make.make_user("ada", password=PASSWORD)
    grant_role(user=person, role=Role.ADMIN)
    return person


def code_of(secret: str, *, step: int = 1) -> str:
    """Return the code of the step before (0), of this one (1), or of the next one (2); all three are good."""
    return format_hotp_value(hotp_value(secret, list(yield_hotp_counters_from_time())[step]))


def set_up(client: Client) -> tuple[str, list[str]]:
    """Set a second factor up as a person does; return its key and the spare codes."""
    asked = client.get(ADD)
    assert urlsplit(asked["Location"]).path == CONFIRM
    confirmed = client.post(asked["Location"], {"password": PASSWORD})
    assert confirmed["Location"] == ADD
    page = client.get(ADD).content.decode()
    [secret] = re.findall(r'id="authenticator_secret" value="([A-Z2-7]+)"', page)
    done = client.post(ADD, {"code": code_of(secret)})
    assert done["Location"] == CODES, done.content.decode()
    return secret, re.findall(r"\b\d{8}\b", client.get(CODES).content.decode())


def signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def is_in(client: Client) -> bool:
    """Tell whether a client's session is one that pages know."""
    return client.get("/account/").status_code == 200


def half_way(person: User) -> Client:
    """Return a client that gave the right password alone."""
    client = Client()
    response = client.post(SIGN_IN, {"username": person.username, "password": PASSWORD, "next": "/federation/"})
    assert (response.status_code, response["Location"]) == (302, FACTOR)
    return client


@ROWS
class TestSigningIn:
    @pytest.mark.slow
    def test_takes_the_code_after_the_password(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        secret, _ = set_up(client)
        visitor = half_way(admin)
        assert not signed_in(visitor)
        assert visitor.get("/federation/").status_code == 302
        response = visitor.post(FACTOR, {"code": code_of(secret, step=2)})
        assert (response.status_code, response["Location"]) == (302, "/federation/")
        assert visitor.get("/federation/").status_code == 200
        assert visitor.session["_auth_user_backend"] == "greenllm.roles.RoleBackend"

    @pytest.mark.slow
    def test_takes_a_code_once(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        secret, _ = set_up(client)
        code = code_of(secret, step=2)
        assert half_way(admin).post(FACTOR, {"code": code}).status_code == 302
        again = half_way(admin)
        response = again.post(FACTOR, {"code": code[:3] + " " + code[3:]})
        assert response.status_code == 200
        assert "Incorrect code" in response.content.decode()
        assert not signed_in(again)

    @pytest.mark.slow
    def test_takes_a_spare_code_once(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        _, codes = set_up(client)
        assert len(codes) == 10
        assert half_way(admin).post(FACTOR, {"code": codes[0]})["Location"] == "/federation/"
        assert half_way(admin).post(FACTOR, {"code": codes[0]}).status_code == 200

    @pytest.mark.slow
    def test_rests_after_five_wrong_codes_also_for_a_right_one(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        secret, _ = set_up(client)
        for _ in range(5):
            half_way(admin).post(FACTOR, {"code": "000000"})
        late = half_way(admin)
        response = late.post(FACTOR, {"code": code_of(secret, step=2)})
        assert "Too many" in response.content.decode()
        assert not signed_in(late)

    def test_is_the_password_alone_without_one(self, client: Client, admin: User) -> None:
        response = client.post(SIGN_IN, {"username": admin.username, "password": PASSWORD})
        assert response["Location"] == "/"
        assert signed_in(client)

    @pytest.mark.slow
    def test_cannot_be_gone_round_by_a_link_that_sets_a_password(self, client: Client, admin: User) -> None:
        other = make.make_user("bob", password=PASSWORD)
        client.force_login(other)
        set_up(client)
        boss = Client()
        boss.force_login(admin)
        page = boss.post(f"/account/people/{other.pk}/link/").content.decode()
        [path] = re.findall(r"/account/set-password/\S+?/\S+?/", page)
        visitor = Client()
        form = visitor.get(path)["Location"]
        response = visitor.post(form, {"new_password1": "another long one", "new_password2": "another long one"})
        assert (response.status_code, response["Location"]) == (302, FACTOR)
        assert not signed_in(visitor)

    def test_leads_back_where_nobody_gave_a_password(self, client: Client) -> None:
        response = client.get(FACTOR, follow=True)
        assert response.request["PATH_INFO"] == SIGN_IN


@ROWS
class TestRequired:
    @pytest.fixture(autouse=True)
    def required(self, settings: Settings) -> None:
        settings.SECOND_FACTOR = "admins"

    @pytest.mark.parametrize("path", ["/", "/federation/", "/account/", "/account/people/", "/chat/", "/label/"])
    def test_leads_an_admin_without_one_to_where_it_is_set_up(self, client: Client, admin: User, path: str) -> None:
        client.force_login(admin)
        response = client.get(path)
        assert (response.status_code, response["Location"]) == (302, ADD)

    def test_changes_nothing_before(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        assert client.post("/account/keys/add/", {"name": "mine"})["Location"] == ADD
        assert not admin.api_keys.exists()
        part = client.get("/federation/health", headers={"HX-Request": "true"})
        assert (part.status_code, part["HX-Redirect"]) == (403, ADD)

    def test_goes_for_whoever_may_open_the_admin_site(self, client: Client) -> None:
        client.force_login(make.make_user(is_staff=True))
        assert client.get("/admin/")["Location"] == ADD

    @pytest.mark.slow
    def test_lets_an_admin_in_who_has_one(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        set_up(client)
        assert client.get("/account/people/").status_code == 200

    def test_goes_for_nobody_else(self, client: Client) -> None:
        person = make.make_user()
        grant_role(user=person, role=Role.ANNOTATOR)
        client.force_login(person)
        assert client.get("/account/").status_code == 200

    @pytest.mark.slow
    def test_keeps_it_with_admins(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        set_up(client)
        page = client.post("/account/second-factor/remove/")
        assert "Admins of this installation need a second factor" in page.content.decode()
        assert has_second_factor(admin)


@pytest.mark.slow
@ROWS
class TestTakingAway:
    def test_by_oneself(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        set_up(client)
        assert client.post("/account/second-factor/remove/").status_code == 302
        assert not Authenticator.objects.exists()

    def test_by_an_admin_is_told_among_the_acts(self, client: Client, admin: User) -> None:
        other = make.make_user("bob", password=PASSWORD)
        client.force_login(other)
        set_up(client)
        client.force_login(admin)
        assert "set up" in client.get(f"/account/people/{other.pk}/").content.decode()
        client.post(f"/account/people/{other.pk}/second-factor/")
        assert not has_second_factor(other)
        told = AdminAct.objects.filter(table="mfa_authenticator", kind="deleted", person=admin)
        assert {act.before["type"] for act in told} == {"totp", "recovery_codes"}

    def test_of_ones_own_takes_a_code(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        set_up(client)
        client.post(f"/account/people/{admin.pk}/second-factor/")
        assert has_second_factor(admin)

    def test_by_the_command(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        set_up(client)
        call_command("remove_second_factor", "ada")
        assert not has_second_factor(admin)
        with pytest.raises(CommandError, match="ada has no second factor"):
            call_command("remove_second_factor", "ada")
        with pytest.raises(CommandError, match="There is nobody by the name 'eve'"):
            call_command("remove_second_factor", "eve")


@ROWS
class TestOtherSessions:
    """What somebody holds who was signed in before: nothing, once the second factor or the password is another one."""

    @pytest.fixture
    def earlier(self, admin: User) -> Client:
        other = Client()
        other.force_login(admin)
        assert other.get("/account/").status_code == 200
        return other

    @pytest.fixture
    def client(self, admin: User) -> Client:
        client = Client()
        client.force_login(admin)
        return client

    @pytest.mark.slow
    def test_end_with_a_second_factor(self, client: Client, earlier: Client) -> None:
        set_up(client)
        assert not is_in(earlier)
        assert is_in(client)

    @pytest.mark.slow
    def test_end_where_it_is_taken_away_and_begin_anew_by_the_password(self, client: Client, admin: User) -> None:
        set_up(client)
        other = Client()
        other.force_login(User.objects.get(pk=admin.pk))
        assert is_in(other)
        client.post("/account/second-factor/remove/")
        assert not is_in(other)
        assert is_in(client)
        other.post(SIGN_IN, {"username": "ada", "password": PASSWORD})
        assert is_in(other)

    @pytest.mark.slow
    def test_end_where_somebody_else_takes_it_away(self, client: Client) -> None:
        set_up(client)
        call_command("remove_second_factor", "ada")
        assert not is_in(client)

    @pytest.mark.slow
    def test_end_where_the_admin_site_takes_it_away(self, client: Client, admin: User) -> None:
        set_up(client)
        owner = Client()
        owner.force_login(make.make_user("root", is_staff=True, is_superuser=True))
        [row] = Authenticator.objects.filter(user=admin, type="totp")
        owner.post(f"/admin/mfa/authenticator/{row.pk}/delete/", {"post": "yes"})
        assert not Authenticator.objects.filter(pk=row.pk).exists()
        assert not is_in(client)
        assert is_in(owner)

    @pytest.mark.slow
    def test_go_on_where_only_spare_codes_are_new(self, client: Client, admin: User) -> None:
        _, codes = set_up(client)
        other = Client()
        other.force_login(User.objects.get(pk=admin.pk))
        client.post("/account/second-factor/codes/new/")
        assert re.findall(r"\b\d{8}\b", client.get(CODES).content.decode()) != codes
        assert is_in(other)

    def test_end_with_another_password(self, client: Client, earlier: Client) -> None:
        new = "another long password"
        form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
        assert client.post("/account/password/", form).status_code == 302
        assert not is_in(earlier)
        assert is_in(client)

    def test_end_where_a_link_sets_it(self, client: Client, admin: User) -> None:
        owner = make.make_user("root", is_staff=True, is_superuser=True)
        visitor = Client()
        path = visitor.get(password_path(person=admin, by=owner))["Location"]
        new = "another long password"
        visitor.post(path, {"new_password1": new, "new_password2": new})
        assert not is_in(client)
        assert is_in(visitor)


@ROWS
class TestNext:
    """Where each step leads afterwards, of those that know a person by then: never to another origin."""

    EVIL = pytest.mark.parametrize("evil", ["https://evil.example/", "//evil.example/", r"/\evil.example/"])

    @pytest.mark.slow
    @EVIL
    def test_of_signing_in_stays_here(self, client: Client, admin: User, evil: str) -> None:
        signed = client.post(f"{SIGN_IN}?{urlencode({'next': evil})}", {"username": "ada", "password": PASSWORD})
        assert "evil" not in signed["Location"]
        secret, _ = set_up(client)
        visitor = Client()
        asked = visitor.post(SIGN_IN, {"username": "ada", "password": PASSWORD, "next": evil})
        assert asked["Location"] == FACTOR
        done = visitor.post(f"{FACTOR}?{urlencode({'next': evil})}", {"code": code_of(secret, step=2), "next": evil})
        assert done.status_code == 302
        assert "evil" not in done["Location"]
        assert signed_in(visitor)

    @pytest.mark.slow
    @EVIL
    def test_of_confirming_stays_here(self, client: Client, admin: User, evil: str) -> None:
        client.force_login(admin)
        by_password = client.post(f"{CONFIRM}?{urlencode({'next': evil})}", {"password": PASSWORD, "next": evil})
        assert by_password.status_code == 302
        assert "evil" not in by_password["Location"]
        page = client.get(ADD).content.decode()
        [secret] = re.findall(r'id="authenticator_secret" value="([A-Z2-7]+)"', page)
        client.post(ADD, {"code": code_of(secret)})
        by_code = client.post(
            f"/account/second-factor/confirm/?{urlencode({'next': evil})}",
            {"code": code_of(secret, step=2), "next": evil},
        )
        assert by_code.status_code == 302
        assert "evil" not in by_code["Location"]


@ROWS
class TestSecret:
    @pytest.mark.slow
    def test_is_stored_sealed(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        secret, codes = set_up(client)
        stored = str(list(Authenticator.objects.values_list("data", flat=True)))
        assert secret not in stored
        assert not [code for code in codes if code in stored]

    def test_outlives_a_change_of_the_key_by_its_fallback_alone(self, settings: Settings) -> None:
        kept = sealed("JBSWY3DPEHPK3PXP")
        former, settings.SECRET_KEY = settings.SECRET_KEY, "another key, as long as one may wish for"
        settings.SECRET_KEY_FALLBACKS = [former]
        assert unsealed(kept) == "JBSWY3DPEHPK3PXP"

    @pytest.mark.slow
    def test_of_another_key_says_what_to_do(self, client: Client, admin: User, settings: Settings) -> None:
        client.force_login(admin)
        secret, _ = set_up(client)
        settings.SECRET_KEY = "another key, as long as one may wish for"
        visitor = half_way(admin)
        page = visitor.post(FACTOR, {"code": code_of(secret)}).content.decode()
        assert "manage.py remove_second_factor" in page
        assert not signed_in(visitor)

    @pytest.mark.slow
    def test_is_read_by_apps_as_the_picture_says(self, client: Client, admin: User) -> None:
        client.force_login(admin)
        client.post(client.get(ADD)["Location"], {"password": PASSWORD})
        response = client.get(ADD)
        told = urlsplit(response.context["totp_url"])
        assert (told.scheme, told.netloc, told.path) == ("otpauth", "totp", "/ada")
        assert parse_qs(told.query)["issuer"] == ["GreenLLM"]
        assert 'src="data:image/svg+xml;base64,' in response.content.decode()


class TestInTheBrowser:
    pytestmark = BROWSING

    @pytest.mark.parametrize("width", ["phone", "wide"])
    def test_is_set_up_and_asked_for(self, site: Site, settings: Settings, width: str) -> None:
        settings.SECOND_FACTOR = "admins"
        admin = make.make_user("ada", password=PASSWORD)
        grant_role(user=admin, role=Role.ADMIN)
        page = site.open("/federation/", user=admin, width=width)
        expect(page.get_by_text("Admins of this installation need a second factor")).to_be_visible()
        check_schemes(page, f"confirm-{{}}-{width}")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Go on").click()
        check_schemes(page, f"second-factor-add-{{}}-{width}")
        secret = page.get_by_label("Key").input_value()
        page.get_by_label("Code").fill("000000")
        page.get_by_role("button", name="Set it up").click()
        expect(page.get_by_role("alert")).to_contain_text("Incorrect code")
        assert page.get_by_label("Key").input_value() == secret
        page.get_by_label("Code").fill(code_of(secret))
        page.get_by_role("button", name="Set it up").click()
        expect(page.get_by_role("heading", name="Spare codes")).to_be_visible()
        check_schemes(page, f"spare-codes-{{}}-{width}")
        page.goto("/account/second-factor/")
        check_schemes(page, f"second-factor-{{}}-{width}")
        guest = site.open(SIGN_IN, width=width)
        guest.get_by_label("Name").fill("ada")
        guest.get_by_label("Password").fill(PASSWORD)
        guest.get_by_role("button", name="Sign in").click()
        expect(guest.get_by_label("Code")).to_be_focused()
        check_schemes(guest, f"second-factor-sign-in-{{}}-{width}")
        guest.get_by_label("Code").fill(code_of(secret, step=2))
        guest.get_by_role("button", name="Sign in").click()
        expect(guest.get_by_role("link", name="ada")).to_be_visible()
