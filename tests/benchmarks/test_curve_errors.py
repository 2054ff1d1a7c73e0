"""The errors of measured energies against a known curve: arithmetic, and the command that prints them."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from benchmarks.curve_errors import BeforeTheCurve, CurveErrors, Measured, curve_energy_j, errors_of
from benchmarks.meters.power_curve import CurvePoint, PowerCurve
from benchmarks.models import ChannelReading
from tests.factories import make_deployment, make_prompt, make_response, make_study

SECOND = 1_000_000_000
BEGAN = 7 * SECOND
STEP = PowerCurve([CurvePoint(0, 60), CurvePoint(10, 220)])


class TestCurveEnergy:
    def test_is_the_area_between_the_marks(self) -> None:
        # 2 s of 60 W, 3 s of 220 W
        assert curve_energy_j(STEP, began_ns=BEGAN, start_ns=BEGAN + 8 * SECOND, end_ns=BEGAN + 13 * SECOND) == 780

    def test_is_not_known_before_the_curve(self) -> None:
        with pytest.raises(BeforeTheCurve, match=r"began 0\.500 s before the curve"):
            curve_energy_j(STEP, began_ns=BEGAN, start_ns=BEGAN - SECOND // 2, end_ns=BEGAN + SECOND)


class TestErrors:
    def test_go_by_length(self) -> None:
        short = Measured(BEGAN, BEGAN + SECOND // 2, 30.0, 29.0, 31.0)
        longer = [
            Measured(BEGAN, BEGAN + 2 * SECOND, 121.2, 121.0, 122.0),  # 1 % too much, and sure of it
            Measured(BEGAN, BEGAN + 4 * SECOND, 237.6, 235.0, 241.0),  # 1 % too little, inside
            Measured(BEGAN, BEGAN + 4 * SECOND, None),
        ]
        first, second = errors_of(STEP, [short, *longer], began_ns=BEGAN)

        assert first == CurveErrors(0.0, 1.0, 1, 0, 0.0, 0.0, 0.0, 1, 1)
        assert (second.from_s, second.to_s, second.count, second.missing_count) == (1.0, 5.0, 3, 1)
        assert (second.mean, second.p95, second.largest) == pytest.approx((0.0, 0.01, 0.01))
        assert (second.interval_count, second.inside) == (2, 1)

    def test_are_not_zero_where_no_energy_is_known(self) -> None:
        (found,) = errors_of(STEP, [Measured(BEGAN, BEGAN + 6 * SECOND, None)], began_ns=BEGAN)
        assert (found.count, found.missing_count, found.mean, found.p95, found.largest) == (1, 1, None, None, None)


@pytest.mark.django_db
class TestCheckCurve:
    @pytest.fixture
    def curve(self, tmp_path: Path) -> Path:
        path = tmp_path / "curve.csv"
        path.write_text("time_s,power_w\n0,60\n10,220\n")
        return path

    @pytest.fixture(autouse=True)
    def study(self) -> None:
        study = make_study("board")
        response = make_response(make_prompt("One?"), make_deployment("tiny"), study=study, energy_j=786.0)
        measurement = response.measurement
        assert measurement is not None
        measurement.started_monotonic_ns = BEGAN + 8 * SECOND
        measurement.finished_monotonic_ns = BEGAN + 13 * SECOND
        measurement.save()
        ChannelReading.objects.create(
            measurement=measurement, channel="machine", meter="mcp", is_in_boundary=True, energy_j=787.8,
            sample_count=50, coverage=1, quality="simulated",
        )  # fmt: skip

    def test_tells_errors_n_and_quality(self, curve: Path) -> None:
        assert checked("--study", "board", "--curve", curve, "--began", str(BEGAN)) == (
            "board, channel machine (simulated), n = 1\n"
            "  5 s and more: 1 of 1 with an energy; error mean +1.00 %, p95 1.00 %, largest 1.00 %; "
            "0 of 0 inside their intervals\n"
        )

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--study", "none"], "There is no study 'none'"),
            (["--study", "board", "--channel", "gpu-0"], "no measurement of 'gpu-0'. It has: machine"),
            (["--study", "board", "--began", str(BEGAN + 9 * SECOND)], r"1\.000 s before the curve"),
            (["--study", "board", "--curve", "/nowhere.csv"], "cannot be read"),
        ],
    )
    def test_says_what_is_wrong(self, curve: Path, options: list[str], message: str) -> None:
        with pytest.raises(CommandError, match=message):
            checked("--curve", curve, "--began", str(BEGAN), *options)


def checked(*options: str | Path) -> str:
    said = StringIO()
    call_command("check_curve", *map(str, options), stdout=said)
    return said.getvalue()
