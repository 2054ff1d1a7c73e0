"""Table-shaped reads for the study pages."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from django.db.models import Count, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce, Left

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
_STATE_TITLES: dict[str, str] = {one.value: str(one.label) for one in Response.State}
_CHARACTERS_READ = 1000  # of a prompt: far more than a row shows
_OF_A_ROW = (
    "pk", "sequence",
    "measurement", "measurement__sci_gco2e", "measurement__energy_j", "measurement__time_reserved_s",
    "measurement__quality",
    "repeat", "state", "prompt_id", "beginning", "prompt__external_id", "prompt__role", "prompt__category__name",
    "deployment_id", "deployment__language_model__name", "parameter_set__name",
)  # fmt: skip


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


class Measured(NamedTuple):
    """What one response cost, as it was measured; None is what is not known."""

    sci_gco2e: float | None
    energy_j: float | None
    time_reserved_s: float | None
    quality: str


class ResponseRow(NamedTuple):
    """One response of the list: what was asked of whom, what it cost, and the verdict on it."""

    pk: int
    number: int
    repeat: int
    state: str
    prompt_id: int
    item_text: str
    external_id: str
    role: str
    category: str
    deployment_id: int
    model: str
    parameter_set: str
    measured: Measured | None
    verdict: Decision

    @property
    def state_title(self) -> str:
        """Return the word for its state."""
        return _STATE_TITLES[self.state]


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
    """Return the responses that failed, the first few of them, each with the number of its attempts."""
    attempts = ResponseAttempt.objects.filter(response=OuterRef("pk")).order_by().values("response")
    return list(
        Response.objects.filter(study=study.pk, state=Response.State.FAILED)
        .select_related("prompt__category", "deployment__language_model")
        .only("error", "prompt__external_id", "prompt__category__name", "deployment__language_model__name")
        .annotate(attempt_count=Coalesce(Subquery(attempts.annotate(count=Count("pk")).values("count")), 0))
        .order_by("sequence", "pk")[:FAILURES_SHOWN]
    )


def time_left_s(progress: Progress, pace: Pace | None) -> float | None:
    """Return about how long a study still takes, in seconds; None while nobody can know."""
    return None if pace is None else pace.median_s * progress.remaining


def response_rows(keys: Sequence[int]) -> list[ResponseRow]:
    """Return the rows of some responses in their order, with their verdicts, in two queries; who is gone has none.

    Rows are no models: a page of them would be several hundred.
    """
    verdicts = verdicts_of(keys)
    named = Response.objects.annotate(beginning=Left("prompt__item_text", _CHARACTERS_READ)).filter(pk__in=keys)
    found = {}
    for pk, number, measurement, sci, energy_j, time_s, quality, *asked in named.values_list(*_OF_A_ROW):
        measured = Measured(sci, energy_j, time_s, quality) if measurement is not None else None
        found[pk] = ResponseRow._make((pk, number or pk, *asked, measured, verdicts.get(pk, UNDECIDED)))
    return [found[key] for key in keys if key in found]


def verdict_name(decision: Decision) -> str:
    """Return the word for a verdict: correct, incorrect, disputed or open."""
    if decision.is_correct is not None:
        return str(Verdict.CORRECT.value if decision.is_correct else Verdict.INCORRECT.value)
    return "disputed" if decision.is_disputed else "open"
