"""The web processes that answer, so that the requests of one that is gone do not look under way for ever."""

from django.db import models


class WebProcess(models.Model):
    """One process that answers at the endpoint; it says again and again that it is there, and is deleted once gone."""

    host = models.CharField(max_length=255)
    number = models.PositiveIntegerField(help_text="Of the process on its host.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "web processes"

    def __str__(self) -> str:
        return f"process {self.number} on {self.host}"
