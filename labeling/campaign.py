"""Notices about the judging of a study. `labeling.models` has these models among its own."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from benchmarks.models import Study
from benchmarks.moments import written_moment


class CampaignNotice(models.Model):
    """One end, or one stall, of the judging of a study: told once, and over as soon as somebody judges on.

    The counts are those of the moment when it was noticed.
    """

    class Kind(models.TextChoices):
        ENDED = "ended", "Ended: no answer waits any more"
        STALLED = "stalled", "Stalled: answers wait, and nobody judges"

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="campaign_notices")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    noticed_at = models.DateTimeField()
    latest_label_at = models.DateTimeField(help_text="When somebody last judged an answer of the study.")
    answer_count = models.PositiveIntegerField()
    reader_count = models.PositiveIntegerField(default=0, help_text="Answers that waited for a reader.")
    adjudicator_count = models.PositiveIntegerField(default=0, help_text="Answers that waited for an adjudicator.")
    over_at = models.DateTimeField(null=True, blank=True, help_text="Since then it is no longer so.")
    mailed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["study"], condition=Q(over_at__isnull=True), name="campaign_notice_one_in_force"
            )
        ]

    def __str__(self) -> str:
        return f"judging of study {self.study_id} {self.kind}"

    @property
    def title(self) -> str:
        """Return what happened, in a few words."""
        happened = "has ended" if self.kind == self.Kind.ENDED else "has stalled"
        return f"Judging of {self.study.name} {happened}"

    @property
    def text(self) -> str:
        """Return what happened, in a sentence."""
        moment = written_moment(self.latest_label_at)
        if self.kind == self.Kind.ENDED:
            return f"None of its {self.answer_count} answers waits any more; the last verdict was given {moment}."
        waiting = f"{self.reader_count} of its {self.answer_count} answers waited for a reader"
        if self.adjudicator_count:
            waiting += f" and {self.adjudicator_count} for an adjudicator"
        return f"Nobody has judged since {moment}, and {waiting}."


class NoticeDismissal(models.Model):
    """One person has read a notice and does not want to see it any more; others see it still."""

    notice = models.ForeignKey(CampaignNotice, on_delete=models.CASCADE, related_name="dismissals")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="notice_dismissals")
    dismissed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["notice", "person"], name="notice_dismissed_once_per_person")]

    def __str__(self) -> str:
        return f"notice {self.notice_id} dismissed by {self.person_id}"
