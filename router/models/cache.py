"""Answers that the endpoint keeps for a while, to give them again."""

from django.db import models
from django.db.models import Q

from benchmarks.models import Category, Deployment, LanguageModel
from router.models.keys import ApiKey


class CachedAnswer(models.Model):
    """One whole answer of the endpoint, for whoever asks the same within its scope.

    It goes with the request that it answered, with the key that asked, and with the time that it may be kept.
    """

    exact_sha256 = models.CharField(
        max_length=64, unique=True, help_text="Of the scope and of everything that was asked."
    )
    kind_sha256 = models.CharField(
        max_length=64,
        blank=True,
        help_text="Of the scope, of everything but the prompt, and of its numbers; empty: only the same prompt counts.",
    )
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    request = models.ForeignKey(
        "router.GatewayRequest", on_delete=models.CASCADE, related_name="+", help_text="The one that it answered."
    )
    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="+")
    category = models.ForeignKey(Category, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    embedder = models.ForeignKey(LanguageModel, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    vector = models.BinaryField(null=True, help_text="The unit embedding of the prompt, as 32-bit floats.")
    text = models.TextField()
    thinking_text = models.TextField(blank=True)
    prompt_token_count = models.PositiveIntegerField(null=True)
    output_token_count = models.PositiveIntegerField(null=True)
    done_reason = models.CharField(max_length=20)
    predicted_sci_gco2e = models.FloatField(null=True, help_text="What the answer was expected to cost (gCO2e).")
    predicted_quality = models.CharField(max_length=10, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["expires_at"], name="cached_answer_expires"),
            models.Index(fields=["kind_sha256"], name="cached_answer_kind", condition=~Q(kind_sha256="")),
        ]

    def __str__(self) -> str:
        return f"answer to {self.request_id}"
