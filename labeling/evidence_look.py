"""Who has seen what graders found, where. `labeling.models` has the model among its own."""

from django.conf import settings
from django.db import models

from benchmarks.models import Response


class EvidenceLook(models.Model):
    """One person has seen what graders found in one answer; what they say of it from then on is not blind."""

    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="evidence_looks")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="evidence_looks")
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["response", "person"], name="evidence_look_once_per_person")]

    def __str__(self) -> str:
        return f"evidence on response {self.response_id} seen by {self.person_id}"
