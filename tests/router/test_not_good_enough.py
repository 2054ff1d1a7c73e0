"""The button "Not good enough" of the chat page in a browser, with a scripted server behind the gateway."""

import threading

import pytest
from playwright.sync_api import Page, expect

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer
from greenllm.models import User
from router.models import Conversation, GatewayRequest, Message
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page
from tests.router.endpoint import LIKE_MATH, OpenEndpoint
from tests.router.test_chat_page import ask

pytestmark = BROWSING

BUTTON = "Not good enough"


@pytest.fixture
def person() -> User:
    return make.make_user("ada")


def by_name(model: str, _prompt: str) -> ScriptedAnswer:
    return ScriptedAnswer(f"It is **{model}**.")


def answered(page: Page, word: str) -> None:
    expect(page.get_by_role("article", name="Answer", exact=True).locator("strong").last).to_have_text(word)


class TestNotGoodEnough:
    def test_moves_the_conversation_by_keyboard_alone(
        self, site: Site, open_endpoint: OpenEndpoint, person: User, gate: threading.Event
    ) -> None:
        def answering(model: str, prompt: str) -> ScriptedAnswer:
            return ScriptedAnswer(f"It is **{model}**.", gate=gate if model == "large" else None)

        open_endpoint(answers=answering)
        page = site.open("/chat/", user=person)
        ask(page)
        answered(page, "small")
        page.get_by_label("Your prompt").fill("half a thought")
        button = page.get_by_role("button", name=BUTTON)
        expect(button).to_have_accessible_description(
            "Not good enough moves all of it to the next larger model, which answers anew; the carbon of both counts."
        )
        button.focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_have_text("large is answering.")
        expect(page.get_by_role("button", name="Stop")).to_be_focused()
        expect(button).to_be_hidden()
        gate.set()
        answered(page, "large")
        expect(page.get_by_label("Your prompt")).to_be_focused()
        expect(page.get_by_label("Your prompt")).to_have_value("half a thought")
        expect(page.get_by_role("status")).to_have_text("It is **large**.")
        replaced = page.get_by_role("article", name="Replaced answer")
        expect(replaced).to_contain_text("not good enough: replaced, and charged to the next answer")
        expect(replaced.locator("strong").last).to_be_hidden()
        replaced.get_by_text("Show the replaced answer").click()
        expect(replaced.locator(".markdown strong")).to_have_text("small")
        newest = page.get_by_role("article", name="Answer", exact=True)
        expect(newest).to_contain_text("mgCO₂e expected (estimated) for 1 answer replaced")
        expect(page.get_by_label("Model")).to_contain_text("auto (stays on large)")
        page.reload()
        expect(page.get_by_role("article", name="Replaced answer")).to_have_count(1)
        expect(page.locator(".said")).to_have_count(1)

    def test_tells_that_no_model_is_larger_and_changes_nothing(
        self, site: Site, open_endpoint: OpenEndpoint, person: User
    ) -> None:
        open_endpoint(answers=by_name)
        page = site.open("/chat/", user=person)
        page.get_by_label("Model").select_option("large")
        ask(page)
        answered(page, "large")
        page.get_by_role("button", name=BUTTON).click()
        expect(page.get_by_role("alert")).to_contain_text("Pick another model by name")
        expect(page.get_by_role("article", name="Answer")).to_have_count(1)
        expect(page.get_by_role("button", name=BUTTON)).to_be_visible()
        expect(page.get_by_label("Your prompt")).to_have_value("")
        site.complaints[:] = [one for one in site.complaints if "409" not in one]  # the browser's own note

    def test_can_be_stopped(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(Fault(FaultKind.STALL, model="large", times=1), answers=by_name)
        page = site.open("/chat/", user=person)
        ask(page)
        answered(page, "small")
        page.get_by_role("button", name=BUTTON).click()
        expect(page.locator("[data-text]")).to_have_text("It")
        page.keyboard.press("Escape")
        expect(page.get_by_role("article", name="Answer", exact=True).last).to_contain_text("stopped")
        expect(page.get_by_role("article", name="Replaced answer")).to_have_count(1)
        expect(page.get_by_label("Model")).to_contain_text("auto (stays on large)")
        assert GatewayRequest.objects.latest("pk").state == "cancelled"

    def test_that_breaks_off_shows_what_was_kept(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(Fault(FaultKind.CUT, model="large"), answers=by_name)
        page = site.open("/chat/", user=person)
        ask(page)
        answered(page, "small")
        page.get_by_role("button", name=BUTTON).click()
        expect(page.get_by_role("alert")).to_contain_text("broke off")
        expect(page.get_by_role("article", name="Replaced answer")).to_have_count(1)
        expect(page.get_by_role("article", name="Answer", exact=True).last).to_contain_text("broken off")

    def test_works_without_a_script(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(answers=by_name)
        page = site.open("/chat/", user=person, java_script_enabled=False)
        page.get_by_label("Your prompt").fill(LIKE_MATH)
        page.get_by_role("button", name="Send").click()
        answered(page, "small")
        page.get_by_role("button", name=BUTTON).click()
        answered(page, "large")
        expect(page.get_by_role("article", name="Replaced answer")).to_have_count(1)
        assert Message.objects.filter(role="user").count() == 1


class TestLooks:
    def test_are_good_in_every_form(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(answers=by_name)
        page = site.open("/chat/", user=person)
        ask(page)
        answered(page, "small")
        path = f"/chat/{Conversation.objects.get().public_id}/"
        check_page(site, path, user=person)
        page.get_by_role("button", name=BUTTON).click()
        answered(page, "large")
        check_page(site, path, user=person, wait_for=lambda page: page.get_by_text("Show the replaced answer").click())

    def test_of_a_phone_let_one_refuse(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(answers=by_name)
        page = site.open("/chat/", user=person, width="phone", has_touch=True)
        page.get_by_label("Your prompt").fill(LIKE_MATH)
        page.get_by_role("button", name="Send").tap()
        answered(page, "small")
        page.get_by_role("button", name=BUTTON).tap()
        answered(page, "large")
