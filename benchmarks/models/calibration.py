"""What a machine draws when it does nothing, what sampling costs it, and how long it takes to calm down."""

from django.db import models
from django.db.models import Q

from benchmarks.boundary import IdleBaseline
from benchmarks.models.energy import Measurement, Quality
from benchmarks.models.machine import Machine


class CalibrationQuerySet(models.QuerySet["Calibration"]):
    def of(self, machine: Machine) -> "CalibrationQuerySet":
        """Return a machine's calibrations, the latest first."""
        return self.filter(machine=machine).order_by("-made_at", "-pk")

    def latest_idle_baseline(self, machine: Machine) -> IdleBaseline | None:
        """Return the idle power of a machine's latest calibration; None where it was never calibrated."""
        latest = self.of(machine).first()
        return None if latest is None else latest.idle_baseline()


class Calibration(models.Model):
    """One calibration of a machine: idle without sampling, idle with all meters, every core busy, and calming down.

    Powers are of the channels inside the boundary, with 95 % intervals over `block_count` stretches of idle.
    Shares are empty where the powers give none.
    """

    class CooldownSource(models.TextChoices):
        TEMPERATURE = "temperature", "Decay of the temperature"
        POWER = "power", "Decay of the power"
        UNKNOWN = "", "Not known: it did not calm down in time"

    machine = models.ForeignKey(Machine, on_delete=models.PROTECT, related_name="calibrations")
    made_at = models.DateTimeField()
    baseline = models.OneToOneField(Measurement, on_delete=models.PROTECT, related_name="calibration_as_baseline")
    idle = models.OneToOneField(Measurement, on_delete=models.PROTECT, related_name="calibration_as_idle")
    stress = models.OneToOneField(Measurement, on_delete=models.PROTECT, related_name="calibration_as_stress")
    quality = models.CharField(max_length=10, choices=Quality.choices)
    block_count = models.PositiveIntegerField()
    baseline_power_mw = models.FloatField("power without sampling (mW)")
    idle_power_mw = models.FloatField("idle power with all meters (mW)")
    idle_power_low_mw = models.FloatField()
    idle_power_high_mw = models.FloatField()
    peak_power_mw = models.FloatField("power with every core busy (mW)")
    overhead_power_mw = models.FloatField()
    overhead_low_mw = models.FloatField()
    overhead_high_mw = models.FloatField()
    overhead_of_span = models.FloatField("overhead by (peak - idle)", null=True, blank=True)
    overhead_of_idle = models.FloatField("overhead by idle", null=True, blank=True)
    cooldown_s = models.FloatField("time to calm down (s)", null=True, blank=True)
    cooldown_source = models.CharField(max_length=11, choices=CooldownSource.choices, blank=True)

    objects = CalibrationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(idle_power_low_mw__lte=models.F("idle_power_mw"))
                & Q(idle_power_high_mw__gte=models.F("idle_power_mw")),
                name="calibration_idle_within_its_interval",
            ),
            models.CheckConstraint(condition=~Q(quality="missing"), name="calibration_is_not_missing"),
            models.CheckConstraint(
                condition=Q(cooldown_s__isnull=True, cooldown_source="")
                | (Q(cooldown_s__gte=0) & ~Q(cooldown_source="")),
                name="calibration_cooldown_has_a_source",
            ),
        ]

    def __str__(self) -> str:
        return f"calibration {self.pk} of {self.machine_id}"

    def idle_baseline(self) -> IdleBaseline:
        """Return the idle power for energies net of idle; it belongs to energies of the same channels."""
        counted = self.idle.readings.filter(is_in_boundary=True).values_list("channel", flat=True)
        return IdleBaseline(self.idle_power_mw, frozenset(counted), self.quality)
