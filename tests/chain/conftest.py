"""One demo for all tests of the chain, and a browser to look at it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.chain.installation import Installation, installation

DEMO_TIMEOUT_S = 420
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A demo that has measured, labeled, routed and compared, and serves."""
    with installation(tmp_path_factory.mktemp("demo") / "var") as made:
        made.start("demo", "--limit", "2")
        made.wait_for_log("until Ctrl-C", DEMO_TIMEOUT_S)
        yield made


@pytest.fixture(scope="module")  # Playwright keeps an event loop running, which no other asyncio test could bear
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    path = os.environ.get("CHROMIUM_BINARY") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no Chromium: install the package chromium, or set CHROMIUM_BINARY")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(Path(path)), args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()
