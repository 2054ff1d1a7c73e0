"""What happened in each hour, kept current by triggers on requests, decisions and attempts.

Each is a view over a ledger and the changes that wait to be folded into it. Each table is counted from its own rows
alone, so that no writer has to look at another's. The ids are plain numbers, 0
for none: differences outlive what was deleted until they are folded. Figures of decisions that answered no request
(comparisons, previews) have `is_live` false.
"""

from django.db import models

from benchmarks.models.rollups import ExactSum, Rollup


class Hour(Rollup):
    """One hour (UTC) of something."""

    began_at = models.DateTimeField()

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.began_at:%Y-%m-%d %H:00}"


class RequestHour(Hour):
    """Requests, by what they were and how they ended."""

    surface = models.CharField(max_length=10)
    state = models.CharField(max_length=10)
    error_code = models.CharField(max_length=60)
    cache_hit = models.CharField(max_length=10)
    is_background = models.BooleanField()
    is_replacement = models.BooleanField(help_text="Whether it stands in for an answer that a person refused.")
    request_count = models.BigIntegerField()
    ended_count = models.BigIntegerField()
    duration_ms = ExactSum()
    cache_saved_count = models.BigIntegerField()
    cache_saved_gco2e = ExactSum()

    class Meta:
        managed = False


class DecisionHour(Hour):
    """Decisions, with what the chosen models were expected to cost and how long deciding took."""

    category_id = models.BigIntegerField()
    chosen_id = models.BigIntegerField()
    policy = models.CharField(max_length=20)
    version_id = models.BigIntegerField()
    reason = models.CharField(max_length=30)
    quality = models.CharField(max_length=10)
    is_live = models.BooleanField()
    decision_count = models.BigIntegerField()
    predicted_count = models.BigIntegerField()
    predicted_gco2e = ExactSum()
    predicted_gco2e_squared = ExactSum()
    discarded_count = models.BigIntegerField()
    discarded_gco2e = ExactSum()
    timed_count = models.BigIntegerField()
    duration_ms = ExactSum()

    class Meta:
        managed = False


class AlternativeHour(Hour):
    """What live decisions chose beside what one other candidate would have cost, where the two can be compared.

    That is: both were expected to have an SCI, of the same quality. What a cascade discarded on the way is in the cost
    of the choice. An answer in place of one that a person refused adds its own cost, and nothing to that of the
    candidate: the refused one has a decision of its own, in which the question was compared. The saving against a
    deployment is `alternative_gco2e` less `chosen_gco2e` over its rows.
    """

    category_id = models.BigIntegerField()
    chosen_id = models.BigIntegerField()
    alternative_id = models.BigIntegerField()
    is_baseline = models.BooleanField(help_text="Whether it was the strong model that the decision noted.")
    quality = models.CharField(max_length=10)
    decision_count = models.BigIntegerField()
    chosen_gco2e = ExactSum()
    alternative_gco2e = ExactSum()

    class Meta:
        managed = False


class AttemptHour(Hour):
    """Generations that requests caused, with their tokens and how long the servers took."""

    deployment_id = models.BigIntegerField()
    outcome = models.CharField(max_length=10)
    attempt_count = models.BigIntegerField()
    prompt_counted = models.BigIntegerField(help_text="Attempts whose server told the prompt's tokens.")
    prompt_token_count = models.BigIntegerField()
    output_counted = models.BigIntegerField(help_text="Attempts whose server told the answer's tokens.")
    output_token_count = models.BigIntegerField()
    ended_count = models.BigIntegerField()
    duration_ms = ExactSum()

    class Meta:
        managed = False


class Part(models.TextChoices):
    """A part of answering whose time is taken."""

    TOTAL = "total", "The whole request"
    DECISION = "decision", "Deciding"
    FIRST_TOKEN = "first_token", "First token of the server"
    UPSTREAM = "upstream", "The server's answer"


class LatencyHour(Hour):
    """How often something took about so long: `bucket` b holds from 2 to the b/4 milliseconds up to the next."""

    part = models.CharField(max_length=12, choices=Part.choices)
    deployment_id = models.BigIntegerField(help_text="0 for whole requests.")
    bucket = models.SmallIntegerField()
    occurrence_count = models.BigIntegerField()
    duration_ms = ExactSum()

    class Meta:
        managed = False


class LatencyDay(Rollup):
    """The same over a day (UTC), whatever the deployment: for whoever looks at a month."""

    began_at = models.DateTimeField()
    part = models.CharField(max_length=12, choices=Part.choices)
    bucket = models.SmallIntegerField()
    occurrence_count = models.BigIntegerField()
    duration_ms = ExactSum()

    class Meta:
        managed = False

    def __str__(self) -> str:
        return f"{self.part} on {self.began_at:%Y-%m-%d}"
