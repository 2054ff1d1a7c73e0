"""What an inference server reports of one generation."""

from django.db import models

from benchmarks.inference.base import Generation


class GenerationFigures(models.Model):
    """The figures of one generation as its server reported them; what it did not report is empty, never 0."""

    done_reason = models.CharField(max_length=40, blank=True)
    prompt_token_count = models.PositiveIntegerField(null=True, blank=True)
    output_token_count = models.PositiveIntegerField(null=True, blank=True)
    total_duration_ns = models.BigIntegerField(null=True, blank=True)
    load_duration_ns = models.BigIntegerField(null=True, blank=True)
    prompt_eval_duration_ns = models.BigIntegerField(null=True, blank=True)
    eval_duration_ns = models.BigIntegerField(null=True, blank=True)
    time_to_first_token_ns = models.BigIntegerField(null=True, blank=True)

    class Meta:
        abstract = True

    def take_figures(self, generation: Generation) -> None:
        """Set the figures to those of a generation, without saving."""
        self.done_reason = generation.done_reason or ""
        self.prompt_token_count = generation.prompt_token_count
        self.output_token_count = generation.output_token_count
        self.total_duration_ns = generation.total_duration_ns
        self.load_duration_ns = generation.load_duration_ns
        self.prompt_eval_duration_ns = generation.prompt_eval_duration_ns
        self.eval_duration_ns = generation.eval_duration_ns
        self.time_to_first_token_ns = generation.time_to_first_token_ns
