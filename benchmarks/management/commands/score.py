"""Recompute the scores of a study."""

import math
from typing import Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from benchmarks.intensities import AmbiguousIntensity, NoIntensity, average_of, yearly_of
from benchmarks.management.telling import TellingCommand, study_named
from benchmarks.sci import SciInputError
from benchmarks.scoring import rescore_study
from benchmarks.units import SECONDS_PER_YEAR


class Command(TellingCommand):
    help = "Recompute every SCI of a study from its stored energy; nothing is measured again."
    told: ClassVar[tuple[type[Exception], ...]] = (NoIntensity, AmbiguousIntensity)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True, help="Name of the study.")
        intensity = parser.add_mutually_exclusive_group()
        intensity.add_argument("--intensity", type=float, help="Carbon intensity in gCO2e/kWh.")
        intensity.add_argument("--zone", help="The carbon intensity of this zone, such as FR.")
        parser.add_argument("--year", type=int, help="In this year; with --zone, the latest where absent.")
        parser.add_argument("--source", help="A part of the source's name; where several differ on a year.")
        parser.add_argument("--lifespan-years", type=float, help="Expected lifespan in years of 365 days.")
        parser.add_argument("--embodied", type=float, help="Total embodied emissions in gCO2e.")

    def handle(self, *args: Any, **options: Any) -> None:
        years = options["lifespan_years"]
        study = study_named(options["study"])
        intensity, source = _intensity(options)
        rescored = rescore_study(
            study=study,
            carbon_intensity_gco2e_per_kwh=intensity,
            carbon_intensity_source=source,
            expected_lifespan_s=None if years is None else _seconds(years),
            total_embodied_emissions_gco2e=options["embodied"],
        )
        self.stdout.write(
            f"{rescored.scored_count} responses scored, {rescored.missing_count} without energy have no score."
        )
        if intensity is not None:
            self.stdout.write(f"Carbon intensity: {intensity:g} gCO2e/kWh ({source}).")


def _intensity(options: dict[str, Any]) -> tuple[float | None, str]:
    """Return the chosen intensity in gCO2e/kWh and where it is from; none where nothing was chosen."""
    zone, year, source = options["zone"], options["year"], options["source"]
    if year is None and source is not None:
        raise CommandError("--source tells the sources of a year apart: give --zone and --year too.")
    if zone is None and year is not None:
        raise CommandError("--year is the year of a zone's intensity: give --zone too.")
    if zone is None:
        return options["intensity"], "" if options["intensity"] is None else "given by hand"
    row = average_of(zone=zone) if year is None else yearly_of(zone=zone, year=year, source=source or "")
    return row.gco2e_per_kwh, row.origin


def _seconds(years: float) -> int:
    if not math.isfinite(years):
        raise SciInputError(f"--lifespan-years must be a number above 0, not {years}.")
    return round(years * SECONDS_PER_YEAR)
