"""Make scores of measured energy, and recompute them for another carbon intensity, lifespan or machine."""

from dataclasses import dataclass

from django.db import transaction

from benchmarks.models import Machine, Measurement, Study
from benchmarks.sci import METHOD_VERSION, SciInputs, score
from benchmarks.study_plan import StudyError
from benchmarks.units import joules_to_kilowatt_hours

_SCORE_FIELDS = (
    "carbon_intensity_gco2e_per_kwh",
    "carbon_intensity_source",
    "total_embodied_emissions_gco2e",
    "expected_lifespan_s",
    "resource_share",
    "operational_emissions_gco2e",
    "embodied_emissions_gco2e",
    "sci_gco2e",
    "method_version",
)


@dataclass(frozen=True)
class CarbonBasis:
    """The inputs of a score that do not come from the measurement itself."""

    carbon_intensity_gco2e_per_kwh: float
    total_embodied_emissions_gco2e: float
    expected_lifespan_s: int
    resource_share: float
    carbon_intensity_source: str = ""


@dataclass(frozen=True)
class Rescored:
    """What a recomputation did: measurements with a new score, and those whose energy is missing."""

    scored_count: int
    missing_count: int


def basis_of(machine: Machine, carbon_intensity_gco2e_per_kwh: float, carbon_intensity_source: str = "") -> CarbonBasis:
    """Return the basis of a machine's scores."""
    return CarbonBasis(
        carbon_intensity_gco2e_per_kwh=carbon_intensity_gco2e_per_kwh,
        total_embodied_emissions_gco2e=machine.total_embodied_emissions_gco2e,
        expected_lifespan_s=machine.expected_lifespan_s,
        resource_share=machine.resource_share,
        carbon_intensity_source=carbon_intensity_source,
    )


def apply_score(measurement: Measurement, basis: CarbonBasis) -> None:
    """Set a measurement's score and its inputs, without saving; a missing energy has no score.

    Raises:
        SciInputError: an input is out of its range.
    """
    _check(basis)
    measurement.carbon_intensity_gco2e_per_kwh = basis.carbon_intensity_gco2e_per_kwh
    measurement.carbon_intensity_source = basis.carbon_intensity_source
    measurement.total_embodied_emissions_gco2e = basis.total_embodied_emissions_gco2e
    measurement.expected_lifespan_s = basis.expected_lifespan_s
    measurement.resource_share = basis.resource_share
    measurement.method_version = METHOD_VERSION
    if measurement.energy_j is None or measurement.time_reserved_s is None:
        measurement.operational_emissions_gco2e = None
        measurement.embodied_emissions_gco2e = None
        measurement.sci_gco2e = None
        return
    made = score(
        SciInputs(
            energy_j=measurement.energy_j,
            time_reserved_s=measurement.time_reserved_s,
            carbon_intensity_gco2e_per_kwh=basis.carbon_intensity_gco2e_per_kwh,
            total_embodied_emissions_gco2e=basis.total_embodied_emissions_gco2e,
            expected_lifespan_s=basis.expected_lifespan_s,
            resource_share=basis.resource_share,
        )
    )
    measurement.operational_emissions_gco2e = made.operational_emissions_gco2e
    measurement.embodied_emissions_gco2e = made.embodied_emissions_gco2e
    measurement.sci_gco2e = made.sci_gco2e


def apply_operational_score(measurement: Measurement, gco2e_per_kwh: float, source: str) -> None:
    """Set the score of an imported energy, O = E * I alone: without a time there are no embodied emissions to add."""
    if measurement.energy_j is None:
        return
    operational = joules_to_kilowatt_hours(measurement.energy_j) * gco2e_per_kwh
    measurement.carbon_intensity_gco2e_per_kwh = gco2e_per_kwh
    measurement.carbon_intensity_source = source
    measurement.operational_emissions_gco2e = measurement.sci_gco2e = operational
    measurement.method_version = METHOD_VERSION


def _check(basis: CarbonBasis) -> None:
    """Refuse a wrong basis also where there is no energy to score with it; raise `SciInputError`."""
    SciInputs(
        energy_j=0.0,
        time_reserved_s=0.0,
        carbon_intensity_gco2e_per_kwh=basis.carbon_intensity_gco2e_per_kwh,
        total_embodied_emissions_gco2e=basis.total_embodied_emissions_gco2e,
        expected_lifespan_s=basis.expected_lifespan_s,
        resource_share=basis.resource_share,
    )


def rescore_study(
    *,
    study: Study,
    carbon_intensity_gco2e_per_kwh: float | None = None,
    carbon_intensity_source: str = "",
    expected_lifespan_s: int | None = None,
    total_embodied_emissions_gco2e: float | None = None,
) -> Rescored:
    """Recompute every score of a study from its stored energy; what is not given stays as it was scored.

    `carbon_intensity_source` says where a given intensity is from, and stands beside each score.

    Raises:
        SciInputError: an input is out of its range; nothing was changed.
        StudyError: it holds imported outcomes, which stand as they were imported.
    """
    if study.kind == Study.Kind.IMPORTED:
        raise StudyError(f"The study {study} holds imported outcomes: their SCI stands as it was imported.")
    _check(
        CarbonBasis(
            _or_else(carbon_intensity_gco2e_per_kwh, 0.0),
            _or_else(total_embodied_emissions_gco2e, 0.0),
            int(_or_else(expected_lifespan_s, 1)),
            resource_share=1.0,
        )
    )
    scored = missing = 0
    with transaction.atomic():
        locked = Study.objects.select_for_update().get(pk=study.pk)
        measurements = list(
            Measurement.objects.select_for_update(of=("self",))
            .filter(response__study=locked)
            .exclude(purpose=Measurement.Purpose.IMPORTED)
            .order_by("pk")
        )
        for measurement in measurements:
            apply_score(
                measurement,
                CarbonBasis(
                    _or_else(carbon_intensity_gco2e_per_kwh, measurement.carbon_intensity_gco2e_per_kwh),
                    _or_else(total_embodied_emissions_gco2e, measurement.total_embodied_emissions_gco2e),
                    int(_or_else(expected_lifespan_s, measurement.expected_lifespan_s)),
                    _or_else(None, measurement.resource_share),
                    measurement.carbon_intensity_source
                    if carbon_intensity_gco2e_per_kwh is None
                    else carbon_intensity_source,
                ),
            )
            scored += measurement.sci_gco2e is not None
            missing += measurement.sci_gco2e is None
        Measurement.objects.bulk_update(measurements, _SCORE_FIELDS, batch_size=500)
        if carbon_intensity_gco2e_per_kwh is not None:
            locked.carbon_intensity_gco2e_per_kwh = carbon_intensity_gco2e_per_kwh
            locked.carbon_intensity_source = carbon_intensity_source
            locked.save(update_fields=["carbon_intensity_gco2e_per_kwh", "carbon_intensity_source"])
    return Rescored(scored, missing)


def _or_else(given: float | None, stored: float | None) -> float:
    return given if given is not None else (stored or 0.0)
