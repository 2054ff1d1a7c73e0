"""What a cascade would have made of measured answers to one prompt: the answer expected of the runs that it plans."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from router.expecting import accepted_share, turns, weighed
from router.policy import PlannedRun, Trust

_UNKNOWN = float("nan")


@dataclass(frozen=True)
class AnswerOutcome:
    """What one deployment's measured answer to one prompt cost, and whether it was right.

    Of a cascade, what is expected of all runs that it would make: `is_correct` is the probability that the answer which
    stands is right, `deployment_id` and `model` are those of the model that is asked first.
    """

    prompt_id: int
    deployment_id: int
    model: str
    energy_j: float | None
    sci_gco2e: float | None
    quality: str
    is_correct: float | None


def expected_answer(plan: Sequence[PlannedRun], answers: Mapping[int, AnswerOutcome]) -> AnswerOutcome | None:
    """Return what a plan makes of the answers of its models; None where the first one has none.

    Each run is charged, and that of a model beside it: what a checker accepts follows from whether the answer is right
    (`router.expecting`). A figure is None where an answer that may be needed lacks it, and SCI and energy also where
    these answers have energies of unlike quality.

    Args:
        plan: as a decision made it, the last run unchecked.
        answers: those to the prompt, by deployment.
    """
    first = answers.get(plan[0].deployment_id)
    if first is None:
        return None
    accepted = [_accepted(one, answers.get(one.deployment_id)) for one in plan[:-1]]
    reached, stands = turns(accepted)
    asked = [
        key
        for run, share in zip(plan, reached, strict=True)
        if share > 0
        for key in (run.deployment_id, run.second_id)
        if key is not None
    ]
    qualities = {answers[key].quality if key in answers else "missing" for key in asked}

    def summed(figure: Callable[[AnswerOutcome], float | None]) -> float | None:
        of_runs = [_figure(answers, run.deployment_id, figure) + _beside(answers, run, figure) for run in plan]
        return _known(weighed(reached, of_runs)) if len(qualities) == 1 else None

    right = [_figure(answers, run.deployment_id, lambda one: one.is_correct) for run in plan]
    return AnswerOutcome(
        prompt_id=first.prompt_id,
        deployment_id=first.deployment_id,
        model=first.model,
        energy_j=summed(lambda one: one.energy_j),
        sci_gco2e=summed(lambda one: one.sci_gco2e),
        quality=qualities.pop() if len(qualities) == 1 else "missing",
        is_correct=_known(weighed(stands, right)),
    )


def plan_as_json(plan: Iterable[PlannedRun]) -> list[dict[str, Any]]:
    """Return a plan for storing."""
    return [asdict(run) for run in plan]


def plan_from_json(rows: Iterable[Mapping[str, Any]]) -> tuple[PlannedRun, ...]:
    """Return a stored plan."""
    return tuple(PlannedRun(**{**row, "trust": Trust(**row["trust"]) if row["trust"] else None}) for row in rows)


def _accepted(run: PlannedRun, answer: AnswerOutcome | None) -> float:
    assert run.trust is not None  # noqa: S101  only the last run of a plan has no checker
    return accepted_share(
        acceptance=run.trust.acceptance,
        precision=run.trust.precision,
        right_share=run.trust.right_share,
        is_right=None if answer is None else answer.is_correct,
    )


def _beside(
    answers: Mapping[int, AnswerOutcome], run: PlannedRun, figure: Callable[[AnswerOutcome], float | None]
) -> float:
    return 0.0 if run.second_id is None else _figure(answers, run.second_id, figure)


def _figure(
    answers: Mapping[int, AnswerOutcome], deployment_id: int, figure: Callable[[AnswerOutcome], float | None]
) -> float:
    value = figure(answers[deployment_id]) if deployment_id in answers else None
    return _UNKNOWN if value is None else float(value)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
