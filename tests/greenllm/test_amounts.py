import pytest

from greenllm.templatetags import amounts


class TestAmounts:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [
            (None, "unknown"),
            (0.0, "0.00\u00a0s"),
            (1.234, "1.23\u00a0s"),
            (42.4, "42\u00a0s"),
            (60.0, "1\u00a0min"),
            (125.0, "2\u00a0min 5\u00a0s"),
            (3_600.0, "1\u00a0h"),
            (3_725.0, "1\u00a0h 2\u00a0min"),
            (90_000.0, "1\u00a0d 1\u00a0h"),
            (126_144_000, "1460\u00a0d"),
        ],
    )
    def test_say_about_how_long(self, seconds: float | None, text: str) -> None:
        assert amounts.about(seconds) == text

    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(126_144_000, "4\u00a0years"), (31_536_000, "1\u00a0year"), (78_840_000, "2.50\u00a0years")],
    )
    def test_say_how_many_years(self, seconds: float, text: str) -> None:
        assert amounts.years(seconds) == text

    @pytest.mark.parametrize("write", [amounts.joules, amounts.watts, amounts.nanoseconds, amounts.years])
    def test_write_a_dash_for_what_is_missing(self, write: object) -> None:
        assert write(None) == "\u2013"  # type: ignore[operator]

    def test_write_energy_power_and_time_with_their_units(self) -> None:
        assert amounts.joules(12.345) == "12.3\u00a0J"
        assert amounts.watts(1500) == "1.50\u00a0W"
        assert amounts.nanoseconds(250_000_000) == "0.250\u00a0s"
