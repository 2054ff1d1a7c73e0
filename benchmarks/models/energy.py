"""What was measured: a measurement owns its energy, the inputs of its score, and one reading per channel."""

from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from benchmarks.known_values import known
from benchmarks.meters.base import Quantity as SampledQuantity
from benchmarks.models.machine import Machine
from benchmarks.traces import PackedTrace


class Quality(models.TextChoices):
    """How an energy came about; figures of unlike quality are never ranked against each other."""

    MEASURED = "measured", "Measured at the wall"
    COMPONENT = "component", "Measured on components"
    ESTIMATED = "estimated", "Estimated"
    SIMULATED = "simulated", "Simulated"
    MISSING = "missing", "Missing"


class MeasurementQuerySet(models.QuerySet["Measurement"]):
    def scored(self) -> "MeasurementQuerySet":
        """Return the measurements that have an SCI; a missing energy has none."""
        return self.filter(sci_gco2e__isnull=False)


class Measurement(models.Model):
    """The energy of one activity on one machine, with every input of the SCI made of it."""

    class Purpose(models.TextChoices):
        RESPONSE = "response", "A response of a study"
        IDLE_BASELINE = "idle_baseline", "Idle baseline"
        CALIBRATION = "calibration", "Calibration"
        INDEX_BUILD = "index_build", "Building the index"
        CONTROL = "control", "Control workload"
        GATEWAY_REQUEST = "gateway_request", "A request to the gateway"
        IMPORTED = "imported", "Imported outcome"

    purpose = models.CharField(max_length=16, choices=Purpose.choices)
    machine = models.ForeignKey(Machine, on_delete=models.PROTECT, null=True, blank=True, related_name="measurements")
    started_at = models.DateTimeField(null=True, blank=True)
    started_monotonic_ns = models.BigIntegerField(null=True, blank=True)
    finished_monotonic_ns = models.BigIntegerField(null=True, blank=True)
    time_reserved_s = models.FloatField("time reserved, TiR (s)", null=True, blank=True)
    energy_j = models.FloatField("energy, gross (J)", null=True, blank=True)
    net_energy_j = models.FloatField("energy net of idle (J)", null=True, blank=True)
    answer_count = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        validators=[MinValueValidator(1)],
        help_text="Answers between the marks, generated back to back; energy and time reserved are those of one.",
    )
    quality = models.CharField(max_length=10, choices=Quality.choices)
    missing_reason = models.TextField(blank=True)
    boundary = models.CharField(max_length=200, blank=True)
    is_low_precision = models.BooleanField(default=False)
    is_shared = models.BooleanField(default=False, help_text="Something else used the machine at the same time.")
    carbon_intensity_gco2e_per_kwh = models.FloatField(null=True, blank=True)
    carbon_intensity_source = models.CharField(
        max_length=300, blank=True, help_text="Zone, year and source of the carbon intensity, or who gave it."
    )
    total_embodied_emissions_gco2e = models.FloatField(null=True, blank=True)
    expected_lifespan_s = models.BigIntegerField(null=True, blank=True)
    resource_share = models.FloatField(null=True, blank=True)
    operational_emissions_gco2e = models.FloatField(null=True, blank=True)
    embodied_emissions_gco2e = models.FloatField(null=True, blank=True)
    sci_gco2e = models.FloatField("SCI (gCO2e)", null=True, blank=True)
    method_version = models.CharField(max_length=20, blank=True)

    objects = MeasurementQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(
                fields=["machine", "started_at"], condition=Q(purpose="idle_baseline"), name="measurement_idle_baseline"
            )
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(quality="missing", energy_j__isnull=True)
                | (~Q(quality="missing") & Q(energy_j__isnull=False)),
                name="measurement_missing_has_no_energy",
            ),
            known(
                "purpose",
                ["response", "idle_baseline", "calibration", "index_build", "control", "gateway_request", "imported"],
                name="measurement_purpose_known",
            ),
            known("quality", Quality.values, name="measurement_quality_known"),
            models.CheckConstraint(condition=Q(answer_count__gte=1), name="measurement_has_an_answer"),
            models.CheckConstraint(
                condition=Q(energy_j__isnull=True) | Q(energy_j__gt=0), name="measurement_energy_positive"
            ),
            models.CheckConstraint(
                condition=Q(energy_j__isnull=False) | ~Q(missing_reason=""),
                name="measurement_missing_has_a_reason",
            ),
            models.CheckConstraint(
                condition=Q(sci_gco2e__isnull=True)
                | Q(
                    energy_j__isnull=False,
                    time_reserved_s__gte=0,
                    carbon_intensity_gco2e_per_kwh__isnull=False,
                    total_embodied_emissions_gco2e__isnull=False,
                    expected_lifespan_s__gt=0,
                    resource_share__gt=0,
                    operational_emissions_gco2e__isnull=False,
                    embodied_emissions_gco2e__isnull=False,
                )
                | Q(purpose="imported"),
                name="measurement_score_keeps_its_inputs",
            ),
        ]

    def __str__(self) -> str:
        return f"measurement {self.pk} ({self.purpose})"


class ChannelReading(models.Model):
    """What one channel of one meter saw during a measurement."""

    measurement = models.ForeignKey(Measurement, on_delete=models.CASCADE, related_name="readings")
    channel = models.CharField(max_length=60, help_text="For example machine, cpu-package-0 or gpu-<uuid>.")
    meter = models.CharField(max_length=20)
    is_in_boundary = models.BooleanField(help_text="Whether its energy is part of the measurement's energy.")
    energy_j = models.FloatField(null=True, blank=True)
    mean_power_mw = models.FloatField(null=True, blank=True)
    sample_count = models.PositiveIntegerField()
    coverage = models.FloatField(help_text="Share of the time that the channel's windows saw, 0 to 1.")
    gap_count = models.PositiveIntegerField(default=0)
    quality = models.CharField(max_length=10, choices=Quality.choices)
    missing_reason = models.TextField(blank=True)
    meter_facts = models.JSONField(
        default=dict, blank=True, help_text="What the meter said of its device: version, ranges, window, settings."
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["measurement", "channel"], name="channel_reading_once"),
            known("quality", Quality.values, name="channel_reading_quality_known"),
            models.CheckConstraint(
                condition=Q(quality="missing", energy_j__isnull=True)
                | (~Q(quality="missing") & Q(energy_j__isnull=False)),
                name="channel_reading_missing_has_no_energy",
            ),
            models.CheckConstraint(
                condition=Q(coverage__gte=0) & Q(coverage__lte=1), name="channel_reading_coverage_0_to_1"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.channel} of measurement {self.measurement_id}"


class EnergyTrace(models.Model):
    """The samples of one channel during a measurement, packed (`benchmarks.traces` tells the format).

    The view `benchmarks_energy_sample` shows one row per sample to anyone who wants plain SQL.
    """

    class Quantity(models.TextChoices):
        POWER_MW = "power_mw", "Mean power of the window (mW)"
        ENERGY_UJ = "energy_uj", "Energy since the previous sample (µJ)"

    measurement = models.ForeignKey(Measurement, on_delete=models.CASCADE, related_name="traces")
    channel = models.CharField(max_length=60)
    format_version = models.PositiveSmallIntegerField(default=1)
    quantity = models.CharField(max_length=10, choices=Quantity.choices, default=Quantity.POWER_MW)
    period_ns = models.BigIntegerField()
    window_ns = models.BigIntegerField()
    first_at_ns = models.BigIntegerField(
        help_text="The first sample, or the grid's first point, on the machine's monotonic clock."
    )
    offset_unit_ns = models.PositiveIntegerField()
    sample_count = models.PositiveIntegerField()
    packed_samples = models.BinaryField(null=True, blank=True, help_text="All samples, from format version 2 on.")
    offsets = ArrayField(models.SmallIntegerField(null=True), null=True, blank=True, help_text="Format version 1.")
    values = ArrayField(models.IntegerField(null=True), null=True, blank=True, help_text="Format version 1.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["measurement", "channel"], name="energy_trace_once"),
            models.CheckConstraint(
                condition=models.Q(packed_samples__isnull=False)
                | models.Q(offsets__isnull=False, values__isnull=False),
                name="energy_trace_has_samples",
            ),
        ]

    def __str__(self) -> str:
        return f"trace of {self.channel}, measurement {self.measurement_id}"

    @classmethod
    def of(cls, trace: PackedTrace, *, measurement: Measurement, channel: str) -> Self:
        """Return an unsaved row of a trace that `benchmarks.traces.pack` made."""
        return cls(
            measurement=measurement,
            channel=channel,
            format_version=trace.format_version,
            quantity=trace.quantity,
            period_ns=trace.period_ns,
            window_ns=trace.window_ns,
            first_at_ns=trace.first_at_ns,
            offset_unit_ns=trace.offset_unit_ns,
            sample_count=trace.sample_count,
            packed_samples=trace.packed,
        )

    def packed(self) -> PackedTrace:
        """Return the trace in the form that `benchmarks.traces.unpack` reads."""
        return PackedTrace(
            quantity=SampledQuantity(self.quantity),
            period_ns=self.period_ns,
            window_ns=self.window_ns,
            first_at_ns=self.first_at_ns,
            offset_unit_ns=self.offset_unit_ns,
            sample_count=self.sample_count,
            packed=bytes(self.packed_samples or b""),
            offsets=tuple(self.offsets or ()),
            values=tuple(self.values or ()),
            format_version=self.format_version,
        )
