"""Judgements: people's labels, graders' suggestions, the guidelines that people followed, and who holds what."""

from uuid import uuid4

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from benchmarks.known_values import known
from benchmarks.models import Category, Response
from labeling.answer_tally import AnswerFact as AnswerFact  # noqa: PLC0414 - it is one of the models here
from labeling.answer_tally import AnswerTally as AnswerTally  # noqa: PLC0414 - this, too
from labeling.answer_tally import CurrentAnswer as CurrentAnswer  # noqa: PLC0414 - and this
from labeling.campaign import CampaignNotice as CampaignNotice  # noqa: PLC0414 - it is one of the models here
from labeling.campaign import NoticeDismissal as NoticeDismissal  # noqa: PLC0414 - and this
from labeling.correction import Correction as Correction  # noqa: PLC0414 - it is one of the models here
from labeling.evidence_look import EvidenceLook as EvidenceLook  # noqa: PLC0414 - it is one of the models here
from labeling.flag import Flag as Flag  # noqa: PLC0414 - so is this
from labeling.queue_order import QueueOrder as QueueOrder  # noqa: PLC0414 - so are these
from labeling.queue_order import QueuePlace as QueuePlace  # noqa: PLC0414

MAX_READERS = 9
MAX_EXTERNAL_ID = 200


class Verdict(models.TextChoices):
    """What a judge may say of one answer."""

    CORRECT = "correct", "Correct"
    INCORRECT = "incorrect", "Incorrect"
    UNSURE = "unsure", "Unsure"


class Guideline(models.Model):
    """One version of the instructions that annotators follow in a category."""

    category = models.ForeignKey(
        Category,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="guidelines",
        help_text="Empty: for every category.",
    )
    version = models.PositiveIntegerField()
    text = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["category", "version"], name="guideline_version_once", nulls_distinct=False)
        ]

    def __str__(self) -> str:
        return f"guideline {self.version} ({self.category or 'every category'})"


class JudgementRule(models.Model):
    """How often the answers of a category are judged; never changed: the latest of a category is in force.

    A rule without a category stands for every category that has none of its own.
    """

    class Evidence(models.TextChoices):
        AFTER_VOTE = "after_vote", "After the vote"
        ON_DEMAND = "on_demand", "On demand"
        NEVER = "never", "Never"

    category = models.ForeignKey(
        Category,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="judgement_rules",
        help_text="Empty: every category without a rule of its own.",
    )
    judgements = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_READERS)],
        help_text="How many people judge an answer of the share.",
    )
    share = models.FloatField(
        default=1.0,
        validators=[MinValueValidator(0.0), MaxValueValidator(1.0)],
        help_text="Share of the answers that are judged so often (above 0, at most 1); the others are judged once.",
    )
    max_readers = models.PositiveSmallIntegerField(
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_READERS)],
        help_text="So many people read an answer at most while there is no majority; then an adjudicator settles it.",
    )
    evidence = models.CharField(
        max_length=10, choices=Evidence.choices, default=Evidence.AFTER_VOTE, help_text="When evidence is shown."
    )
    grades_count = models.BooleanField(default=False, help_text="Whether graders may label in the category.")
    made_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            known("evidence", ["after_vote", "on_demand", "never"], name="judgement_rule_evidence_known"),
            models.CheckConstraint(condition=Q(judgements__gte=1), name="judgement_rule_at_least_one"),
            models.CheckConstraint(condition=Q(share__gt=0) & Q(share__lte=1), name="judgement_rule_share_0_to_1"),
            models.CheckConstraint(
                condition=Q(max_readers__gte=F("judgements")), name="judgement_rule_readers_cover_judgements"
            ),
        ]
        indexes = [models.Index(fields=["category", "-id"], name="judgement_rule_in_force")]

    def __str__(self) -> str:
        return f"{self.judgements} of at most {self.max_readers} ({self.category or 'every category'})"


class Grade(models.Model):
    """What one version of one grader found in an answer: a suggestion, never a verdict by itself."""

    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="grades")
    grader = models.CharField(max_length=60)
    grader_version = models.PositiveSmallIntegerField()
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    score = models.FloatField(null=True, blank=True)
    extracted = models.JSONField(default=dict, blank=True)
    reason = models.TextField()
    duration_ms = models.FloatField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["response", "grader", "grader_version"], name="grade_once"),
            known("verdict", Verdict.values, name="grade_verdict_known"),
            models.CheckConstraint(
                condition=Q(score__isnull=True) | (Q(score__gte=0) & Q(score__lte=1)),
                name="grade_score_0_to_1",
            ),
        ]
        indexes = [
            models.Index(
                fields=["response", "-grader_version", "-id"], include=["grader", "verdict"], name="grade_latest"
            )
        ]

    def __str__(self) -> str:
        return f"{self.grader}@{self.grader_version}: {self.verdict}"


class LabelQuerySet(models.QuerySet["Label"]):
    def current(self) -> "LabelQuerySet":
        """Return the labels that no later label of the same judge replaced and nobody voided."""
        return self.filter(is_current=True, voided_at__isnull=True)

    def of_people(self) -> "LabelQuerySet":
        return self.filter(source=Label.Source.PERSON)

    def judgements(self) -> "LabelQuerySet":
        """Return what readers said: neither self-checks nor adjudications."""
        return self.filter(kind=Label.Kind.JUDGEMENT)

    def by(self, person_id: int) -> "LabelQuerySet":
        """Return what one person judged."""
        return self.of_people().filter(labeler_id=person_id)


class Label(models.Model):
    """One judgement of one answer. Labels are superseded or voided, never changed or deleted.

    Only imported outcomes that are taken back take their own labels with them, where nothing came on top.
    """

    class Source(models.TextChoices):
        PERSON = "person", "A person"
        GRADER = "grader", "A grader"
        IMPORTED = "imported", "Imported"

    class Kind(models.TextChoices):
        JUDGEMENT = "judgement", "Judgement"
        SELF_CHECK = "self_check", "Self-check: the same person judged again, unaware"
        ADJUDICATION = "adjudication", "Adjudication: settles what readers leave open"

    response = models.ForeignKey(Response, on_delete=models.PROTECT, related_name="labels")
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    score = models.FloatField(null=True, blank=True)
    source = models.CharField(max_length=10, choices=Source.choices)
    kind = models.CharField(
        max_length=12, choices=Kind.choices, default=Kind.JUDGEMENT, db_default=Kind.JUDGEMENT.value
    )
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="labels"
    )
    grade = models.ForeignKey(Grade, on_delete=models.PROTECT, null=True, blank=True, related_name="labels")
    guideline = models.ForeignKey(Guideline, on_delete=models.PROTECT, null=True, blank=True, related_name="labels")
    comment = models.TextField(blank=True)
    saw_evidence = models.BooleanField(
        default=False, db_default=False, help_text="Whether the judge knew what a grader found: then it is not blind."
    )
    active_seconds = models.FloatField(null=True, blank=True)
    shown_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    is_current = models.BooleanField(default=True, help_text="False once a later label of the same judge replaced it.")
    voided_at = models.DateTimeField(null=True, blank=True)
    void_reason = models.TextField(blank=True)
    correction = models.ForeignKey(
        Correction,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="labels",
        help_text="The latest correction that voided it; once that is undone, it may count again.",
    )
    uuid = models.UUIDField(
        default=uuid4,
        db_default=RandomUUID(),
        unique=True,
        editable=False,
        help_text="The same wherever a file or a bundle carries the label.",
    )
    external_id = models.CharField(
        max_length=MAX_EXTERNAL_ID,
        blank=True,
        default="",
        db_default="",
        help_text="Of a label from elsewhere: who numbered it there and its number, such as label-studio:1001.",
    )

    objects = LabelQuerySet.as_manager()

    class Meta:
        constraints = [
            known("verdict", Verdict.values, name="label_verdict_known"),
            known("source", ["person", "grader", "imported"], name="label_source_known"),
            known("kind", ["judgement", "self_check", "adjudication"], name="label_kind_known"),
            models.CheckConstraint(
                condition=~Q(source="person") | Q(labeler__isnull=False), name="label_of_a_person_names_them"
            ),
            models.CheckConstraint(
                condition=~Q(source="grader") | Q(grade__isnull=False),
                name="label_of_a_grader_names_its_grade",
            ),
            models.CheckConstraint(
                condition=Q(score__isnull=True) | (Q(score__gte=0) & Q(score__lte=1)),
                name="label_score_0_to_1",
            ),
            models.CheckConstraint(
                condition=Q(voided_at__isnull=True) | ~Q(void_reason=""), name="label_voided_has_a_reason"
            ),
            models.CheckConstraint(
                condition=~Q(source="grader") | Q(kind="judgement"), name="label_of_a_grader_is_a_judgement"
            ),
            models.UniqueConstraint(
                fields=["response", "source", "labeler", "kind"],
                condition=Q(is_current=True, voided_at__isnull=True) & ~Q(source="imported"),
                name="label_one_current_per_judge",
                nulls_distinct=False,
            ),
            models.UniqueConstraint(
                fields=["response", "external_id"], condition=~Q(external_id=""), name="label_external_id_once"
            ),
        ]
        indexes = [
            models.Index(fields=["response", "is_current"], name="label_response_current"),
            models.Index(fields=["labeler", "created_at"], name="label_labeler_created"),
            models.Index(fields=["-voided_at"], condition=Q(voided_at__isnull=False), name="label_voided"),
            # the figures of quality read all that people say at present, in the index alone
            models.Index(
                fields=["response", "labeler", "kind"],
                include=["id", "verdict", "saw_evidence", "active_seconds", "created_at"],
                condition=Q(source="person", is_current=True, voided_at__isnull=True),
                name="label_of_people_now",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.source} on response {self.response_id}"


class GoldAnswer(models.Model):
    """One answer whose verdict is known, mixed in unmarked to see how well a person judges."""

    response = models.ForeignKey(Response, on_delete=models.PROTECT, related_name="gold_answers")
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    reason = models.TextField(help_text="Why it is right or wrong.")
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="gold_answers"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    retired_at = models.DateTimeField(null=True, blank=True, help_text="Since then it is not shown as gold any more.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["response"], condition=Q(retired_at__isnull=True), name="gold_answer_one_in_use"
            ),
            models.CheckConstraint(condition=Q(verdict__in=["correct", "incorrect"]), name="gold_answer_is_decided"),
            models.CheckConstraint(condition=~Q(reason=""), name="gold_answer_has_a_reason"),
        ]

    def __str__(self) -> str:
        return f"gold: response {self.response_id} is {self.verdict}"


class Annotator(models.Model):
    """What the queue keeps of one person: the seed of their order, the list of what they read next, their ways.

    The list only proposes: each claim looks at its first answers again. With it the counts of that moment are kept,
    because counting a hundred thousand answers for each vote would take longer than the vote.
    """

    person = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="annotator")
    order_seed = models.BigIntegerField(help_text="With it, the order that the person saw can be worked out again.")
    list_ids = ArrayField(models.BigIntegerField(), default=list, blank=True, help_text="Answers to claim, in order.")
    list_key = models.CharField(max_length=200, blank=True, help_text="The filter that the list was made for.")
    list_made_at = models.DateTimeField(null=True, blank=True)
    total_count = models.PositiveIntegerField(default=0, help_text="Answers in the filter when the list was made.")
    judged_count = models.PositiveIntegerField(default=0, help_text="Of these, how many were judged then.")
    keys = models.JSONField(default=dict, blank=True, help_text="Action and key, of those that the person changed.")
    keys_on = models.BooleanField(default=True, db_default=True)
    reference_shown = models.BooleanField(
        default=True, db_default=True, help_text="Whether an answer first comes with its reference open."
    )

    def __str__(self) -> str:
        return f"annotator {self.person_id}"


class Lease(models.Model):
    """One answer held for one person until they judge or skip it, or until it expires.

    An answer that wants n judgements has the slots 1 to n; one that wants an adjudicator has the slot 1 of that kind.
    The unique slot, not the reader's good luck, is what keeps two people off one answer. Gold answers and self-checks
    have no slot: any number of people may look at the same one.
    """

    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="leases")
    kind = models.CharField(
        max_length=12, choices=Label.Kind.choices, default=Label.Kind.JUDGEMENT, db_default=Label.Kind.JUDGEMENT.value
    )
    slot = models.PositiveSmallIntegerField(default=1, null=True, blank=True)
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="leases")
    claimed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    returned_at = models.DateTimeField(null=True, blank=True, help_text="When undo brought the answer back.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["response", "kind", "slot"], name="lease_slot_once"),
            models.UniqueConstraint(fields=["response", "annotator"], name="lease_once_per_person"),
            known("kind", Label.Kind.values, name="lease_kind_known"),
            models.CheckConstraint(condition=Q(slot__gte=1), name="lease_slot_positive"),
            models.CheckConstraint(condition=Q(expires_at__gt=F("claimed_at")), name="lease_expires_after_claim"),
        ]

    def __str__(self) -> str:
        return f"response {self.response_id} held by {self.annotator_id}"


class Skip(models.Model):
    """One answer that one person left for later: it rests for a while, then comes back to them last."""

    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="skips")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="skips")
    skipped_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["response", "annotator"], name="skip_once_per_person")]

    def __str__(self) -> str:
        return f"response {self.response_id} skipped by {self.annotator_id}"
