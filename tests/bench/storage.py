"""What samples take in Postgres, and how fast one response's curve opens, on a generated sample."""

import random
import time

from django.db import connection

from benchmarks.meters.base import SINCE_PREVIOUS, Reading
from benchmarks.meters.punctuality import quantile
from benchmarks.models import EnergyTrace, Measurement
from benchmarks.traces import pack, unpack
from tests.bench.table import Table

YEAR_SAMPLES = 1_270_000_000
LENGTHS = {"a minute": 600, "an hour": 36_000}  # an answer that is long, and a piece of sampling without end
PERIOD_NS = 99_000_000
_BATCH = 20


def run(table: Table, *, samples: int) -> None:
    """Store so many samples in traces of each length; the target is one of continuous sampling, thus of long traces."""
    chance = random.Random(1)
    for title, length in LENGTHS.items():
        Measurement.objects.filter(purpose="control").delete()
        with connection.cursor() as cursor:
            cursor.execute("VACUUM FULL benchmarks_energytrace")
        ids: list[int] = []
        while len(ids) * length < samples:
            measured = Measurement.objects.bulk_create(
                Measurement(purpose="control", energy_j=1, quality="simulated") for _ in range(_BATCH)
            )
            EnergyTrace.objects.bulk_create(_trace(measurement, length, chance) for measurement in measured)
            ids += [measurement.pk for measurement in measured]
        _report(table, title, ids, len(ids) * length, chance)


def _report(table: Table, title: str, ids: list[int], stored: int, chance: random.Random) -> None:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE benchmarks_energytrace")
        cursor.execute("SELECT pg_total_relation_size('benchmarks_energytrace')")
        per_sample = cursor.fetchone()[0] / stored
    table.row(f"bytes per sample, traces of {title}, with indexes", f"{per_sample:.2f} bytes", n=stored)
    name = f"1.27 billion samples, traces of {title} (extrapolated)"
    if title == "an hour":
        table.below(name, per_sample * YEAR_SAMPLES / 1e9, 8, "GB", n=stored)
    else:
        table.row(name, f"{per_sample * YEAR_SAMPLES / 1e9:.2f} GB", n=stored)
    times_ms = sorted(_opening_ms(chance.choice(ids)) for _ in range(100))
    middle, late = quantile(times_ms, 0.5), quantile(times_ms, 0.95)
    figure, name = f"{middle:.2f} / {late:.2f} ms", f"opening one curve of {title}, p50/p95"
    if title == "an hour":  # no response is that long
        table.row(name, figure, n=100)
    else:
        table.row(name, figure, "p95 < 50 ms", is_ok=late < 50, n=100)


def _trace(measurement: Measurement, length: int, chance: random.Random) -> EnergyTrace:
    at_ns, power_mw, previous_ns = 10**12, 90_000.0, 10**12 - PERIOD_NS
    readings = []
    for number in range(length):
        power_mw = max(40_000.0, power_mw + chance.gauss(0, 8_000))
        at_ns = 10**12 + number * PERIOD_NS + round(abs(chance.gauss(300_000, 300_000)))
        readings.append(Reading(at_ns, at_ns - previous_ns, round(power_mw)))
        previous_ns = at_ns
    packed = pack(readings, PERIOD_NS, SINCE_PREVIOUS)
    return EnergyTrace(
        measurement=measurement, channel="machine", quantity=packed.quantity, period_ns=PERIOD_NS,
        window_ns=SINCE_PREVIOUS, first_at_ns=packed.first_at_ns, offset_unit_ns=packed.offset_unit_ns,
        sample_count=length, offsets=list(packed.offsets), values=list(packed.values),
    )  # fmt: skip


def _opening_ms(measurement_id: int) -> float:
    begun_s = time.perf_counter()
    unpack(EnergyTrace.objects.get(measurement_id=measurement_id, channel="machine").packed())
    return 1000 * (time.perf_counter() - begun_s)
