"""The page on which admins see in which order routing would have answers judged, and order them anew."""

import logging
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from redis.exceptions import RedisError

from benchmarks.sorting import Key, Sorting, heads, sorted_rows
from greenllm.doors import people_with
from greenllm.roles import CHANGE_RULES
from labeling.placing import BAND_SIZE, judged_count, latest_order
from router.jobs import enqueue_order

logger = logging.getLogger(__name__)

_PAGE_SIZE = 40
_HEADS = {"category": "Category", "model": "Model", "share": "Next labels", "p": "Chance right", "n": "n",
          "sci": "SCI (mgCO₂e)", "wait": "Wait"}  # fmt: skip
_KEYS: Mapping[str, Key[dict[str, Any]]] = {
    "category": lambda one: one["category"].lower(),
    "model": lambda one: one["model"].lower(),
    "share": lambda one: one["share"],
    "p": lambda one: one["p"],
    "n": lambda one: one["label_count"],
    "sci": lambda one: one["sci_gco2e"],
    "wait": lambda one: one["waiting_count"],
}


@require_safe
@never_cache
@people_with(CHANGE_RULES)
def order(request: HttpRequest) -> HttpResponse:
    """Show the order in force: what it was made from, and which labels it wants most."""
    made = latest_order()
    given = judged_count()
    sorting = Sorting.of(request.GET.get("sort", ""), _KEYS)
    strata = sorted_rows(list(made.strata) if made else [], sorting, _KEYS)
    page = Paginator(strata, _PAGE_SIZE).get_page(request.GET.get("page"))
    since = max(0, given - made.label_count) if made else 0
    return render(
        request,
        "ordering/order.html",
        {
            "order": made,
            "given": given,
            "since": since,
            "page": page,
            "query": sorting.query,
            "heads": heads(_HEADS, sorting, kept=""),
            "band_size": BAND_SIZE,
        },
    )


@require_POST
@people_with(CHANGE_RULES)
def order_anew(request: HttpRequest) -> HttpResponse:
    """Have the worker order the waiting answers anew."""
    try:
        is_new = enqueue_order()
    except RedisError:
        logger.exception("the order of labels could not be queued")
        messages.error(
            request,
            "The queue of jobs cannot be reached, so that nothing was ordered. Start it with manage.py services start, "
            "or run manage.py order_labels.",
        )
        return redirect("ordering:order")
    if is_new:
        messages.success(request, "The worker orders the answers anew; load this page again in a few seconds.")
    else:
        messages.success(request, "The answers are being ordered anew already; load this page again in a few seconds.")
    return redirect("ordering:order")
