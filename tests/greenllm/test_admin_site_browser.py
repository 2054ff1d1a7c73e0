"""The admin site in a real browser: its popups work, and it asks for nothing that browsers give up."""

from playwright.sync_api import Page, expect

from tests import factories as make
from tests.browsing import BROWSING, Site

pytestmark = BROWSING


def test_popups_of_related_rows_save_and_close(site: Site) -> None:
    """An unload listener would be told among the issues, and a popup ends with the page that opened it."""
    prompt = make.make_prompt(category="math")
    page = site.open("/admin/", user=make.make_user(is_staff=True, is_superuser=True))
    issues = _issues_of(page)
    page.goto(f"/admin/benchmarks/prompt/{prompt.pk}/change/")
    with page.expect_popup() as opened:
        page.click("#add_id_category")
    opened.value.fill("#id_name", "poems")
    opened.value.fill("#id_title", "Poems")
    with opened.value.expect_event("close"):
        opened.value.click("input[name=_save]")
    expect(page.locator("#id_category option:checked")).to_have_text("poems")

    with page.expect_popup() as opened:
        page.click("#change_id_category")
    expect(opened.value.locator("#id_title")).to_have_value("Poems")
    with opened.value.expect_event("close"):
        page.click("#site-name a")
    expect(page).to_have_title("Site administration | GreenLLM")
    assert [one for one in issues if "deprecation" in str(one).lower()] == []


def test_lists_filter_and_rows_of_their_own_are_added(site: Site) -> None:
    study = make.make_study("first")
    page = site.open("/admin/benchmarks/study/?state=draft", user=make.make_user(is_staff=True, is_superuser=True))
    expect(page.locator("#changelist-filter")).to_be_visible()
    page.goto(f"/admin/benchmarks/study/{study.pk}/change/")
    rows = page.locator(".inline-related tr.form-row:not(.empty-form)")
    before = rows.count()
    page.locator(".inline-group .add-row a").first.click()
    expect(rows).to_have_count(before + 1)


def test_the_sidebar_pushes_nothing_aside_and_closes(site: Site) -> None:
    user = make.make_user(is_staff=True, is_superuser=True)
    page = site.open(f"/admin/greenllm/user/{user.pk}/change/", user=user)
    sidebar = page.locator("#nav-sidebar")
    expect(sidebar).to_be_visible()
    assert page.evaluate(_SHIFTED) < 0.1  # what Lighthouse calls good
    page.click("#toggle-nav-sidebar")
    expect(sidebar).to_be_hidden()
    page.reload()
    expect(sidebar).to_be_hidden()


# how far what was drawn moved without anybody's doing: a share of the window
_SHIFTED = """() => new Promise((done) => {
  new PerformanceObserver((list) => done(list.getEntries().reduce((sum, one) => sum + one.value, 0)))
    .observe({type: "layout-shift", buffered: true});
  setTimeout(() => done(0), 500);
})"""


def _issues_of(page: Page) -> list[dict[str, object]]:
    """Return a list to which Chromium adds what it would tell a developer about the page."""
    issues: list[dict[str, object]] = []
    session = page.context.new_cdp_session(page)
    session.on("Audits.issueAdded", lambda event: issues.append(event["issue"]))
    session.send("Audits.enable")
    return issues
