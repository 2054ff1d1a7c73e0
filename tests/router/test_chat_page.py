"""The chat page in a browser, with a scripted server behind the gateway."""

import threading
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from benchmarks.inference.scripted import Fault, FaultKind, ScriptedAnswer
from greenllm.models import User
from greenllm.roles import Role, grant_role
from router.models import Conversation, GatewayRequest, Message, PolicyVersion, PromptIndex
from tests import factories as make
from tests.benchmarks.inference.asking import eventually
from tests.browsing import BROWSING, IS_BENCH, Site, check_page
from tests.router.endpoint import LIKE_MATH, OpenEndpoint

pytestmark = BROWSING

THREE_WORDS = "It is **five**."
MARKDOWN = r"""Here is how:

1. Add *two*
2. Add `three`

```python
print(2 + 3)  # five
```

| a | b |
|---|---|
| 2 | 3 |

With $x = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}$:

$$
\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix} = \sum_{i=1}^{n} i^2 + \boxed{5} \qquad
\int_0^\infty e^{-t} \, dt = 1 \qquad \begin{cases} 1 & x > 0 \\ 0 & x \le 0 \end{cases}
$$"""


@pytest.fixture
def person() -> User:
    return make.make_user("ada")


def gated(gate: threading.Event) -> Callable[[str, str], ScriptedAnswer]:
    return lambda _model, _prompt: ScriptedAnswer(THREE_WORDS, gate=gate)


def ask(page: Page, text: str = LIKE_MATH) -> None:
    page.get_by_label("Your prompt").fill(text)
    page.get_by_label("Your prompt").press("Enter")


class TestStreaming:
    def test_shows_tokens_before_the_end_and_then_the_whole_answer(
        self, site: Site, open_endpoint: OpenEndpoint, person: User, gate: threading.Event
    ) -> None:
        grant_role(user=person, role=Role.RESEARCHER)
        open_endpoint(answers=gated(gate))
        page = site.open("/chat/", user=person)
        ask(page)
        answer = page.get_by_role("article", name="Answer")
        expect(answer.locator("[data-text]")).to_have_text("It")
        assert answer.get_attribute("aria-busy") == "true"
        expect(page.get_by_role("status")).to_have_text("small is answering.")
        expect(page.get_by_label("Your prompt")).to_have_value("")
        gate.set()
        expect(answer.locator("strong")).to_have_text("five")
        assert answer.get_attribute("aria-busy") is None
        expect(answer).to_contain_text("mgCO₂e expected (estimated, n = 1)")
        expect(answer).to_contain_text("math")
        expect(page.get_by_role("status")).to_have_text(THREE_WORDS)
        assert page.locator("[aria-live]").count() == 0
        answer.get_by_text("Why this model?").click()
        expect(page.get_by_role("table", name="Candidates")).to_contain_text("chosen")
        expect(page.get_by_role("list", name="Nearest known prompts")).to_contain_text("what is two plus two")

    def test_paints_the_first_token_long_before_the_last(
        self, site: Site, open_endpoint: OpenEndpoint, person: User
    ) -> None:
        begun: list[float] = []

        def answering(_model: str, _prompt: str) -> ScriptedAnswer:
            begun.append(time.time() * 1000)
            return ScriptedAnswer("word " * 20, seconds_per_token=0.05)

        open_endpoint(answers=answering)
        page = site.open("/chat/", user=person)
        delays = []
        for _ in range(5):
            page.evaluate(PAINTED_SCRIPT)
            ask(page)
            delays.append(page.evaluate("window.painted") - begun[-1])
            expect(page.get_by_role("button", name="Send")).to_be_visible()
        print(f"first token sent to first token painted: median {sorted(delays)[2]:.0f} ms")  # noqa: T201
        assert sorted(delays)[2] < 20 * 50  # when the last token is sent
        if IS_BENCH:
            assert sorted(delays)[2] < 300

    def test_stays_readable_where_a_model_attacks(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        hostile = "<img src=x onerror=document.title='owned'> <script>document.title='owned'</script> **done**"
        open_endpoint(answers={LIKE_MATH: hostile})
        page = site.open("/chat/", user=person)
        ask(page)
        expect(page.get_by_role("article", name="Answer").locator("strong")).to_have_text("done")
        page.reload()
        answer = page.get_by_role("article", name="Answer")
        expect(answer.locator("strong")).to_have_text("done")
        assert answer.locator("img, script").count() == 0
        expect(answer).to_contain_text("<script>")
        assert "owned" not in page.title()

    def test_shows_thinking_apart(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        gate = threading.Event()
        open_endpoint(answers=lambda *_: ScriptedAnswer("Five.", thinking="Hm so", gate=gate))
        page = site.open("/chat/", user=person)
        ask(page)
        page.get_by_text("Thinking").click()
        expect(page.locator("[data-thinking]")).to_have_text("Hm")
        gate.set()
        expect(page.get_by_role("article", name="Answer").locator(".markdown")).to_have_text("Five.")


# notes when the first piece of an answer has been painted, by the clock of the machine
PAINTED_SCRIPT = """() => {
  window.painted = new Promise((resolve) => {
    const watch = () => {
      const live = document.querySelector("[aria-busy=true] [data-text]");
      if (!live || !live.textContent) requestAnimationFrame(watch);
      else requestAnimationFrame(() => resolve(performance.timeOrigin + performance.now()));
    };
    watch();
  });
}"""


class TestConversation:
    def test_is_still_there_after_a_reload_and_goes_on(
        self, site: Site, open_endpoint: OpenEndpoint, person: User
    ) -> None:
        endpoint = open_endpoint(answers={LIKE_MATH: THREE_WORDS, "And six?": "Eleven."})
        page = site.open("/chat/", user=person)
        ask(page)
        expect(page.get_by_role("article", name="Answer").locator("strong")).to_be_visible()
        expect(page).to_have_url(f"{site.address}/chat/{Conversation.objects.get().public_id}/")
        page.reload()
        expect(page.get_by_role("heading", level=1)).to_have_text(LIKE_MATH)
        expect(page.locator(".said")).to_have_text(LIKE_MATH)
        expect(page.get_by_label("Model")).to_contain_text("auto (stays on small)")
        ask(page, "And six?")
        expect(page.get_by_role("article", name="Answer").last).to_contain_text("Eleven.")
        sent = endpoint.server.requests[-1].body["messages"]
        assert isinstance(sent, list)
        assert [one["content"] for one in sent] == [LIKE_MATH, THREE_WORDS, "And six?"]
        expect(page.get_by_role("navigation", name="Conversations").get_by_role("link", name=LIKE_MATH)).to_have_count(
            1
        )

    def test_can_be_copied(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(answers={LIKE_MATH: MARKDOWN})
        page = site.open("/chat/", user=person, permissions=["clipboard-read", "clipboard-write"])
        ask(page)
        page.get_by_role("button", name="Copy", exact=True).click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == MARKDOWN
        page.get_by_role("button", name="Copy code").click()
        expect(page.get_by_role("button", name="Copied").first).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == "print(2 + 3)  # five\n"

    def test_colours_code_and_lays_formulas_out(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(answers={LIKE_MATH: MARKDOWN})
        page = site.open("/chat/", user=person)
        ask(page)
        answer = page.get_by_role("article", name="Answer")
        expect(answer.locator("pre .hl-c1")).to_have_css("font-style", "italic")
        height = "node => node.getBoundingClientRect().height"
        assert answer.locator("mfrac").evaluate(height) > 1.5 * answer.locator("mfrac mi").last.evaluate(height)
        expect(page.get_by_role("status")).to_have_text(MARKDOWN)

    def test_can_be_deleted(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint()
        page = site.open("/chat/", user=person)
        ask(page)
        expect(page.get_by_role("article", name="Answer").locator(".markdown")).to_be_visible()
        page.get_by_text("Delete", exact=True).click()
        page.get_by_role("button", name="Delete this conversation for good").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("New conversation")
        assert not Conversation.objects.exists()
        assert not Message.objects.exists()

    def test_begins_a_new_line_with_shift(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint()
        page = site.open("/chat/", user=person)
        page.get_by_label("Your prompt").fill("one")
        page.get_by_label("Your prompt").press("Shift+Enter")
        page.keyboard.type("two")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".said")).to_have_text("one\ntwo")
        expect(page.get_by_role("article", name="Answer").locator(".markdown")).to_be_visible()
        assert Message.objects.filter(role="user").count() == 1


class TestManner:
    def test_is_set_once_and_kept_with_the_conversation(
        self, site: Site, open_endpoint: OpenEndpoint, person: User
    ) -> None:
        endpoint = open_endpoint(answers=lambda *_: ScriptedAnswer(THREE_WORDS))
        page = site.open("/chat/", user=person)
        page.get_by_text("Instructions and parameters").click()
        page.get_by_label("Instructions (system prompt)").fill("Be brief.")
        page.get_by_label("Temperature").fill("0.5")
        page.get_by_label("Model", exact=True).select_option("auto:green")
        ask(page)
        expect(page.get_by_role("article", name="Answer").locator("strong")).to_have_text("five")
        expect(page.get_by_label("Model", exact=True)).to_contain_text("auto:green (stays on large)")
        page.reload()
        expect(page.get_by_label("Model", exact=True)).to_have_value("auto:green")
        page.get_by_text("Instructions and parameters").click()
        expect(page.get_by_label("Instructions (system prompt)")).to_have_value("Be brief.")
        ask(page, "And six?")
        expect(page.get_by_role("article", name="Answer")).to_have_count(2)
        expect(page.get_by_role("button", name="Send")).to_be_visible()
        for sent in [one.body for one in endpoint.server.requests if "messages" in one.body]:
            assert sent["messages"][0] == {"role": "system", "content": "Be brief."}  # type: ignore[index]
            assert sent["options"]["temperature"] == 0.5  # type: ignore[index]
        path = f"/chat/{Conversation.objects.get().public_id}/"
        check_page(site, path, user=person, wait_for=open_manner, picture="chat-manner")


def open_manner(page: Page) -> None:
    page.get_by_text("Instructions and parameters").click()


class TestCarbonAndThumbs:
    def test_are_told_and_given_in_place(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(answers=lambda *_: ScriptedAnswer(THREE_WORDS))
        page = site.open("/chat/", user=person)
        expect(page.locator("#meter")).to_be_empty()
        ask(page)
        meter = page.locator("#meter")
        expect(meter).to_contain_text("(estimated, n = 1 of 1)")
        ask(page, "And six?")
        expect(meter).to_contain_text("of 2)")
        expect(meter).to_contain_text("Measured")
        page.get_by_label("Your prompt").fill("half a thought")
        helpful = page.get_by_role("button", name="Helpful", exact=True).last
        helpful.press("Enter")
        expect(helpful).to_have_attribute("aria-pressed", "true")
        expect(helpful).to_be_focused()
        expect(page.get_by_label("Your prompt")).to_have_value("half a thought")
        assert Message.objects.latest("pk").thumb == "up"
        page.reload()
        expect(helpful).to_have_attribute("aria-pressed", "true")
        helpful.click()
        expect(helpful).to_have_attribute("aria-pressed", "false")


class TestStop:
    @pytest.mark.parametrize("by", ["button", "escape"])
    def test_stops_the_model_and_keeps_what_came(
        self, site: Site, open_endpoint: OpenEndpoint, person: User, by: str
    ) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STALL, model="small", times=1), answers={LIKE_MATH: THREE_WORDS})
        page = site.open("/chat/", user=person)
        ask(page)
        expect(page.locator("[data-text]")).to_have_text("It")
        if by == "button":
            page.get_by_role("button", name="Stop").click()
        else:
            page.keyboard.press("Escape")
        answer = page.get_by_role("article", name="Answer")
        expect(answer).to_contain_text("stopped")
        expect(answer.locator(".markdown")).to_have_text("It")
        expect(page.get_by_role("button", name="Send")).to_be_visible()
        assert eventually(lambda: endpoint.server.cancelled_count == 1)
        assert GatewayRequest.objects.get().state == "cancelled"
        assert Message.objects.get(role="assistant").state == "cancelled"
        ask(page)
        expect(page.get_by_role("article", name="Answer").last.locator("strong")).to_have_text("five")

    def test_ends_with_the_page(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        endpoint = open_endpoint(Fault(FaultKind.STALL, model="small"), answers={LIKE_MATH: THREE_WORDS})
        page = site.open("/chat/", user=person)
        ask(page)
        expect(page.locator("[data-text]")).to_have_text("It")
        page.goto("/account/sign-in/")
        assert eventually(lambda: endpoint.server.cancelled_count == 1)
        assert eventually(lambda: Message.objects.filter(state="cancelled", text="It").exists())


class TestProblem:
    def test_is_told_in_place_with_the_prompt_kept(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint()
        PromptIndex.objects.update(state=PromptIndex.State.REPLACED)
        page = site.open("/chat/", user=person)
        ask(page)
        expect(page.get_by_role("alert")).to_contain_text("manage.py build_index")
        expect(page.get_by_label("Your prompt")).to_have_value(LIKE_MATH)
        expect(page.get_by_role("article")).to_have_count(0)
        assert not Conversation.objects.exists()
        site.complaints[:] = [one for one in site.complaints if "503" not in one]  # the browser's own note
        page.get_by_label("Model").select_option("large")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("article", name="Answer")).to_contain_text("picked by you")
        expect(page.get_by_role("alert")).to_be_hidden()

    def test_in_the_middle_keeps_what_came(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(Fault(FaultKind.CUT, model="small"), answers={LIKE_MATH: THREE_WORDS})
        page = site.open("/chat/", user=person)
        ask(page)
        expect(page.get_by_role("alert")).to_contain_text("broke off")
        expect(page.get_by_role("article", name="Answer")).to_contain_text("It")
        expect(page.get_by_label("Your prompt")).to_have_value(LIKE_MATH)
        page.reload()
        expect(page.get_by_role("article", name="Answer")).to_contain_text("broken off")


class TestWithoutJavaScript:
    def test_the_form_answers_all_the_same(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(answers={LIKE_MATH: THREE_WORDS})
        page = site.open("/chat/", user=person, java_script_enabled=False)
        page.get_by_label("Your prompt").fill(LIKE_MATH)
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("article", name="Answer").locator("strong")).to_have_text("five")
        expect(page.locator(".said")).to_have_text(LIKE_MATH)
        page.get_by_label("Your prompt").fill("   ")
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_role("alert")).to_contain_text("The prompt is empty")
        expect(page.locator(".said")).to_have_text(LIKE_MATH)
        site.complaints.clear()  # the browser's own note on the status 400


class TestLooks:
    def test_of_an_empty_page_are_good_in_every_form(
        self, site: Site, open_endpoint: OpenEndpoint, person: User
    ) -> None:
        open_endpoint()
        check_page(site, "/chat/", user=person)

    def test_of_a_conversation_are_good_in_every_form(
        self, site: Site, open_endpoint: OpenEndpoint, person: User
    ) -> None:
        open_endpoint(answers={LIKE_MATH: MARKDOWN, "And why is that so?": "x" * 300})
        page = site.open("/chat/", user=person)
        ask(page)
        expect(page.get_by_role("article", name="Answer").locator("table").first).to_be_visible()
        ask(page, "And why is that so?")
        expect(page.get_by_role("article", name="Answer")).to_have_count(2)
        expect(page.get_by_role("button", name="Send")).to_be_visible()
        path = f"/chat/{Conversation.objects.get().public_id}/"
        check_page(site, path, user=person)
        check_page(site, path, user=person, wait_for=lambda page: page.get_by_text("Why this model?").first.click())

    def test_of_a_phone_let_one_chat(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        open_endpoint(answers={LIKE_MATH: THREE_WORDS})
        page = site.open("/chat/", user=person, width="phone", has_touch=True)
        page.get_by_label("Your prompt").fill(LIKE_MATH)
        page.get_by_role("button", name="Send").tap()
        expect(page.get_by_role("article", name="Answer").locator("strong")).to_have_text("five")
        page.get_by_role("link", name="All conversations").tap()
        expect(page.get_by_role("navigation", name="Conversations")).to_be_in_viewport()


def asked_and_opened(site: Site, person: User) -> str:
    """Ask once; return the address of the conversation."""
    page = site.open("/chat/", user=person)
    ask(page)
    expect(page.get_by_role("article", name="Answer").locator(".markdown")).to_be_visible()
    return f"/chat/{Conversation.objects.get().public_id}/"


def open_drawers(page: Page) -> None:
    page.get_by_text("Why this model?").first.click()
    for summary in page.locator(".near summary").all():
        summary.click()


class TestWhy:
    @pytest.mark.parametrize("policy", ["nearest", "knn", "guarded"])
    def test_shows_what_the_choice_rests_on_in_every_form(
        self, site: Site, open_endpoint: OpenEndpoint, person: User, policy: str
    ) -> None:
        grant_role(user=person, role=Role.RESEARCHER)
        endpoint = open_endpoint(answers=lambda *_: ScriptedAnswer("Five."))
        endpoint.federation.code.item_text = "write a python function " + "that sorts a list of many words " * 40
        endpoint.federation.code.save()
        PolicyVersion.objects.create(policy=policy, sci_price=50.0)
        path = asked_and_opened(site, person)
        page = site.open(path, user=person)
        open_drawers(page)
        answer = page.get_by_role("article", name="Answer")
        expect(answer).to_contain_text(f"{policy}, version")
        expect(answer).to_contain_text("large, the most accurate active model, would have cost")
        if policy == "nearest":
            expect(answer.locator("p.badges")).to_contain_text("against large (expected, estimated, n = 1)")
        near = page.get_by_role("list", name="Nearest known prompts").locator("> li")
        expect(near.nth(0)).to_contain_text("2 of 2 models right")
        expect(near.nth(1)).to_contain_text("small: wrong")
        expect(near.nth(1)).to_contain_text("(the beginning)")
        table = page.get_by_role("table", name="Candidates")
        expect(table).to_contain_text("right" if policy == "nearest" else "labels")
        check_page(site, path, user=person, wait_for=open_drawers)

    def test_tells_those_who_judge_blind_the_choice_alone(
        self, site: Site, open_endpoint: OpenEndpoint, person: User
    ) -> None:
        grant_role(user=person, role=Role.ANNOTATOR)
        endpoint = open_endpoint(answers=lambda *_: ScriptedAnswer("Five."))
        path = asked_and_opened(site, person)
        page = site.open(path, user=person)
        open_drawers(page)
        answer = page.get_by_role("article", name="Answer")
        expect(answer).to_contain_text("shown only to those who may see results")
        expect(answer).to_contain_text("mgCO₂e (estimated, n = 1)")
        expect(answer).not_to_contain_text(endpoint.federation.math.item_text)
        assert page.get_by_role("table").count() == 0
        assert "would have cost" not in answer.inner_text()
        assert "against" not in answer.inner_text()
        check_page(site, path, user=person, wait_for=open_drawers)

    def test_opens_without_javascript(self, site: Site, open_endpoint: OpenEndpoint, person: User) -> None:
        grant_role(user=person, role=Role.RESEARCHER)
        open_endpoint(answers=lambda *_: ScriptedAnswer("Five."))
        path = asked_and_opened(site, person)
        page = site.open(path, user=person, java_script_enabled=False)
        page.get_by_text("Why this model?").first.click()
        expect(page.get_by_role("table", name="Candidates")).to_be_visible()
