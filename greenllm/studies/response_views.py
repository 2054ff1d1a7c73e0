"""One response: what was asked and answered, who judged it, what it cost, and the power while it was made."""

import csv
from dataclasses import dataclass
from itertools import islice

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.meters.base import Quantity
from benchmarks.models import ChannelReading, Measurement, Response
from benchmarks.spreading import outlier_ids
from benchmarks.traces import TraceError, unpack
from benchmarks.units import nanoseconds_to_seconds
from greenllm.charts import Chart
from greenllm.doors import readers_with
from greenllm.roles import VIEW_RESULTS
from greenllm.studies.figures import Curve, Phase, Step, phases, power_chart, steps_of
from greenllm.studies.queries import verdict_name
from labeling.verdicts import UNDECIDED, verdicts_of

_SAMPLES_SHOWN = 20
_COLUMNS = ("channel", "start_ns", "end_ns", "start_since_mark_ns", "end_since_mark_ns", "power_mw")


@dataclass(frozen=True)
class ChannelTable:
    """The samples of one channel beneath the chart: how many, their range, and the first of them."""

    curve: Curve
    start_ns: int

    @property
    def lowest_mw(self) -> float:
        """Return the least power of a sample."""
        return min(step.power_mw for step in self.curve.steps)

    @property
    def highest_mw(self) -> float:
        """Return the greatest power of a sample."""
        return max(step.power_mw for step in self.curve.steps)

    def first(self) -> list[tuple[float, float, Step]]:
        """Return the first samples with their windows in seconds since the start mark."""
        return [
            (
                nanoseconds_to_seconds(step.start_ns - self.start_ns),
                nanoseconds_to_seconds(step.end_ns - self.start_ns),
                step,
            )
            for step in islice(self.curve.steps, _SAMPLES_SHOWN)
        ]


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def response(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one response with everything that is known of it."""
    related = (
        "study__machine", "deployment__language_model", "deployment__server", "prompt__dataset", "prompt__category",
        "parameter_set", "measurement__machine",
    )  # fmt: skip
    shown = get_object_or_404(Response.objects.select_related(*related), pk=pk)
    verdict = verdicts_of([shown.pk]).get(shown.pk, UNDECIDED)
    context = {
        "response": shown,
        "study": shown.study,
        "measurement": shown.measurement,
        "verdict": verdict,
        "verdict_name": verdict_name(verdict),
        "is_outlier": shown.pk in outlier_ids(study=shown.study, prompt_ids=[shown.prompt_id]),
        "labels": shown.labels.select_related("labeler").order_by("created_at", "pk"),
        "grades": shown.grades.order_by("grader", "grader_version", "pk"),
        "attempts": shown.attempts.order_by("number"),
        "previous": _neighbours(shown).filter(_is_before(shown)).order_by("-sequence", "-pk").first(),
        "next": _neighbours(shown).exclude(_is_before(shown)).exclude(pk=shown.pk).order_by("sequence", "pk").first(),
        **_rates(shown),
        **_power_context(shown),
    }
    return render(request, "studies/response.html", context)


@require_safe
@readers_with(VIEW_RESULTS)
def samples(request: HttpRequest, pk: int) -> HttpResponse:  # noqa: ARG001  # Django gives it
    """Give every sample of a response as CSV: moments in ns on the machine's monotonic clock, power in mW."""
    found = get_object_or_404(Response.objects.select_related("measurement"), pk=pk)
    try:
        curves = _curves(found.measurement, []) if found.measurement is not None else []
    except TraceError as error:
        told = f"The samples of response {pk} are kept in a form that cannot be read here: {error}."
        return HttpResponse(told, content_type="text/plain; charset=utf-8", status=422)
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="response-{pk}-samples.csv"'
    writer = csv.writer(answer)
    writer.writerow(_COLUMNS)
    mark_ns = found.measurement.started_monotonic_ns if found.measurement is not None else None
    for curve in curves:
        for step in curve.steps:
            since = ("", "") if mark_ns is None else (step.start_ns - mark_ns, step.end_ns - mark_ns)
            writer.writerow((curve.channel, step.start_ns, step.end_ns, *since, step.power_mw))
    return answer


def _neighbours(shown: Response) -> QuerySet[Response]:
    return Response.objects.filter(study_id=shown.study_id).only("pk")


def _is_before(shown: Response) -> Q:
    return Q(sequence__lt=shown.sequence) | Q(sequence=shown.sequence, pk__lt=shown.pk)


def _rates(shown: Response) -> dict[str, float | None]:
    """Return output tokens per second of decoding, and energy per output token (J)."""
    tokens, decode_ns = shown.output_token_count, shown.eval_duration_ns
    energy_j = shown.measurement.energy_j if shown.measurement else None
    return {
        "tokens_per_s": tokens / nanoseconds_to_seconds(decode_ns) if tokens and decode_ns else None,
        "joules_per_token": energy_j / tokens if tokens and energy_j is not None else None,
    }


def _power_context(shown: Response) -> dict[str, object]:
    measurement = shown.measurement
    if measurement is None:
        return {"readings": [], "chart": None, "channel_tables": [], "parts": ()}
    readings = list(measurement.readings.order_by("-is_in_boundary", "channel"))
    try:
        curves = _curves(measurement, readings)
    except TraceError as error:  # of another version, which an imported study may bring
        return {"readings": readings, "chart": None, "channel_tables": [], "parts": (), "trace_problem": str(error)}
    start_ns, stop_ns = measurement.started_monotonic_ns, measurement.finished_monotonic_ns
    parts: tuple[Phase, ...] = ()
    chart: Chart | None = None
    if curves and start_ns is not None and stop_ns is not None:
        parts = phases(
            reserved_ns=stop_ns - start_ns,
            load_ns=shown.load_duration_ns,
            prompt_eval_ns=shown.prompt_eval_duration_ns,
            eval_ns=shown.eval_duration_ns,
        )
        title = "Power of every channel while the answer was made"
        chart = power_chart(curves, start_ns=start_ns, stop_ns=stop_ns, parts=parts, title=title)
    tables = [ChannelTable(curve, start_ns if start_ns is not None else curve.steps[0].start_ns) for curve in curves]
    return {"readings": readings, "chart": chart, "channel_tables": tables, "parts": parts}


def _curves(measurement: Measurement, readings: list[ChannelReading]) -> list[Curve]:
    qualities = {reading.channel: reading.get_quality_display().lower() for reading in readings}
    return [
        Curve(
            trace.channel,
            qualities.get(trace.channel, "unknown quality"),
            trace.period_ns,
            steps_of(unpack(trace.packed()), Quantity(trace.quantity)),
        )
        for trace in measurement.traces.order_by("channel")
        if trace.sample_count
    ]
