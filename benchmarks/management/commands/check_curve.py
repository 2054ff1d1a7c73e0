"""Hold the energies of a study against the course of power that a simulated board showed."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from benchmarks.curve_errors import BeforeTheCurve, CurveErrors, Measured, errors_of
from benchmarks.exporting import COLUMNS, measurement_rows
from benchmarks.management.curves import add_curve_arguments, curve_from
from benchmarks.management.telling import TellingCommand, study_named
from benchmarks.meters.power_curve import PowerCurveError


class Command(TellingCommand):
    help = (
        "Hold every energy of a study against the exact energy of the curve that `simulate_board` showed: errors by "
        "length of the answer, how many are inside the interval told with them, and how many are missing."
    )
    told = (BeforeTheCurve, PowerCurveError)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True)
        parser.add_argument("--began", type=int, required=True, metavar="NS", help="As simulate_board printed it.")
        parser.add_argument("--channel", default="machine", help="The channel that the board is; machine by default.")
        add_curve_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        study = study_named(options["study"])
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in measurement_rows(study=study)]
        of_channel = [row for row in rows if row["channel"] == options["channel"]]
        if not of_channel:
            channels = ", ".join(sorted({str(row["channel"]) for row in rows if row["channel"]})) or "none"
            raise CommandError(f"--channel: {study} has no measurement of {options['channel']!r}. It has: {channels}.")
        measured = [_measured(row) for row in of_channel if row["start_monotonic_ns"] and row["end_monotonic_ns"]]
        qualities = ", ".join(sorted({str(row["quality"]) for row in of_channel}))
        self.stdout.write(f"{study}, channel {options['channel']} ({qualities}), n = {len(measured)}")
        for errors in errors_of(curve_from(options["curve"], options), measured, began_ns=options["began"]):
            self.stdout.write(_line(errors))


def _measured(row: dict[str, Any]) -> Measured:
    return Measured(
        row["start_monotonic_ns"], row["end_monotonic_ns"], row["energy_j"], row["energy_low_j"], row["energy_high_j"]
    )


def _line(errors: CurveErrors) -> str:
    lengths = (
        f"{errors.from_s:g} s and more" if errors.to_s == float("inf") else f"{errors.from_s:g} to {errors.to_s:g} s"
    )
    head = f"  {lengths}: {errors.count - errors.missing_count} of {errors.count} with an energy"
    if errors.mean is None or errors.p95 is None or errors.largest is None:
        return head
    return (
        f"{head}; error mean {100 * errors.mean:+.2f} %, p95 {100 * errors.p95:.2f} %, "
        f"largest {100 * errors.largest:.2f} %; {errors.inside} of {errors.interval_count} inside their intervals"
    )
