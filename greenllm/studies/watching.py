"""The machine of a study while it measures: what its sampler reads and how warm it is, where it can be seen."""

import time
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from benchmarks.jobs import process_thermometers
from benchmarks.meters.ring_directory import default_directory
from benchmarks.meters.ring_glance import glance
from benchmarks.meters.temperature import read_all
from benchmarks.models import Machine, Study
from greenllm.doors import readers_with
from greenllm.roles import VIEW_RESULTS
from greenllm.studies.live_power import SPAN_NS, SPAN_S, live_chart, meters_without_channels, rows_of, temperatures_of


@require_safe
@never_cache
@readers_with(VIEW_RESULTS)
def power(request: HttpRequest, name: str) -> HttpResponse:
    """Return the power curve and the temperatures of a study's machine, for the browser to renew while it runs."""
    study = get_object_or_404(Study.objects.select_related("machine"), name=name)
    return render(request, "studies/_power.html", power_context(study))


def power_context(study: Study) -> dict[str, object]:
    """Return what the fragment shows; nothing of a study that does not run on a machine."""
    machine = study.machine
    is_measured = study.kind in {Study.Kind.MEASURED, Study.Kind.ROUTER} and study.state == Study.State.RUNNING
    if machine is None or not is_measured:
        return {"study": study, "is_watched": False}
    return {"study": study, "is_watched": True, "span_s": SPAN_S, **_seen_of(machine)}


def _seen_of(machine: Machine) -> dict[str, object]:
    now_ns = time.monotonic_ns()
    seen = glance(default_directory(machine.name), now_ns=now_ns, span_ns=SPAN_NS)
    is_sampled = bool(seen.channels or seen.problems)
    if not is_sampled and machine.name != settings.MACHINE_NAME:
        return {"is_elsewhere": True, "own_machine": settings.MACHINE_NAME}
    configured = [str(meter.get("kind", "")) for meter in machine.meters] or ["estimate"]
    return {
        "is_elsewhere": False,
        "is_sampled": is_sampled,
        "channels": rows_of(seen),
        "chart": live_chart(seen, now_ns=now_ns),
        "problems": seen.problems,
        "meters_without_channels": meters_without_channels(configured, seen) if is_sampled else [],
        "temperatures": temperatures_of(_temperatures(int(time.monotonic()))),
    }


@lru_cache(maxsize=1)
def _temperatures(_second: int) -> dict[str, float | None]:
    """Return every temperature (degrees Celsius); read once a second however many people look."""
    return read_all(process_thermometers())
