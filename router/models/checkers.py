"""How often checkers were right: measured on the judged answers of a study."""

from django.db import models
from django.db.models import F, Q

from benchmarks.models import Category, LanguageModel, Study


class CheckerMeasurement(models.Model):
    """What one checker made of one model's judged answers in one category of one study.

    `answer_count` are all judged answers, `accepted_count` those that the checker would let stand, `right_count` those
    that are right, `accepted_right_count` those that are both; of `unknown_count` it could say nothing.
    """

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="checker_measurements")
    checker = models.CharField(max_length=30)
    version = models.PositiveSmallIntegerField(help_text="Of the checker's rule; another version starts anew.")
    language_model = models.ForeignKey(LanguageModel, on_delete=models.CASCADE, related_name="checker_measurements")
    second_model = models.ForeignKey(
        LanguageModel,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        help_text="Whose answer it compared with, where it compares.",
    )
    category = models.ForeignKey(Category, on_delete=models.CASCADE, related_name="checker_measurements")
    answer_count = models.PositiveIntegerField()
    unknown_count = models.PositiveIntegerField()
    accepted_count = models.PositiveIntegerField()
    right_count = models.PositiveIntegerField()
    accepted_right_count = models.PositiveIntegerField()
    measured_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "checker", "language_model", "second_model", "category"],
                name="checker_measurement_once_a_study",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(answer_count__gte=F("accepted_count") + F("unknown_count"))
                & Q(answer_count__gte=F("right_count"))
                & Q(accepted_count__gte=F("accepted_right_count"))
                & Q(right_count__gte=F("accepted_right_count")),
                name="checker_measurement_counts_agree",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.checker} {self.version} on {self.language_model} in {self.category}"
