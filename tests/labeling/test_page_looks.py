"""How the labeling page looks in each category, before and after the vote, and the pages beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from benchmarks.models import Category
from greenllm.models import User
from greenllm.roles import Role, grant_role
from labeling.guiding import ensure_guidelines
from labeling.models import Flag, Guideline, JudgementRule
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page, check_schemes
from tests.labeling.queues import make_annotator, make_answers
from tests.labeling.showcase import ITEMS, make_showcase

pytestmark = BROWSING

READY = "article[data-ready]"


@pytest.fixture
def ada(site: Site) -> User:
    return make_annotator("ada")


def wait_ready(page: Page) -> None:
    page.wait_for_selector(READY)


def open_latest(page: Page) -> None:
    page.wait_for_selector(READY)
    page.locator(".latest-details > summary").click()
    expect(page.locator(".latest-body")).to_be_visible()


class TestCategory:
    @pytest.mark.parametrize("category", ITEMS)
    def test_is_accessible_before_and_after_the_vote(
        self, site: Site, ada: User, tmp_path: Path, category: str
    ) -> None:
        answer = make_showcase(tmp_path, category)[category]
        ensure_guidelines()
        path = f"/label/?category={category}"
        check_page(site, path, user=ada, wait_for=wait_ready, picture=f"label-{category}-before")
        make.make_label(answer, "correct", labeler=ada, active_seconds=8.5)
        make_answers(3, category=category)

        def look_and_open_latest(page: Page) -> None:
            wait_ready(page)
            assert page.viewport_size is not None
            check_schemes(page, f"label-{category}-after-{{}}-{page.viewport_size['width']}")
            open_latest(page)

        check_page(site, path, user=ada, wait_for=look_and_open_latest, picture=f"label-{category}-evidence")


class TestHead:
    def test_of_an_admin_hides_no_button_on_a_phone(self, site: Site) -> None:
        admin = make.make_user("root")
        grant_role(user=admin, role=Role.ADMIN)
        make_answers(1)
        page = site.open("/label/", user=admin, width="phone")
        wait_ready(page)
        actions = page.locator(".desk-top .head .actions")
        assert actions.locator("a").count() >= 7
        assert actions.evaluate("one => one.scrollWidth <= one.clientWidth")


class TestPanels:
    @pytest.mark.parametrize(("key", "field"), [("c", "#comment"), ("f", "#reason")])
    def test_are_accessible(self, site: Site, ada: User, tmp_path: Path, key: str, field: str) -> None:
        make_showcase(tmp_path, "math")

        def open_panel(page: Page) -> None:
            page.wait_for_selector(READY)
            page.keyboard.press(key)
            expect(page.locator(field)).to_be_focused()

        check_page(site, "/label/", user=ada, wait_for=open_panel, picture=f"label-panel-{key}")

    def test_of_evidence_on_demand_are_accessible(self, site: Site, ada: User, tmp_path: Path) -> None:
        make_showcase(tmp_path, "sql")
        JudgementRule.objects.create(evidence=JudgementRule.Evidence.ON_DEMAND)
        check_page(site, "/label/", user=ada, wait_for=wait_ready, picture="label-on-demand-before")

        def ask(page: Page) -> None:
            page.wait_for_selector(READY)
            if page.locator(".evidence").count() == 0:
                page.keyboard.press("e")
            expect(page.locator("article .evidence")).to_be_visible()

        check_page(site, "/label/", user=ada, wait_for=ask, picture="label-on-demand-asked")


def in_force_and_before(category: Category) -> None:
    for version, text in enumerate(
        ["An answer is correct if its number is right.", "An answer is correct if its last number is right."], start=1
    ):
        Guideline.objects.create(category=category, version=version, text=text)


class TestPagesBeside:
    def test_keys_are_accessible_with_problems_too(self, site: Site, ada: User) -> None:
        check_page(site, "/label/keys/", user=ada)

        def collide(page: Page) -> None:
            page.get_by_label("Incorrect").fill("a")
            page.get_by_role("button", name="Save").click()
            expect(page.get_by_role("alert")).to_be_visible()
            site.complaints[:] = [line for line in site.complaints if "422" not in line]  # the console tells of it

        check_page(site, "/label/keys/", user=ada, wait_for=collide, picture="label-keys-problem")

    @pytest.mark.parametrize("arrange", [lambda category: None, in_force_and_before], ids=["none", "two"])
    def test_guidelines_are_accessible(self, site: Site, ada: User, arrange: Callable[[Category], None]) -> None:
        category = make.make_prompt(category="math").category
        arrange(category)
        picture = f"label-guidelines-{Guideline.objects.count()}"
        check_page(site, "/label/guidelines/?category=math", user=ada, picture=picture)

    def test_flags_are_accessible(self, site: Site) -> None:
        admin = make.make_user("root")
        grant_role(user=admin, role=Role.ADMIN)
        check_page(site, "/label/flags/", user=admin, picture="label-flags-none")
        for answer in make_answers(2):
            Flag.objects.create(
                response=answer, person=admin, reason="The reference is wrong.", created_at=timezone.now()
            )
        check_page(site, "/label/flags/", user=admin)
