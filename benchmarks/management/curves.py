"""The options of commands that play or know a course of power."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandError, CommandParser

from benchmarks.meters.power_curve import PowerCurve, PowerCurveError, read_points


def add_curve_arguments(parser: CommandParser) -> None:
    """Add the file of a curve and how it is read."""
    parser.add_argument("--curve", type=Path, required=True, help="CSV with time_s and power_w; its end is held.")
    parser.add_argument("--linear", action="store_true", help="Go in straight lines between points, not in steps.")
    parser.add_argument("--repeat", action="store_true", help="Begin the curve again at its end.")


def curve_from(path: Path, options: dict[str, Any]) -> PowerCurve:
    """Return the curve of a file, read as the options say.

    Raises:
        CommandError: the file cannot be read.
        PowerCurveError: it makes no curve; the message names file and line.
    """
    try:
        with path.open(encoding="utf8", newline="") as file:
            points = read_points(file)
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    try:
        return PowerCurve(points, is_linear=options["linear"], is_repeated=options["repeat"])
    except PowerCurveError as error:
        raise PowerCurveError(f"{path}: {error}") from error
