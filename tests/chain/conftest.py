"""One demo for all tests of the chain who look at it, and one that was broken off for those who go on from there."""

from collections.abc import Iterator

import pytest

from tests.chain.installation import Installation, installation
from tests.chain.killing import break_off

DEMO_TIMEOUT_S = 420


@pytest.fixture(scope="package")  # none of it is left running beside the tests that come after
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A demo that has measured, labeled, routed and compared, and serves."""
    with installation(tmp_path_factory.mktemp("demo") / "var") as made:
        made.start("demo", "--limit", "2")
        made.wait_for_log("until Ctrl-C", DEMO_TIMEOUT_S)
        yield made


@pytest.fixture(scope="package")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A demo of few prompts whose processes were killed meanwhile, and that another run of it brought to its end."""
    with installation(tmp_path_factory.mktemp("resumed") / "var") as made:
        break_off(made)
        made.start("demo", "--limit", "1", "--exit")
        made.wait_for_log("oracle", DEMO_TIMEOUT_S)
        assert made.process is not None
        assert made.process.wait(60) == 0
        made.process = None
        yield made
