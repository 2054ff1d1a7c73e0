"""Software Carbon Intensity as ISO/IEC 21031:2024 defines it, for one functional unit.

    SCI = (O + M) per R,   O = E * I,   M = TE * (TiR / EL) * RS

E energy (kWh), I location-based carbon intensity (gCO2e/kWh), TE total embodied emissions (gCO2e), TiR time
reserved (s), EL expected lifespan (s), RS resource share. R is one answered prompt unless said otherwise.
"""

import math
from dataclasses import dataclass

from benchmarks.units import joules_to_kilowatt_hours

METHOD_VERSION = "sci-1.1/1"


class SciInputError(ValueError):
    """An input of the score is outside its range; the message names it."""


@dataclass(frozen=True)
class SciInputs:
    """Everything that a score is made of, kept beside it so that it can be recomputed and explained."""

    energy_j: float
    time_reserved_s: float
    carbon_intensity_gco2e_per_kwh: float
    total_embodied_emissions_gco2e: float
    expected_lifespan_s: float
    resource_share: float = 1.0

    def __post_init__(self) -> None:
        positive = {"expected_lifespan_s": self.expected_lifespan_s, "resource_share": self.resource_share}
        for name, value in positive.items():
            if not value > 0 or not math.isfinite(value):
                raise SciInputError(f"{name} must be above 0, not {value}.")
        not_negative = {
            "energy_j": self.energy_j,
            "time_reserved_s": self.time_reserved_s,
            "carbon_intensity_gco2e_per_kwh": self.carbon_intensity_gco2e_per_kwh,
            "total_embodied_emissions_gco2e": self.total_embodied_emissions_gco2e,
        }
        for name, value in not_negative.items():
            if not value >= 0 or not math.isfinite(value):
                raise SciInputError(f"{name} must be 0 or more, not {value}.")
        if self.resource_share > 1:
            raise SciInputError(f"resource_share must be at most 1, not {self.resource_share}.")


@dataclass(frozen=True)
class SciScore:
    """A score and its two parts, in gCO2e per functional unit."""

    operational_emissions_gco2e: float
    embodied_emissions_gco2e: float

    @property
    def sci_gco2e(self) -> float:
        """Return the software carbon intensity in gCO2e per functional unit."""
        return self.operational_emissions_gco2e + self.embodied_emissions_gco2e


def operational_emissions_gco2e(energy_j: float, carbon_intensity_gco2e_per_kwh: float) -> float:
    """Return O = E * I in gCO2e, for an energy in joules."""
    return joules_to_kilowatt_hours(energy_j) * carbon_intensity_gco2e_per_kwh


def embodied_emissions_gco2e(
    *,
    time_reserved_s: float,
    total_embodied_emissions_gco2e: float,
    expected_lifespan_s: float,
    resource_share: float = 1.0,
) -> float:
    """Return M = TE * (TiR / EL) * RS in gCO2e."""
    return total_embodied_emissions_gco2e * (time_reserved_s / expected_lifespan_s) * resource_share


def score(inputs: SciInputs) -> SciScore:
    """Return the score of one functional unit.

    Source: ISO/IEC 21031:2024, the formulas above.
    """
    return SciScore(
        operational_emissions_gco2e=operational_emissions_gco2e(inputs.energy_j, inputs.carbon_intensity_gco2e_per_kwh),
        embodied_emissions_gco2e=embodied_emissions_gco2e(
            time_reserved_s=inputs.time_reserved_s,
            total_embodied_emissions_gco2e=inputs.total_embodied_emissions_gco2e,
            expected_lifespan_s=inputs.expected_lifespan_s,
            resource_share=inputs.resource_share,
        ),
    )
