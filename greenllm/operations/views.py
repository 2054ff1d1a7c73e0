"""The operations dashboard: what is routed where, what it costs and saves, how long it takes, how things stand."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.models import Deployment
from benchmarks.sending import announce_file
from greenllm.dashboards.sheets import as_csv
from greenllm.doors import may_read, readers_with
from greenllm.operations.panels import PANELS, Look, look_of, panel_sheet, panels
from greenllm.operations.reading import saving_over_time, total_saving, traffic
from greenllm.operations.spans import GROUPS, SPANS, UnusableSpan, asked_in
from greenllm.operations.standing import budgets, standing
from greenllm.roles import VIEW_RESULTS

LIVE_EVERY_S = 5.0
LIVE_TIMES = 120  # then the browser asks again, and its role is looked at anew


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def operations(request: HttpRequest) -> HttpResponse:
    """Show the page for the time that was asked for; one that cannot be shown is told, and the usual one shown."""
    now = timezone.now()
    problem = ""
    try:
        asked = asked_in(request.GET.dict(), now=now)
    except UnusableSpan as error:
        problem = str(error)
        asked = replace(asked_in({}, now=now), begins=request.GET.get("from", ""), ends=request.GET.get("to", ""))
    look = look_of(asked)
    context = {
        "asked": asked,
        "problem": problem,
        "spans": SPANS,
        "groups": GROUPS,
        "deployments": Deployment.objects.of_models()
        .values_list("pk", "language_model__name")
        .order_by("language_model__name"),
        "query": request.GET.urlencode() if not problem else "",
        "columns": _columns(look),
        "panels": panels(look),
        "now": standing(now=now),
        "budgets": budgets(now=now),
    }
    return render(request, "operations/operations.html", context, status=400 if problem else 200)


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def chart_csv(request: HttpRequest, chart: str) -> HttpResponse:
    """Return the numbers of one part as a CSV file."""
    if chart not in PANELS:
        raise Http404("no part of this page has this name")
    try:
        asked = asked_in(request.GET.dict(), now=timezone.now())
    except UnusableSpan as error:
        return HttpResponse(str(error), status=400, content_type="text/plain; charset=utf-8")
    response = announce_file(name=f"operations-{chart}.csv", content_type="text/csv; charset=utf-8")
    if request.method == "GET":
        response.content = as_csv(panel_sheet(chart, asked))
    return response


@require_safe
async def live(request: HttpRequest) -> HttpResponseBase:
    """Send the present moment as server-sent events, whenever it has changed."""
    if not await sync_to_async(may_read)(request, VIEW_RESULTS):
        return HttpResponse(status=403)
    response = StreamingHttpResponse(live_events(LIVE_EVERY_S, LIVE_TIMES), content_type="text/event-stream")
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"  # a proxy would hold events back
    return response


async def live_events(every_s: float, times: int) -> AsyncIterator[str]:
    """Yield how things stand so many times; in between, a comment that keeps the connection open."""
    latest = ""
    for number in range(times):
        if number:
            await asyncio.sleep(every_s)
        shown = await sync_to_async(_standing_html)()
        yield _event(shown) if shown != latest else ": nothing new\n\n"
        latest = shown


def _standing_html() -> str:
    try:
        return render_to_string("operations/_standing.html", {"now": standing(now=timezone.now())})
    finally:
        connection.close()  # a page that stays open holds none in between


def _event(text: str) -> str:
    return "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"


def _columns(look: Look) -> list[dict[str, object]]:
    """Return the sums of the time, and of the one before it where the two are compared."""
    spans = [("This time", look.span, look.savings)]
    if look.asked.is_compared:
        before = look.span.before
        spans.append(("The time before", before, saving_over_time(look.asked.baseline, before)))
    sums = traffic([span for _, span, _ in spans])
    return [
        {"title": title, "span": span, "traffic": of_span, "saving": total_saving(savings)}
        for (title, span, savings), of_span in zip(spans, sums, strict=True)
    ]
