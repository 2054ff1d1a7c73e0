"""What is known of every active deployment beside its answers: where it runs, its energy fit, what its SCI is made of.

Kept in the process, and read anew before the next decision when a fit, a measurement, an intensity, a model, a server
or a machine changes: one small query tells.
"""

from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Sum

from benchmarks.intensities import NoIntensity, average_of
from benchmarks.models import CarbonIntensity, Deployment, EnergyFit, Machine, Response, Study
from benchmarks.units import joules_to_kilowatt_hours

_STAMP = """
SELECT
    (SELECT max(id) FROM benchmarks_energyfit),
    (SELECT max(id) FROM benchmarks_measurement),
    (SELECT max(id) FROM benchmarks_carbonintensity),
    (
        SELECT array_agg((deployment.id, model, server, machine)::text ORDER BY deployment.id)
        FROM benchmarks_deployment AS deployment
        JOIN benchmarks_languagemodel AS model ON model.id = deployment.language_model_id
        JOIN benchmarks_inferenceserver AS server ON server.id = deployment.server_id
        JOIN benchmarks_machine AS machine ON machine.id = server.machine_id
        WHERE deployment.state = 'active'
    )
"""


@dataclass(frozen=True)
class IntensityUsed:
    """The carbon intensity of a prediction (gCO2e/kWh), and where it is from."""

    zone: str
    gco2e_per_kwh: float
    kind: str
    source: str
    is_stale: bool = False
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it for storing beside a decision."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Scored:
    """What a deployment's known SCI is made of: energy and embodied emissions of the same answers, in all."""

    energy_j: float
    embodied_gco2e: float
    sci_gco2e: float

    def factor_at(self, gco2e_per_kwh: float) -> float:
        """Return by what the known SCI is multiplied to be at another carbon intensity."""
        return (joules_to_kilowatt_hours(self.energy_j) * gco2e_per_kwh + self.embodied_gco2e) / self.sci_gco2e


@dataclass(frozen=True)
class Facts:
    """What an adjustment needs to know of one active deployment."""

    deployment: Deployment
    fit: EnergyFit | None
    scored: Scored | None
    average: IntensityUsed | None

    @property
    def machine(self) -> Machine:
        """Return the machine that it runs on."""
        return self.deployment.server.machine


_latest: tuple[tuple[Any, ...], dict[int, Facts]] | None = None  # of this process; whole tuples are swapped


def active_facts() -> dict[int, Facts]:
    """Return the facts of every active deployment by its key, read anew where a fit, figure or state has changed."""
    global _latest  # noqa: PLW0603  one per process, like the knowledge of the index
    with connection.cursor() as cursor:
        cursor.execute(_STAMP)
        *changing, active = cursor.fetchone()
    stamp = (*changing, tuple(active or ()))
    kept = _latest
    if kept is not None and kept[0] == stamp:
        return kept[1]
    found = _read()
    _latest = (stamp, found)
    return found


def _read() -> dict[int, Facts]:
    deployments = list(Deployment.objects.active().select_related("language_model", "server__machine").order_by("pk"))
    active = [one.pk for one in deployments]
    fits = {fit.deployment_id: fit for fit in EnergyFit.objects.filter(deployment__in=active).latest_of_each()}
    sums = (
        Response.objects.finished()
        .filter(deployment__in=active, measurement__energy_j__gt=0, measurement__sci_gco2e__gt=0)
        .exclude(study__kind=Study.Kind.ROUTER)
        .order_by()
        .values_list("deployment_id")
        .annotate(
            Sum("measurement__energy_j"), Sum("measurement__embodied_emissions_gco2e"), Sum("measurement__sci_gco2e")
        )
    )
    scored = {key: Scored(energy, embodied or 0.0, sci) for key, energy, embodied, sci in sums}
    averages: dict[str, IntensityUsed | None] = {}
    found = {}
    for one in deployments:
        zone = one.server.machine.zone
        if zone not in averages:
            averages[zone] = _average(zone)
        found[one.pk] = Facts(one, fits.get(one.pk), scored.get(one.pk), averages[zone])
    return found


def _average(zone: str) -> IntensityUsed | None:
    try:
        row: CarbonIntensity = average_of(zone=zone)
    except NoIntensity:
        return None
    return IntensityUsed(row.zone, row.gco2e_per_kwh, row.kind, row.origin)
