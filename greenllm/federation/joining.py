"""How a model joins, as pages: having it evaluated, taking it back, and the dry run before it becomes active."""

import logging
from dataclasses import dataclass

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from redis.exceptions import RedisError

from benchmarks.federating import NoEmbedder, RouterIsNoModel
from benchmarks.inference.base import InferenceError
from benchmarks.models import Deployment, LanguageModel, ModelEvaluation
from benchmarks.queueing import queue_state
from benchmarks.studying import Progress
from greenllm.dashboards.counted import progress_counted, tallied_of
from greenllm.doors import may, people_with, readers_with
from greenllm.roles import CHANGE_FEDERATION, JUDGE_ANSWERS, VIEW_RESULTS
from router import wiring
from router.admitting import Standing, standing_of
from router.embedding import EmbedderMismatch
from router.index import IndexStoreError
from router.indexing import NoIndex
from router.joining import CannotEvaluate, open_evaluation, request_evaluation, take_back
from router.lifecycle_jobs import enqueue_advance, enqueue_try
from router.models import PromptIndex
from router.previewing import MOST_LIVE, preview, preview_live
from router.vectors import DimensionMismatch, UnusableEmbedding

logger = logging.getLogger(__name__)

_NOT_TOLD = (
    NoIndex,
    NoEmbedder,
    EmbedderMismatch,
    DimensionMismatch,
    UnusableEmbedding,
    IndexStoreError,
    InferenceError,
)


@dataclass(frozen=True)
class Joining:
    """How far a model is on its way into the federation; `hint` says why nothing happens, where that is so."""

    evaluation: ModelEvaluation | None
    standing: Standing
    progress: Progress | None
    hint: str


def joining_of(deployment: Deployment) -> Joining:
    """Return how far a model is. Up to six queries, and a question to the queue while something is to be measured."""
    evaluation = open_evaluation(deployment)
    study = None if evaluation is None else evaluation.study
    return Joining(
        evaluation=evaluation,
        standing=standing_of(deployment),
        progress=None if study is None else progress_counted(tallied_of(study)),
        hint="" if evaluation is None else _hint(evaluation, deployment),
    )


def known_count() -> int:
    """Return how many prompts the current index knows."""
    counts = PromptIndex.objects.filter(state=PromptIndex.State.CURRENT).values_list("prompt_count", flat=True)
    return next(iter(counts), 0)


def _hint(evaluation: ModelEvaluation, deployment: Deployment) -> str:
    if evaluation.step not in {ModelEvaluation.Step.REQUESTED, ModelEvaluation.Step.MEASURING}:
        return ""
    machine = deployment.server.machine
    try:
        is_worked = queue_state(machine=machine).worker_count > 0
    except RedisError:
        return "The queue cannot be reached, so nothing goes on; start the services with manage.py services start."
    return (
        ""
        if is_worked
        else (
            f"No worker runs on the machine {machine}: start one there with GREENLLM_MACHINE={machine} manage.py work."
        )
    )


@require_POST
@people_with(CHANGE_FEDERATION)
def evaluate_model(request: HttpRequest, deployment_id: int) -> HttpResponse:
    """Have a candidate evaluated over the known prompts; an evaluation that got stuck goes on."""
    ask_for_evaluation(request, _deployment(deployment_id))
    return redirect("federation:model", deployment_id)


def ask_for_evaluation(request: HttpRequest, deployment: Deployment) -> None:
    """Ask for the evaluation of a model and say what happens next; what the form ticked counts."""
    try:
        evaluation = request_evaluation(
            deployment=deployment,
            is_stop_tested=request.POST.get("test_stop") == "yes",
            person_id=request.user.pk,
            now=timezone.now(),
        )
    except (CannotEvaluate, NoIndex) as error:
        messages.error(request, f"{deployment} is not evaluated: {error}")
        return
    try:
        enqueue_try(evaluation=evaluation)
        enqueue_advance()
    except RedisError:
        logger.exception("evaluation %s could not be queued", evaluation.pk)
        messages.error(
            request, f"{deployment} waits: the queue cannot be reached now. Its worker takes it up when it can again."
        )
        return
    messages.success(
        request, f"{deployment} is tried and measured over the known prompts as soon as its machine is free."
    )


@require_POST
@people_with(CHANGE_FEDERATION)
def take_back_model(request: HttpRequest, deployment_id: int) -> HttpResponse:
    """Make a model a candidate again."""
    deployment = _deployment(deployment_id)
    try:
        take_back(deployment=deployment, now=timezone.now())
    except (CannotEvaluate, RouterIsNoModel) as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{deployment} is a candidate again. What it has answered stays.")
    return redirect("federation:model", deployment_id)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def preview_model(request: HttpRequest, deployment_id: int) -> HttpResponse:
    """Show what routing would change with a model, or without an active one; `part=live` asks over live prompts."""
    deployment = _deployment(deployment_id)
    if deployment.language_model.purpose != LanguageModel.Purpose.CHAT or deployment.server.is_router:
        messages.info(request, f"{deployment} answers no prompts itself: routing would not change.")
        return redirect("federation:model", deployment_id)
    is_active = deployment.state == Deployment.State.ACTIVE
    is_live = request.GET.get("part") == "live"
    if is_live and getattr(request, "htmx", False):
        context: dict[str, object] = {"deployment": deployment, "is_active": is_active, **_live(deployment)}
        return render(request, "federation/_live_change.html", context)
    standing = standing_of(deployment)
    is_shown = is_active or not standing.unjudged_count or request.GET.get("as_it_is") == "yes"
    context = {
        "deployment": deployment,
        "standing": standing,
        "is_active": is_active,
        "is_shown": is_shown,
        "may_change": may(request, CHANGE_FEDERATION),
        "may_judge": may(request, JUDGE_ANSWERS),
    }
    if is_shown:
        context |= _known(deployment)
    if is_shown and is_live:
        context |= _live(deployment)
    return render(request, "federation/preview.html", context)


def _known(deployment: Deployment) -> dict[str, object]:
    try:
        return {"found": preview(deployment=deployment, store=wiring.vector_store())}
    except _NOT_TOLD as error:
        return {"problem": str(error)}


def _live(deployment: Deployment) -> dict[str, object]:
    told: dict[str, object] = {"is_live_asked": True, "most_live": MOST_LIVE}
    try:
        store, embedder = wiring.vector_store(), wiring.embedder()
        return {**told, "live": preview_live(deployment=deployment, store=store, embedder=embedder)}
    except _NOT_TOLD as error:
        return {**told, "live_problem": str(error)}


def _deployment(deployment_id: int) -> Deployment:
    found = Deployment.objects.select_related("language_model", "server__machine")
    return get_object_or_404(found, pk=deployment_id)
