"""One demo for all tests of the chain, for all who look at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chain.installation import Installation, installation

DEMO_TIMEOUT_S = 420


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together what shares an installation: the tests that look at the demo, and those of a file."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            shares_demo = "demo" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("demo" if shares_demo else item.path.stem))


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A demo that has measured, labeled, routed and compared, and serves."""
    with installation(tmp_path_factory.mktemp("demo") / "var") as made:
        made.start("demo", "--limit", "2")
        made.wait_for_log("until Ctrl-C", DEMO_TIMEOUT_S)
        yield made
