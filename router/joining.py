"""How a model joins: tried on its server, measured over the known prompts, graded, labeled; each step goes on where
it stopped. Only an admin's word makes it active.
"""

import time
from collections.abc import Callable
from datetime import datetime

from django.db import transaction

from benchmarks.federating import change_state
from benchmarks.inference.base import InferenceClient, InferenceError
from benchmarks.launching import launch
from benchmarks.models import Deployment, LanguageModel, ModelEvaluation, Response, Study
from benchmarks.studying import StudyError, cancel, generation_parameters_of
from benchmarks.vetting import Unfit, vet
from router.indexing import NoIndex, current_index
from router.joining_study import parameters_like, reference_study, study_of, unanswered

_State = Deployment.State
_Step = ModelEvaluation.Step
_TAKEN_BACK = {_State.EVALUATING, _State.LABELING, _State.RETIRED}
FAILURES = (Unfit, InferenceError, StudyError, NoIndex)  # what a person can do something about


class CannotEvaluate(ValueError):
    """The model is none that can be evaluated now; the message says what to do."""


def request_evaluation(
    *, deployment: Deployment, now: datetime, is_stop_tested: bool = False, person_id: int | None = None
) -> ModelEvaluation:
    """Open the evaluation of a candidate; one that is open goes on, and what was wrong with it is forgotten.

    Nothing is asked of the server here: `begin` does that where nothing else is measured.

    Raises:
        CannotEvaluate: it embeds, is a router, is active or retired.
        NoIndex: there are no known prompts yet.
    """
    _require_evaluable(deployment)
    current_index()
    with transaction.atomic():
        Deployment.objects.select_for_update().get(pk=deployment.pk)
        evaluation = open_evaluation(deployment)
        if evaluation is None:
            evaluation = ModelEvaluation.objects.create(
                deployment=deployment,
                is_stop_tested=is_stop_tested,
                requested_by_id=person_id,
                requested_at=now,
                step_changed_at=now,
            )
        else:
            evaluation.problem, evaluation.is_stop_tested = "", is_stop_tested
            evaluation.save(update_fields=["problem", "is_stop_tested"])
        if deployment.state == _State.CANDIDATE:
            change_state(deployment=deployment, state=_State.EVALUATING, now=now, only_from=_State.CANDIDATE)
    return evaluation


def _require_evaluable(deployment: Deployment) -> None:
    name = deployment.language_model.name
    if deployment.language_model.purpose != LanguageModel.Purpose.CHAT or deployment.server.is_router:
        raise CannotEvaluate(f"{deployment} answers no prompts itself, so there is nothing to evaluate.")
    if deployment.state == _State.RETIRED:
        raise CannotEvaluate(f"{deployment} is retired; add it again with manage.py add_model {name} --evaluate.")
    if deployment.state == _State.ACTIVE:
        raise CannotEvaluate(
            f"{deployment} is active already. Measure it further with manage.py run_study NAME --model {name}."
        )


def open_evaluation(deployment: Deployment) -> ModelEvaluation | None:
    """Return the evaluation of a deployment that is not over."""
    return deployment.evaluations.exclude(step=_Step.OVER).select_related("study", "deployment").first()


def begin(
    *,
    evaluation: ModelEvaluation,
    client: InferenceClient,
    now: datetime,
    clock: Callable[[], float] = time.monotonic,
) -> Study | None:
    """Try the model, make the study of the known prompts and let it run; return the study, whose jobs are to be queued.

    A second call goes on: failed answers are asked for again. None where everything had been answered before.

    Raises:
        Unfit, InferenceError: the model or its server is not as it should be.
        StudyError, NoIndex: the study cannot be made. Each time the evaluation keeps the message.
    """
    evaluation.refresh_from_db()
    try:
        if evaluation.step == _Step.REQUESTED:
            _try_and_plan(evaluation, client, now, clock)
        if evaluation.step == _Step.MEASURING and evaluation.study is not None:
            launch(study=evaluation.study, now=now)
    except FAILURES as error:
        keep_problem(evaluation=evaluation, problem=str(error))
        raise
    return evaluation.study


def keep_problem(*, evaluation: ModelEvaluation, problem: str) -> None:
    """Store what keeps an evaluation from going on; empty where nothing does."""
    evaluation.problem = problem
    evaluation.save(update_fields=["problem"])


def _try_and_plan(
    evaluation: ModelEvaluation, client: InferenceClient, now: datetime, clock: Callable[[], float]
) -> None:
    deployment = Deployment.objects.select_related("language_model", "server__machine").get(pk=evaluation.deployment_id)
    index = current_index()
    reference = reference_study(index)
    parameters = parameters_like(reference, deployment)
    findings = vet(
        name=deployment.language_model.name,
        kind=deployment.server.kind,
        client=client,
        parameters=generation_parameters_of(parameters),
        is_stop_tested=evaluation.is_stop_tested,
        clock=clock,
    )
    with transaction.atomic():
        locked = ModelEvaluation.objects.select_for_update().get(pk=evaluation.pk)
        if locked.step == _Step.REQUESTED:  # else another process has just done so
            prompts = unanswered(index, deployment, parameters)
            if prompts:
                locked.study = study_of(
                    locked,
                    deployment=deployment,
                    prompts=prompts,
                    parameters=parameters,
                    reference=reference,
                    versions={deployment.server_id: findings.version},
                )
            locked.findings = findings.as_json()
            locked.problem = ""
            _step_to(locked, _Step.MEASURING if prompts else _Step.GRADING, now)
    evaluation.refresh_from_db()


def _step_to(evaluation: ModelEvaluation, step: ModelEvaluation.Step, now: datetime) -> bool:
    """Store an evaluation with its next step; not where somebody moved it on, or closed it, since it was read."""
    with transaction.atomic():
        if not ModelEvaluation.objects.select_for_update().filter(pk=evaluation.pk, step=evaluation.step).exists():
            evaluation.refresh_from_db()
            return False
        evaluation.step, evaluation.step_changed_at = step, now
        evaluation.save()
    return True


def advance(*, evaluation: ModelEvaluation, grade: Callable[[int], str], now: datetime) -> bool:
    """Move an evaluation on as far as it can go by itself; tell whether it moved.

    `grade` lets the graders look at the answers of a study, given its key, and says what they did.

    Raises:
        Whatever `grade` raises; the step is done again next time.
    """
    before = evaluation.step
    if evaluation.step == _Step.MEASURING:
        _look_at_study(evaluation, now)
    if evaluation.step == _Step.GRADING:
        evaluation.grading_note = grade(evaluation.study_id) if evaluation.study_id is not None else ""
        with transaction.atomic():
            if _step_to(evaluation, _Step.LABELING, now):
                deployment = Deployment.objects.get(pk=evaluation.deployment_id)
                change_state(deployment=deployment, state=_State.LABELING, now=now, only_from=_State.EVALUATING)
    return evaluation.step not in (before, _Step.OVER)


def _look_at_study(evaluation: ModelEvaluation, now: datetime) -> None:
    study = evaluation.study
    if study is None:
        evaluation.problem = "Its study was deleted: have it evaluated again."
        _step_to(evaluation, _Step.REQUESTED, now)
    elif study.state == Study.State.CANCELLED:
        keep_problem(
            evaluation=evaluation,
            problem=f"Its study {study} was cancelled. Take the model back to candidate, then have it evaluated again: "
            "what was answered stays.",
        )
    elif study.state == Study.State.FINISHED:
        _judge_study(evaluation, study, now)


def _judge_study(evaluation: ModelEvaluation, study: Study, now: datetime) -> None:
    """Go on to the graders where the study has answers; say which are lacking."""
    failed = study.responses.filter(state=Response.State.FAILED)
    failed_count = failed.count()
    problem = ""
    if failed_count:
        reason = failed.order_by("pk").values_list("error", flat=True)[0]
        problem = (
            f"{failed_count} of {study.responses.count()} answers failed, the first one because: {reason} "
            f"Start the study {study} again once that is put right."
        )
    has_answers = study.responses.finished().exists()
    evaluation.problem = problem
    _step_to(evaluation, _Step.GRADING if has_answers else _Step.MEASURING, now)


def settle_measured(*, now: datetime) -> int:
    """Move models on that plain studies have measured: evaluating, nothing of theirs under way, answers there."""
    under_way = [Study.State.RUNNING, Study.State.PAUSED, Study.State.DRAFT]
    measured = (
        Deployment.objects.chat()
        .filter(state=_State.EVALUATING, responses__state=Response.State.FINISHED)
        .exclude(study_targets__study__state__in=under_way)
        .exclude(pk__in=ModelEvaluation.objects.exclude(step=_Step.OVER).values("deployment_id"))
        .distinct()
    )
    # an admin, or the demo, may activate one of them between the reading and the writing
    return sum(
        change_state(deployment=one, state=_State.LABELING, now=now, only_from=_State.EVALUATING)
        for one in list(measured)
    )


def take_back(*, deployment: Deployment, now: datetime) -> None:
    """Make a model a candidate again, and give up what its evaluation has not measured; its answers stay.

    Raises:
        CannotEvaluate: it is active (retire it instead), or a candidate.
    """
    with transaction.atomic():
        state = Deployment.objects.select_for_update().get(pk=deployment.pk).state
        if state not in _TAKEN_BACK:
            remedy = "Retire it instead." if state == _State.ACTIVE else "There is nothing to take back."
            raise CannotEvaluate(f"{deployment} is {state}. {remedy}")
        evaluation = open_evaluation(deployment)
        if evaluation is not None and evaluation.study is not None:
            over = {Study.State.FINISHED, Study.State.CANCELLED}
            if evaluation.study.state not in over:
                cancel(study=evaluation.study, now=now)
        close_evaluation(deployment=deployment, now=now)
        change_state(deployment=deployment, state=_State.CANDIDATE, now=now)


def close_evaluation(*, deployment: Deployment, now: datetime) -> None:
    """Mark the evaluation of a deployment over, where one is open."""
    deployment.evaluations.exclude(step=_Step.OVER).update(step=_Step.OVER, step_changed_at=now)
