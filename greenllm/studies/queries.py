"""Table-shaped reads for the study pages."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from django.db.models import Count, Sum

from benchmarks.models import (
    Measurement,
    Response,
    ResponseAttempt,
    Study,
    StudyDeployment,
    StudyMeasurement,
    StudyPrompt,
)
from benchmarks.pacing import Pace
from benchmarks.studying import Progress
from labeling.models import AnswerTally, Verdict
from labeling.verdicts import UNDECIDED, Decision, verdicts_of

FAILURES_SHOWN = 20


@dataclass
class StudyRow:
    """One study of the list: how far it is, what it asks, and how its energies came about."""

    study: Study
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    qualities: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """Return how many responses it has or will have."""
        return sum(self.counts.values())

    @property
    def finished(self) -> int:
        """Return how many of them are finished."""
        return self.counts[Response.State.FINISHED]

    @property
    def failed(self) -> int:
        """Return how many of them failed."""
        return self.counts[Response.State.FAILED]


@dataclass(frozen=True)
class PromptGroup:
    """How many prompts of one data set, category and role a study asks."""

    dataset: str
    category: str
    role: str
    count: int


@dataclass(frozen=True)
class ResponseRow:
    """One response of the list, with the verdict on it."""

    response: Response
    verdict: Decision


def study_rows(studies: Iterable[Study]) -> list[StudyRow]:
    """Return the rows of the studies of one page, in two queries however many there are."""
    rows = {study.pk: StudyRow(study) for study in studies}
    counted = (
        AnswerTally.objects.filter(study_id__in=list(rows))
        .values_list("study_id", "state", "quality")
        .annotate(count=Sum("answer_count"))
        .filter(count__gt=0)
        .order_by("study_id", "quality")
    )
    for study_id, state, quality, count in counted:
        row = rows[study_id]
        row.counts[state] += count
        if quality and quality not in row.qualities:
            row.qualities.append(quality)
    targets = StudyDeployment.objects.filter(study__in=rows).order_by("study_id", "position")
    for study_id, model in targets.values_list("study_id", "deployment__language_model__name"):
        rows[study_id].models.append(model)
    return list(rows.values())


def prompt_groups(study: Study) -> list[PromptGroup]:
    """Return how many prompts of each kind a study asks."""
    names = ("prompt__dataset__name", "prompt__category__name", "prompt__role")
    counted = StudyPrompt.objects.filter(study=study).values_list(*names).annotate(count=Count("pk")).order_by(*names)
    return [PromptGroup(*row) for row in counted]


def idle_baselines(study: Study) -> list[StudyMeasurement]:
    """Return what was measured at idle before and after a study."""
    idle = StudyMeasurement.objects.filter(study=study, measurement__purpose=Measurement.Purpose.IDLE_BASELINE)
    return list(idle.select_related("measurement").order_by("measurement__started_at", "pk"))


def running_attempts(study: Study) -> list[ResponseAttempt]:
    """Return what is being measured now."""
    return list(
        ResponseAttempt.objects.filter(response__study=study, outcome=ResponseAttempt.Outcome.RUNNING)
        .select_related("response__prompt__category", "response__deployment__language_model")
        .order_by("started_at", "pk")
    )


def failed_responses(study: Study) -> list[Response]:
    """Return the responses that failed, the first few of them."""
    return list(
        study.responses.filter(state=Response.State.FAILED)
        .select_related("prompt__category", "deployment__language_model")
        .annotate(attempt_count=Count("attempts"))
        .order_by("sequence", "pk")[:FAILURES_SHOWN]
    )


def time_left_s(progress: Progress, pace: Pace | None) -> float | None:
    """Return about how long a study still takes, in seconds; None while nobody can know."""
    return None if pace is None else pace.median_s * progress.remaining


def response_rows(responses: Sequence[Response]) -> list[ResponseRow]:
    """Return the rows of one page of responses with their verdicts, in one query."""
    verdicts = verdicts_of(response.pk for response in responses)
    return [ResponseRow(response, verdicts.get(response.pk, UNDECIDED)) for response in responses]


def verdict_name(decision: Decision) -> str:
    """Return the word for a verdict: correct, incorrect, disputed or open."""
    if decision.is_correct is not None:
        return str(Verdict.CORRECT.value if decision.is_correct else Verdict.INCORRECT.value)
    return "disputed" if decision.is_disputed else "open"
