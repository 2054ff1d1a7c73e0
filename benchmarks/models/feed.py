"""Which live service tells the carbon intensity of a zone."""

from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator, URLValidator
from django.db import models
from django.db.models import Q

from benchmarks.grid.base import UnknownZone
from benchmarks.grid.connecting import ELECTRICITY_MAPS, GREAT_BRITAIN, USUAL_KEY_VARIABLE
from benchmarks.grid.great_britain import region_of
from benchmarks.models.machine import CarbonIntensity
from benchmarks.reach import in_force

_A_WEEK_IN_MINUTES = 7 * 24 * 60


class IntensityFeed(models.Model):
    """One zone and the live service that is asked about it, with what became of the latest question."""

    class Provider(models.TextChoices):
        ELECTRICITY_MAPS = ELECTRICITY_MAPS, "Electricity Maps (with a key)"
        GREAT_BRITAIN = GREAT_BRITAIN, "Carbon Intensity API of Great Britain"

    zone = models.CharField(max_length=32, unique=True, help_text="Zone of the machines, for example DE or GB-13.")
    provider = models.CharField(max_length=20, choices=Provider.choices)
    provider_zone = models.CharField(
        max_length=32, blank=True, help_text="The zone's name at the service, where it is another one."
    )
    base_url = models.CharField(
        "address",
        max_length=200,
        blank=True,
        validators=[URLValidator(["http", "https"])],
        help_text="Of the service; empty for the official one.",
    )
    api_key_variable = models.CharField(
        max_length=100,
        blank=True,
        help_text=f"Environment variable that holds the key, never the key; empty for {USUAL_KEY_VARIABLE}.",
    )
    refresh_minutes = models.PositiveIntegerField(
        "refreshed at most every (min)",
        default=15,
        validators=[MinValueValidator(1), MaxValueValidator(_A_WEEK_IN_MINUTES)],
    )
    stale_after_minutes = models.PositiveIntegerField(
        "stale after (min)",
        default=120,
        validators=[MinValueValidator(1), MaxValueValidator(_A_WEEK_IN_MINUTES)],
        help_text="An older figure gives way to the yearly average.",
    )
    latest = models.ForeignKey(
        CarbonIntensity, on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )
    attempted_at = models.DateTimeField(null=True, blank=True, editable=False)
    problem_kind = models.CharField(max_length=20, blank=True, editable=False)
    problem = models.CharField(max_length=300, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(refresh_minutes__gte=1) & Q(stale_after_minutes__gte=1), name="intensity_feed_minutes"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.zone} from {self.get_provider_display()}"

    @property
    def asked_zone(self) -> str:
        """Return the zone by the name that the service has for it."""
        return self.provider_zone or self.zone

    def is_due(self, now: datetime) -> bool:
        """Tell whether the service may be asked again."""
        return self.attempted_at is None or self.attempted_at <= now - timedelta(minutes=self.refresh_minutes)

    def clean(self) -> None:
        """Refuse an address where no server may be, and a zone that the service cannot know."""
        if self.base_url and (problem := in_force().problem_with(self.base_url)):
            raise ValidationError({"base_url": problem})
        if self.provider == self.Provider.GREAT_BRITAIN:
            try:
                region_of(self.asked_zone)
            except UnknownZone as error:
                raise ValidationError({"provider_zone": str(error)}) from error
