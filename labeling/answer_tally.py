"""What is known of answers, kept current by triggers: a line for each answer, and their counts for the pages.

The ids are plain numbers and no foreign keys: rows of differences outlive what was deleted until they are folded, and
triggers, not Django, keep them. `labeling_answermark` has the answers that changed since the last fold; the view
`labeling_currentanswer` is how each counts at present.
"""

from django.db import models

from benchmarks.models.rollups import ExactSum, Rollup

_ASKED_FOR = ["deployment_id", "category_id", "role", "state", "verdict"]
_ORDERS: dict[str, list[str]] = {
    "of_study": [], "by_energy": ["energy_j"], "by_sci": ["sci_gco2e"], "by_time": ["time_reserved_s"],
}  # fmt: skip


class AnswerKey(models.Model):
    """Under what an answer is counted. `verdict`: correct, incorrect, disputed, or empty where nobody judged."""

    study_id = models.BigIntegerField()
    deployment_id = models.BigIntegerField()
    category_id = models.BigIntegerField()
    role = models.CharField(max_length=10, help_text="Of the prompt.")
    parameter_set_id = models.BigIntegerField()
    state = models.CharField(max_length=10)
    quality = models.CharField(max_length=10, help_text="Of the energy; empty: there is no measurement.")
    verdict = models.CharField(max_length=10)
    verdict_source = models.CharField(max_length=10, help_text="Whose word decided; empty: nobody's.")

    class Meta:
        abstract = True


class CountedAnswer(AnswerKey):
    """One answer with its figures."""

    response_id = models.BigIntegerField(primary_key=True)
    energy_j = models.FloatField(null=True)
    sci_gco2e = models.FloatField(null=True)
    time_reserved_s = models.FloatField(null=True)
    prompt_token_count = models.BigIntegerField(null=True)
    output_token_count = models.BigIntegerField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"answer {self.response_id}"


class AnswerFact(CountedAnswer):
    """How one answer is counted in the ledger: what a fold has to take back before it counts anew."""

    class Meta:
        # the list of a study's responses finds those that a reader asked for in the index alone, in whichever order
        indexes = [
            *(
                models.Index(fields=["study_id", *by, "response_id"], include=_ASKED_FOR, name=f"answer_fact_{name}")
                for name, by in _ORDERS.items()
            ),
            # a few have failed or wait: without this one all would be looked at for them
            models.Index(
                fields=["study_id", "response_id"],
                include=_ASKED_FOR,
                condition=~models.Q(state="finished"),
                name="answer_fact_unfinished",
            ),
        ]


class CurrentAnswer(CountedAnswer):
    """How one answer counts at present."""

    class Meta:
        managed = False


class AnswerTally(Rollup, AnswerKey):
    """A difference in the counts and sums of the answers of one key; squares are there for intervals of means."""

    answer_count = models.BigIntegerField()
    energy_count = models.BigIntegerField(help_text="Answers that have an energy.")
    energy_j = ExactSum()
    energy_j_squared = ExactSum()
    sci_count = models.BigIntegerField(help_text="Answers that have an SCI.")
    sci_gco2e = ExactSum()
    sci_gco2e_squared = ExactSum()
    time_reserved_s = ExactSum()
    prompt_token_count = models.BigIntegerField()
    output_token_count = models.BigIntegerField()

    class Meta:
        managed = False
        verbose_name_plural = "answer tallies"

    def __str__(self) -> str:
        return f"{self.answer_count:+} in study {self.study_id}"
