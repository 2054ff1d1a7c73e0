"""The order in which routing would have waiting answers judged. `labeling.models` has these models among its own."""

from django.db import models
from django.db.models import Q

from benchmarks.models import Response


class QueueOrder(models.Model):
    """One order of the waiting answers, as it was worked out, with what it was worked out from.

    `strata` has a row for each category and model: what is known, what it costs, and its share of the labels.
    """

    made_at = models.DateTimeField()
    label_count = models.PositiveIntegerField(help_text="Answers with a verdict when it was made.")
    waiting_count = models.PositiveIntegerField(help_text="Answers that it put in order.")
    worthwhile_count = models.PositiveIntegerField(help_text="Of these, those whose verdict may change the routing.")
    live_count = models.PositiveIntegerField(default=0, help_text="Decisions of live traffic that it looked at.")
    sci_price = models.FloatField(help_text="Accuracy that one gCO2e was worth.")
    strata = models.JSONField(default=list, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(worthwhile_count__lte=models.F("waiting_count")), name="queue_order_worthwhile_wait"
            )
        ]

    def __str__(self) -> str:
        return f"order of {self.waiting_count} answers, {self.made_at:%Y-%m-%d %H:%M}"


class QueuePlace(models.Model):
    """Where one answer stands in the latest order. Answers of a band are equal: each person gets them shuffled."""

    response = models.OneToOneField(Response, on_delete=models.CASCADE, primary_key=True, related_name="queue_place")
    band = models.PositiveIntegerField()

    def __str__(self) -> str:
        return f"response {self.response_id} in band {self.band}"
