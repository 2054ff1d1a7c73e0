from importlib import import_module
from itertools import pairwise
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from benchmarks.meters.base import SINCE_PREVIOUS, Quantity, Reading
from benchmarks.models import EnergyTrace, Measurement
from benchmarks.traces import TraceError, pack, unpack
from tests.factories import make_measurement

pytestmark = pytest.mark.django_db

MS = 1_000_000
PERIOD = 99 * MS
FIXED = 40 * MS


def adjoining(*moments_ms: float) -> list[Reading]:
    """Make readings that each reach back to the one before."""
    moments = [round(at * MS) for at in moments_ms]
    windows = [PERIOD, *(later - earlier for earlier, later in pairwise(moments))]
    return [Reading(at, window, 10_000 + n) for n, (at, window) in enumerate(zip(moments, windows, strict=True))]


def windowed(*moments_ms: float) -> list[Reading]:
    return [Reading(round(at * MS), FIXED, 5_000_000 + number) for number, at in enumerate(moments_ms)]


CASES = {
    "power, windows adjoin": (adjoining(1000, 1099.5, 1198, 1297.25), SINCE_PREVIOUS, Quantity.POWER_MW),
    "power, one deadline skipped": (adjoining(1000, 1099, 1297, 1396), SINCE_PREVIOUS, Quantity.POWER_MW),
    "power, fixed windows, two skipped": (windowed(500, 599, 896.5, 995), FIXED, Quantity.POWER_MW),
    "energy, windows adjoin": (adjoining(1000, 1099.5, 1297), SINCE_PREVIOUS, Quantity.ENERGY_UJ),
    "energy, fixed windows": (windowed(500, 599, 698), FIXED, Quantity.ENERGY_UJ),
    "windows of their own": (
        [Reading(1000 * MS, 5, -7), Reading(1000 * MS + 1, 9, 2**40), Reading(1099 * MS, 98 * MS, -(2**61))],
        SINCE_PREVIOUS,
        Quantity.ENERGY_UJ,
    ),
    "one reading": (adjoining(1000), SINCE_PREVIOUS, Quantity.POWER_MW),
    "no power at all": ([Reading(1000 * MS, FIXED, 0)], FIXED, Quantity.POWER_MW),
    "a machine that runs for 10 years": (windowed(315_360_000_000, 315_360_000_099), FIXED, Quantity.POWER_MW),
}


def store(readings: list[Reading], window_ns: int, quantity: Quantity, *, channel: str = "machine") -> Measurement:
    trace = pack(readings, PERIOD, window_ns, quantity)
    measurement = make_measurement()
    EnergyTrace.of(trace, measurement=measurement, channel=channel).save()
    return measurement


def store_arrays(measurement: Measurement, *, offsets: list[int | None], values: list[int | None]) -> EnergyTrace:
    """Keep a trace as format version 1 did."""
    return EnergyTrace.objects.create(
        measurement=measurement, channel="machine", format_version=1, period_ns=PERIOD, window_ns=SINCE_PREVIOUS,
        first_at_ns=1000 * MS, offset_unit_ns=1_000, sample_count=2, offsets=offsets, values=values,
    )  # fmt: skip


def samples(measurement: Measurement) -> list[tuple[str, int, int, float, float]]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT channel, at_ns, window_ns, power_mw, energy_uj FROM benchmarks_energy_sample"
            " WHERE measurement_id = %s ORDER BY channel, at_ns",
            [measurement.pk],
        )
        return list(cursor.fetchall())


class TestEnergySampleView:
    @pytest.mark.parametrize(("readings", "window_ns", "quantity"), CASES.values(), ids=CASES)
    def test_shows_exactly_the_packed_samples(
        self, readings: list[Reading], window_ns: int, quantity: Quantity
    ) -> None:
        measurement = store(readings, window_ns, quantity)

        shown = samples(measurement)

        kept = unpack(pack(readings, PERIOD, window_ns, quantity))
        assert [(at, window) for _, at, window, _, _ in shown] == [(one.at_ns, one.window_ns) for one in kept]
        values = [power if quantity is Quantity.POWER_MW else energy for *_, power, energy in shown]
        assert values == [one.value for one in readings]

    def test_gives_power_and_energy_of_either_quantity(self) -> None:
        power = store([Reading(1000 * MS, FIXED, 220_000)], FIXED, Quantity.POWER_MW)
        energy = store([Reading(1000 * MS, FIXED, 8_800_000)], FIXED, Quantity.ENERGY_UJ)

        # 220 W for 40 ms are 8.8 J
        assert samples(power) == [("machine", 1000 * MS, FIXED, 220_000, 8_800_000)]
        assert samples(energy) == samples(power)

    def test_keeps_channels_and_measurements_apart(self) -> None:
        first = store(adjoining(1000, 1099), SINCE_PREVIOUS, Quantity.POWER_MW, channel="cpu")
        second = store(adjoining(1050, 1149), SINCE_PREVIOUS, Quantity.POWER_MW, channel="cpu")

        assert [(at, window) for _, at, window, _, _ in samples(first)] == [(1000 * MS, PERIOD), (1099 * MS, PERIOD)]
        assert [(at, window) for _, at, window, _, _ in samples(second)] == [(1050 * MS, PERIOD), (1149 * MS, PERIOD)]

    def test_does_not_read_a_format_that_it_does_not_know(self) -> None:
        measurement = store(adjoining(1000), SINCE_PREVIOUS, Quantity.POWER_MW)
        measurement.traces.update(format_version=3)

        assert samples(measurement) == []

    def test_shows_the_arrays_of_version_1(self) -> None:
        measurement = make_measurement()
        store_arrays(measurement, offsets=[0, None, -3], values=[10_000, None, 12_000])

        assert samples(measurement) == [
            ("machine", 1000 * MS, PERIOD, 10_000, 990_000),
            ("machine", 1000 * MS + 2 * PERIOD - 3_000, 2 * PERIOD - 3_000, 12_000, pytest.approx(2_375_964)),
        ]

    @pytest.mark.parametrize(
        ("readings", "window_ns"),
        [(adjoining(1000, 1099.5, 1198, 1494.25), SINCE_PREVIOUS), (windowed(500, 599.4, 987, 995), FIXED)],
        ids=["adjoining", "fixed, one very late"],
    )
    def test_shows_the_same_after_the_way_back_to_arrays(self, readings: list[Reading], window_ns: int) -> None:
        measurement = store(readings, window_ns, Quantity.POWER_MW)
        before = samples(measurement)

        migration = import_module("benchmarks.migrations.0016_packed_samples")
        migration.to_arrays(apps, SimpleNamespace(connection=connection))

        trace = measurement.traces.get()
        assert (trace.format_version, trace.packed_samples) == (1, None)
        assert samples(measurement) == before
        assert [one.value for one in unpack(trace.packed())] == [one.value for one in readings]

    @pytest.mark.parametrize(
        "damage",
        [
            {"packed_samples": b"\x80"},
            {"packed_samples": b""},
            {"packed_samples": b"\xff" * 20},
            {"sample_count": 5},
            {"offset_unit_ns": 0},
        ],
        ids=["cut off", "empty", "too long a number", "too few", "no unit"],
    )
    def test_shows_the_others_where_one_is_damaged(self, damage: dict[str, object]) -> None:
        damaged = store(adjoining(1000, 1099), SINCE_PREVIOUS, Quantity.POWER_MW)
        damaged.traces.update(**damage)
        whole = store(adjoining(1000), SINCE_PREVIOUS, Quantity.POWER_MW)

        assert (samples(damaged), len(samples(whole))) == ([], 1)
        with pytest.raises(TraceError):
            unpack(damaged.traces.get().packed())
