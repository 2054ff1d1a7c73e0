"""What a person may do with a study: start, pause, cancel it, have it graded, accept the graders' suggestions."""

import logging
from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.defaultfilters import pluralize
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from redis.exceptions import RedisError

from benchmarks import studying
from benchmarks.launching import launch
from benchmarks.models import Study
from benchmarks.queueing import enqueue_study, impatient_connection
from benchmarks.studying import StudyError
from greenllm.dashboards.counted import progress_counted, tallied_of
from greenllm.doors import people_with
from greenllm.roles import RUN_STUDIES
from labeling.jobs import enqueue_grading
from labeling.suggesting import accept_suggestions, acceptable_in, told_held_back

logger = logging.getLogger(__name__)

_QUEUE_IS_AWAY = (
    "The queue cannot be reached: {error} Start the services with manage.py services start, or set REDIS_URL; "
    "then try again."
)

_TAKEN_UP_LATER = (
    "The queue cannot be reached now; the worker of its machine takes the study up soon after the queue is back."
)


@require_POST
@people_with(RUN_STUDIES)
def start(request: HttpRequest, name: str) -> HttpResponse:
    """Let a study run, or go on; failed responses are tried again. Without the queue its worker takes it up later."""
    study = get_object_or_404(Study, name=name)

    def starting() -> str:
        launch(study=study, now=timezone.now())
        try:
            with impatient_connection() as connection:
                connection.ping()  # a page waits no longer for the queue
        except RedisError:
            logger.warning("study %s was started while the queue is away", study.pk)
            return f"{study} runs. {_TAKEN_UP_LATER}"
        return f"{study} runs: {enqueue_study(study=study)} responses put on the queue."

    return _told(request, study, starting)


@require_POST
@people_with(RUN_STUDIES)
def pause(request: HttpRequest, name: str) -> HttpResponse:
    """Stop a study after the response in flight."""
    study = get_object_or_404(Study, name=name)

    def pausing() -> str:
        studying.pause(study=study)
        return f"{study} is paused. The response in flight is finished first; nothing measured is lost."

    return _told(request, study, pausing)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@people_with(RUN_STUDIES)
def cancel(request: HttpRequest, name: str) -> HttpResponse:
    """Ask whether to give a study up, and give it up."""
    study = get_object_or_404(Study, name=name)
    if request.method != "POST":
        return render(request, "studies/cancel.html", {"study": study, "progress": progress_counted(tallied_of(study))})

    def cancelling() -> str:
        studying.cancel(study=study, now=timezone.now())
        return f"{study} is cancelled; what was measured stays."

    return _told(request, study, cancelling)


@require_POST
@people_with(RUN_STUDIES)
def grade(request: HttpRequest, name: str) -> HttpResponse:
    """Have the graders suggest verdicts, in a job."""
    study = get_object_or_404(Study, name=name)

    def grading() -> str:
        if enqueue_grading(study=study):
            return "The graders are on the queue; their suggestions appear as they come."
        return "The graders are at this study already."

    return _told(request, study, grading)


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@people_with(RUN_STUDIES)
def accept(request: HttpRequest, name: str) -> HttpResponse:
    """Say what accepting the graders' suggestions means, and accept them."""
    study = get_object_or_404(Study, name=name)
    if request.method != "POST":
        return render(request, "studies/accept.html", {"study": study, "acceptable": acceptable_in(study=study)})

    def accepting() -> str:
        held_back = acceptable_in(study=study).held_back
        count = accept_suggestions(study=study)
        done = f"{count} answer{pluralize(count)} judged by graders: a person's label still counts before theirs."
        return f"{done} {told_held_back(held_back)}" if held_back else done

    return _told(request, study, accepting)


def _told(request: HttpRequest, study: Study, step: Callable[[], str]) -> HttpResponse:
    """Take one step, tell the person what came of it, and show the study."""
    try:
        messages.success(request, step())
    except StudyError as error:
        messages.error(request, str(error))
    except RedisError as error:
        messages.error(request, _QUEUE_IS_AWAY.format(error=f"{error}."))
    return redirect("studies:detail", name=study.name)
