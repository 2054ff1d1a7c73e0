"""The report in a browser: how it looks, its sliders, and the file for sharing opened from disk."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from greenllm.models import User
from greenllm.roles import Role, grant_role
from tests import factories as make
from tests.browsing import BROWSING, Site, axe_violations, check_page, scrolls_sideways
from tests.greenllm.reports.studies import make_known_study
from tests.greenllm.reports.test_files import PAGE, written
from tests.shots import SCHEMES as SHOT_SCHEMES
from tests.shots import WIDTHS as SHOT_WIDTHS
from tests.shots import take as take_pictures

pytestmark = BROWSING


def researcher() -> User:
    user = make.make_user()
    grant_role(user=user, role=Role.RESEARCHER)
    return user


def shown(page: Page) -> list[str]:
    """Return every figure of the what-if tables with its interval."""
    cells = page.locator("#what-if td.number, #what-if-table-3 td.number")
    return [re.sub(r"\s+", " ", text) for text in cells.all_inner_texts()]


_DRAWN = """() => [...document.querySelectorAll("#what-if-section svg.drawn.wide")].map((svg) => {
  const from = svg.getBoundingClientRect();
  const boxes = [...svg.querySelectorAll("[data-figure] > :is(polygon, rect, line)")].map((part) => {
    const box = part.getBoundingClientRect();
    return [box.left - from.left, box.right - from.left, box.top - from.top, box.bottom - from.top];
  });
  return {boxes: boxes.flat(), ticks: [...svg.querySelectorAll("[class^=ticks] text")].map((text) => text.textContent)};
})"""


class TestPage:
    def test_looks_right(self, site: Site) -> None:
        make_known_study()
        check_page(site, f"{PAGE}?pair=small%3Dtinyllama&pair=large%3Dllama3", user=researcher(), picture="report")

    def test_looks_right_without_answers(self, site: Site) -> None:
        make.make_study("empty", machine=None, kind="imported")
        check_page(site, "/studies/empty/report/", user=researcher(), picture="report-empty")

    def test_works_out_the_same_as_the_server(self, site: Site) -> None:
        make_known_study()
        user = researcher()
        page = site.open(PAGE, user=user)
        stored = shown(page)
        for name, value in (("intensity", "40"), ("lifespan", "8"), ("embodied", "300")):
            page.locator(f"#what-if-{name}").fill(value)
        expect(page.locator("#what-if-status")).to_contain_text("Worked out here")
        asked = site.open(f"{PAGE}?intensity=40&lifespan=8&embodied=300", user=user, java_script_enabled=False)
        assert shown(page) == shown(asked) != stored
        moved, expected = page.evaluate(_DRAWN), asked.evaluate(_DRAWN)
        assert [one["ticks"] for one in moved] == [one["ticks"] for one in expected]
        assert [len(one["boxes"]) > 8 for one in moved] == [True, True]
        for one, other in zip(moved, expected, strict=True):
            assert one["boxes"] == pytest.approx(other["boxes"], abs=1.0)  # pixels
        for name in ("intensity", "embodied"):
            page.locator(f"#what-if-{name}").fill("0")
        expect(page.locator("#what-if-0-1")).to_contain_text("no emissions")
        assert str(page.locator("#what-if-0-0 a").get_attribute("aria-label")).startswith("0.00, n = ")
        asked = site.open(f"{PAGE}?intensity=0&lifespan=8&embodied=0", user=user, java_script_enabled=False)
        assert shown(page) == shown(asked)
        page.locator("#what-if-lifespan").fill("0")
        expect(page.locator("#what-if-status")).to_contain_text("from 0.5 to 15")

    def test_has_its_charts_on_paper_and_in_pictures(self, site: Site, tmp_path: Path) -> None:
        make_known_study()
        page = site.open(PAGE, user=researcher())
        take_pictures(page, PAGE, tmp_path)
        assert len(list(tmp_path.glob("studies-known-report-*.png"))) == len(SHOT_WIDTHS) * len(SHOT_SCHEMES)
        page.emulate_media(media="print")
        for chart in page.locator("figure.chart").all():
            expect(chart).to_be_visible()


class TestSharedFile:
    def test_opens_from_disk_and_is_silent(self, site: Site, tmp_path: Path) -> None:
        make_known_study()
        path = tmp_path / "report.html"
        written("--format", "html", "--output", str(path))
        page = site.open(path.as_uri())
        assert axe_violations(page) == []
        assert not scrolls_sideways(page)
        before = shown(page)
        page.get_by_label("Lifespan (years), slider").fill("10")
        assert shown(page) != before
