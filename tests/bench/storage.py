"""What samples take in Postgres, and how fast one response's curve opens, on a generated sample.

A hundred traces of each length are made and packed, each with a course of its own; they are stored in turn until
there are as many samples as asked for. Postgres does not compress them, so a repeated one takes as much as another.
"""

import random
import time
from itertools import cycle, islice

from django.db import connection

from benchmarks.meters.base import SINCE_PREVIOUS, Reading
from benchmarks.meters.punctuality import quantile
from benchmarks.models import EnergyTrace, Measurement
from benchmarks.traces import PackedTrace, pack, unpack
from tests.bench.table import Table

YEAR_SAMPLES = 1_270_000_000
LENGTHS = {"a minute": 600, "an hour": 36_000}  # an answer that is long, and a piece of sampling without end
PERIOD_NS = 99_000_000
COURSES = 100
_BATCH_BYTES = 4_000_000


def run(table: Table, *, samples: int) -> None:
    """Store so many samples in traces of each length; the target is one of continuous sampling, thus of long traces."""
    chance = random.Random(1)
    for title, length in LENGTHS.items():
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE benchmarks_measurement CASCADE")
        begun_s = time.perf_counter()
        courses = [_course(length, chance) for _ in range(min(COURSES, -(-samples // length)))]
        packed_s = time.perf_counter() - begun_s
        begun_s = time.perf_counter()
        ids = _store(courses, -(-samples // length))
        stored_s = time.perf_counter() - begun_s
        table.row(f"packing, traces of {title}", f"{1e9 * packed_s / (len(courses) * length):.0f} ns a sample")
        table.row(f"storing, traces of {title}", f"{stored_s:.1f} s", n=len(ids) * length)
        _report(table, title, ids, len(ids) * length, chance)


def _store(courses: list[PackedTrace], count: int) -> list[int]:
    """Store a measurement with each trace in turn, through the models, as a worker does; return their keys."""
    ids: list[int] = []
    traces = cycle(courses)
    batch = max(1, _BATCH_BYTES // len(courses[0].packed))
    while len(ids) < count:
        wanted = min(batch, count - len(ids))
        measured = Measurement.objects.bulk_create(
            Measurement(purpose="control", energy_j=1, quality="simulated") for _ in range(wanted)
        )
        EnergyTrace.objects.bulk_create(
            EnergyTrace.of(trace, measurement=measurement, channel="machine")
            for measurement, trace in zip(measured, islice(traces, wanted), strict=True)
        )
        ids += [measurement.pk for measurement in measured]
    return ids


def _report(table: Table, title: str, ids: list[int], stored: int, chance: random.Random) -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE benchmarks_energytrace")
        cursor.execute("SELECT pg_total_relation_size('benchmarks_energytrace')")
        per_sample = cursor.fetchone()[0] / stored
    table.row(f"bytes per sample, traces of {title}, with indexes", f"{per_sample:.2f} bytes", n=stored)
    table.below(f"1.27 billion samples, traces of {title}", per_sample * YEAR_SAMPLES / 1e9, 8, "GB", n=stored)
    times_ms = sorted(_opening_ms(chance.choice(ids)) for _ in range(100))
    middle, late = quantile(times_ms, 0.5), quantile(times_ms, 0.95)
    figure, name = f"{middle:.2f} / {late:.2f} ms", f"opening one curve of {title}, p50/p95"
    if title == "an hour":  # no response is that long
        table.row(name, figure, n=100)
    else:
        table.row(name, figure, "p95 < 50 ms", is_ok=late < 50, n=100)


def _course(length: int, chance: random.Random) -> PackedTrace:
    at_ns, power_mw, previous_ns = 10**12, 90_000.0, 10**12 - PERIOD_NS
    readings = []
    for number in range(length):
        power_mw = max(40_000.0, power_mw + chance.gauss(0, 8_000))
        at_ns = 10**12 + number * PERIOD_NS + round(abs(chance.gauss(300_000, 300_000)))
        readings.append(Reading(at_ns, at_ns - previous_ns, round(power_mw)))
        previous_ns = at_ns
    return pack(readings, PERIOD_NS, SINCE_PREVIOUS)


def _opening_ms(measurement_id: int) -> float:
    begun_s = time.perf_counter()
    unpack(EnergyTrace.objects.get(measurement_id=measurement_id, channel="machine").packed())
    return 1000 * (time.perf_counter() - begun_s)
