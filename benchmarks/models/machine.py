"""The machines that are measured, and the carbon intensity of the grid they draw from."""

from typing import TYPE_CHECKING

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Case, F, Q, When

from benchmarks.units import SECONDS_PER_YEAR

if TYPE_CHECKING:
    from datetime import datetime

DEFAULT_TOTAL_EMBODIED_EMISSIONS_GCO2E = 574_100
DEFAULT_EXPECTED_LIFESPAN_S = 4 * SECONDS_PER_YEAR


class CarbonIntensityQuerySet(models.QuerySet["CarbonIntensity"]):
    def for_zone(self, zone: str, *, at: "datetime | None" = None) -> "CarbonIntensityQuerySet":
        """Return the zone's intensities, the latest valid one first."""
        found = self.filter(zone=zone)
        if at is not None:
            found = found.filter(Q(valid_from__isnull=True) | Q(valid_from__lte=at))
        return found.order_by(F("valid_from").desc(nulls_last=True), F("year").desc(nulls_last=True), "pk")

    def averages(self) -> "CarbonIntensityQuerySet":
        """Return what comparisons may be made with, what was fixed by hand first, then the latest year."""
        kinds = [CarbonIntensity.Kind.YEARLY_AVERAGE, CarbonIntensity.Kind.FIXED]
        by_hand_first = Case(When(kind=CarbonIntensity.Kind.FIXED, then=0), default=1)
        return self.filter(kind__in=kinds, is_simulated=False).order_by(
            by_hand_first, F("valid_from").desc(nulls_last=True), F("year").desc(nulls_last=True), "pk"
        )


class CarbonIntensity(models.Model):
    """The carbon intensity of electricity in one zone, for one year or from one moment, by one source."""

    class Kind(models.TextChoices):
        YEARLY_AVERAGE = "yearly_average", "Average of a year"
        LIVE_AVERAGE = "live_average", "Live average"
        LIVE_MARGINAL = "live_marginal", "Live marginal"
        FIXED = "fixed", "Fixed by hand"

    zone = models.CharField(max_length=32, help_text="Zone of the grid, for example DE.")
    gco2e_per_kwh = models.FloatField("gCO2e per kWh")
    kind = models.CharField(max_length=16, choices=Kind.choices, default=Kind.YEARLY_AVERAGE)
    source = models.CharField(max_length=200, help_text="Who published the figure, with its licence.")
    year = models.PositiveSmallIntegerField(null=True, blank=True)
    valid_from = models.DateTimeField(null=True, blank=True)
    is_estimated = models.BooleanField(default=False, help_text="The source calls it an estimate or a forecast.")
    is_simulated = models.BooleanField(default=False, help_text="From the twin of a live service, not from a grid.")

    objects = CarbonIntensityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "carbon intensities"
        constraints = [
            models.CheckConstraint(condition=Q(gco2e_per_kwh__gte=0), name="carbon_intensity_not_negative"),
            models.UniqueConstraint(
                fields=["zone", "kind", "source", "year", "valid_from"],
                name="carbon_intensity_once",
                nulls_distinct=False,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.zone} {self.gco2e_per_kwh:g} gCO2e/kWh ({self.year or self.valid_from or self.kind})"

    @property
    def origin(self) -> str:
        """Return zone, time and source as they are kept beside a score."""
        when = self.year or (self.valid_from.isoformat(timespec="minutes") if self.valid_from else "")
        return f"{self.zone} {when}".strip() + f": {self.source}"


class Machine(models.Model):
    """One computer that runs models; its embodied emissions and meters are facts about it, kept here."""

    name = models.CharField(
        max_length=40,
        unique=True,
        validators=[RegexValidator(r"^[a-z0-9][a-z0-9-]*$", "Use small letters, digits and hyphens.")],
        help_text="The worker on it is started with GREENLLM_MACHINE set to this name.",
    )
    title = models.CharField(max_length=200, blank=True)
    zone = models.CharField(max_length=32, default="DE", help_text="Zone of the grid it draws from.")
    total_embodied_emissions_gco2e = models.FloatField(
        "total embodied emissions (gCO2e)", default=DEFAULT_TOTAL_EMBODIED_EMISSIONS_GCO2E
    )
    expected_lifespan_s = models.BigIntegerField("expected lifespan (s)", default=DEFAULT_EXPECTED_LIFESPAN_S)
    resource_share = models.FloatField(
        default=1.0, help_text="Share of the machine that is reserved for inference, above 0 up to 1."
    )
    cpu_model = models.CharField(max_length=200, blank=True)
    cpu_count = models.PositiveSmallIntegerField(null=True, blank=True)
    memory_bytes = models.BigIntegerField(null=True, blank=True)
    thermal_design_power_w = models.FloatField(
        "thermal design power (W)", default=65.0, help_text="Used by the estimate meter only."
    )
    idle_power_w = models.FloatField("idle power (W)", default=10.0, help_text="Used by the estimate meter only.")
    meters = models.JSONField(
        default=list,
        blank=True,
        help_text='Meters of this machine, for example [{"kind": "estimate"}]; empty means the estimate.',
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(total_embodied_emissions_gco2e__gte=0), name="machine_embodied_not_negative"
            ),
            models.CheckConstraint(condition=Q(expected_lifespan_s__gt=0), name="machine_lifespan_positive"),
            models.CheckConstraint(
                condition=Q(resource_share__gt=0) & Q(resource_share__lte=1), name="machine_share_0_to_1"
            ),
            models.CheckConstraint(
                condition=Q(idle_power_w__gte=0) & Q(thermal_design_power_w__gte=F("idle_power_w")),
                name="machine_idle_below_tdp",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def queue_name(self) -> str:
        """Return the name of the RQ queue whose only worker runs on this machine."""
        return f"measure-{self.name}"
