"""What is said at the chat page: conversations and their turns."""

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q

from benchmarks.models import Deployment
from router.manner import MOST_OUTPUT_TOKENS, Manner

MOST_TITLE_CHARACTERS = 100


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def of(self, *, owner_id: int | None, visitor: str) -> "ConversationQuerySet":
        """Return a person's own: by account, or for an unnamed person by the word in the session; else none."""
        if owner_id is not None:
            return self.filter(owner_id=owner_id)
        return self.filter(owner__isnull=True, visitor=visitor) if visitor else self.none()

    def holding(self, words: str) -> "ConversationQuerySet":
        """Return those that hold some words in their title or in a turn, in whatever case."""
        spoken = Message.objects.filter(conversation=OuterRef("pk"), text__icontains=words)
        return self.filter(Q(title__icontains=words) | Exists(spoken))


class Conversation(models.Model):
    """One conversation of the chat page; its text is kept because its owner wants to come back to it."""

    public_id = models.CharField(max_length=40, unique=True, help_text="Random, for the address.")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="conversations"
    )
    visitor = models.CharField(
        max_length=64, blank=True, help_text="Random word in the session of a person without an account."
    )
    title = models.CharField(max_length=MOST_TITLE_CHARACTERS)
    picked_model = models.CharField(max_length=200, help_text="auto, or the name of the model picked latest.")
    settled = models.ForeignKey(
        Deployment,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="conversations",
        help_text="What auto chose for its first prompt, or a refused answer moved it to, and stays on.",
    )
    settled_by = models.CharField(
        max_length=20, default="auto", help_text="auto, auto:green or auto:quality: which of them chose that."
    )
    tip = models.ForeignKey(
        "router.Message",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        help_text="The latest turn of the branch that is shown; empty: the latest of all.",
    )
    system_prompt = models.TextField(blank=True, help_text="Instructions before the first turn.")
    temperature = models.FloatField(null=True, blank=True, help_text="0 to 2; empty: the server's own.")
    top_p = models.FloatField(null=True, blank=True, help_text="0 to 1; empty: the server's own.")
    seed = models.PositiveBigIntegerField(null=True, blank=True, help_text="Empty: another one each time.")
    max_output_tokens = models.PositiveIntegerField(default=Manner.max_output_tokens, help_text="An answer ends there.")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    objects = ConversationQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(owner__isnull=False, visitor="") | (Q(owner__isnull=True) & ~Q(visitor="")),
                name="conversation_has_one_owner",
            ),
            models.CheckConstraint(
                condition=(Q(temperature=None) | Q(temperature__gte=0, temperature__lte=2))
                & (Q(top_p=None) | Q(top_p__gte=0, top_p__lte=1))
                & Q(max_output_tokens__gte=1, max_output_tokens__lte=MOST_OUTPUT_TOKENS),
                name="conversation_parameters_in_range",
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-updated_at"], name="conversation_of_owner"),
            models.Index(fields=["visitor", "-updated_at"], name="conversation_of_visitor"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def manner(self) -> Manner:
        """Return how its answers are to be."""
        return Manner(self.system_prompt, self.temperature, self.top_p, self.seed, self.max_output_tokens)

    def take_manner(self, manner: Manner) -> None:
        """Note how its answers are to be from now on; it is not saved."""
        self.system_prompt, self.temperature, self.top_p = manner.system_prompt, manner.temperature, manner.top_p
        self.seed, self.max_output_tokens = manner.seed, manner.max_output_tokens


class Message(models.Model):
    """One turn of a conversation; a second answer to the same prompt is a second child of it."""

    class Role(models.TextChoices):
        USER = "user", "Person"
        ASSISTANT = "assistant", "Model"

    class State(models.TextChoices):
        COMPLETE = "complete", "Complete"
        CANCELLED = "cancelled", "Stopped"
        FAILED = "failed", "Broken off"

    class Thumb(models.TextChoices):
        UP = "up", "Helpful"
        DOWN = "down", "Not helpful"

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="messages")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")
    role = models.CharField(max_length=10, choices=Role.choices)
    text = models.TextField(blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.COMPLETE)
    request = models.ForeignKey(
        "router.GatewayRequest", on_delete=models.SET_NULL, null=True, blank=True, related_name="messages"
    )
    refused_at = models.DateTimeField(null=True, blank=True, help_text="When a person found it not good enough.")
    thumb = models.CharField(
        max_length=5,
        choices=Thumb.choices,
        blank=True,
        help_text="What its owner thinks of an answer: a candidate for labels, and never a label.",
    )
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(role="assistant") | Q(thumb=""), name="message_thumb_is_on_an_answer"),
            models.CheckConstraint(condition=Q(role="assistant") | ~Q(text=""), name="message_of_person_has_text"),
            models.CheckConstraint(
                condition=Q(role="assistant") | Q(refused_at__isnull=True), name="message_refused_is_an_answer"
            ),
        ]

    def __str__(self) -> str:
        return f"message {self.pk} of {self.conversation_id}"
