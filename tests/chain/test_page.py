"""The page in a real browser: light and dark, wide and phone, with and without JavaScript."""

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.chain.installation import Installation

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PEARS = "Tom has 6 pears and gets 5 more. How many pears does Tom have?"
WIDTHS = {"phone": 320, "tablet": 800, "wide": 1280}
ANSWER_TIMEOUT_MS = 30_000


# the same elements have the focus in both schemes; each width and each scheme once asks the router, which takes longest
KEYBOARD = pytest.mark.parametrize(
    "page", [("light", "phone"), ("dark", "tablet"), ("light", "wide")], indirect=True, ids="-".join
)


@pytest.fixture(params=[(scheme, width) for scheme in ("light", "dark") for width in WIDTHS], ids="-".join)
def page(request: pytest.FixtureRequest, browser: Browser, demo: Installation) -> Iterator[Page]:
    """The page as one kind of reader has it; anything on the console fails the test."""
    scheme, width = request.param
    context = browser.new_context(color_scheme=scheme, viewport={"width": WIDTHS[width], "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(demo.address)
    yield page
    context.close()
    assert complaints == []


def expected_of(demo: Installation, prompt: str) -> str:
    """Return the figure that an answer is shown with: how many known answers it rests on, the router itself tells.

    Ten are known; the energy of one that was measured on a busy machine may be missing.
    """
    said = httpx.post(
        f"{demo.address}/v1/greenllm/route",
        headers={"Authorization": f"Bearer {demo.api_key}"},
        json={"messages": [{"role": "user", "content": prompt}]},
        timeout=ANSWER_TIMEOUT_MS / 1000,
    ).raise_for_status()
    assert 0 < said.json()["sci_count"] <= 10
    return f"mgCO₂e expected (estimated, n = {said.json()['sci_count']})"


class TestPage:
    def test_never_scrolls_sideways(self, page: Page) -> None:
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    @KEYBOARD
    def test_can_be_used_by_keyboard_alone(self, page: Page, demo: Installation) -> None:
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        expect(page.get_by_label("Your prompt")).to_be_focused()
        page.keyboard.type(PEARS)
        page.keyboard.press("Control+Enter")
        answer = page.get_by_role("article", name="Answer")
        expect(answer).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
        answer.get_by_text("Why this model?").click()
        expect(page.get_by_role("table", name="Candidates")).to_contain_text("chosen")
        expect(page.get_by_role("article", name="Answer")).to_contain_text(expected_of(demo, PEARS))

    def test_shows_each_figure_with_sample_size_and_quality(self, page: Page) -> None:
        table = page.get_by_role("table", name="Sum of SCI")
        expect(table).to_contain_text(re.compile(r"n = 2 of 2\s*estimated"))
        expect(page.get_by_role("table", name="Accuracy")).to_contain_text("by graders")

    def test_has_text_that_can_be_read(self, page: Page) -> None:
        assert page.evaluate(CONTRAST_SCRIPT) >= 4.5  # WCAG 2.2 AA for ordinary text


COUNT_CLICKS = """addEventListener("click", (event) => {
  if (event.isTrusted) sessionStorage.setItem("clicks", String(1 + Number(sessionStorage.getItem("clicks"))));
}, true)"""


class TestNewcomer:
    def test_sees_why_a_prompt_went_where_it_went_in_three_clicks(self, browser: Browser, demo: Installation) -> None:
        """From the demo's first page, signed in as nobody; four clicks would be the most."""
        context = browser.new_context()
        context.add_init_script(COUNT_CLICKS)
        page, complaints = context.new_page(), list[str]()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(demo.address)
        page.get_by_label("Your prompt").click()
        page.keyboard.type(PEARS)
        page.get_by_role("button", name="Route and answer").click()
        answer = page.get_by_role("article", name="Answer")
        expect(answer).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
        answer.get_by_text("Why this model?").click()
        expect(page.get_by_role("table", name="Candidates").get_by_text("chosen")).to_be_visible()
        expect(page.get_by_role("heading", name="Nearest known prompts")).to_be_visible()
        assert page.evaluate("sessionStorage.getItem('clicks')") == "3"
        context.close()
        assert complaints == []


class TestWithoutJavaScript:
    def test_the_box_answers_all_the_same(self, browser: Browser, demo: Installation) -> None:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(demo.address)
        page.get_by_label("Your prompt").fill("What is the capital of France?")
        page.get_by_role("button", name="Route and answer").click()
        expect(page.get_by_role("article", name="Answer")).to_be_visible(timeout=ANSWER_TIMEOUT_MS)
        expect(page.get_by_role("table", name="Accuracy")).to_be_visible()
        context.close()

    def test_an_empty_prompt_is_told(self, browser: Browser, demo: Installation) -> None:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(demo.address)
        page.get_by_label("Your prompt").fill("   ")
        page.get_by_role("button", name="Route and answer").click()
        expect(page.get_by_role("alert")).to_contain_text("The prompt is empty")
        context.close()


class TestSignIn:
    def test_lets_the_annotator_in_and_out(self, browser: Browser, demo: Installation) -> None:
        password = demo.log.split("Made annotator with the password ")[1].split()[0]
        context = browser.new_context()
        page = context.new_page()
        page.goto(demo.address)
        page.get_by_role("link", name="Sign in").click()
        page.get_by_label("Name").fill("annotator")
        page.get_by_label("Password").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("wrong")
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("banner")).to_contain_text("annotator")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        context.close()


class TestPeople:
    def test_judge_answers_by_keyboard(self, browser: Browser, demo: Installation) -> None:
        password = demo.log.split("Made annotator with the password ")[1].split()[0]
        context = browser.new_context(base_url=demo.address)
        page = context.new_page()
        page.goto("/account/sign-in/?next=/label/")
        expect(page.get_by_label("Name")).to_be_focused()  # the browser moves there a moment after the page is loaded
        page.keyboard.type("annotator")
        page.keyboard.press("Tab")
        page.keyboard.type(password)
        page.keyboard.press("Enter")
        answer = page.get_by_role("article", name="Answer to judge")
        for key in "axxa":
            expect(answer).to_have_attribute("data-ready", "")  # no key counts before the answer was seen
            seen = answer.get_attribute("data-answer")
            page.keyboard.press(key)
            expect(answer).not_to_have_attribute("data-answer", str(seen))
        expect(page.get_by_role("main")).to_contain_text("4 of 60 judged by people")
        assert "smollm2" not in page.content()
        page.keyboard.press("u")
        expect(page.get_by_role("main")).to_contain_text("3 of 60 judged by people")
        context.close()

    def test_chat_with_the_model_that_the_router_chose(self, browser: Browser, demo: Installation) -> None:
        context = browser.new_context(base_url=demo.address)
        page = context.new_page()
        page.goto("/chat/")
        page.get_by_role("textbox").fill(PEARS)
        page.keyboard.press("Enter")
        answer = page.get_by_role("article", name="Answer")
        expect(answer).to_contain_text(expected_of(demo, PEARS), timeout=ANSWER_TIMEOUT_MS)
        expect(answer).to_contain_text("math")
        page.reload()
        expect(page.get_by_role("article", name="Answer")).to_contain_text("smollm2")
        context.close()


# The smallest contrast of any text with the nearest opaque ground behind it, by the formula of WCAG 2.2.
CONTRAST_SCRIPT = """() => {
  const channel = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parse = (text) => text.match(/[0-9.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  let smallest = 21;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.offsetParent === null || element.closest("script")) continue;
    const one = luminance(parse(getComputedStyle(element).color));
    const other = luminance(ground(element));
    smallest = Math.min(smallest, (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
  }
  return smallest;
}"""
