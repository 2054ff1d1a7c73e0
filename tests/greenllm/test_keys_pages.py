"""The pages of API keys: who opens which, what they set and what they show."""

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from benchmarks.models import Deployment
from greenllm.models import User
from greenllm.roles import Role
from router.keys import create_key, find_key
from router.models import ApiKey, GatewayRequest, KeyDay, KeyDenial, RoutingDecision, UpstreamAttempt
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.greenllm.test_own_account import client_of, page_of, person

pytestmark = pytest.mark.slow

OWN = "/account/keys/add/"
ALL, GIVE = "/account/keys/", "/account/keys/give/"


def key_of(owner: User, name: str = "notebook", **terms: Any) -> ApiKey:
    return create_key(owner_id=owner.pk, name=name, **terms).key


def use(key: ApiKey, *, gco2e: float | None, state: str = "answered", **fields: Any) -> None:
    now = timezone.now()
    count = GatewayRequest.objects.count()
    request = GatewayRequest.objects.create(
        public_id=f"req_{count}", surface="openai", api_key=key, requested_model="auto", started_at=now, state=state,
        **fields,
    )  # fmt: skip
    if gco2e is None:
        return
    deployment = Deployment.objects.first() or make.make_deployment()
    RoutingDecision.objects.create(
        request=request, chosen=deployment, decided_at=now, predicted_sci_gco2e=gco2e, policy="nearest", reason="pinned"
    )
    UpstreamAttempt.objects.create(
        request=request, deployment=deployment, started_at=now, prompt_token_count=30, output_token_count=12
    )


@pytest.mark.django_db
class TestDoors:
    def test_of_everybodys_keys_open_to_admins_alone(self) -> None:
        key = key_of(person(username="owner"))
        for path in (ALL, GIVE, f"{ALL}{key.pk}/change/"):
            assert Client().get(path)["Location"] == f"/account/sign-in/?next={path}"
            assert client_of(person(Role.RESEARCHER, username=f"r{path}")).get(path).status_code == 403
            assert client_of(person(Role.ADMIN, username=f"a{path}")).get(path).status_code == 200

    def test_of_a_key_open_to_its_owner_and_to_admins(self) -> None:
        owner = person(username="owner")
        for path in ("", "revoke/"):
            page = f"{ALL}{key_of(owner).pk}/{path}"
            assert Client().get(page).status_code == 302
            assert client_of(person(Role.RESEARCHER, username=f"r{path}")).get(page).status_code == 404
            assert client_of(owner).get(page).status_code == 200
            assert client_of(person(Role.ADMIN, username=f"a{path}")).get(page).status_code == 200

    def test_let_an_owner_change_nothing_afterwards(self) -> None:
        owner = person()
        key = key_of(owner, requests_per_minute=1)
        assert client_of(owner).post(f"{ALL}{key.pk}/change/", {"requests_per_minute": 99}).status_code == 403
        key.refresh_from_db()
        assert key.requests_per_minute == 1

    def test_want_a_token_against_forgery(self) -> None:
        admin = person(Role.ADMIN)
        client = client_of(admin, strict=True)
        for path in (GIVE, OWN, f"{ALL}{key_of(admin).pk}/change/", f"{ALL}{key_of(admin).pk}/revoke/"):
            assert client.post(path, {"name": "x", "username": admin.username}).status_code == 403
        assert ApiKey.objects.filter(revoked_at=None).count() == 2


@pytest.mark.django_db
class TestKeeping:
    def test_is_agreed_and_withdrawn_by_the_owner(self) -> None:
        owner = person()
        key, client = key_of(owner), client_of(owner)
        page = f"{ALL}{key.pk}/"
        assert "Nothing that is sent with this key is kept" in page_of(client.get(page))
        for answer, is_agreed, said in (("yes", True, "may be kept from now on"), ("no", False, "are not kept")):
            assert said in page_of(client.post(f"{page}keeping/", {"agree": answer}, follow=True))
            key.refresh_from_db()
            assert key.is_keeping_agreed is is_agreed

    def test_is_nobody_elses_to_agree(self) -> None:
        key = key_of(person(username="owner"))
        path = f"{ALL}{key.pk}/keeping/"
        assert Client().post(path, {"agree": "yes"})["Location"].startswith("/account/sign-in/")
        for role in (Role.RESEARCHER, Role.ADMIN):
            assert client_of(person(role, username=role.value)).post(path, {"agree": "yes"}).status_code == 404
        assert client_of(key.owner).get(path).status_code == 405
        assert client_of(key.owner, strict=True).post(path, {"agree": "yes"}).status_code == 403
        key.refresh_from_db()
        assert not key.is_keeping_agreed
        assert "Agree to keeping" not in page_of(client_of(person(Role.ADMIN, username="a")).get(f"{ALL}{key.pk}/"))

    def test_of_a_revoked_key_is_over(self) -> None:
        owner = person()
        key = key_of(owner, revoked_at=timezone.now())
        assert client_of(owner).post(f"{ALL}{key.pk}/keeping/", {"agree": "yes"}).status_code == 404
        assert "Agree to keeping" not in page_of(client_of(owner).get(f"{ALL}{key.pk}/"))


@pytest.mark.django_db
class TestOwnKey:
    def test_may_be_narrowed_by_whoever_makes_it(self) -> None:
        make.make_deployment("small")
        fields = {
            "name": "narrow", "scopes": ["generate"], "allowed_models": "small", "requests_per_minute": "5",
            "soft_gco2e_per_day": "0.5", "hard_gco2e_per_day": "1.5",
        }  # fmt: skip
        assert client_of(person()).post(OWN, fields).status_code == 200
        key = ApiKey.objects.get()
        assert (key.scopes, key.allowed_models, key.requests_per_minute) == (["generate"], ["small"], 5)
        assert (key.soft_gco2e_per_day, key.hard_gco2e_per_day, key.hard_gco2e_per_month) == (0.5, 1.5, None)

    @pytest.mark.parametrize(
        ("field", "value", "said"),
        [
            ("allowed_models", "smal", "No model here is called smal"),
            ("requests_per_minute", "0", "greater than or equal to 1"),
            ("tokens_per_minute", "many", "Enter a whole number"),
            ("soft_gco2e_per_day", "3", "must not be above the hard one"),
            ("hard_gco2e_per_month", "-1", "above 0"),
            ("scopes", "everything", "not one of the available choices"),
        ],
    )
    def test_tells_what_is_wrong_and_loses_nothing(self, field: str, value: str, said: str) -> None:
        typed = {"name": "kept name", "hard_gco2e_per_day": "2", field: value}
        response = client_of(person()).post(OWN, typed)
        page = page_of(response)
        assert (response.status_code, said in page) == (400, True)
        assert 'value="kept name"' in page
        assert not ApiKey.objects.exists()

    def test_is_for_admins_to_make_where_the_setting_says_so(self, settings: Settings) -> None:
        settings.OWN_KEYS = False
        client = client_of(person(username="somebody"))
        assert "Only admins make keys here" in page_of(client.get("/account/"))
        assert client.post(OWN, {"name": "x"}).status_code == 403
        assert client_of(person(Role.ADMIN, username="boss")).post(OWN, {"name": "x"}).status_code == 200


@pytest.mark.django_db
class TestGivenKey:
    def test_belongs_to_the_person_and_is_shown_once(self) -> None:
        owner, client = person(username="ada"), client_of(person(Role.ADMIN, username="boss"))
        page = page_of(client.post(GIVE, {"username": "ada", "name": "lab", "tokens_per_minute": "100"}))
        found = find_key(secret=page.split('aria-label="The new key">')[1].split("<")[0])
        assert found is not None
        assert (found.owner_id, found.tokens_per_minute) == (owner.pk, 100)

    @pytest.mark.parametrize("name", ["nobody", "gone", ""])
    def test_needs_somebody_who_may_sign_in(self, name: str) -> None:
        person(username="gone", is_active=False)
        response = client_of(person(Role.ADMIN)).post(GIVE, {"username": name, "name": "lab"})
        assert response.status_code == 400
        assert not ApiKey.objects.exists()


@pytest.mark.django_db
class TestKeyPage:
    def test_shows_limits_and_use(self) -> None:
        owner = person()
        key = key_of(
            owner, scopes=["embed"], allowed_models=["small"], requests_per_minute=7, soft_gco2e_per_day=0.001,
            hard_gco2e_per_month=0.02,
        )  # fmt: skip
        use(key, gco2e=0.003)
        KeyDay.objects.create(api_key=key, day=timezone.now().date(), spent_gco2e=0.003, request_count=1)
        page = page_of(client_of(owner).get(f"{ALL}{key.pk}/"))
        assert "embed texts" in page
        assert "7 left now" in page
        assert "soft limit of the day is passed" in page
        assert "hard limit 20.0" in page
        assert '<td class="number">42</td><td class="number">3.00</td><td class="number">1</td>' in page

    def test_splits_what_people_asked_from_the_rest(self) -> None:
        owner, now = person(), timezone.now()
        key = key_of(owner)
        use(key, gco2e=0.003)
        use(key, gco2e=0.001, background_task="title")
        use(key, gco2e=None, cache_hit="exact", cache_saved_gco2e=0.002, cache_saved_quality="estimated")
        use(key, gco2e=None, state="failed", error_code="BudgetClosed")
        hour = now.replace(minute=0, second=0, microsecond=0)
        KeyDenial.objects.create(api_key=key, began_at=hour, reason="rate", count=5)
        page = page_of(client_of(owner).get(f"{ALL}{key.pk}/"))
        assert "<small>Asked</small><b>2</b><small>3.00 mgCO₂e predicted (n = 1)" in page
        assert "on their own</small><b>1</b><small>1.00 mgCO₂e predicted (n = 1)" in page
        assert "cache</small><b>1</b><small>2.00 mgCO₂e not spent again (estimated, n = 1)" in page
        assert "Not let in</small><b>6</b><small>1 by budget, 5 by rate" in page
        counts = ["3", "1", "1", "0", "6"]  # requests, of them background, of them cache, failed, not let in
        assert "".join(f'<td class="number">{count}</td>' for count in counts) in page

    def test_shows_a_day_on_which_all_were_refused(self) -> None:
        owner = person()
        key = key_of(owner)
        KeyDenial.objects.create(api_key=key, began_at=timezone.now(), reason="scope", count=3)
        page = page_of(client_of(owner).get(f"{ALL}{key.pk}/"))
        assert "Not let in</small><b>3</b><small>3 by scope" in page
        assert "Nothing was asked" not in page

    def test_costs_a_fixed_number_of_queries(self, django_assert_num_queries: Any) -> None:
        owner = person()
        key = key_of(owner, requests_per_minute=7, hard_gco2e_per_month=20, budget_gco2e_per_hour=1)
        client = client_of(owner)
        with django_assert_num_queries(11):
            client.get(f"{ALL}{key.pk}/")

    def test_of_a_revoked_key_offers_nothing_to_do(self) -> None:
        owner = person(Role.ADMIN)
        key = key_of(owner, revoked_at=timezone.now())
        page = page_of(client_of(owner).get(f"{ALL}{key.pk}/"))
        assert "Change what it may" not in page
        for path in ("change/", "revoke/"):
            assert client_of(owner).get(f"{ALL}{key.pk}/{path}").status_code == 404

    def test_of_somebody_else_can_be_revoked_by_an_admin(self) -> None:
        key = key_of(person(username="ada"))
        response = client_of(person(Role.ADMIN, username="boss")).post(f"{ALL}{key.pk}/revoke/")
        assert response["Location"] == ALL
        key.refresh_from_db()
        assert key.revoked_at is not None


@pytest.mark.django_db
class TestChange:
    def test_keeps_what_was_typed_and_sets_what_is_right(self) -> None:
        make.make_deployment("small")
        key = key_of(person(username="ada"), allowed_models=["retired"])
        use(key, gco2e=0.25)
        client, path = client_of(person(Role.ADMIN, username="boss")), f"{ALL}{key.pk}/change/"
        wrong = client.post(path, {"allowed_models": "retired\nunheard", "hard_gco2e_per_day": "1"})
        assert (wrong.status_code, "unheard" in page_of(wrong)) == (400, True)
        client.post(path, {"allowed_models": "retired\nsmall", "hard_gco2e_per_day": "1"})
        key.refresh_from_db()
        assert (key.allowed_models, key.hard_gco2e_per_day) == (["retired", "small"], 1.0)
        assert KeyDay.objects.get().spent_gco2e == 0.25  # what was spent before counts


@pytest.mark.django_db
class TestAllKeys:
    def test_are_found_by_a_part_of_the_owners_name(self) -> None:
        key_of(person(username="ada"), name="of ada")
        key_of(person(username="bob"), name="of bob")
        client = client_of(person(Role.ADMIN, username="boss"))
        assert "of bob" in page_of(client.get(ALL))
        found = page_of(client.get(ALL, {"owner": "AD"}))
        assert ("of ada" in found, "of bob" in found) == (True, False)
        assert "Show all of them" in page_of(client.get(ALL, {"owner": "nobody"}))

    def test_cost_as_many_queries_for_many_as_for_one(self, django_assert_num_queries: Any) -> None:
        owner, client = person(username="ada"), client_of(person(Role.ADMIN, username="boss"))
        for number in range(4):
            key_of(owner, name=f"key {number}")
        with django_assert_num_queries(8):
            client.get(ALL)


class TestInABrowser:
    pytestmark = BROWSING

    def test_pages_are_good_in_every_look(self, site: Site) -> None:
        admin = person(Role.ADMIN, username="boss")
        key = key_of(
            admin, scopes=["generate"], allowed_models=["small", "large"], requests_per_minute=60,
            tokens_per_minute=20_000, budget_gco2e_per_hour=0.5, soft_gco2e_per_day=0.002, hard_gco2e_per_day=1,
            hard_gco2e_per_month=20,
        )  # fmt: skip
        key_of(person(username="ada"), name="a key with a rather long name for the nightly evaluation")
        use(key, gco2e=0.003)
        use(key, gco2e=None, cache_hit="exact", cache_saved_gco2e=0.002, cache_saved_quality="estimated")
        KeyDay.objects.create(api_key=key, day=timezone.now().date(), spent_gco2e=0.003, request_count=1)
        KeyDenial.objects.create(api_key=key, began_at=timezone.now(), reason="rate", count=1200)
        for path in ("/account/", ALL, GIVE, f"{ALL}{key.pk}/", f"{ALL}{key.pk}/change/"):
            check_page(site, path, user=admin)
