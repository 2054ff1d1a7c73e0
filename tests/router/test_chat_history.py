"""The list of conversations: searching, renaming, taking along and deleting for good."""

import json
from typing import Any

import pytest
from django.test import Client
from playwright.sync_api import expect
from pytest_django import DjangoAssertNumQueries

from greenllm.models import User
from router.models import Conversation, GatewayRequest, Message, RoutingDecision
from tests import factories as make
from tests.browsing import Site, check_page
from tests.router.endpoint import LIKE_MATH, OpenEndpoint
from tests.router.test_chat_page import ask


def text_of(response: Any) -> str:
    return str(response.content.decode())


@pytest.fixture
def person(client: Client, db: None) -> User:
    person = make.make_user("ada")
    client.force_login(person)
    return person


@pytest.fixture
def branched(person: User) -> Conversation:
    """A conversation with two versions of its answer, of which the first is shown."""
    conversation = make.make_conversation(
        owner=person, title="Pears & <apples>", system_prompt="Be brief.\nBe kind.", temperature=0.5
    )
    request, prompt = make.make_gateway_request(prompt_text="How many pears?"), make.make_prompt()
    RoutingDecision.objects.create(
        request=request, policy="nearest", chosen=make.make_deployment("tiny"), reason="cheapest_correct",
        category=prompt.category, decided_at=make.NOW, predicted_sci_gco2e=0.002, predicted_quality="estimated",
    )  # fmt: skip
    question = make.make_message(conversation, "How many pears?", request=request)
    conversation.tip = make.make_message(
        conversation, "Three **pears**.", role="assistant", parent=question, request=request
    )
    make.make_message(conversation, "Fo", role="assistant", parent=question, state="cancelled")
    conversation.save()
    return conversation


class TestHead:
    @pytest.mark.parametrize(
        ("ending", "maker"), [("json", "conversation_as_json"), ("md", "conversation_as_markdown")]
    )
    def test_of_an_export_makes_none(
        self, client: Client, branched: Conversation, monkeypatch: pytest.MonkeyPatch, ending: str, maker: str
    ) -> None:
        told = client.get(f"/chat/{branched.public_id}/export.{ending}")
        monkeypatch.setattr(f"router.chat.history.{maker}", lambda *_: pytest.fail(f"{maker} was called"))
        announced = client.head(f"/chat/{branched.public_id}/export.{ending}")
        for header in ("Content-Type", "Content-Disposition"):
            assert announced[header] == told[header]


class TestSearch:
    def test_finds_titles_and_turns_in_whatever_case(
        self, client: Client, branched: Conversation, person: User
    ) -> None:
        make.make_conversation(owner=person, title="About plums")
        for words, found in [("PEARS", (True, False)), ("three **", (True, False)), ("plum", (False, True))]:
            page = text_of(client.get("/chat/", {"q": words}))
            assert ("Pears &amp; &lt;apples&gt;</a>" in page, "About plums</a>" in page) == found
            assert f"1 conversation with “{words}”" in page

    @pytest.mark.parametrize("words", ["%", "_", "x" * 500, "<script>alert(1)</script>"])
    def test_takes_every_text_as_it_is(self, client: Client, branched: Conversation, words: str) -> None:
        page = client.get("/chat/", {"q": words})
        assert page.status_code == 200
        assert "0 conversations with" in text_of(page)
        assert "<script>alert" not in text_of(page)

    def test_pages_what_was_found(
        self, client: Client, person: User, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        for number in range(31):
            make.make_conversation(owner=person, title=f"Question {number}")
        make.make_conversation(owner=person, title="About plums")
        with django_assert_num_queries(8):
            page = text_of(client.get("/chat/", {"q": "question"}))
        assert page.count("Question ") == 30
        assert "?page=2&amp;q=question" in page


class TestRename:
    def test_gives_another_title(self, client: Client, branched: Conversation) -> None:
        path = f"/chat/{branched.public_id}/"
        renamed = client.post(f"{path}rename/", {"title": "  Plums  and\npears "})
        assert (renamed.status_code, renamed["Location"]) == (302, path)
        branched.refresh_from_db()
        assert branched.title == "Plums and pears"

    @pytest.mark.parametrize(
        ("title", "said"),
        [(" ", "The title is empty"), ("x" * 101, "101 characters; at most 100"), ("a\x00b", "NUL character")],
    )
    def test_tells_what_cannot_be_taken(self, client: Client, branched: Conversation, title: str, said: str) -> None:
        page = client.post(f"/chat/{branched.public_id}/rename/", {"title": title})
        assert page.status_code == 400
        assert said in text_of(page)
        branched.refresh_from_db()
        assert branched.title == "Pears & <apples>"


class TestExport:
    def test_as_json_holds_every_version(
        self, client: Client, branched: Conversation, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with django_assert_num_queries(4):
            response = client.get(f"/chat/{branched.public_id}/export.json")
        assert response["Content-Disposition"] == 'attachment; filename="pears-apples.json"'
        told = json.loads(response.content)
        assert (told["title"], told["instructions"]) == ("Pears & <apples>", "Be brief.\nBe kind.")
        assert told["parameters"] == {"temperature": 0.5, "top_p": None, "seed": None, "max_output_tokens": 1024}
        question, first, second = told["turns"]
        assert (question["parent_id"], first["parent_id"], second["parent_id"]) == (
            None,
            question["id"],
            question["id"],
        )
        assert told["shown_turn"] == first["id"]
        assert (first["text"], first["model"], first["quality"]) == ("Three **pears**.", "tiny", "estimated")
        assert first["predicted_sci_gco2e"] == 0.002
        assert (second["state"], second["model"], second["predicted_sci_gco2e"]) == ("cancelled", None, None)
        assert second["quality"] == "missing"

    def test_as_markdown_holds_the_branch_that_is_shown(self, client: Client, branched: Conversation) -> None:
        response = client.get(f"/chat/{branched.public_id}/export.md")
        assert response["Content-Type"] == "text/markdown; charset=utf-8"
        assert text_of(response) == (
            "# Pears & <apples>\n\n> Be brief.\n> Be kind.\n\n## You\n\nHow many pears?\n\n"
            "## tiny\n\nThree **pears**.\n"
        )


class TestDelete:
    def test_leaves_no_text(self, client: Client, branched: Conversation) -> None:
        assert client.post(f"/chat/{branched.public_id}/delete/").status_code == 302
        assert not Conversation.objects.exists()
        assert not Message.objects.exists()
        assert GatewayRequest.objects.get().prompt_text == ""


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
class TestInTheBrowser:
    def test_searches_renames_and_exports_by_keyboard(self, site: Site, open_endpoint: OpenEndpoint) -> None:
        person = make.make_user("ada")
        make.make_conversation(owner=person, title="About plums")
        open_endpoint(answers={LIKE_MATH: "It is **five**."})
        page = site.open("/chat/", user=person)
        ask(page)
        expect(page.get_by_role("article", name="Answer").locator("strong")).to_have_text("five")
        page.get_by_label("Your prompt").fill("half a thought")
        page.keyboard.press("Control+k")
        expect(page.get_by_role("searchbox")).to_be_focused()
        page.keyboard.type("plum")
        links = page.get_by_role("navigation", name="Conversations").get_by_role("listitem")
        expect(links).to_have_text(["About plums"])
        expect(page.get_by_text("1 conversation with")).to_be_visible()
        page.get_by_role("searchbox").fill("")
        expect(links).to_have_count(2)
        page.get_by_text("Rename", exact=True).first.click()
        page.get_by_label("Title", exact=True).fill("Sums")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Sums")
        expect(page.get_by_label("Your prompt")).to_have_value("half a thought")
        page.get_by_text("Export", exact=True).click()
        with page.expect_download() as download:
            page.get_by_role("link", name="Markdown").click()
        assert download.value.suggested_filename == "sums.md"
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text("Sums")

    def test_looks_good_in_every_form(self, site: Site, open_endpoint: OpenEndpoint) -> None:
        person = make.make_user("ada")
        conversation = make.make_conversation(owner=person, title="About plums")
        make.make_message(conversation, "How many plums?")
        open_endpoint()
        path = f"/chat/{conversation.public_id}/?q=plum"
        for menu in ("Rename", "Export"):
            check_page(
                site, path, user=person, picture=f"chat-{menu.lower()}",
                wait_for=lambda page, menu=menu: page.get_by_text(menu, exact=True).first.click(),  # type: ignore[misc]
            )  # fmt: skip

    def test_searches_without_a_script(self, site: Site, open_endpoint: OpenEndpoint) -> None:
        person = make.make_user("ada")
        for title in ("About plums", "About pears"):
            make.make_conversation(owner=person, title=title)
        open_endpoint()
        page = site.open("/chat/", user=person, java_script_enabled=False)
        page.get_by_role("searchbox").fill("plum")
        page.keyboard.press("Enter")
        expect(page.get_by_role("navigation", name="Conversations").get_by_role("listitem")).to_have_text(
            ["About plums"]
        )
