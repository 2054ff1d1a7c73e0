from itertools import pairwise

import pytest
from django.db import connection

from benchmarks.meters.base import SINCE_PREVIOUS, Quantity, Reading
from benchmarks.models import EnergyTrace, Measurement
from benchmarks.traces import pack, unpack
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
    "one reading": (adjoining(1000), SINCE_PREVIOUS, Quantity.POWER_MW),
    "no power at all": ([Reading(1000 * MS, FIXED, 0)], FIXED, Quantity.POWER_MW),
    "a machine that runs for 10 years": (windowed(315_360_000_000, 315_360_000_099), FIXED, Quantity.POWER_MW),
}


def store(
    readings: list[Reading], window_ns: int, quantity: Quantity, *, channel: str = "machine", version: int = 1
) -> Measurement:
    trace = pack(readings, PERIOD, window_ns, quantity)
    measurement = make_measurement()
    EnergyTrace.objects.create(
        measurement=measurement,
        channel=channel,
        format_version=version,
        quantity=trace.quantity,
        period_ns=trace.period_ns,
        window_ns=trace.window_ns,
        first_at_ns=trace.first_at_ns,
        offset_unit_ns=trace.offset_unit_ns,
        sample_count=trace.sample_count,
        offsets=list(trace.offsets),
        values=list(trace.values),
    )
    return measurement


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
        assert samples(store(adjoining(1000), SINCE_PREVIOUS, Quantity.POWER_MW, version=2)) == []
