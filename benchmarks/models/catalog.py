"""What is asked (categories, data sets, prompts) and who answers (models, servers, deployments)."""

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q

from benchmarks.known_values import known
from benchmarks.models.machine import Machine
from benchmarks.reach import in_force

_ACRONYMS = {"sql"}


def category_title(name: str) -> str:
    """Return how the name of a category is written at the start of a line: Math, SQL."""
    return name.upper() if name in _ACRONYMS else name.capitalize()


class Category(models.Model):
    """One task category, such as code or math."""

    name = models.SlugField(max_length=40, unique=True)
    title = models.CharField(max_length=100, blank=True)

    class Meta:
        verbose_name_plural = "categories"

    def __str__(self) -> str:
        return self.name


class Dataset(models.Model):
    """One published or own collection of prompts, with its licence and where it is from."""

    name = models.SlugField(max_length=60, unique=True)
    title = models.CharField(max_length=200, blank=True)
    licence = models.CharField(max_length=200, blank=True)
    source_url = models.URLField(blank=True)
    version = models.CharField(max_length=100, blank=True)
    attribution = models.TextField(blank=True)
    is_simulated = models.BooleanField(default=False)
    imported_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class PromptQuerySet(models.QuerySet["Prompt"]):
    def in_category(self, name: str) -> "PromptQuerySet":
        return self.filter(category__name=name)

    def for_training(self) -> "PromptQuerySet":
        """Return the prompts that the index may know."""
        return self.filter(role=Prompt.Role.TRAIN)

    def for_validation(self) -> "PromptQuerySet":
        """Return the prompts that the index must never know."""
        return self.filter(role=Prompt.Role.VALIDATION)


class Prompt(models.Model):
    """One task given to the models: the bare item and the whole text that is sent."""

    class Role(models.TextChoices):
        TRAIN = "train", "Train: benchmarks the models and fills the index"
        VALIDATION = "validation", "Validation: unseen, checks the router"
        UNUSED = "unused", "Unused"

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="prompts")
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="prompts")
    external_id = models.CharField(max_length=100)
    position = models.PositiveIntegerField()
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.TRAIN)
    item_text = models.TextField(help_text="The bare item, without the words of the template.")
    text = models.TextField(help_text="The whole prompt, as it is sent to a model.")
    reference = models.TextField(blank=True)
    checks = models.JSONField(
        default=dict,
        blank=True,
        help_text='What a grader needs, for example {"kind": "number", "value": "391"}.',
    )
    source_fields = models.JSONField(default=dict, blank=True)

    objects = PromptQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "external_id"], name="prompt_external_id_once"),
            models.UniqueConstraint(
                fields=["dataset", "category", "position"],
                name="prompt_position_once",
                deferrable=models.Deferrable.DEFERRED,
            ),
            models.CheckConstraint(condition=~Q(text=""), name="prompt_text_not_empty"),
            known("role", ["train", "validation", "unused"], name="prompt_role_known"),
        ]
        indexes = [models.Index(fields=["category", "role"], name="prompt_category_role")]

    def __str__(self) -> str:
        return f"{self.dataset_id}/{self.external_id}"


class LanguageModel(models.Model):
    """One set of weights: verdicts belong to it. The same name with other weights is another row."""

    class Purpose(models.TextChoices):
        CHAT = "chat", "Answers prompts"
        EMBEDDING = "embedding", "Embeds prompts"

    name = models.CharField(max_length=200)
    digest = models.CharField(max_length=100, blank=True, help_text="As the server reports it; empty if it does not.")
    purpose = models.CharField(max_length=10, choices=Purpose.choices, default=Purpose.CHAT)
    task = models.CharField(max_length=100, blank=True, help_text="What its makers trained it for.")
    family = models.CharField(max_length=100, blank=True)
    parameter_size = models.CharField(max_length=30, blank=True)
    quantization = models.CharField(max_length=30, blank=True)
    size_bytes = models.BigIntegerField(null=True, blank=True)
    context_length = models.PositiveIntegerField(null=True, blank=True)
    embedding_length = models.PositiveIntegerField(null=True, blank=True)
    is_simulated = models.BooleanField(default=False)
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "digest"], name="language_model_once"),
            known("purpose", ["chat", "embedding"], name="language_model_purpose_known"),
        ]

    def __str__(self) -> str:
        return self.name


class InferenceServer(models.Model):
    """One server that runs models on one machine."""

    class Kind(models.TextChoices):
        OLLAMA = "ollama", "Ollama"
        OPENAI = "openai", "OpenAI-compatible"

    name = models.SlugField(max_length=60, unique=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.OLLAMA)
    base_url = models.URLField(unique=True)
    machine = models.ForeignKey(Machine, on_delete=models.PROTECT, related_name="servers")
    api_key_variable = models.CharField(
        max_length=100,
        blank=True,
        help_text="Environment variable that holds the server's key; never the key.",
    )
    is_router = models.BooleanField(
        default=False, help_text="A GreenLLM router: studies may ask it, but nothing is ever routed to it."
    )
    network_kwh_per_gb = models.FloatField(
        "network (kWh per GB)",
        null=True,
        blank=True,
        validators=[MinValueValidator(0.0)],
        help_text="Of the way to a router that is not on the machine itself; without it such a study has no energy.",
    )
    added_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(network_kwh_per_gb__isnull=True) | Q(network_kwh_per_gb__gte=0),
                name="server_network_not_negative",
            ),
            known("kind", ["ollama", "openai"], name="server_kind_known"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Refuse an address where no server may be."""
        if self.base_url and (problem := in_force().problem_with(self.base_url)):
            raise ValidationError({"base_url": problem})


class DeploymentQuerySet(models.QuerySet["Deployment"]):
    def chat(self) -> "DeploymentQuerySet":
        return self.filter(language_model__purpose=LanguageModel.Purpose.CHAT)

    def active(self) -> "DeploymentQuerySet":
        """Return the chat deployments that the router may choose."""
        return self.chat().filter(state=Deployment.State.ACTIVE, server__is_router=False)

    def of_models(self) -> "DeploymentQuerySet":
        """Return the deployments of models themselves: no routers, which only studies ask, no models of outcomes."""
        return self.filter(server__is_router=False).exclude(study_targets__study__kind="imported")

    def serving(self) -> "DeploymentQuerySet":
        """Return every deployment that has not been retired."""
        return self.exclude(state=Deployment.State.RETIRED)


class Deployment(models.Model):
    """A language model on an inference server: SCI belongs to it, and the router chooses it."""

    class State(models.TextChoices):
        CANDIDATE = "candidate", "Candidate: added, not yet measured"
        EVALUATING = "evaluating", "Evaluating: its study runs"
        LABELING = "labeling", "Labeling: its answers are judged"
        ACTIVE = "active", "Active: the router may choose it"
        RETIRED = "retired", "Retired: out of routing, history kept"

    language_model = models.ForeignKey(LanguageModel, on_delete=models.PROTECT, related_name="deployments")
    server = models.ForeignKey(InferenceServer, on_delete=models.PROTECT, related_name="deployments")
    state = models.CharField(max_length=10, choices=State.choices, default=State.CANDIDATE)
    state_changed_at = models.DateTimeField()
    added_at = models.DateTimeField(auto_now_add=True)

    objects = DeploymentQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["language_model", "server"], name="deployment_once"),
            known("state", ["candidate", "evaluating", "labeling", "active", "retired"], name="deployment_state_known"),
        ]
        indexes = [models.Index(fields=["state"], name="deployment_state")]

    def __str__(self) -> str:
        return f"{self.language_model} on {self.server}"
