"""Who may ask, what the index knows, and every decision with its reason."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

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
        constraints = [models.UniqueConstraint(fields=["request", "number"], name="upstream_attempt_number_once")]
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
        indexes = [models.Index(fields=["decided_at"], name="routing_decision_decided")]

    def __str__(self) -> str:
        return f"decision {self.pk}: {self.chosen_id}"
