"""Who may ask, what the index knows, and every decision with its reason."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from benchmarks.models import Category, Deployment, Measurement, Prompt
from benchmarks.models.catalog import LanguageModel
from benchmarks.models.generation import GenerationFigures
from router.stored_evaluation import Evaluation as Evaluation  # noqa: PLC0414  Django finds it here


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

    class Meta:
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


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


class PolicyVersion(models.Model):
    """One version of how `auto` chooses. The latest counts; an older one comes back as a version of its own."""

    class Policy(models.TextChoices):
        NEAREST = "nearest", "nearest: the paper's rule, by the nearest known prompt"
        CATEGORY = "category", "category: accuracy less the price of SCI, by category"
        KNN = "knn", "knn: probability less the price of SCI, over many neighbours"
        GUARDED = "guarded", "guarded: the most accurate model, left only on evidence"
        FLOOR = "floor", "floor: the cheapest model whose probability reaches a floor"
        FIXED = "fixed", "fixed: always the fallback model"

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
        help_text="Of guarded and fixed; empty: the most accurate model.",
    )
    caution = models.FloatField(
        default=0.5, validators=[MinValueValidator(0.0)], help_text="Of guarded, in standard errors."
    )
    tolerance = models.FloatField(
        default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Of guarded: loss of accuracy that is no loss, 0 to 1.",
    )
    novelty = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0), MaxValueValidator(4.0)],
        help_text="Squared L2 distance above which a prompt is of an unknown kind: to the fallback. Empty: none is.",
    )
    accuracy_floor = models.FloatField(
        default=0.6,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Of floor: probability of being right, 0 to 1.",
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
            )
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

    class Surface(models.TextChoices):
        OPENAI = "openai", "OpenAI API"
        OLLAMA = "ollama", "Ollama API"
        PAGE = "page", "Page"
        COMMAND = "command", "Command"

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
    prompt_text = models.TextField(blank=True, help_text="Kept only where the setting says so.")
    prompt_sha256 = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    error_code = models.CharField(max_length=60, blank=True)
    error = models.TextField(blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["started_at"], name="gateway_request_started")]

    def __str__(self) -> str:
        return self.public_id


class UpstreamAttempt(GenerationFigures):
    """One generation that a request caused; a fallback or an escalation causes several."""

    class Outcome(models.TextChoices):
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    request = models.ForeignKey(GatewayRequest, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField(default=1)
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="upstream_attempts")
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.RUNNING)
    error_kind = models.CharField(max_length=100, blank=True)
    error = models.TextField(blank=True)
    measurement = models.OneToOneField(
        Measurement, on_delete=models.PROTECT, null=True, blank=True, related_name="upstream_attempt"
    )
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["request", "number"], name="upstream_attempt_number_once")]

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
        CONVERSATION = "conversation", "The conversation stays on the model that it began with"

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
    neighbours = models.JSONField(default=list)
    candidates = models.JSONField(default=list)
    chosen = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="decisions")
    reason = models.CharField(max_length=30, choices=Reason.choices)
    explanation = models.TextField()
    predicted_sci_gco2e = models.FloatField(null=True, blank=True)
    predicted_quality = models.CharField(max_length=10, blank=True)
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


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def of(self, *, owner_id: int | None, visitor: str) -> "ConversationQuerySet":
        """Return a person's own: by account, or for an unnamed person by the word in the session; else none."""
        if owner_id is not None:
            return self.filter(owner_id=owner_id)
        return self.filter(owner__isnull=True, visitor=visitor) if visitor else self.none()


class Conversation(models.Model):
    """One conversation of the chat page; its text is kept because its owner wants to come back to it."""

    public_id = models.CharField(max_length=40, unique=True, help_text="Random, for the address.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="conversations"
    )
    visitor = models.CharField(
        max_length=64, blank=True, help_text="Random word in the session of a person without an account."
    )
    title = models.CharField(max_length=100)
    picked_model = models.CharField(max_length=200, help_text="auto, or the name of the model picked latest.")
    settled = models.ForeignKey(
        Deployment,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="conversations",
        help_text="What auto chose for its first prompt, and stays on.",
    )
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = ConversationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False, visitor="") | (Q(owner__isnull=True) & ~Q(visitor="")),
                name="conversation_has_one_owner",
            )
        ]
        indexes = [
            models.Index(fields=["owner", "-updated_at"], name="conversation_of_owner"),
            models.Index(fields=["visitor", "-updated_at"], name="conversation_of_visitor"),
        ]

    def __str__(self) -> str:
        return self.public_id


class Message(models.Model):
    """One turn of a conversation; a second answer to the same prompt would be a second child of it."""

    class Role(models.TextChoices):
        USER = "user", "Person"
        ASSISTANT = "assistant", "Model"

    class State(models.TextChoices):
        COMPLETE = "complete", "Complete"
        CANCELLED = "cancelled", "Stopped"
        FAILED = "failed", "Broken off"

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")
    role = models.CharField(max_length=10, choices=Role.choices)
    text = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.COMPLETE)
    request = models.ForeignKey(
        GatewayRequest, on_delete=models.SET_NULL, null=True, blank=True, related_name="messages"
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(role="assistant") | ~Q(text=""), name="message_of_person_has_text")
        ]

    def __str__(self) -> str:
        return f"message {self.pk} of {self.conversation_id}"
