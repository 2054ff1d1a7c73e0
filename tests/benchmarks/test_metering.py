from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
import pytest
from django.db import connection

from benchmarks.locking import machine_lock
from benchmarks.metering import Metering, measure_activity
from benchmarks.meters.base import Boundary, Channel, Quality, Quantity, Reading
from benchmarks.models import CarbonIntensity, EnergyTrace, Machine, Measurement
from benchmarks.recording import ChannelRecord, RecorderBusy, RecordingError
from benchmarks.studying import StudyError
from tests import factories as make

pytestmark = pytest.mark.django_db

SECOND = 1_000_000_000
PLUG = Channel("machine", Boundary.MACHINE, Quality.MEASURED, Quantity.POWER_MW)


@dataclass
class Plug:
    """A wall meter that reads 50 W, or fails before or after the work."""

    no_start: RecordingError | None = None
    no_samples: RecordingError | None = None
    period_ns: int = 0

    def ensure_running(self, *, period_ns: int) -> None:
        if self.no_start is not None:
            raise self.no_start
        self.period_ns = period_ns

    def records(self, *, start_ns: int, stop_ns: int) -> tuple[ChannelRecord, ...]:
        if self.no_samples is not None:
            raise self.no_samples
        moments = range(start_ns - self.period_ns, stop_ns + 2 * self.period_ns, self.period_ns)
        readings = tuple(Reading(at_ns, self.period_ns, 50_000) for at_ns in moments)
        return (ChannelRecord("plug", PLUG, self.period_ns, readings),)


def measured(plug: Plug | None = None, machine: Machine | None = None) -> tuple[str, Measurement]:
    """Measure four seconds of work."""
    moments = iter([10 * SECOND, 14 * SECOND])
    metering = Metering(
        machine or make.make_machine(), plug or Plug(), now=lambda: make.NOW, monotonic_ns=lambda: next(moments)
    )
    return measure_activity(work=lambda: "made", purpose=Measurement.Purpose.INDEX_BUILD, metering=metering)


class TestMeasureActivity:
    def test_returns_what_the_work_made_with_its_energy_and_score(self) -> None:
        made, measurement = measured()
        assert made == "made"
        assert measurement.energy_j == pytest.approx(200.0)
        assert (measurement.purpose, measurement.quality) == ("index_build", "measured")
        assert (measurement.started_at, measurement.time_reserved_s) == (make.NOW, 4.0)
        # O = 200 J at 385 g/kWh; M = 574,100 g for 4 s of 4 years
        assert measurement.sci_gco2e == pytest.approx(200 / 3.6e6 * 385 + 574_100 * 4 / (4 * 365 * 86_400))
        assert measurement.readings.get().is_in_boundary
        assert EnergyTrace.objects.get().measurement == measurement

    @pytest.mark.parametrize(
        "plug",
        [
            Plug(no_start=RecordingError("There is no meter.", is_retryable=False)),
            Plug(no_start=RecorderBusy("There is no meter.")),
            Plug(no_samples=RecordingError("There is no meter.", is_retryable=True)),
        ],
        ids=["no sampler", "taken sampler", "no samples"],
    )
    def test_does_the_work_without_a_meter_and_says_why(self, plug: Plug) -> None:
        made, measurement = measured(plug)
        assert made == "made"
        assert (measurement.energy_j, measurement.sci_gco2e, measurement.quality) == (None, None, "missing")
        assert measurement.missing_reason == "There is no meter."
        assert measurement.time_reserved_s == 4.0

    def test_stores_nothing_of_work_that_fails(self) -> None:
        def fail() -> None:
            raise ValueError("no embedder")

        metering = Metering(make.make_machine(), Plug(), now=lambda: make.NOW)
        with pytest.raises(ValueError, match="no embedder"):
            measure_activity(work=fail, purpose=Measurement.Purpose.INDEX_BUILD, metering=metering)
        assert not Measurement.objects.exists()

    def test_does_nothing_where_no_intensity_is_known(self) -> None:
        machine = make.make_machine()
        CarbonIntensity.objects.all().delete()
        with pytest.raises(StudyError, match="No carbon intensity"):
            measured(machine=machine)


class TestMachineLock:
    @pytest.fixture
    def other(self) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
        with psycopg.connect(**connection.get_connection_params(), autocommit=True) as second:
            yield second

    def test_of_something_else_leaves_the_work_unmeasured(
        self, other: "psycopg.Connection[tuple[object, ...]]"
    ) -> None:
        machine = make.make_machine()
        with machine_lock(machine.pk):
            held = other.execute("SELECT classid, objid FROM pg_locks WHERE locktype = 'advisory'").fetchone()
        assert held is not None
        other.execute("SELECT pg_advisory_lock(%s, %s)", held)
        made, measurement = measured(machine=machine)
        assert made == "made"
        assert "Another worker measures on this machine" in measurement.missing_reason

    def test_is_held_while_the_work_goes_on_and_no_longer(
        self, other: "psycopg.Connection[tuple[object, ...]]"
    ) -> None:
        machine = make.make_machine()
        counted = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
        metering = Metering(machine, Plug(), now=lambda: make.NOW)
        held, _ = measure_activity(
            work=lambda: other.execute(counted).fetchone(), purpose="index_build", metering=metering
        )
        assert (held, other.execute(counted).fetchone()) == ((1,), (0,))
