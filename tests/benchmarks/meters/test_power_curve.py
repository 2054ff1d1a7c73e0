import pytest

from benchmarks.meters.power_curve import CurvePoint, PowerCurve, PowerCurveError, read_points

POINTS = (CurvePoint(0, 10), CurvePoint(1, 60), CurvePoint(2, 20))


class TestPowerCurve:
    @pytest.mark.parametrize(("elapsed_s", "energy_j"), [(0, 0), (0.5, 5), (1, 10), (1.5, 40), (2, 70), (3, 90)])
    def test_holds_each_power_until_the_next_point(self, elapsed_s: float, energy_j: float) -> None:
        assert PowerCurve(POINTS).energy_j(elapsed_s) == pytest.approx(energy_j)

    @pytest.mark.parametrize(("elapsed_s", "energy_j"), [(0, 0), (0.5, 11.25), (1, 35), (1.5, 60), (2, 75), (3, 95)])
    def test_can_go_in_straight_lines(self, elapsed_s: float, energy_j: float) -> None:
        assert PowerCurve(POINTS, is_linear=True).energy_j(elapsed_s) == pytest.approx(energy_j)

    def test_can_begin_again(self) -> None:
        curve = PowerCurve(POINTS, is_repeated=True)

        assert curve.energy_j(5) == pytest.approx(70 + 70 + 10)
        assert curve.mean_power_w(1.5, 2.5) == pytest.approx(30 + 5)

    def test_shows_its_first_power_before_its_begin(self) -> None:
        assert PowerCurve(POINTS).mean_power_w(-1, 1) == pytest.approx(10)
        assert PowerCurve([CurvePoint(1, 60)]).energy_j(1) == pytest.approx(60)

    @pytest.mark.parametrize(
        ("points", "message"),
        [
            ([], "at least one"),
            ([CurvePoint(0, 1), CurvePoint(0, 2)], "follows"),
            ([CurvePoint(0, -1)], "cannot be played"),
            ([CurvePoint(0, float("nan"))], "cannot be played"),
            ([CurvePoint(0, float("inf"))], "cannot be played"),
        ],
    )
    def test_refuses_what_makes_no_curve(self, points: list[CurvePoint], message: str) -> None:
        with pytest.raises(PowerCurveError, match=message):
            PowerCurve(points)

    def test_needs_a_length_to_begin_again(self) -> None:
        with pytest.raises(PowerCurveError, match="second point"):
            PowerCurve([CurvePoint(0, 1)], is_repeated=True)


class TestReadPoints:
    def test_reads_columns_by_name(self) -> None:
        assert read_points(["note,power_w,time_s", "idle,60,0", "load,210.5,1.5"]) == [
            CurvePoint(0, 60),
            CurvePoint(1.5, 210.5),
        ]

    @pytest.mark.parametrize(
        ("lines", "message"),
        [
            ([], "columns time_s and power_w"),
            (["time,power", "0,60"], "columns time_s and power_w"),
            (["time_s,power_w", "0,60", "1,much"], "line 3"),
            (["time_s,power_w", "0"], "line 2"),
        ],
    )
    def test_names_what_is_wrong(self, lines: list[str], message: str) -> None:
        with pytest.raises(PowerCurveError, match=message):
            read_points(lines)
