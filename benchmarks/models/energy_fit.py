"""How the energy of a deployment's answers grows with their lengths."""

from django.db import models
from django.db.models import F, Q

from benchmarks.energy_fit import energy_j
from benchmarks.models.catalog import Deployment
from benchmarks.models.energy import Quality


class EnergyFitQuerySet(models.QuerySet["EnergyFit"]):
    def latest_of_each(self) -> "EnergyFitQuerySet":
        """Return the latest fit of each deployment."""
        return self.order_by("deployment_id", "-pk").distinct("deployment_id")


class EnergyFit(models.Model):
    """One fit of the energy of a deployment's answers against prompt and output tokens; the latest counts."""

    class Source(models.TextChoices):
        TRACE = "trace", "the samples within the phase"
        WHOLE = "whole", "the whole energy of the answers"
        NONE = "none", "nothing: the known lengths are alike"

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="energy_fits")
    fitted_at = models.DateTimeField()
    quality = models.CharField(max_length=10, choices=Quality.choices, help_text="Of the energies that it is made of.")
    answer_count = models.PositiveIntegerField()
    prefill_count = models.PositiveIntegerField(help_text="Answers whose samples show the reading of the prompt.")
    decode_count = models.PositiveIntegerField(help_text="Answers whose samples show the writing of the answer.")
    outlier_count = models.PositiveIntegerField()
    fixed_j = models.FloatField("fixed (J)")
    j_per_prompt_token = models.FloatField("prompt (J/token)", null=True, blank=True)
    j_per_output_token = models.FloatField("output (J/token)", null=True, blank=True)
    prompt_source = models.CharField(max_length=5, choices=Source.choices)
    output_source = models.CharField(max_length=5, choices=Source.choices)
    mean_energy_j = models.FloatField("mean energy of an answer (J)")
    residual_spread_j = models.FloatField("spread of the residuals (J)")
    median_absolute_error_j = models.FloatField("median absolute error (J)")
    r_squared = models.FloatField("R²", null=True, blank=True)
    prompt_tokens_least = models.PositiveIntegerField()
    prompt_tokens_most = models.PositiveIntegerField()
    output_tokens_least = models.PositiveIntegerField()
    output_tokens_most = models.PositiveIntegerField()
    characters_per_token = models.FloatField()
    template_tokens = models.FloatField(help_text="Tokens of the template around each prompt.")
    load_count = models.PositiveIntegerField(default=0, help_text="Loads of the model that a study waited for.")
    load_duration_s = models.FloatField("time to load (s)", null=True, blank=True)
    load_energy_j = models.FloatField(
        "energy to load (J), estimated",
        null=True,
        blank=True,
        help_text="Time to load times the mean power of answers.",
    )

    objects = EnergyFitQuerySet.as_manager()

    class Meta:
        get_latest_by = "pk"
        indexes = [models.Index(fields=["deployment", "-id"], name="energy_fit_latest")]
        constraints = [
            models.CheckConstraint(
                condition=Q(fixed_j__gte=0)
                & (Q(j_per_prompt_token__isnull=True) | Q(j_per_prompt_token__gte=0))
                & (Q(j_per_output_token__isnull=True) | Q(j_per_output_token__gte=0)),
                name="energy_fit_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(prompt_tokens_most__gte=F("prompt_tokens_least"))
                & Q(output_tokens_most__gte=F("output_tokens_least")),
                name="energy_fit_ranges_in_order",
            ),
            models.CheckConstraint(condition=Q(characters_per_token__gt=0), name="energy_fit_characters_positive"),
        ]

    def __str__(self) -> str:
        return f"fit {self.pk} of deployment {self.deployment_id} (n = {self.answer_count})"

    def energy_j(self, prompt_tokens: float, output_tokens: float) -> float:
        """Return the energy (J) that it expects of an answer."""
        return energy_j(
            fixed_j=self.fixed_j,
            j_per_prompt_token=self.j_per_prompt_token,
            j_per_output_token=self.j_per_output_token,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
        )
