import pytest
from django.test import Client

from greenllm.roles import CHANGE_PEOPLE, JUDGE_ANSWERS, RUN_STUDIES, VIEW_RESULTS, Role, grant_role
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page, scrolls_sideways


@pytest.mark.django_db
class TestRoles:
    @pytest.mark.parametrize(
        ("role", "may", "may_not"),
        [
            (Role.RESEARCHER, [VIEW_RESULTS, RUN_STUDIES], [JUDGE_ANSWERS, CHANGE_PEOPLE]),
            (Role.ANNOTATOR, [JUDGE_ANSWERS], [VIEW_RESULTS, RUN_STUDIES, CHANGE_PEOPLE]),
            (Role.ADMIN, [JUDGE_ANSWERS, VIEW_RESULTS, RUN_STUDIES, CHANGE_PEOPLE], []),
        ],
    )
    def test_give_their_permissions(self, role: Role, may: list[str], may_not: list[str]) -> None:
        user = make.make_user()
        grant_role(user=user, role=role)
        assert user.has_perms(may)
        assert not any(user.has_perm(permission) for permission in may_not)

    def test_give_nothing_to_somebody_switched_off(self) -> None:
        user = make.make_user(is_active=False)
        grant_role(user=user, role=Role.ADMIN)
        assert not user.has_perm(VIEW_RESULTS)


@pytest.mark.django_db
class TestNavigation:
    def test_offers_what_the_role_may_open(self, client: Client) -> None:
        user = make.make_user()
        grant_role(user=user, role=Role.ANNOTATOR)
        client.force_login(user)
        page = client.get("/", headers={"Accept": "text/html"}).content.decode()
        assert "Studies" not in page.split("</nav>")[0]


class TestHomeInTheBrowser:
    pytestmark = BROWSING

    def test_is_accessible_in_every_form(self, site: Site) -> None:
        user = make.make_user("a.very.long.name.of.a.person.at.an.institute")  # which fits no phone in a line
        grant_role(user=user, role=Role.RESEARCHER)
        check_page(site, "/", user=user)
        page = site.open("/account/", user=user, width="phone")
        assert not scrolls_sideways(page)
        header = page.locator("header.top")
        brand, person = header.locator(".brand").bounding_box(), header.locator(".who").bounding_box()
        assert brand is not None
        assert person is not None
        assert abs(brand["y"] - person["y"]) < brand["height"]  # beside each other
