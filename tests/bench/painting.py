"""When the first chart of a page is painted, in headless Chromium; charts wait until they are scrolled to, so it is."""

from typing import TYPE_CHECKING

from tests.bench.table import Table

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAINTED_MS = 1000.0
_VISITS = 5
_WAIT_MS = 10_000
# milliseconds since the navigation began, noted two frames after the first chart was drawn, by the script or (in
# reports) by the server; what stands in a folded part is never painted
_NOTED = """
const charts = (which) => [...document.querySelectorAll(which)].filter((one) => one.checkVisibility());
document.addEventListener("DOMContentLoaded", () => charts("figure.chart")[0]?.scrollIntoView());
new MutationObserver((_, observer) => {
  if (!charts("figure.chart[data-drawn], figure.chart:not([data-chart]) svg").length) return;
  observer.disconnect();
  requestAnimationFrame(() => requestAnimationFrame(() => {
    document.documentElement.dataset.paintedAt = performance.now();
  }));
}).observe(document, { subtree: true, childList: true, attributes: true });
"""


def painted(base_url: str, cookies: dict[str, str], pages: list[str], table: Table) -> None:
    """Tell how soon the first chart of each page is painted; the first visit, which fills the browser's cache, too."""
    from playwright.sync_api import TimeoutError as NothingCame
    from playwright.sync_api import sync_playwright

    from tests.browsing import CHROMIUM_ARGUMENTS, chromium_path

    path = chromium_path()
    if path is None:
        table.skipped("first chart painted", "no Chromium here")
        return
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(path), args=CHROMIUM_ARGUMENTS)
        context = browser.new_context(base_url=base_url, viewport={"width": 1280, "height": 800})
        context.add_cookies([{"name": name, "value": value, "url": base_url} for name, value in cookies.items()])
        context.add_init_script(_NOTED)
        page = context.new_page()
        for address in pages:
            what = f"{address} first chart painted, slowest"
            try:
                slowest = max(_painted_ms(page, address) for _ in range(_VISITS))
            except NothingCame:
                table.row(what, "never", f"< {PAINTED_MS:g} ms", is_ok=False, n=_VISITS)
            else:
                table.below(what, slowest, PAINTED_MS, "ms", n=_VISITS, digits=0)
        browser.close()


def _painted_ms(page: "Page", address: str) -> float:
    page.goto(address, wait_until="commit")
    noted = page.wait_for_selector("html[data-painted-at]", state="attached", timeout=_WAIT_MS)
    return float((noted and noted.get_attribute("data-painted-at")) or "nan")
