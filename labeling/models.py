"""Judgements: people's labels, graders' suggestions, the guidelines that people followed, and who holds what."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from benchmarks.models import Category, Response


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
            models.CheckConstraint(
                condition=Q(score__isnull=True) | (Q(score__gte=0) & Q(score__lte=1)),
                name="grade_score_0_to_1",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.grader}@{self.grader_version}: {self.verdict}"


class LabelQuerySet(models.QuerySet["Label"]):
    def current(self) -> "LabelQuerySet":
        """Return the labels that no later label of the same judge replaced and nobody voided."""
        return self.filter(is_current=True, voided_at__isnull=True)

    def of_people(self) -> "LabelQuerySet":
        return self.filter(source=Label.Source.PERSON)

    def by(self, person_id: int) -> "LabelQuerySet":
        """Return what one person judged."""
        return self.of_people().filter(labeler_id=person_id)


class Label(models.Model):
    """One judgement of one answer. Labels are superseded or voided, never changed or deleted."""

    class Source(models.TextChoices):
        PERSON = "person", "A person"
        GRADER = "grader", "A grader"
        IMPORTED = "imported", "Imported"

    response = models.ForeignKey(Response, on_delete=models.PROTECT, related_name="labels")
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    score = models.FloatField(null=True, blank=True)
    source = models.CharField(max_length=10, choices=Source.choices)
    labeler = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="labels"
    )
    grade = models.ForeignKey(Grade, on_delete=models.PROTECT, null=True, blank=True, related_name="labels")
    guideline = models.ForeignKey(Guideline, on_delete=models.PROTECT, null=True, blank=True, related_name="labels")
    comment = models.TextField(blank=True)
    active_seconds = models.FloatField(null=True, blank=True)
    shown_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    supersedes = models.OneToOneField(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="superseded_by"
    )
    is_current = models.BooleanField(default=True, help_text="False once a later label of the same judge replaced it.")
    voided_at = models.DateTimeField(null=True, blank=True)
    void_reason = models.TextField(blank=True)

    objects = LabelQuerySet.as_manager()

    class Meta:
        constraints = [
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
            models.UniqueConstraint(
                fields=["response", "source", "labeler"],
                condition=Q(is_current=True, voided_at__isnull=True) & ~Q(source="imported"),
                name="label_one_current_per_judge",
                nulls_distinct=False,
            ),
        ]
        indexes = [
            models.Index(fields=["response", "is_current"], name="label_response_current"),
            models.Index(fields=["labeler", "created_at"], name="label_labeler_created"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} by {self.source} on response {self.response_id}"


class Annotator(models.Model):
    """What the queue keeps of one person: the seed of the order in which they see the answers."""

    person = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="annotator")
    order_seed = models.BigIntegerField(help_text="With it, the order that the person saw can be worked out again.")

    def __str__(self) -> str:
        return f"annotator {self.person_id}"


class Lease(models.Model):
    """One answer held for one person until they judge or skip it, or until it expires.

    An answer that wants n judgements has the slots 1 to n. The unique slot, not the reader's good luck, is what keeps
    two people off one answer; an expired lease is taken over in place.
    """

    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="leases")
    slot = models.PositiveSmallIntegerField(default=1)
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="leases")
    claimed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    returned_at = models.DateTimeField(null=True, blank=True, help_text="When undo brought the answer back.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["response", "slot"], name="lease_slot_once"),
            models.UniqueConstraint(fields=["response", "annotator"], name="lease_once_per_person"),
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
