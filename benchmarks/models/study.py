"""Studies: which prompts go to which deployments with which parameters, and what came back."""

from uuid import uuid4

from django.conf import settings
from django.contrib.postgres.functions import RandomUUID
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from benchmarks.cooldown import Cooldown
from benchmarks.known_values import known
from benchmarks.models.catalog import Deployment, Prompt
from benchmarks.models.energy import Measurement
from benchmarks.models.generation import GenerationFigures
from benchmarks.models.machine import Machine
from benchmarks.units import MILLIWATTS_PER_WATT

MAX_IDLE_BASELINE_S = 600.0
MAX_WARM_UP_COUNT = 20
MAX_BACK_TO_BACK = 50
MAX_CONTROL_EVERY = 10_000
MAX_MEASURE_AGAIN_COUNT = 5
USUAL_MEASURE_AGAIN_COUNT = 2  # of a new study whose maker says nothing else
DEFAULT_SAMPLING_PERIOD_MS = 99  # prime to 10 and 100 ms, against lock-step with periodic activity (the paper)


class Study(models.Model):
    """One measuring campaign: prompts x deployments x parameter sets x repeats."""

    class Kind(models.TextChoices):
        MEASURED = "measured", "Measured here"
        IMPORTED = "imported", "Imported outcomes"
        LIVE = "live", "Answers of live traffic"
        ROUTER = "router", "The router as the target"

    class State(models.TextChoices):
        DRAFT = "draft", "Draft"
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        FINISHED = "finished", "Finished"
        CANCELLED = "cancelled", "Cancelled"

    class Order(models.TextChoices):
        GROUPED = "grouped", "Grouped by model: each loads once"
        INTERLEAVED = "interleaved", "Interleaved: models take turns"

    name = models.SlugField(max_length=80, unique=True)
    title = models.CharField(max_length=200, blank=True)
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.MEASURED)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    machine = models.ForeignKey(Machine, on_delete=models.PROTECT, null=True, blank=True, related_name="studies")
    deployments: "models.ManyToManyField[Deployment, StudyDeployment]" = models.ManyToManyField(
        Deployment, through="StudyDeployment", related_name="studies"
    )
    prompts: "models.ManyToManyField[Prompt, StudyPrompt]" = models.ManyToManyField(
        Prompt, through="StudyPrompt", related_name="studies"
    )
    repeats = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1)])
    order = models.CharField(max_length=12, choices=Order.choices, default=Order.GROUPED)
    order_seed = models.BigIntegerField(default=0)
    sampling_period_ms = models.PositiveIntegerField(
        default=DEFAULT_SAMPLING_PERIOD_MS, validators=[MinValueValidator(5), MaxValueValidator(60_000)]
    )
    warm_up_count = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="Answers that each model gives, and that are thrown away, before its first measured response.",
    )
    back_to_back = models.PositiveSmallIntegerField(
        default=1,
        db_default=1,
        validators=[MinValueValidator(1)],
        help_text="Generations of the same prompt and seed within one measurement, for answers too short to measure.",
    )
    idle_baseline_s = models.FloatField(
        "idle baseline (s)",
        default=0.0,
        db_default=0.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(MAX_IDLE_BASELINE_S)],
        help_text="How long idle is measured before the first response and after the last; 0: not at all.",
    )
    control_every = models.PositiveIntegerField(
        default=0,
        db_default=0,
        help_text="After how many responses the control workload is measured again; also at start and end. 0: never.",
    )
    measure_again_count = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="How often at most a response is measured again whose energy is missing because of a gap.",
    )
    cooldown_limit_c = models.FloatField("cooldown limit (°C)", default=60.0)
    max_attempts = models.PositiveSmallIntegerField(default=3, validators=[MinValueValidator(1)])
    carbon_intensity_gco2e_per_kwh = models.FloatField(
        "carbon intensity (gCO2e/kWh)",
        null=True,
        blank=True,
        help_text="Fixed for the whole study, for comparisons.",
    )
    carbon_intensity_source = models.CharField(
        max_length=300, blank=True, help_text="Zone, year and source of the carbon intensity, or who gave it."
    )
    machine_snapshot = models.JSONField(default=dict, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    uuid = models.UUIDField(
        default=uuid4,
        db_default=RandomUUID(),
        unique=True,
        editable=False,
        help_text="The same wherever a bundle carries the study.",
    )
    imported_at = models.DateTimeField(null=True, blank=True, help_text="Empty for a study of this installation.")
    imported_from = models.JSONField(
        default=dict, blank=True, help_text="What the bundle told of its origin, and what became of it here."
    )

    class Meta:
        verbose_name_plural = "studies"
        constraints = [
            known("kind", ["measured", "imported", "live", "router"], name="study_kind_known"),
            known("state", ["draft", "running", "paused", "finished", "cancelled"], name="study_state_known"),
            known("order", ["grouped", "interleaved"], name="study_order_known"),
            models.CheckConstraint(condition=Q(repeats__gte=1), name="study_repeats_positive"),
            models.CheckConstraint(condition=Q(back_to_back__gte=1), name="study_back_to_back_positive"),
            models.CheckConstraint(
                condition=~Q(kind="measured") | Q(machine__isnull=False), name="study_measured_on_a_machine"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class StudyMeasurement(models.Model):
    """A measurement of a study that is no answer of it: the machine at idle, or one run of the control workload.

    A run of the control workload has its place, the number of responses that came before it, and what was said in it.
    """

    class Moment(models.TextChoices):
        BEFORE = "before", "Before the first response"
        AFTER = "after", "After the last response"
        DURING = "during", "Among the responses"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="own_measurements")
    measurement = models.OneToOneField(Measurement, on_delete=models.PROTECT, related_name="study_measurement")
    moment = models.CharField(max_length=6, choices=Moment.choices)
    place = models.PositiveIntegerField(
        null=True, blank=True, help_text="Of a run of the control workload: how many responses come before it."
    )
    text = models.TextField(blank=True, help_text="Of a run of the control workload: the answer, alike in each run.")
    output_token_count = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "place"], name="study_control_run_once"),
            models.CheckConstraint(
                condition=Q(moment="during", place__isnull=False) | (~Q(moment="during") & Q(place__isnull=True)),
                name="study_control_run_has_a_place",
            ),
            models.UniqueConstraint(
                fields=["study", "moment"], condition=Q(moment__in=["before", "after"]), name="study_measurement_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.study_id}: {self.moment}"

    @property
    def mean_power_mw(self) -> float | None:
        """Return the mean power of the measurement (mW), None where its energy is missing."""
        energy_j, time_s = self.measurement.energy_j, self.measurement.time_reserved_s
        return None if energy_j is None or not time_s else energy_j / time_s * MILLIWATTS_PER_WATT


class StudyDeployment(models.Model):
    """One deployment that a study asks, and its place in the order."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="targets")
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="study_targets")
    position = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "deployment"], name="study_deployment_once"),
            models.UniqueConstraint(fields=["study", "position"], name="study_deployment_position_once"),
        ]

    def __str__(self) -> str:
        return f"{self.study_id}: {self.deployment_id}"


class StudyPrompt(models.Model):
    """One prompt that a study asks, and its place in the order."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="tasks")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="study_tasks")
    position = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["study", "prompt"], name="study_prompt_once"),
            models.UniqueConstraint(fields=["study", "position"], name="study_prompt_position_once"),
        ]

    def __str__(self) -> str:
        return f"{self.study_id}: {self.prompt_id}"


class ParameterSet(models.Model):
    """The generation parameters of a study; a sweep has one row per point of its grid."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="parameter_sets")
    name = models.CharField(max_length=200, default="default", help_text="A point of a sweep names what varies.")
    seed = models.BigIntegerField(default=42)
    temperature = models.FloatField(default=0.0, validators=[MinValueValidator(0.0)])
    num_ctx = models.PositiveIntegerField(default=2048, null=True, blank=True, help_text="Empty: the server's own.")
    num_predict = models.PositiveIntegerField(default=256)
    top_p = models.FloatField(null=True, blank=True)
    top_k = models.PositiveIntegerField(null=True, blank=True)
    extras = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["study", "name"], name="parameter_set_name_once")]

    def __str__(self) -> str:
        return f"{self.study_id}/{self.name}"


class ResponseQuerySet(models.QuerySet["Response"]):
    def finished(self) -> "ResponseQuerySet":
        return self.filter(state=Response.State.FINISHED)

    def unfinished(self) -> "ResponseQuerySet":
        """Return the responses that a worker still has to produce."""
        return self.filter(state__in=[Response.State.PENDING, Response.State.RUNNING])

    def in_order(self) -> "ResponseQuerySet":
        """Return the responses in the order in which they are measured."""
        return self.order_by("study_id", "sequence", "pk")


class Response(GenerationFigures):
    """One answer of one deployment to one prompt, or the place where it will stand."""

    class State(models.TextChoices):
        PENDING = "pending", "Pending"
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="responses")
    deployment = models.ForeignKey(Deployment, on_delete=models.PROTECT, related_name="responses")
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="responses")
    parameter_set = models.ForeignKey(ParameterSet, on_delete=models.PROTECT, related_name="responses")
    repeat = models.PositiveSmallIntegerField(default=1)
    sequence = models.PositiveIntegerField(default=0, help_text="Place in the order of measuring.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.PENDING)
    error = models.TextField(blank=True)
    text = models.TextField(blank=True)
    differing_text_count = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text="Of the further answers generated back to back, how many have another text than the one kept.",
    )
    thinking_text = models.TextField(blank=True)
    mean_margin_nats = models.FloatField(
        null=True,
        blank=True,
        help_text="By how much tokens were likelier than the next best, on average; empty: the server did not tell.",
    )
    answered_by = models.CharField(
        max_length=200, blank=True, help_text="Of a router's answer: the model that the router chose."
    )
    gateway_request_public_id = models.CharField(
        max_length=40, blank=True, help_text="Of a router's answer: the id of the request there."
    )
    measurement = models.OneToOneField(
        Measurement, on_delete=models.PROTECT, null=True, blank=True, related_name="response"
    )
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = ResponseQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study", "deployment", "prompt", "parameter_set", "repeat"], name="response_once"
            ),
            known("state", ["pending", "running", "finished", "failed", "cancelled"], name="response_state_known"),
            models.CheckConstraint(
                condition=~Q(state="finished") | Q(finished_at__isnull=False),
                name="response_finished_has_a_moment",
            ),
            models.CheckConstraint(condition=~Q(state="failed") | ~Q(error=""), name="response_failed_has_a_reason"),
        ]
        indexes = [
            models.Index(fields=["study", "state", "sequence"], name="response_study_state"),
            models.Index(fields=["prompt", "deployment"], name="response_prompt_deployment"),
            models.Index(fields=["study", "sequence", "id"], name="response_study_sequence"),
            # which prompt each of many answers was given to, without a look at their texts
            models.Index(fields=["id"], include=["prompt"], name="response_prompt_by_id"),
        ]

    def __str__(self) -> str:
        return f"response {self.pk}"

    @property
    def is_due(self) -> bool:
        """Return whether a worker shall produce it now."""
        is_unfinished = self.state in {Response.State.PENDING, Response.State.RUNNING}
        return is_unfinished and self.study.state == Study.State.RUNNING


class ResponseAttempt(models.Model):
    """One try to produce a response; a killed worker leaves one that is marked lost."""

    class Outcome(models.TextChoices):
        RUNNING = "running", "Running"
        FINISHED = "finished", "Finished"
        FAILED = "failed", "Failed"
        LOST = "lost", "Lost: the worker or its machine went away"

    NOT_MEASURED = ("failed", "lost")

    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveSmallIntegerField()
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.RUNNING)
    error_kind = models.CharField(max_length=100, blank=True)
    error = models.TextField(blank=True)
    worker = models.CharField(max_length=200, blank=True)
    cooldown_s = models.FloatField(
        "wait for the machine to cool (s)", null=True, blank=True, help_text="Empty: temperatures were not asked for."
    )
    start_temperature_c = models.FloatField(
        "hottest sensor at the start (°C)", null=True, blank=True, help_text="Empty: no sensor could be read."
    )
    cooldown_note = models.TextField(blank=True, help_text="Why measuring went on after the wait.")
    load_wait_s = models.FloatField(
        "wait for the model to be in memory (s)", null=True, blank=True, help_text="Before the start mark."
    )
    started_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["response"], condition=Q(outcome__in=["failed", "lost"]), name="response_attempt_not_measured"
            )
        ]
        constraints = [
            models.UniqueConstraint(fields=["response", "number"], name="response_attempt_number_once"),
            known("outcome", ["running", "finished", "failed", "lost"], name="response_attempt_outcome_known"),
            models.UniqueConstraint(
                fields=["response"], condition=Q(outcome="running"), name="response_attempt_one_running"
            ),
            models.CheckConstraint(
                condition=Q(outcome="running") | Q(ended_at__gte=F("started_at")),
                name="response_attempt_ends_after_start",
            ),
            models.CheckConstraint(
                condition=Q(cooldown_s__isnull=True) | Q(cooldown_s__gte=0),
                name="response_attempt_cooldown_not_negative",
            ),
            models.CheckConstraint(
                condition=Q(load_wait_s__isnull=True) | Q(load_wait_s__gte=0), name="response_attempt_load_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of response {self.response_id}"

    @property
    def is_cooling(self) -> bool:
        """Tell whether the machine cools down before this attempt; its note then says from what to what."""
        return self.outcome == self.Outcome.RUNNING and self.cooldown_s is None and bool(self.cooldown_note)

    def take_cooldown(self, cooldown: Cooldown) -> None:
        """Note what came of the wait before it, without saving."""
        self.cooldown_s = cooldown.waited_s
        self.start_temperature_c = cooldown.hottest_after_c
        self.cooldown_note = cooldown.reason
