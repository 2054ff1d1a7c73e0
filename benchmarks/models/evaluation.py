"""How a model joins the federation: what was found out about it, the study that measures it, and how far it is."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from benchmarks.models.catalog import Deployment
from benchmarks.models.study import Study


class ModelEvaluation(models.Model):
    """One evaluation of a deployment over the known prompts; open until the model is active, taken back or retired.

    It has no study where the deployment had answered every known prompt before.
    """

    class Step(models.TextChoices):
        REQUESTED = "requested", "Waits until the machine of its server is free to try it"
        MEASURING = "measuring", "Its study runs"
        GRADING = "grading", "Its study is finished; the graders look at the answers"
        LABELING = "labeling", "Its answers are judged"
        OVER = "over", "Over"

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="evaluations")
    study = models.OneToOneField(Study, on_delete=models.SET_NULL, null=True, blank=True, related_name="evaluation")
    step = models.CharField(max_length=10, choices=Step.choices, default=Step.REQUESTED)
    is_stop_tested = models.BooleanField(default=False, help_text="Whether it is tried if an answer ends by itself.")
    findings = models.JSONField(default=dict, blank=True, help_text="What was found out when it was tried.")
    grading_note = models.TextField(blank=True, help_text="What the graders did with its answers.")
    problem = models.TextField(blank=True, help_text="What keeps it from going on, and what to do.")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    requested_at = models.DateTimeField()
    step_changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["deployment"], condition=~Q(step="over"), name="model_evaluation_one_open")
        ]

    def __str__(self) -> str:
        return f"evaluation {self.pk} of deployment {self.deployment_id}"
