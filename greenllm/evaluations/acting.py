"""Start an evaluation or a tuning, put what was tuned into force, and take a former version back."""

import logging
from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST
from redis.exceptions import RedisError

from benchmarks.models import Study
from greenllm.doors import people_with
from greenllm.evaluations.forms import EvaluationForm, TuningForm
from greenllm.evaluations.views import show_overview
from greenllm.roles import CHANGE_FEDERATION, RUN_STUDIES
from router.evaluation_jobs import start_evaluation
from router.models import Evaluation
from router.policy_versions import NotAProposal, NothingToRestore, put_into_force, roll_back

logger = logging.getLogger(__name__)


@require_POST
@people_with(RUN_STUDIES)
def evaluate(request: HttpRequest) -> HttpResponse:
    """Have the worker evaluate policies on a study."""
    form = EvaluationForm(request.POST)
    if not form.is_valid():
        return show_overview(request, form, TuningForm(), status=422)
    return _started(request, Evaluation.Kind.EVALUATION, form.cleaned_data["study"], form.plan().as_json())


@require_POST
@people_with(CHANGE_FEDERATION)
def tune(request: HttpRequest) -> HttpResponse:
    """Have the worker tune a policy on a study; it proposes, and changes nothing."""
    form = TuningForm(request.POST)
    if not form.is_valid():
        return show_overview(request, EvaluationForm(), form, status=422)
    return _started(request, Evaluation.Kind.TUNING, form.cleaned_data["study"], asdict(form.plan()))


@require_POST
@people_with(CHANGE_FEDERATION)
def adopt(request: HttpRequest, evaluation_id: int) -> HttpResponse:
    """Put what a tuning proposes into force."""
    try:
        made = put_into_force(evaluation_id=evaluation_id, made_by_id=request.user.pk)
    except Evaluation.DoesNotExist as error:
        raise Http404("no such tuning") from error
    except NotAProposal as error:
        messages.error(request, str(error))
        return redirect("routing:evaluation", evaluation_id)
    messages.success(request, f"In force now: {made}. Routing follows at once; the list of versions leads back.")
    return redirect("routing:overview")


@require_POST
@people_with(CHANGE_FEDERATION)
def restore(request: HttpRequest, version_id: int) -> HttpResponse:
    """Make a former version the latest again, as a version of its own."""
    try:
        made = roll_back(version_id=version_id, made_by_id=request.user.pk)
    except NothingToRestore as error:
        raise Http404(str(error)) from error
    messages.success(request, f"In force now: {made}, as version {version_id} was.")
    return redirect("routing:overview")


def _started(request: HttpRequest, kind: str, study: Study, plan: dict[str, Any]) -> HttpResponse:
    try:
        made = start_evaluation(kind=kind, study=study, plan=plan, made_by_id=request.user.pk)
    except RedisError:
        logger.exception("an evaluation could not be queued")
        messages.error(
            request,
            "The queue of jobs cannot be reached, so that nothing was begun. Start it with manage.py services start, "
            "or run manage.py evaluate_router --keep.",
        )
        return redirect("routing:overview")
    return redirect("routing:evaluation", made.pk)
