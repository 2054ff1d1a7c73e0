"""Hostile texts in a real browser: nothing of them runs, on one visit of each page that shows them all."""

from tests.browsing import BROWSING, Site
from tests.greenllm.hostile_places import make_admin, make_hostile_places, make_hostile_talk, pages_of

pytestmark = BROWSING
# attributes that would act, and scripts that are not files of ours
_HANDLERS = """() => [...document.querySelectorAll("*")].flatMap((one) => one.getAttributeNames()
  .filter((name) => name.startsWith("on") || name.startsWith("hx-on")).map((name) => `${one.tagName} ${name}`))"""
_SCRIPTS = """() => [...document.scripts].filter((one) => one.type !== "application/json"
  && !(one.src.startsWith(location.origin + "/static/"))).map((one) => one.outerHTML.slice(0, 200))"""


def test_runs_none_of_them(site: Site) -> None:
    admin = make_admin()
    _, response = make_hostile_places()
    paths = pages_of(response, make_hostile_talk(admin))
    dialogs: list[str] = []
    page = site.open("/account/", user=admin)
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    for what in ("the chat", "the labeling page", "a response", "a report", "the federation"):
        page.goto(paths[what])
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.reached") is None, what
        assert page.evaluate(_HANDLERS) == [], what
        assert page.evaluate(_SCRIPTS) == [], what
        assert page.evaluate("document.baseURI").startswith(site.address), what
    assert dialogs == []
    cells = page.evaluate(
        """['=1', '+1', '-cmd', '@a', '\\t=1', '\uff1d1', "'=1", 'a=1', '-5', -5, null].map(csvCell)"""
    )
    assert [cell.strip('"') for cell in cells] == [
        "'=1", "+1", "'-cmd", "'@a", "'\t=1", "'\uff1d1", "''=1", "a=1", "-5", "-5", "",
    ]  # fmt: skip
