import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from tests import factories as make

pytestmark = pytest.mark.django_db

PAGE = "/account/sign-in/"
PASSWORD = "a long password"


@pytest.fixture
def person(settings: Settings) -> str:
    """Someone with a password, hashed quickly."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    make.make_user("ada", password=PASSWORD)
    return "ada"


class TestSignIn:
    def test_leads_to_the_front_page(self, client: Client, person: str) -> None:
        response = client.post(PAGE, {"username": person, "password": PASSWORD})
        assert (response.status_code, response["Location"]) == (302, "/")
        assert b"Sign out" in client.get("/", headers={"Accept": "text/html"}).content

    def test_leads_back_to_where_one_came_from(self, client: Client, person: str) -> None:
        page = client.get(f"{PAGE}?next=/admin/").content.decode()
        assert '<input type="hidden" name="next" value="/admin/">' in page
        response = client.post(PAGE, {"username": person, "password": PASSWORD, "next": "/admin/"})
        assert response["Location"] == "/admin/"

    @pytest.mark.parametrize(
        "target",
        [
            "https://evil.example/",
            "//evil.example/",
            "/\\evil.example",
            "http:///evil.example",
            "javascript:alert(1)",
            "\thttps://evil.example",
        ],
    )
    def test_leads_nowhere_else(self, client: Client, person: str, target: str) -> None:
        response = client.post(PAGE, {"username": person, "password": PASSWORD, "next": target})
        assert (response.status_code, response["Location"]) == (302, "/")

    @pytest.mark.parametrize(
        ("username", "password"),
        [
            pytest.param("ada", "wrong", id="wrong password"),
            pytest.param("nobody", PASSWORD, id="unknown name"),
            pytest.param("ada", "", id="no password"),
            pytest.param("ADA", PASSWORD, id="another case"),
        ],
    )
    def test_tells_that_something_is_wrong_but_not_what(
        self, client: Client, person: str, username: str, password: str
    ) -> None:
        response = client.post(PAGE, {"username": username, "password": password})
        page = response.content.decode()
        assert response.status_code == 200
        assert 'role="alert">The name or the password is wrong.' in page
        assert f'value="{username}"' in page
        assert "_auth_user_id" not in client.session

    def test_is_refused_to_someone_switched_off(self, client: Client, person: str) -> None:
        make.make_user("bob", password=PASSWORD, is_active=False)
        response = client.post(PAGE, {"username": "bob", "password": PASSWORD})
        assert b"The name or the password is wrong." in response.content

    def test_wants_the_token_of_the_form(self, person: str) -> None:
        response = Client(enforce_csrf_checks=True).post(PAGE, {"username": person, "password": PASSWORD})
        assert response.status_code == 403


class TestSignOut:
    def test_ends_the_session_by_a_post_alone(self, client: Client) -> None:
        client.force_login(make.make_user())
        assert client.get("/account/sign-out/").status_code == 405
        assert client.post("/account/sign-out/").status_code == 302
        assert "_auth_user_id" not in client.session
