"""Keys of people, and how their prompts are routed."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from router.terms import Denial, Scope, Terms
from router.wishes import USED_BY

_BUDGETS = (
    "soft_gco2e_per_day", "hard_gco2e_per_day", "soft_gco2e_per_month", "hard_gco2e_per_month",
)  # fmt: skip


def policies_of_keys() -> list[tuple[str, str]]:
    """Return the policies that a key may have of its own; `fixed` is for all, because its model is."""
    from router.models import PolicyVersion  # it comes after this one

    return [choice for choice in PolicyVersion.Policy.choices if choice[0] != PolicyVersion.Policy.FIXED]


class ApiKey(models.Model):
    """One key of one person: shown once, stored hashed, found by its prefix."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=16)
    digest = models.CharField(
        max_length=64, unique=True, help_text="SHA-256 of the whole key; a key has 256 random bits."
    )
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    latest_used_at = models.DateTimeField(null=True, blank=True)
    policy = models.CharField(
        max_length=20,
        choices=policies_of_keys,
        blank=True,
        help_text="By which policy the prompts of this key are routed; empty: as everyone's.",
    )
    sci_price = models.FloatField(
        "price of SCI",
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0)],
        help_text="Of knn and category: probability of being right that one gCO2e is worth. Empty: as everyone's.",
    )
    accuracy_floor = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Of floor: probability of being right, 0 to 1. Empty: as everyone's.",
    )

    is_cache_allowed = models.BooleanField(
        "answers of the cache",
        default=True,
        help_text="Whether its answers may be kept and given again, where the installation has a cache.",
    )
    is_keeping_agreed = models.BooleanField(
        "keeping agreed",
        default=False,
        help_text="Whether the owner agreed that what is sent with store: true may be kept with its answer for labels.",
    )
    budget_gco2e_per_hour = models.FloatField(
        "carbon budget (gCO2e per hour)",
        null=True,
        blank=True,
        help_text="While spending runs ahead of it, cheaper models are chosen; once it is spent, the cheapest "
        "plausible one. Empty: no budget.",
    )
    scopes = ArrayField(
        models.CharField(max_length=20, choices=[(scope.value, scope.value) for scope in Scope]),
        default=list,
        blank=True,
        help_text="What the key opens. Empty: everything.",
    )
    allowed_models = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text="Names of the models that may answer. Empty: every one.",
    )
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Empty: as many as come."
    )
    tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)], help_text="Of prompts and answers. Empty: no limit."
    )
    soft_gco2e_per_day = models.FloatField(
        "soft limit of a day (gCO2e)",
        null=True,
        blank=True,
        help_text="Past it every answer says so, and the cheapest plausible model answers. Empty: none.",
    )
    hard_gco2e_per_day = models.FloatField(
        "hard limit of a day (gCO2e)",
        null=True,
        blank=True,
        help_text="Past it requests are refused until midnight UTC. Empty: none.",
    )
    soft_gco2e_per_month = models.FloatField(
        "soft limit of a month (gCO2e)", null=True, blank=True, help_text="As that of a day. Empty: none."
    )
    hard_gco2e_per_month = models.FloatField(
        "hard limit of a month (gCO2e)",
        null=True,
        blank=True,
        help_text="Past it requests are refused until the first of the next month, midnight UTC. Empty: none.",
    )

    class Meta:
        verbose_name = "API key"
        constraints = [
            *(
                models.CheckConstraint(
                    condition=Q((f"{name}__isnull", True)) | Q((f"{name}__gt", 0)), name=f"api_key_{name}_positive"
                )
                for name in (*_BUDGETS, "requests_per_minute", "tokens_per_minute")
            ),
            *(
                models.CheckConstraint(
                    condition=Q((f"soft_gco2e_per_{span}__isnull", True))
                    | Q((f"hard_gco2e_per_{span}__isnull", True))
                    | Q((f"soft_gco2e_per_{span}__lte", models.F(f"hard_gco2e_per_{span}"))),
                    name=f"api_key_{span}_soft_below_hard",
                )
                for span in ("day", "month")
            ),
            models.CheckConstraint(
                condition=Q(budget_gco2e_per_hour__isnull=True) | Q(budget_gco2e_per_hour__gt=0),
                name="api_key_budget_positive",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    @property
    def has_day_budget(self) -> bool:
        """Tell whether a day has a limit."""
        return self.soft_gco2e_per_day is not None or self.hard_gco2e_per_day is not None

    @property
    def has_month_budget(self) -> bool:
        """Tell whether a month has a limit."""
        return self.soft_gco2e_per_month is not None or self.hard_gco2e_per_month is not None

    @property
    def has_budget(self) -> bool:
        """Tell whether what the key spends is counted."""
        return self.budget_gco2e_per_hour is not None or self.has_day_budget or self.has_month_budget

    @property
    def terms(self) -> Terms:
        """Return what the key may be used for."""
        return Terms(
            key_id=self.pk,
            scopes=frozenset(self.scopes),
            models=frozenset(self.allowed_models),
            requests_per_minute=self.requests_per_minute,
            tokens_per_minute=self.tokens_per_minute,
        )

    def clean(self) -> None:
        """Refuse what the policy would not go by, and limits that contradict each other."""
        for span in ("day", "month"):
            soft, hard = getattr(self, f"soft_gco2e_per_{span}"), getattr(self, f"hard_gco2e_per_{span}")
            if soft is not None and hard is not None and soft > hard:
                raise ValidationError({f"soft_gco2e_per_{span}": "The soft limit must not be above the hard one."})
        for name in _BUDGETS:
            limit = getattr(self, name)
            if limit is not None and not 0 < limit < float("inf"):
                raise ValidationError({name: "Give a number of grams above 0, or leave it empty."})
        for name in ("sci_price", "accuracy_floor"):
            if getattr(self, name) is not None and self.policy not in USED_BY[name]:
                raise ValidationError(
                    {name: f"Choose the policy {' or '.join(USED_BY[name])} with it, or leave it empty."}
                )


class KeyHour(models.Model):
    """What a key with a carbon budget has spent in one hour, and the price that this asks.

    A request counts by its predicted SCI while it is under way, then by what its tokens cost.
    """

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="hours")
    began_at = models.DateTimeField()
    spent_gco2e = models.FloatField("spent (gCO2e)", default=0.0)
    price = models.FloatField("price (probability of being right per gCO2e)", default=0.0)
    request_count = models.PositiveIntegerField(default=0)
    dearest_gco2e = models.FloatField("dearest request (gCO2e)", default=0.0)
    elapsed_share = models.FloatField(default=0.0, help_text="When the latest request came, as a share of the hour.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["api_key", "began_at"], name="key_hour_once"),
            models.CheckConstraint(condition=Q(spent_gco2e__gte=0) & Q(price__gte=0), name="key_hour_not_negative"),
        ]

    def __str__(self) -> str:
        return f"key {self.api_key_id}, {self.began_at:%Y-%m-%d %H:00}"


class KeyDay(models.Model):
    """What a key with a carbon budget for the day or the month has spent in one day (UTC).

    A request counts by its predicted SCI while it is under way, then by what its tokens cost.
    """

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="days")
    day = models.DateField()
    spent_gco2e = models.FloatField("spent (gCO2e)", default=0.0)
    request_count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["api_key", "day"], name="key_day_once"),
            models.CheckConstraint(condition=Q(spent_gco2e__gte=0), name="key_day_not_negative"),
        ]

    def __str__(self) -> str:
        return f"key {self.api_key_id}, {self.day}"


class KeyDenial(models.Model):
    """How often a key was refused in one hour for one reason, where the refused requests have no rows of their own."""

    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="denials")
    began_at = models.DateTimeField()
    reason = models.CharField(max_length=10, choices=[(one.value, one.value) for one in Denial if one != Denial.KEY])
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["api_key", "began_at", "reason"], name="key_denial_once"),
        ]

    def __str__(self) -> str:
        return f"key {self.api_key_id}, {self.began_at:%Y-%m-%d %H:00}: {self.reason}"
