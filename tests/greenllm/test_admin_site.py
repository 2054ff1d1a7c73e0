import pytest
from django.test import Client
from django.urls import reverse

from greenllm.models import User
from tests import factories as make

pytestmark = pytest.mark.django_db


@pytest.fixture
def admin() -> User:
    return make.make_user(is_staff=True, is_superuser=True)


@pytest.fixture
def browser(admin: User) -> Client:
    client = Client()
    client.force_login(admin)
    return client


@pytest.mark.parametrize("name", ["admin:index", "admin:greenllm_user_changelist", "admin:greenllm_user_add"])
def test_every_page_names_its_icon_so_that_no_browser_asks_for_one_that_is_not_there(
    browser: Client, name: str
) -> None:
    page = browser.get(reverse(name)).content.decode()
    assert 'rel="icon" href="/static/greenllm/icon' in page
    assert "| GreenLLM</title>" in page


def test_when_a_person_came_is_told_and_not_changed(browser: Client, admin: User) -> None:
    page = browser.get(reverse("admin:greenllm_user_change", args=[admin.pk])).content.decode()
    assert "Last login" in page
    assert 'name="last_login' not in page
    assert 'name="date_joined' not in page
