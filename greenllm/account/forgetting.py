"""The page on which a person has everything deleted that they wrote."""

import logging
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods
from redis.exceptions import RedisError
from rq import Queue

from benchmarks.queueing import impatient_connection
from greenllm.account.views import signed_in
from router.forgetting import forget_person, held_of

logger = logging.getLogger(__name__)
_JOB = "router.erasing_jobs.drop_forgotten_vectors"


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@login_required
def forget(request: HttpRequest) -> HttpResponse:
    """Ask whether all that a person wrote shall be deleted, and delete it."""
    person_id = signed_in(request).pk
    if request.method != "POST":
        context: dict[str, Any] = {"held": held_of(person_id=person_id)}
        return render(request, "account/forget.html", context)
    forgotten = forget_person(person_id=person_id)
    if forgotten.kept_count:
        _drop_vectors()
    messages.success(request, f"Deleted: {forgotten.words}.")
    return redirect("account:overview")


def _drop_vectors() -> None:
    """Have the worker take them out of the index; where the queue is away, it does so by itself a little later."""
    try:
        with impatient_connection() as connection:
            Queue("default", connection=connection).enqueue(_JOB, result_ttl=0, failure_ttl=86_400)
    except RedisError:
        logger.warning("the queue is away; the vectors of forgotten prompts go when the worker looks the next time")
