"""One demo for all tests of the chain, for all who look at it."""

from collections.abc import Iterator

import pytest

from tests.chain.installation import Installation, installation

DEMO_TIMEOUT_S = 420


@pytest.fixture(scope="package")  # none of it is left running beside the tests that come after
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A demo that has measured, labeled, routed and compared, and serves."""
    with installation(tmp_path_factory.mktemp("demo") / "var") as made:
        made.start("demo", "--limit", "2")
        made.wait_for_log("until Ctrl-C", DEMO_TIMEOUT_S)
        yield made
