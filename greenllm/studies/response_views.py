"""One response: what was asked and answered, who judged it, what it cost, and the power while it was made."""

from dataclasses import dataclass
from itertools import islice

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.models import ChannelReading, Response
from benchmarks.spreading import outlier_ids
from benchmarks.traces import TraceError
from benchmarks.units import nanoseconds_to_seconds
from greenllm.charts import Chart
from greenllm.doors import may, readers_with
from greenllm.roles import RUN_STUDIES, VIEW_RESULTS
from greenllm.studies.checks import checks_of
from greenllm.studies.figures import Curve, Phase, Step, phases, power_chart, unplaced_s
from greenllm.studies.judged import judged_of
from greenllm.studies.queries import verdict_name
from greenllm.studies.samples import curves_of
from labeling.verdicts import UNDECIDED, verdicts_of

_SAMPLES_SHOWN = 20


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


@dataclass(frozen=True)
class Power:
    """What the channels saw of one answer; `problem` where its samples cannot be read here."""

    readings: tuple[ChannelReading, ...] = ()
    tables: tuple[ChannelTable, ...] = ()
    chart: Chart | None = None
    parts: tuple[Phase, ...] = ()
    unplaced_s: float | None = None
    problem: str = ""


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
    is_outlier = shown.pk in outlier_ids(study=shown.study, among=[shown])
    attempts = list(shown.attempts.order_by("number"))
    power = _power_context(shown)
    context = {
        "response": shown,
        "study": shown.study,
        "measurement": shown.measurement,
        "verdict": verdict,
        "verdict_name": verdict_name(verdict),
        "judged": judged_of(request, shown, verdict),
        "is_outlier": is_outlier,
        "attempts": attempts,
        "start_temperature_c": attempts[-1].start_temperature_c if attempts else None,
        "checks": checks_of(shown, readings=power.readings, attempts=attempts, is_outlier=is_outlier),
        "power": power,
        "may_run": may(request, RUN_STUDIES),
        "previous": _before(shown),
        "next": _after(shown),
        **_rates(shown),
    }
    return render(request, "studies/response.html", context)


def _before(shown: Response) -> Response | None:
    """Return the response before one in the order of measuring: the bound on its place is for the index."""
    earlier = Response.objects.filter(study_id=shown.study_id, sequence__lte=shown.sequence)
    earlier = earlier.exclude(sequence=shown.sequence, pk__gte=shown.pk)
    return earlier.only("pk").order_by("-sequence", "-pk").first()


def _after(shown: Response) -> Response | None:
    """Return the response after one."""
    later = Response.objects.filter(study_id=shown.study_id, sequence__gte=shown.sequence)
    later = later.exclude(sequence=shown.sequence, pk__lte=shown.pk)
    return later.only("pk").order_by("sequence", "pk").first()


def _rates(shown: Response) -> dict[str, float | None]:
    """Return output tokens per second of decoding, and energy per output token (J)."""
    tokens, decode_ns = shown.output_token_count, shown.eval_duration_ns
    energy_j = shown.measurement.energy_j if shown.measurement else None
    return {
        "tokens_per_s": tokens / nanoseconds_to_seconds(decode_ns) if tokens and decode_ns else None,
        "joules_per_token": energy_j / tokens if tokens and energy_j is not None else None,
    }


def _power_context(shown: Response) -> Power:
    measurement = shown.measurement
    if measurement is None:
        return Power()
    readings = tuple(measurement.readings.order_by("-is_in_boundary", "channel"))
    try:
        curves = curves_of(measurement, readings)
    except TraceError as error:  # of another version, which an imported study may bring
        return Power(readings, problem=str(error))
    start_ns, stop_ns = measurement.started_monotonic_ns, measurement.finished_monotonic_ns
    tables = tuple(
        ChannelTable(curve, start_ns if start_ns is not None else curve.steps[0].start_ns) for curve in curves
    )
    if not curves or start_ns is None or stop_ns is None:
        return Power(readings, tables)
    parts = phases(
        reserved_ns=stop_ns - start_ns,
        load_ns=shown.load_duration_ns,
        prompt_eval_ns=shown.prompt_eval_duration_ns,
        eval_ns=shown.eval_duration_ns,
    )
    title = "Power of every channel while the answer was made"
    chart = power_chart(curves, start_ns=start_ns, stop_ns=stop_ns, parts=parts, title=title)
    return Power(readings, tables, chart, parts, unplaced_s(parts, reserved_ns=stop_ns - start_ns))
