"""Regenerating an answer and changing an own prompt in a browser, with a scripted server behind the gateway."""

import itertools
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer
from greenllm.models import User
from router.models import Conversation, Message
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.router.endpoint import LIKE_MATH, OpenEndpoint
from tests.router.test_chat_page import ask

pytestmark = BROWSING


@pytest.fixture
def person() -> User:
    return make.make_user("ada")


def counting() -> Callable[[str, str], ScriptedAnswer]:
    numbers = itertools.count(1)
    return lambda _model, _prompt: ScriptedAnswer(f"It is **{next(numbers)}**.")


def answered(page: Page, word: str) -> None:
    expect(page.get_by_role("article", name="Answer", exact=True).locator("strong").last).to_have_text(word)
    expect(page.get_by_role("button", name="Send")).to_be_visible()


class TestRegenerate:
    def test_makes_a_version_to_switch_to_by_keyboard(
        self, site: Site, open_endpoint: OpenEndpoint, person: User
    ) -> None:
        open_endpoint(answers=counting())
        page = site.open("/chat/", user=person)
        ask(page)
        answered(page, "1")
        page.get_by_label("Your prompt").fill("half a thought")
        page.get_by_role("button", name="Regenerate").press("Enter")
        answered(page, "2")
        versions = page.get_by_role("group", name="Versions of this answer")
        expect(versions).to_contain_text("2 of 2")
        expect(page.get_by_role("article", name="Answer", exact=True)).to_have_count(1)
        versions.get_by_role("button", name="Earlier version").press("Enter")
        answered(page, "1")
        expect(versions).to_contain_text("1 of 2")
        expect(versions.get_by_role("button", name="Later version")).to_be_focused()
        page.keyboard.press("Enter")
        answered(page, "2")
        expect(page.get_by_label("Your prompt")).to_have_value("half a thought")
        page.reload()
        answered(page, "2")
        path = f"/chat/{Conversation.objects.get().public_id}/"
        check_page(site, path, user=person, picture="chat-versions")

    def test_that_is_stopped_is_kept_as_a_version(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(Fault(FaultKind.STALL, model="large", times=1), answers=counting())
        page = site.open("/chat/", user=person)
        ask(page)
        answered(page, "1")
        page.get_by_label("Model").select_option("large")
        page.get_by_role("button", name="Regenerate").click()
        expect(page.locator("[data-text]")).to_have_text("It")
        page.keyboard.press("Escape")
        expect(page.get_by_role("article", name="Answer", exact=True)).to_contain_text("stopped")
        expect(page.get_by_role("group", name="Versions of this answer")).to_contain_text("2 of 2")

    def test_that_fails_shows_the_answer_of_before(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(Fault(FaultKind.STATUS, model="large"), answers=counting())
        page = site.open("/chat/", user=person)
        ask(page)
        answered(page, "1")
        page.get_by_label("Model").select_option("large")
        page.get_by_role("button", name="Regenerate").click()
        expect(page.get_by_role("alert")).to_be_visible()
        answered(page, "1")
        site.complaints[:] = [one for one in site.complaints if "status of" not in one]  # the browser's own note


class TestEdit:
    def test_begins_a_branch_and_keeps_the_other(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(answers=counting())
        page = site.open("/chat/", user=person)
        ask(page)
        answered(page, "1")
        ask(page, "And six?")
        answered(page, "2")
        page.get_by_label("Your prompt").fill("half a thought")
        page.get_by_role("link", name="Edit").first.click()
        expect(page.get_by_label("Your prompt")).to_have_value(LIKE_MATH)
        page.get_by_role("link", name="Leave it as it is").click()
        expect(page.get_by_label("Your prompt")).to_have_value("half a thought")
        page.get_by_role("link", name="Edit").first.click()
        ask(page, "what is two plus nine")
        answered(page, "3")
        expect(page.locator(".said")).to_have_text("what is two plus nine")
        versions = page.get_by_role("group", name="Versions of this prompt")
        expect(versions).to_contain_text("2 of 2")
        versions.get_by_role("button", name="Earlier version").click()
        expect(page.locator(".said")).to_have_text([LIKE_MATH, "And six?"])
        answered(page, "2")
        expect(page.locator("#editing")).to_be_hidden()

    def test_works_without_a_script(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(answers=counting())
        page = site.open("/chat/", user=person, java_script_enabled=False)
        page.get_by_label("Your prompt").fill(LIKE_MATH)
        page.get_by_role("button", name="Send").click()
        answered(page, "1")
        page.get_by_role("button", name="Regenerate").click()
        answered(page, "2")
        page.get_by_role("link", name="Edit").click()
        expect(page.get_by_text("You are changing an earlier prompt")).to_be_visible()
        page.get_by_label("Your prompt").fill("what is two plus nine")
        page.get_by_role("button", name="Send").click()
        answered(page, "3")
        page.get_by_role("button", name="Earlier version").click()
        answered(page, "2")
        assert Message.objects.filter(role="user").count() == 2
