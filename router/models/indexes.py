"""Built indexes of known prompts."""

from django.db import models
from django.db.models import Q

from benchmarks.models import Measurement, Prompt
from benchmarks.models.catalog import LanguageModel


class PromptIndex(models.Model):
    """One built index: its vectors stand in Chroma, what they mean stands here."""

    class State(models.TextChoices):
        BUILDING = "building", "Building"
        CURRENT = "current", "Current: the router uses it"
        REPLACED = "replaced", "Replaced by a later one"
        FAILED = "failed", "Failed"

    class EmbeddedText(models.TextChoices):
        PROMPT = "prompt", "The whole prompt, as sent"
        ITEM = "item", "The bare item"

    state = models.CharField(max_length=10, choices=State.choices, default=State.BUILDING)
    embedder = models.ForeignKey(LanguageModel, on_delete=models.PROTECT, related_name="indexes")
    embedded_text = models.CharField(max_length=10, choices=EmbeddedText.choices, default=EmbeddedText.PROMPT)
    dimension = models.PositiveIntegerField(null=True, blank=True)
    prompt_count = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    built_at = models.DateTimeField(null=True, blank=True)
    build_duration_s = models.FloatField(null=True, blank=True)
    measurement = models.OneToOneField(
        Measurement, on_delete=models.PROTECT, null=True, blank=True, related_name="prompt_index"
    )

    class Meta:
        verbose_name_plural = "prompt indexes"
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="current"), name="prompt_index_one_current"),
            models.CheckConstraint(
                condition=~Q(state="current") | Q(dimension__gt=0, prompt_count__gt=0),
                name="prompt_index_current_is_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"index {self.pk} ({self.state}, {self.prompt_count} prompts)"

    @property
    def collection_name(self) -> str:
        """Return the name of its collection in Chroma."""
        return f"greenllm-index-{self.pk}"


class IndexedPrompt(models.Model):
    """One prompt that an index knows; its id in Chroma is the prompt's primary key."""

    index = models.ForeignKey(PromptIndex, on_delete=models.CASCADE, related_name="entries")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="index_entries")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["index", "prompt"], name="indexed_prompt_once")]

    def __str__(self) -> str:
        return f"prompt {self.prompt_id} in index {self.index_id}"
