"""How many routed prompts repay what a study itself emitted."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Sum

from benchmarks.intervals import Interval
from benchmarks.models import Measurement, Response, ResponseAttempt, Study
from benchmarks.paired import difference_interval
from labeling.models import AnswerTally
from router.embedding import Embedder
from router.evaluating import outcomes_on_validation, routed_outcomes
from router.expected_answers import AnswerOutcome
from router.index import VectorStore
from router.models import PromptIndex


class NoBaseline(ValueError):
    """There is no model to hold the router against; the message tells why."""


@dataclass(frozen=True)
class OwnCarbon:
    """What a study emitted itself, in gCO2e: its scored answers, and idle and index building where measured.

    Idle and index building count where their energies are of the same quality as those of the answers.
    """

    answers_gco2e: float
    scored_count: int
    unscored_count: int
    lost_attempt_count: int
    qualities: tuple[str, ...]
    idle_gco2e: float | None
    index_gco2e: float | None
    idle_count: int = 0
    idle_qualities: tuple[str, ...] = ()
    index_qualities: tuple[str, ...] = ()

    @property
    def total_gco2e(self) -> float:
        """Return all of it that is known and of one quality."""
        idle = self.idle_gco2e if self.is_like_answers(self.idle_qualities) else None
        index = self.index_gco2e if self.is_like_answers(self.index_qualities) else None
        return self.answers_gco2e + (idle or 0.0) + (index or 0.0)

    def is_like_answers(self, qualities: tuple[str, ...]) -> bool:
        """Tell whether energies of these qualities may be added to those of the answers."""
        return qualities == self.qualities


@dataclass(frozen=True)
class BreakEven:
    """The saving per routed prompt against one model alone, and how many such prompts repay the study.

    `prompts` is None where no saving is shown; `reason` says why. Its interval turns the saving's one over.
    """

    study: Study
    own: OwnCarbon
    baseline: str
    baseline_right: int
    router_right: float  # of a cascade, the expected number
    judged_count: int
    baseline_sci_gco2e: float | None
    router_sci_gco2e: float | None
    saving_gco2e: Interval | None
    quality: str
    prompts: Interval | None
    reason: str


def own_carbon(*, study: Study) -> OwnCarbon:
    """Sum what is known of a study's own emissions; failed and lost attempts and loading were never measured."""
    counted = AnswerTally.objects.filter(study_id=study.pk)
    summed = counted.aggregate(sci=Sum("sci_gco2e"), n=Sum("sci_count"))
    tried = counted.exclude(state=Response.State.PENDING).aggregate(n=Sum("answer_count"), scored=Sum("sci_count"))
    scored = counted.values_list("quality").annotate(n=Sum("sci_count")).filter(n__gt=0).order_by("quality")
    lost = ResponseAttempt.objects.filter(response__study=study, outcome__in=ResponseAttempt.NOT_MEASURED)
    index = PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).select_related("measurement").first()
    building = index.measurement if index is not None else None
    idle = _idle(study)
    return OwnCarbon(
        answers_gco2e=float(summed["sci"] or 0),
        scored_count=summed["n"] or 0,
        unscored_count=(tried["n"] or 0) - (tried["scored"] or 0),
        lost_attempt_count=lost.exclude(response__state=Response.State.PENDING).count(),
        qualities=tuple(quality for quality, _ in scored),
        idle_gco2e=sum(sci for _, _, sci in idle) if idle else None,
        index_gco2e=building.sci_gco2e if building is not None else None,
        idle_count=sum(n for _, n, _ in idle),
        idle_qualities=tuple(quality for quality, _, _ in idle),
        index_qualities=(building.quality,) if building is not None and building.sci_gco2e is not None else (),
    )


def _idle(study: Study) -> list[tuple[str, int, float]]:
    """Return quality, n and gCO2e of the idle baselines of a study's machine while it ran."""
    if study.started_at is None or study.machine is None:
        return []
    measured = Measurement.objects.scored().filter(
        purpose=Measurement.Purpose.IDLE_BASELINE, machine=study.machine, started_at__gte=study.started_at
    )
    if study.finished_at is not None:
        measured = measured.filter(started_at__lte=study.finished_at)
    return list(measured.values_list("quality").annotate(n=Count("pk"), sci=Sum("sci_gco2e")).order_by("quality"))


def break_even(
    *,
    study: Study,
    embedder: Embedder,
    store: VectorStore,
    clock: Callable[[], datetime],
    baseline: str | None = None,
    is_recorded: bool = True,
) -> BreakEven:
    """Reckon how many routed prompts repay a study, on its validation prompts routed as bare items.

    `baseline` names the model that would answer everything; the most accurate one where None. Decisions are stored
    unless `is_recorded` is false.

    Raises:
        NoBaseline: no answers to validation prompts, or none of that model.
        Whatever `router.routing.route` raises.
    """
    outcomes = outcomes_on_validation(study)
    alone = _baseline(study, outcomes, baseline)
    routed = routed_outcomes(
        outcomes=outcomes, routed_as="item", embedder=embedder, store=store, clock=clock, is_recorded=is_recorded
    )
    of_router = {one.prompt_id: one for one in routed}
    return reckon(study=study, own=own_carbon(study=study), alone=alone, routed=of_router)


def reckon(
    *, study: Study, own: OwnCarbon, alone: dict[int, AnswerOutcome], routed: dict[int, AnswerOutcome]
) -> BreakEven:
    """Set the router's answers against those of one model alone, prompt by prompt; energies must be of one quality."""
    both = [(alone[prompt], routed[prompt]) for prompt in sorted(alone.keys() & routed.keys())]
    measured = [(a, r) for a, r in both if a.sci_gco2e is not None and r.sci_gco2e is not None]
    qualities = {one.quality for pair in measured for one in pair}
    judged = [(a, r) for a, r in both if a.is_correct is not None and r.is_correct is not None]
    pairs = [(a.sci_gco2e or 0.0, r.sci_gco2e or 0.0) for a, r in measured] if len(qualities) == 1 else []
    saving = difference_interval(pairs)
    prompts, reason = _repaid(own, saving, qualities)
    return BreakEven(
        study=study,
        own=own,
        baseline=next(iter(alone.values())).model,
        baseline_right=sum(bool(a.is_correct) for a, _ in judged),
        router_right=sum(float(r.is_correct or 0.0) for _, r in judged),
        judged_count=len(judged),
        baseline_sci_gco2e=sum(a for a, _ in pairs) / len(pairs) if pairs else None,
        router_sci_gco2e=sum(r for _, r in pairs) / len(pairs) if pairs else None,
        saving_gco2e=saving,
        quality=", ".join(sorted(qualities)) or "missing",
        prompts=prompts,
        reason=reason,
    )


def _repaid(own: OwnCarbon, saving: Interval | None, qualities: set[str]) -> tuple[Interval | None, str]:
    if own.scored_count == 0:
        return None, "The study has no answer with a score, so that its own carbon is unknown."
    if len(own.qualities) > 1:
        return None, f"The study's own energies are {' and '.join(own.qualities)}: they are not added up."
    if len(qualities) > 1:
        return None, f"The energies are {' and '.join(sorted(qualities))}: they are not compared."
    if saving is None:
        return None, "No validation prompt has a score of both the router's choice and the model alone."
    if qualities != set(own.qualities):
        return None, (
            f"The study's own energy is {own.qualities[0]}, that behind the saving {qualities.pop()}: they are not "
            "compared."
        )
    if saving.n < 2:
        return None, "One prompt alone shows no saving."
    if saving.low <= 0:
        return None, (
            "Never, as far as these prompts show: the router is not shown to save anything (the interval of the "
            "saving includes 0 or lies below it)."
        )
    total = own.total_gco2e
    return Interval(total / saving.value, total / saving.high, total / saving.low, saving.n), ""


def _baseline(study: Study, outcomes: list[AnswerOutcome], name: str | None) -> dict[int, AnswerOutcome]:
    by_model: dict[str, list[AnswerOutcome]] = {}
    for outcome in outcomes:
        by_model.setdefault(outcome.model, []).append(outcome)
    if not by_model:
        raise NoBaseline(f"The study {study} has no finished answers to validation prompts.")
    if name is not None and name not in by_model:
        raise NoBaseline(f"The study {study} has no answers of {name!r} to validation prompts: {', '.join(by_model)}.")
    chosen = name if name is not None else min(by_model, key=lambda model: _rank(by_model[model]))
    return {outcome.prompt_id: outcome for outcome in by_model[chosen]}


def _rank(outcomes: list[AnswerOutcome]) -> tuple[float, float, str]:
    """Put the most accurate model first, the one with the lower SCI among equals."""
    judged = [one.is_correct for one in outcomes if one.is_correct is not None]
    scored = [one.sci_gco2e for one in outcomes if one.sci_gco2e is not None]
    accuracy = sum(judged) / len(judged) if judged else 0.0
    return -accuracy, sum(scored) / len(scored) if scored else float("inf"), outcomes[0].model
