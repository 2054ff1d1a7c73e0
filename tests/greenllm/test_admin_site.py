import pytest
from django.contrib.admin import ModelAdmin, site
from django.contrib.admin.widgets import FilteredSelectMultiple
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.test.html import parse_html
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from greenllm.admin import LongSelect
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


def test_a_long_choice_is_the_field_that_django_writes(admin: User) -> None:
    named = Permission.objects.select_related("content_type").order_by("pk")
    choices = [("", "<none> & 'all'"), *((one.pk, str(one)) for one in named[:5])]
    own, djangos = (
        of(verbose_name="permissions", is_stacked=False, choices=choices) for of in (LongSelect, FilteredSelectMultiple)
    )
    attrs = {"id": "id_permissions", "aria-describedby": "id_permissions_helptext", "required": True}
    for value in ([], None, [choices[2][0], str(choices[4][0])]):
        assert parse_html(own.render("permissions", value, attrs)) == parse_html(
            djangos.render("permissions", value, attrs)
        )


def test_permissions_that_are_chosen_are_kept(browser: Client) -> None:
    role = Group.objects.create(name="readers")
    role.permissions.add(Permission.objects.get(codename="view_study"))
    address = reverse("admin:auth_group_change", args=[role.pk])
    assert browser.get(address).content.decode().count(" selected>") == 1
    chosen = list(Permission.objects.filter(codename__in=["view_study", "view_prompt"]).values_list("pk", flat=True))
    assert browser.post(address, {"name": "readers", "permissions": chosen}).status_code == 302
    assert set(role.permissions.values_list("pk", flat=True)) == set(chosen)
    assert browser.get(address).content.decode().count(" selected>") == 2


def test_the_box_of_a_row_is_the_one_that_django_writes(admin: User) -> None:
    admin.username = "<ada> & 'co'"
    people = site.get_model_admin(User)
    assert people.action_checkbox(admin) == ModelAdmin.action_checkbox(people, admin)


def test_a_list_or_a_choice_of_many_takes_few_queries(
    browser: Client, admin: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(30):
        make.make_user(username=f"listed-{number}")
    browser.get(reverse("admin:greenllm_user_changelist"))
    with django_assert_num_queries(6):
        browser.get(reverse("admin:greenllm_user_changelist"))
    with django_assert_num_queries(7):
        browser.get(reverse("admin:greenllm_user_change", args=[admin.pk]))
