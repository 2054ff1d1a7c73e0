import pytest

from tests.bench.scale import Sight, old_until_ms


def seen(*statuses: int) -> list[Sight]:
    """What requests saw that were sent every 100 ms."""
    return [Sight(number / 10, status, "") for number, status in enumerate(statuses)]


class TestOldUntil:
    @pytest.mark.parametrize(
        ("statuses", "expected_ms"),
        [
            ((404, 404), 0),
            ((200, 200, 404), 100),
            ((200, 404, 200, 404), 200),
            ((200, 404, 200), float("inf")),
            ((), float("inf")),
        ],
        ids=["at once", "soon", "back once", "not at the end", "nobody asked"],
    )
    def test_is_when_the_latest_was_sent_that_saw_the_old(self, statuses: tuple[int, ...], expected_ms: float) -> None:
        found = old_until_ms(list(reversed(seen(*statuses))), lambda one: one.status == 404)
        assert found == pytest.approx(expected_ms)
