"""The page of the design system, and the scripts that every page has: tables, toasts, dialogs, charts on demand."""

import csv
import io
from functools import partial
from pathlib import Path

import pytest
from django.test import Client
from playwright.sync_api import Page, Route, expect

from greenllm.look.specimens import ROWS
from greenllm.look.tokens import Token, tokens_of
from greenllm.models import User
from greenllm.roles import Role, grant_role
from tests import factories as make
from tests.browsing import BROWSING, Site, check_page

STATIC = Path(__file__).resolve().parents[2] / "greenllm" / "static" / "greenllm"


def person(role: Role) -> User:
    user = make.make_user()
    grant_role(user=user, role=role)
    return user


class TestTokensOf:
    def test_reads_the_block_of_a_selector(self) -> None:
        css = "/* :root { --no: 1; } */ a { color: red } :root, .x { --ink: #111111; --space: 1rem; margin: 0; }"
        found = tokens_of(css, ".x")
        assert found == [Token("ink", "#111111"), Token("space", "1rem")]
        assert [token.is_colour for token in found] == [True, False]

    def test_refuses_a_selector_that_is_not_there(self) -> None:
        with pytest.raises(ValueError, match=r"\.y"):
            tokens_of(":root { --ink: #111111; }", ".y")

    def test_finds_the_same_dark_colours_on_the_page_of_the_look_as_elsewhere(self) -> None:
        css = (STATIC / "style.css").read_text(encoding="utf8")
        dark = css[css.index("@media (prefers-color-scheme: dark) {") :].partition("{")[2]
        shown = tokens_of((STATIC / "look.css").read_text(encoding="utf8"), ".dark-specimen")
        assert shown == tokens_of(dark, ":root")


@pytest.mark.django_db
class TestLook:
    @pytest.mark.parametrize("path", ["/look/", "/look/ask/"])
    def test_opens_to_those_who_see_results(self, client: Client, path: str) -> None:
        assert client.get(path).status_code == 302
        client.force_login(person(Role.ANNOTATOR))
        assert client.get(path).status_code == 403
        client.force_login(person(Role.RESEARCHER))
        assert client.get(path).status_code == 200

    def test_says_by_a_toast_where_htmx_asks(self, client: Client) -> None:
        client.force_login(person(Role.RESEARCHER))
        response = client.post("/look/say/", headers={"HX-Request": "true"})
        assert (response.status_code, '"is_problem": false' in response["HX-Trigger"]) == (204, True)

    def test_says_on_the_next_page_without_htmx(self, client: Client) -> None:
        client.force_login(person(Role.RESEARCHER))
        page = client.post("/look/say/", {"problem": "yes"}, follow=True).content.decode()
        assert '<p class="problem">It did not work' in page

    def test_says_nothing_to_strangers_and_other_roles(self, client: Client) -> None:
        assert client.post("/look/say/").status_code == 302
        client.force_login(person(Role.ANNOTATOR))
        assert client.post("/look/say/").status_code == 403
        assert client.get("/look/say/").status_code == 405

    def test_takes_no_form_of_another_site(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(person(Role.RESEARCHER))
        assert client.post("/look/say/").status_code == 403


def names(page: Page) -> list[str]:
    return page.locator("table[data-table=specimens] tbody tr:visible th").all_inner_texts()


class TestLookInTheBrowser:
    pytestmark = BROWSING

    def test_is_accessible_in_every_form(self, site: Site) -> None:
        def is_drawn(page: Page) -> None:
            page.locator("#specimen").scroll_into_view_if_needed()
            expect(page.locator("#specimen[data-drawn]")).to_be_visible()

        check_page(site, "/look/", user=person(Role.RESEARCHER), wait_for=is_drawn)

    def test_sorts_filters_and_gives_out_a_table_by_keyboard(self, site: Site) -> None:
        page = site.open("/look/", user=person(Role.RESEARCHER))
        expect(page.locator("table[data-table=specimens] td").first).to_have_attribute("data-name", "State")
        head = page.get_by_role("columnheader", name="Mean SCI")
        given = names(page)
        head.get_by_role("button").focus()
        page.keyboard.press("Enter")
        expect(head).to_have_attribute("aria-sort", "ascending")
        by_sci = sorted(ROWS, key=lambda row: (row.sci_mg is None, row.sci_mg))
        assert names(page) == [row.name for row in by_sci]
        page.keyboard.press("Enter")
        expect(head).to_have_attribute("aria-sort", "descending")
        assert (names(page)[0], names(page)[-1]) == ("oak:32b", "larch:7b")  # what is missing stays last
        page.keyboard.press("Enter")
        assert names(page) == given
        page.get_by_role("searchbox", name="Filter the table of specimens").fill("active")
        expect(page.locator(".table-tools [role=status]")).to_have_text("4 of 7 rows")
        with page.expect_download() as download:
            page.get_by_role("button", name="The table of specimens as CSV").click()
        lines = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf8"))))
        assert lines[0][2:4] == ["Accuracy (%)", "Accuracy (%), as shown"]
        assert [line[0] for line in lines[1:]] == [row.name for row in ROWS if row.state == "active"]
        assert lines[1][2:4] == ["71", "71; n = 70"]

    def test_sorts_a_table_that_is_a_list_on_a_phone(self, site: Site) -> None:
        page = site.open("/look/", user=person(Role.RESEARCHER), width="phone")
        expect(page.get_by_role("columnheader", name="Mean SCI")).to_be_hidden()
        orders = page.get_by_role("combobox", name="Sort the table of specimens")
        orders.select_option("Mean SCI (mgCO₂e per prompt), descending")
        assert (names(page)[0], names(page)[-1]) == ("oak:32b", "larch:7b")  # what is missing stays last
        orders.select_option("Sort by…")
        assert names(page) == [row.name for row in ROWS]
        page.set_viewport_size({"width": 1280, "height": 800})  # there the heads sort
        expect(orders).to_be_hidden()
        page.set_viewport_size({"width": 768, "height": 800})  # there a table that fits is none
        expect(page.get_by_role("columnheader", name="Mean SCI")).to_be_visible()
        page.locator("table[data-table=specimens] tbody td").first.evaluate("cell => { cell.style.minWidth = '60rem' }")
        page.set_viewport_size({"width": 760, "height": 800})
        expect(orders).to_be_visible()

    def test_fetches_the_charts_script_once_a_chart_is_scrolled_to(self, site: Site) -> None:
        page = site.open("/look/", user=person(Role.RESEARCHER))
        assert page.evaluate("typeof window.Plotly") == "undefined"
        page.locator("#specimen").scroll_into_view_if_needed()
        expect(page.locator("#specimen[data-drawn]")).to_be_visible()
        with page.expect_download() as download:
            page.locator("#specimen .chart-tools button").click()
        lines = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf8"))))
        assert lines[1] == ["A", "1", "20", "", "", "5", "8"]

    def test_asks_in_a_dialog_and_says_what_came_of_it(self, site: Site) -> None:
        page = site.open("/look/", user=person(Role.RESEARCHER))
        page.get_by_role("link", name="Ask first…").click()
        dialog = page.get_by_role("dialog", name="Shall it be done?")
        expect(dialog.get_by_role("link", name="Leave it")).to_be_focused()
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        expect(page.get_by_role("link", name="Ask first…")).to_be_focused()
        page.get_by_role("button", name="Say something").click()
        toast = page.locator("#messages p")
        expect(toast).to_contain_text("Nothing was changed")
        toast.get_by_role("button", name="Close this message").click()
        expect(toast).to_have_count(0)
        page.get_by_role("link", name="Ask first…").click()
        dialog.get_by_role("button", name="Do it").click()
        expect(page.locator("#messages p")).to_contain_text("Nothing was changed")


def forget_failed_requests(site: Site) -> None:
    """Take the browser's own words on refused requests off the list of complaints; anything else stays there."""
    refused = ("Failed to load resource", "from /ask", "htmx:sendError", "htmx:afterRequest")
    site.complaints[:] = [one for one in site.complaints if not any(words in one for words in refused)]


class TestRefusalsOfTheServer:
    pytestmark = BROWSING

    def test_are_said_once_on_any_page_that_asks_by_htmx(self, site: Site) -> None:
        page = site.open("/", user=person(Role.ADMIN))
        said = page.locator("#messages .problem")
        for status, words in ((500, "The server failed (500)"), (403, "You may not do this")):
            page.route("**/ask", partial(Route.fulfill, status=status))
            for _ in range(2):
                page.get_by_label("Prompt").fill("Where does it go?")
                with page.expect_response("**/ask"):
                    page.get_by_role("button", name="Route").click()
            expect(said.filter(has_text=words)).to_have_count(1)
            page.unroute("**/ask")
        forget_failed_requests(site)

    def test_include_that_it_is_away(self, site: Site) -> None:
        page = site.open("/", user=person(Role.ADMIN))
        page.route("**/ask", lambda route: route.abort())
        page.get_by_label("Prompt").fill("Where does it go?")
        page.get_by_role("button", name="Route").click()
        expect(page.locator("#messages .problem")).to_contain_text("The server cannot be reached")
        forget_failed_requests(site)
