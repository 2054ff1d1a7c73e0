"""Who may ask, what the index knows, and every decision with its reason."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from benchmarks.known_values import known
from benchmarks.models import Category, Deployment, Measurement, Prompt
from benchmarks.models.generation import GenerationFigures
from router.background import BackgroundTask
from router.models.cache import CachedAnswer
from router.models.checkers import CheckerMeasurement
from router.models.conversations import Conversation, ConversationQuerySet, Message
from router.models.evaluations import Evaluation
from router.models.hours import AlternativeHour, AttemptHour, DecisionHour, LatencyDay, LatencyHour, RequestHour
from router.models.indexes import IndexedPrompt, PromptIndex
from router.models.keys import ApiKey, KeyDay, KeyDenial, KeyHour
from router.models.processes import WebProcess
from router.models.versions import PolicyVersion

__all__ = [
    "AlternativeHour",
    "ApiKey",
    "AttemptHour",
    "CachedAnswer",
    "CheckerMeasurement",
    "Conversation",
    "ConversationQuerySet",
    "DecisionHour",
    "Evaluation",
    "GatewayRequest",
    "IndexedPrompt",
    "KeyDay",
    "KeyDenial",
    "KeyHour",
    "LatencyDay",
    "LatencyHour",
    "Message",
    "PolicyVersion",
    "PromptIndex",
    "RequestHour",
    "RoutingDecision",
    "UpstreamAttempt",
    "WebProcess",
]


class GatewayRequest(models.Model):
    """One request to the endpoint, the chat or the prompt box."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        ANSWERED = "answered", "Answered"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        ABANDONED = "abandoned", "Abandoned: the process that answered it went away"

    class Surface(models.TextChoices):
        OPENAI = "openai", "OpenAI API"
        OLLAMA = "ollama", "Ollama API"
        PAGE = "page", "Page"
        COMMAND = "command", "Command"

    class CacheHit(models.TextChoices):
        EXACT = "exact", "The same request"
        SEMANTIC = "semantic", "A prompt like it"

    public_id = models.CharField(max_length=40, unique=True, help_text="Sortable by time; shown to the client.")
    surface = models.CharField(max_length=10, choices=Surface.choices)
    api_key = models.ForeignKey(ApiKey, on_delete=models.SET_NULL, null=True, blank=True, related_name="requests")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="gateway_requests",
    )
    requested_model = models.CharField(max_length=200)
    background_task = models.CharField(
        max_length=20,
        blank=True,
        choices=[(one.value, one.label) for one in BackgroundTask],
        help_text="What a chat client wanted on its own behalf; empty where a person may have asked.",
    )
    prompt_text = models.TextField(blank=True, help_text="Kept only where the setting says so.")
    prompt_sha256 = models.CharField(max_length=64)
    cache_hit = models.CharField(
        max_length=10, choices=CacheHit.choices, blank=True, help_text="Whether an answer of the cache was given."
    )
    cache_saved_gco2e = models.FloatField(
        null=True, blank=True, help_text="What that answer cost when it was made; no saving of routing."
    )
    cache_saved_quality = models.CharField(max_length=10, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    error_code = models.CharField(max_length=60, blank=True)
    error = models.TextField(blank=True)
    instead_of = models.ForeignKey(
        "self",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="replacements",
        help_text="The request whose answer a person refused; its cost is charged to this one.",
    )
    process = models.ForeignKey(
        WebProcess,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,  # the partial index below: it is empty once a request has ended
        related_name="requests",
        help_text="That answers it, while it does.",
    )
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            known("surface", ["openai", "ollama", "page", "command"], name="gateway_request_surface_known"),
            known(
                "state",
                ["running", "answered", "failed", "cancelled", "abandoned"],
                name="gateway_request_state_known",
            ),
            known("cache_hit", ["", "exact", "semantic"], name="gateway_request_cache_hit_known"),
        ]
        indexes = [
            models.Index(fields=["started_at"], name="gateway_request_started"),
            models.Index(fields=["started_at"], condition=~Q(prompt_text=""), name="gateway_request_has_text"),
            models.Index(fields=["process"], condition=Q(state="running"), name="gateway_request_under_way"),
            models.Index(fields=["started_at"], condition=~Q(background_task=""), name="gateway_request_background"),
            models.Index(fields=["started_at"], condition=~Q(cache_hit=""), name="gateway_request_cached"),
        ]

    def __str__(self) -> str:
        return self.public_id


class UpstreamAttempt(GenerationFigures):
    """One generation that a request caused; a fallback or an escalation causes several."""

    class Outcome(models.TextChoices):
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"
        ABANDONED = "abandoned", "Abandoned"

    request = models.ForeignKey(GatewayRequest, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField(default=1)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="upstream_attempts")
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.RUNNING)
    error_kind = models.CharField(max_length=100, blank=True)
    error = models.TextField(blank=True)
    answer_text = models.TextField(blank=True, help_text="As far as it came; kept only where the setting says so.")
    measurement = models.OneToOneField(
        Measurement, on_delete=models.PROTECT, null=True, blank=True, related_name="upstream_attempt"
    )
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "number"], name="upstream_attempt_number_once"),
            known(
                "outcome",
                ["running", "finished", "failed", "cancelled", "abandoned"],
                name="upstream_attempt_outcome_known",
            ),
        ]
        indexes = [models.Index(fields=["started_at"], condition=~Q(answer_text=""), name="upstream_attempt_has_text")]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.request_id}"


class RoutingDecision(models.Model):
    """Why one prompt went where it went."""

    class Reason(models.TextChoices):
        CHEAPEST_CORRECT = (
            "cheapest_correct",
            "Lowest SCI among the models that answered the nearest prompt right",
        )
        CHEAPEST_NONE_CORRECT = (
            "cheapest_none_correct",
            "No model answered the nearest prompt right: the cheapest one",
        )
        CATEGORY = "category", "Best in the category at the price of SCI"
        DIAL = "dial", "Best probability less the price of SCI"
        FALLBACK = "fallback", "No cheaper model is shown to be as good here"
        NOVEL = "novel", "The prompt is of a kind that nobody has judged"
        AS_GOOD = "as_good", "Cheaper, and as good on the neighbours"
        FLOOR = "floor", "Cheapest whose probability reaches the floor"
        BELOW_FLOOR = "below_floor", "No model reaches the floor: the most probable one"
        FIXED = "fixed", "Always this model"
        PINNED = "pinned", "The caller named the model"
        BUDGET = "budget", "The key's carbon budget is spent: the cheapest plausible model"
        CONVERSATION = "conversation", "The conversation stays on the model that it began with"
        CASCADE = "cascade", "Cheaper models are asked first, and their answers checked"
        REFUSED = "refused", "A cheaper model's answer was not good enough: the next larger one"
        DEGRADED = "degraded", "Nothing could be compared: the embedder or the index was away"
        BACKGROUND = "background", "A chat client sent it on its own: the cheapest capable model"

    request = models.OneToOneField(
        GatewayRequest,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="decision",
        help_text="Empty where a person only asked for the route.",
    )
    prompt = models.ForeignKey(
        Prompt,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="decisions",
        help_text="The known prompt of a comparison; empty for live prompts.",
    )
    routed_as = models.CharField(
        max_length=10,
        choices=PromptIndex.EmbeddedText.choices,
        blank=True,
        help_text="In which form the known prompt was routed.",
    )
    policy = models.CharField(max_length=20)
    version = models.ForeignKey(
        PolicyVersion, on_delete=models.PROTECT, null=True, blank=True, related_name="decisions"
    )
    index = models.ForeignKey(PromptIndex, on_delete=models.PROTECT, null=True, blank=True, related_name="decisions")
    category = models.ForeignKey(Category, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    overrides = models.JSONField(
        default=dict, blank=True, help_text="Field by field what was set otherwise than in the version, and by whom."
    )
    neighbours = models.JSONField(default=list)
    candidates = models.JSONField(default=list)
    plan = models.JSONField(
        default=list,
        blank=True,
        help_text="Of a cascade: who was to be asked in turn, by which checker, and how far that one was trusted.",
    )
    chosen = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="decisions")
    reason = models.CharField(max_length=30, choices=Reason.choices)
    explanation = models.TextField()
    predicted_sci_gco2e = models.FloatField(null=True, blank=True)
    predicted_quality = models.CharField(max_length=10, blank=True)
    intensity = models.JSONField(
        default=dict, blank=True, help_text="The carbon intensity that the chosen model's predicted SCI was made with."
    )
    steps = models.JSONField(
        default=list, help_text="Discarded runs before this answer, with who discarded them and why."
    )
    discarded_sci_gco2e = models.FloatField(
        null=True, blank=True, help_text="Of discarded runs; empty: none or unknown."
    )
    baseline = models.ForeignKey(Deployment, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    baseline_sci_gco2e = models.FloatField(null=True, blank=True)
    embedding_ms = models.FloatField(null=True, blank=True)
    search_ms = models.FloatField(null=True, blank=True)
    choice_ms = models.FloatField(null=True, blank=True)
    decided_at = models.DateTimeField()

    class Meta:
        constraints = [
            known(
                "reason",
                [
                    "cheapest_correct",
                    "cheapest_none_correct",
                    "category",
                    "dial",
                    "fallback",
                    "novel",
                    "as_good",
                    "floor",
                    "below_floor",
                    "fixed",
                    "pinned",
                    "budget",
                    "conversation",
                    "cascade",
                    "refused",
                    "degraded",
                    "background",
                ],
                name="routing_decision_reason_known",
            ),
            known("routed_as", ["", "prompt", "item"], name="routing_decision_routed_as_known"),
        ]
        indexes = [models.Index(fields=["decided_at"], name="routing_decision_decided")]

    def __str__(self) -> str:
        return f"decision {self.pk}: {self.chosen_id}"
