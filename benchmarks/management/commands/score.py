"""Recompute the scores of a study."""

import math
from typing import Any

from django.core.management.base import CommandParser

from benchmarks.management.telling import TellingCommand, study_named
from benchmarks.sci import SciInputError
from benchmarks.scoring import rescore_study
from benchmarks.units import SECONDS_PER_YEAR


class Command(TellingCommand):
    help = "Recompute every SCI of a study from its stored energy; nothing is measured again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--study", required=True, help="Name of the study.")
        parser.add_argument("--intensity", type=float, help="Carbon intensity in gCO2e/kWh.")
        parser.add_argument("--lifespan-years", type=float, help="Expected lifespan in years of 365 days.")
        parser.add_argument("--embodied", type=float, help="Total embodied emissions in gCO2e.")

    def handle(self, *args: Any, **options: Any) -> None:
        years = options["lifespan_years"]
        rescored = rescore_study(
            study=study_named(options["study"]),
            carbon_intensity_gco2e_per_kwh=options["intensity"],
            expected_lifespan_s=None if years is None else _seconds(years),
            total_embodied_emissions_gco2e=options["embodied"],
        )
        self.stdout.write(
            f"{rescored.scored_count} responses scored, {rescored.missing_count} without energy have no score."
        )


def _seconds(years: float) -> int:
    if not math.isfinite(years):
        raise SciInputError(f"--lifespan-years must be a number above 0, not {years}.")
    return round(years * SECONDS_PER_YEAR)
