"""Answers that cannot be judged as they stand. `labeling.models` has the model among its own."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from benchmarks.known_values import known
from benchmarks.models import Response


class Flag(models.Model):
    """One answer that one person cannot judge as it stands, for a reason that an admin looks into."""

    class Resolution(models.TextChoices):
        KEPT = "kept", "Kept: it can be judged"
        WITHDRAWN = "withdrawn", "Withdrawn: nobody judges it"

    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="flags")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="flags")
    reason = models.TextField()
    created_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="resolved_flags"
    )
    resolution = models.CharField(max_length=10, choices=Resolution.choices, blank=True)

    class Meta:
        constraints = [
            known("resolution", ["", "kept", "withdrawn"], name="flag_resolution_known"),
            models.CheckConstraint(condition=~Q(reason=""), name="flag_has_a_reason"),
            models.CheckConstraint(
                condition=Q(resolution="", resolved_at__isnull=True, resolved_by__isnull=True)
                | (~Q(resolution="") & Q(resolved_at__isnull=False, resolved_by__isnull=False)),
                name="flag_resolved_by_somebody_in_some_way",
            ),
            models.UniqueConstraint(
                fields=["response", "person"], condition=Q(resolution=""), name="flag_open_once_per_person"
            ),
        ]

    def __str__(self) -> str:
        return f"flag of {self.person_id} on response {self.response_id}"
