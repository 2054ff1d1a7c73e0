"""A clock that nobody sets."""

from datetime import timedelta

import pytest

from router.steady_clock import SteadyClock
from tests.factories import NOW


@pytest.mark.slow
def test_tells_the_time_of_its_beginning_and_what_has_passed_since() -> None:
    passed = iter([50.0, 50.0, 53.5])
    clock = SteadyClock(NOW, monotonic=lambda: next(passed))
    assert clock.began_at == NOW
    assert clock.now() == NOW
    assert clock.now() == NOW + timedelta(seconds=3.5)
