"""What every test of a real client has: the endpoint served over committed rows."""

import pytest

from tests.router.endpoint import COMMITTED

CLIENTS = [
    COMMITTED,
    pytest.mark.slow,
    # the packages leave connections open; `_left_open` in conftest.py collects them within the test
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
