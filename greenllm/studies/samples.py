"""The samples of one response as files: CSV for any program, Parquet for those that want types."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.views.decorators.http import require_safe

from benchmarks.meters.base import Quantity
from benchmarks.models import ChannelReading, Measurement, Response
from benchmarks.sending import announce_file
from benchmarks.spreadsheets import harmless_row
from benchmarks.traces import TraceError, unpack
from greenllm.doors import readers_with
from greenllm.parquet import PARQUET_TYPE, write_parquet
from greenllm.roles import VIEW_RESULTS
from greenllm.studies.figures import Curve, steps_of

_COLUMNS = {
    "channel": "string",
    "start_ns": "int64",
    "end_ns": "int64",
    "start_since_mark_ns": "int64",
    "end_since_mark_ns": "int64",
    "power_mw": "float64",
    "quality": "string",
}
_UNKNOWN_QUALITY = "unknown quality"
_Row = tuple[object, ...]


@require_safe
@readers_with(VIEW_RESULTS)
def as_csv(request: HttpRequest, pk: int) -> HttpResponse:
    """Give every sample of a response as CSV: moments in ns on the machine's monotonic clock, power in mW."""
    kind = "text/csv; charset=utf-8"
    return _download(request, pk, _written_csv, name=f"response-{pk}-samples.csv", content_type=kind)


@require_safe
@readers_with(VIEW_RESULTS)
def as_parquet(request: HttpRequest, pk: int) -> HttpResponse:
    """Give every sample of a response as Parquet, in the columns of the CSV file."""
    name = f"response-{pk}-samples.parquet"
    return _download(request, pk, _written_parquet, name=name, content_type=PARQUET_TYPE)


def curves_of(measurement: Measurement, readings: Sequence[ChannelReading]) -> list[Curve]:
    """Return what each channel saw; raises `TraceError` where the samples cannot be read here."""
    qualities = {reading.channel: reading.get_quality_display().lower() for reading in readings}
    return [
        Curve(
            trace.channel,
            qualities.get(trace.channel, _UNKNOWN_QUALITY),
            trace.period_ns,
            steps_of(unpack(trace.packed()), Quantity(trace.quantity)),
        )
        for trace in measurement.traces.order_by("channel")
        if trace.sample_count
    ]


def _download(
    request: HttpRequest, pk: int, written: Callable[[Iterator[_Row]], bytes], *, name: str, content_type: str
) -> HttpResponse:
    measurement = get_object_or_404(Response.objects.select_related("measurement"), pk=pk).measurement
    if request.method == "HEAD":
        return announce_file(name=name, content_type=content_type)
    try:
        content = written(_rows(measurement))
    except TraceError as error:
        told = f"The samples of response {pk} are kept in a form that cannot be read here: {error}."
        return HttpResponse(told, content_type="text/plain; charset=utf-8", status=422)
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _rows(measurement: Measurement | None) -> Iterator[_Row]:
    if measurement is None:
        return
    mark_ns = measurement.started_monotonic_ns
    qualities = dict(measurement.readings.order_by("channel").values_list("channel", "quality"))
    for curve in curves_of(measurement, ()):
        quality = qualities.get(curve.channel)
        for step in curve.steps:
            since = (None, None) if mark_ns is None else (step.start_ns - mark_ns, step.end_ns - mark_ns)
            yield curve.channel, step.start_ns, step.end_ns, *since, step.power_mw, quality


def _written_csv(rows: Iterator[_Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_COLUMNS)
    writer.writerows(map(harmless_row, rows))
    return text.getvalue().encode()


def _written_parquet(rows: Iterator[_Row]) -> bytes:
    file = io.BytesIO()
    write_parquet(file=file, columns=_COLUMNS, rows=rows)
    return file.getvalue()
