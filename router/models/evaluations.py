"""Evaluations that are kept, so that a page can start one, watch it and show what it found."""

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q

from benchmarks.models import Study

SILENT_AFTER = timedelta(minutes=15)  # embedding a batch or running a split takes a few minutes at most


class Evaluation(models.Model):
    """One evaluation of policies on outcomes, or one tuning of a policy's price, as it was at that moment."""

    class Kind(models.TextChoices):
        EVALUATION = "evaluation", "Evaluation"
        TUNING = "tuning", "Tuning"

    class State(models.TextChoices):
        QUEUED = "queued", "Waits for the worker"
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"

    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.EVALUATION)
    study = models.ForeignKey(
        Study, on_delete=models.SET_NULL, null=True, blank=True, related_name="evaluations",
        help_text="Whose outcomes; empty for a folder of outcomes.",
    )  # fmt: skip
    outcomes = models.CharField(max_length=200, help_text="Name of the study or of the folder.")
    plan = models.JSONField(default=dict, help_text="Policies with their parameters, splits, seed and shares.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    stage = models.CharField(max_length=60, blank=True, help_text="What is being done.")
    done_count = models.PositiveIntegerField(default=0)
    total_count = models.PositiveIntegerField(default=0)
    report = models.JSONField(null=True, blank=True, help_text="What was found; `format` is its version.")
    error = models.TextField(blank=True)
    version = models.OneToOneField(
        "router.PolicyVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="tuning",
        help_text="The policy version that a tuning has led to.",
    )  # fmt: skip
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    told_at = models.DateTimeField(null=True, blank=True, help_text="When it last said how far it is.")
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(state="finished") | Q(report__isnull=False), name="evaluation_finished_has_a_report"
            ),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="evaluation_failed_says_why"),
            models.CheckConstraint(condition=Q(version__isnull=True) | Q(kind="tuning"), name="evaluation_only_tunes"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk} of {self.outcomes}"

    @property
    def is_under_way(self) -> bool:
        """Tell whether it waits or runs."""
        return self.state in {self.State.QUEUED, self.State.RUNNING}

    def is_silent(self, now: datetime) -> bool:
        """Tell whether it has said nothing for so long that its worker must have gone."""
        heard_at = self.told_at or self.started_at or self.created_at
        return self.is_under_way and now - heard_at > SILENT_AFTER

    def begin(self, now: datetime) -> None:
        """Note that it has begun; one that is done again begins anew."""
        self.state, self.started_at, self.told_at = self.State.RUNNING, now, now
        self.stage, self.done_count, self.total_count, self.error = "", 0, 0, ""
        self.save(update_fields=["state", "started_at", "told_at", "stage", "done_count", "total_count", "error"])

    def tell(self, stage: str, done: int, total: int, now: datetime) -> None:
        """Note how far it is."""
        self.stage, self.done_count, self.total_count, self.told_at = stage, done, total, now
        self.save(update_fields=["stage", "done_count", "total_count", "told_at"])

    def finish(self, report: dict[str, Any], now: datetime) -> None:
        """Keep what was found."""
        self.state, self.report, self.finished_at, self.stage = self.State.FINISHED, report, now, ""
        self.save(update_fields=["state", "report", "finished_at", "stage"])

    def fail(self, error: str, now: datetime) -> None:
        """Note why nothing was found."""
        self.state, self.error, self.finished_at = self.State.FAILED, error, now
        self.save(update_fields=["state", "error", "finished_at"])
