"""How `auto` chooses, version by version."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from benchmarks.known_values import known
from benchmarks.models import Deployment


class PolicyVersion(models.Model):
    """One version of how `auto` chooses. The latest counts; an older one comes back as a version of its own."""

    class Policy(models.TextChoices):
        NEAREST = "nearest", "nearest: the paper's rule, by the nearest known prompt"
        CATEGORY = "category", "category: accuracy less the price of SCI, by category"
        KNN = "knn", "knn: probability less the price of SCI, over many neighbours"
        GUARDED = "guarded", "guarded: the most accurate model, left only on evidence"
        FLOOR = "floor", "floor: the cheapest model whose probability reaches a floor"
        CASCADE = "cascade", "cascade: cheaper models first, where a measured checker accepts their answers"
        FIXED = "fixed", "fixed: always the fallback model"

    class Estimator(models.TextChoices):
        NEIGHBOURS = "neighbours", "Neighbours"
        REGRESSION = "regression", "Regression, mixed 7 to 3 with the neighbours"

    policy = models.CharField(max_length=20, choices=Policy.choices)
    neighbour_count = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(1000)],
        help_text="How many known prompts speak; empty: 50 for guarded, 20 for the others.",
    )
    sci_price = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0)],
        help_text="Of knn and category: probability of being right that one gCO2e is worth.",
    )
    fallback = models.ForeignKey(
        Deployment,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Of guarded, cascade (its last model) and fixed; empty: the most accurate model.",
    )
    caution = models.FloatField(
        default=0.5, validators=[MinValueValidator(0.0)], help_text="Of guarded and cascade, in standard errors."
    )
    tolerance = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Of guarded and cascade: loss of accuracy that is no loss, 0 to 1.",
    )
    novelty = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(4.0)],
        help_text="Of guarded and cascade: squared L2 distance above which a prompt is of an unknown kind: to the "
        "fallback. Empty: derived from the distances among the known prompts, at least 1; 4: no prompt is unknown.",
    )
    accuracy_floor = models.FloatField(
        default=0.6,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Of floor: probability of being right, 0 to 1.",
    )
    estimator = models.CharField(
        max_length=20,
        choices=Estimator.choices,
        default=Estimator.NEIGHBOURS,
        help_text="Where probabilities and expected SCI come from. The regression also goes by the words and the shape "
        "of a prompt; it is worth most for knn and floor.",
    )
    is_open = models.BooleanField(
        "callers may override it",
        default=True,
        help_text="Whether a request may choose another policy or parameters, as auto:green does.",
    )
    most_sci_price = models.FloatField(
        "highest price of SCI",
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0)],
        help_text="That a request may set; empty: no limit.",
    )
    least_accuracy_floor = models.FloatField(
        "lowest accuracy floor",
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="That a request may set, 0 to 1.",
    )
    is_intensity_live = models.BooleanField(
        "live carbon intensity",
        default=False,
        help_text="Predict with the present intensity of each machine's zone, where a live service tells it.",
    )
    prompts_per_load = models.PositiveIntegerField(
        default=10,
        validators=[MinValueValidator(1)],
        help_text="How many prompts are taken to follow before a model that is loaded is put away again.",
    )
    note = models.CharField(max_length=200, blank=True, help_text="Why it was made, for those who look back.")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        get_latest_by = "pk"
        constraints = [
            known(
                "policy",
                ["nearest", "category", "knn", "guarded", "floor", "cascade", "fixed"],
                name="policy_version_policy_known",
            ),
            known("estimator", ["neighbours", "regression"], name="policy_version_estimator_known"),
            models.CheckConstraint(
                condition=~Q(policy="fixed") | Q(fallback__isnull=False), name="policy_version_fixed_names_its_model"
            ),
            models.CheckConstraint(
                condition=Q(least_accuracy_floor__gte=0, least_accuracy_floor__lte=1),
                name="policy_version_floor_limit_0_to_1",
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.pk}: {self.policy}"

    def clean(self) -> None:
        """Refuse a version that could not choose."""
        if self.policy == self.Policy.FIXED and self.fallback is None:
            raise ValidationError({"fallback": "The policy fixed needs a model; choose one."})
