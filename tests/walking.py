"""What somebody does on the first day with an installation that holds a study, as its pages have it done.

It leaves rows that no command makes: a conversation, verdicts of a person, a correction that is undone, an evaluation.
"""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

PROMPTS = ("What is 17 times 23?", "Write a Python function that reverses a string.")
VERDICT_KEYS = ("a", "x", "n", "a", "s", "a")
_WORKING_MS = 300_000  # of a model or the worker, on a slow machine


def walk(page: "Page") -> None:
    """Chat, judge by keyboard, evaluate, correct; every step waits for what a person would see."""
    chat(page)
    judge(page)
    evaluate(page)
    correct(page)


def chat(page: "Page") -> None:
    from playwright.sync_api import expect

    page.goto("/chat/")
    for number, prompt in enumerate(PROMPTS, start=1):
        page.get_by_label("Your prompt").fill(prompt)
        page.keyboard.press("Enter")
        whys = page.locator("article.turn.model details.why")
        expect(whys).to_have_count(number, timeout=_WORKING_MS)
    whys.last.locator("summary").first.click()
    expect(whys.last.get_by_role("heading", name=re.compile("^Candidates"))).to_be_visible()


def judge(page: "Page") -> None:
    """Press a key for each answer, as long as there is one; a key counts once the answer could be read."""
    from playwright.sync_api import expect

    page.goto("/label/")
    for key in VERDICT_KEYS:
        answer = page.locator("#answer [data-answer]")
        if answer.count():
            shown = answer.get_attribute("data-answer")
            page.locator("#answer [data-ready]").wait_for()
            page.keyboard.press(key)
            expect(page.locator(f'#answer [data-answer="{shown}"]')).to_have_count(0)


def evaluate(page: "Page") -> None:
    page.goto("/routing/")
    page.get_by_label("Study").first.select_option(index=1)
    page.get_by_role("button", name="Evaluate").click()
    page.wait_for_url(re.compile(r"/routing/evaluations/\d+/"))
    page.get_by_role("heading", name=re.compile("Finished")).wait_for(timeout=_WORKING_MS)


def correct(page: "Page") -> None:
    """Void the labels that were just given, and have them count again."""
    page.goto("/label/corrections/")
    page.get_by_label("Labels of").select_option(index=1)
    page.get_by_label("Reason").fill("Judged in a hurry.")
    page.get_by_role("button", name="Show what that would do").click()
    page.get_by_role("button", name=re.compile("^Void")).click()
    page.goto("/label/corrections/")
    page.locator(".own-label-title a").first.click()
    page.get_by_role("button", name=re.compile("^Undo: ")).click()
    page.get_by_text("Count again", exact=True).wait_for()
