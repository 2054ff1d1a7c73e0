"""Corrections: whole sets of labels that an admin took out at once. `labeling.models` has this model among its own."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from benchmarks.models import Category, Study


class Correction(models.Model):
    """One set of labels that were voided at once, with the reason: whose, by which guideline, where and when given.

    The labels point to it, also once it is undone and they count again.
    """

    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Whose labels; empty: everybody's.",
    )
    guideline = models.ForeignKey(
        "labeling.Guideline",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="corrections",
        help_text="By which version of a guideline; empty: by any.",
    )
    study = models.ForeignKey(Study, on_delete=models.PROTECT, null=True, blank=True, related_name="corrections")
    category = models.ForeignKey(Category, on_delete=models.PROTECT, null=True, blank=True, related_name="corrections")
    since = models.DateTimeField(null=True, blank=True, help_text="Labels given at this moment or later.")
    until = models.DateTimeField(help_text="Labels given before this moment.")
    reason = models.TextField()
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: somebody at the command line.",
    )
    created_at = models.DateTimeField()
    label_count = models.PositiveIntegerField(default=0, help_text="How many labels it voided.")
    undone_at = models.DateTimeField(null=True, blank=True)
    undone_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    restored_count = models.PositiveIntegerField(
        default=0, help_text="How many of them count again since it was undone."
    )

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="correction_has_a_reason"),
            models.CheckConstraint(
                condition=Q(annotator__isnull=False) | Q(guideline__isnull=False),
                name="correction_names_a_judge_or_a_guideline",
            ),
            models.CheckConstraint(
                condition=Q(since__isnull=True) | Q(since__lt=F("until")), name="correction_since_before_until"
            ),
            models.CheckConstraint(
                condition=Q(undone_at__isnull=False) | Q(restored_count=0, undone_by__isnull=True),
                name="correction_restores_once_undone",
            ),
        ]

    def __str__(self) -> str:
        return f"correction {self.pk} ({self.label_count} labels)"

    @property
    def left_count(self) -> int:
        """Return how many of its labels are still out."""
        return self.label_count - self.restored_count
