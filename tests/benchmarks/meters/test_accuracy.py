"""The energy of answers with steps, ramps and spikes, through the twins of RAPL and NVML, against the curve's own.

Each answer lies at another phase against the meter's period and the device's renewals. The figures are in
docs/measuring-machine.md.
"""

import random
from pathlib import Path

import pytest

from benchmarks.energy import Integration, integrate
from benchmarks.meters.base import Meter, Reading
from benchmarks.meters.configuration import USUAL_PERIODS_MS
from benchmarks.meters.nvml import NvmlMeter
from benchmarks.meters.rapl import RaplMeter
from benchmarks.meters.replay import PowerCourse, Step
from benchmarks.meters.simulated_nvml import SimulatedGpu, SimulatedNvml
from benchmarks.meters.simulated_powercap import SimulatedPowercap, SimulatedZone
from tests.benchmarks.meters.powercap_tree import Clock

pytestmark = pytest.mark.slow

MS = 1_000_000
IDLE_W = 30.0


def curve(chance: random.Random, answer_s: float) -> list[Step]:
    """Idle, a first stretch of high power, then plateaus, ramps and spikes of 20 ms, and idle again."""
    steps = [Step(chance.uniform(1.0, 1.3), IDLE_W)]
    rest_s, power_w = answer_s, chance.uniform(120, 220)
    first_s = min(0.1 * answer_s, 0.3)
    steps.append(Step(first_s, chance.uniform(180, 260)))
    rest_s -= first_s
    while rest_s > 1e-9:
        kind = chance.random()
        duration_s = min(rest_s, 0.02 if 0.5 <= kind < 0.65 else chance.uniform(0.05, 0.8) * min(1.0, answer_s))
        if kind < 0.2:
            steps.append(Step(duration_s, power_w))
        elif kind < 0.5:
            end_w = chance.uniform(120, 220)
            steps += [Step(duration_s / 10, power_w + (end_w - power_w) * part / 10) for part in range(10)]
            power_w = end_w
        elif kind < 0.65:
            steps.append(Step(duration_s, chance.uniform(250, 320)))
        else:
            power_w = chance.uniform(120, 220)
            steps.append(Step(duration_s, power_w))
        rest_s -= duration_s
    return [*steps, Step(1.5, IDLE_W)]


class Bench:
    """One twin with its meter on one clock."""

    def __init__(self, kind: str, steps: list[Step], folder: Path) -> None:
        self.clock = Clock()
        self._tree: SimulatedPowercap | None = None
        self.meter: Meter
        if kind == "rapl":
            zone = SimulatedZone("intel-rapl:0", "package-0", steps)
            self._tree = SimulatedPowercap(folder, [zone], begins_at_ns=self.clock.now_ns)
            self.meter = RaplMeter(root=folder, clock=self.clock, sleep_clock=self.clock.sleep_clock)
        else:
            card = SimulatedGpu("A", steps, has_counter=kind == "counter")
            self.meter = NvmlMeter(library=SimulatedNvml([card], clock=self.clock), clock=self.clock)
        self.meter.open()

    def read_until(self, end_ns: int, period_ms: float, chance: random.Random) -> list[Reading]:
        deadline_ns = self.clock.now_ns + chance.random() * period_ms * MS
        readings = []
        while deadline_ns < end_ns:
            deadline_ns += period_ms * MS
            self.clock.now_ns = round(deadline_ns + abs(chance.gauss(0.3, 0.3)) * MS)  # some lateness
            if self._tree is not None:
                self._tree.advance_to(self.clock.now_ns)
            readings += [reading for reading in self.meter.read().values() if reading is not None]
        return readings


def measure(kind: str, answer_s: float, period_ms: float, chance: random.Random, folder: Path) -> tuple[float, float]:
    """Return the measured energy and the curve's own (J)."""
    steps = curve(chance, answer_s)
    bench = Bench(kind, steps, folder)
    begins_ns = bench.clock.now_ns
    start_s, stop_s = steps[0].duration_s, steps[0].duration_s + answer_s
    readings = bench.read_until(begins_ns + round((stop_s + 1.3) * 1e9), period_ms, chance)
    result: Integration = integrate(
        readings,
        begins_ns + round(start_s * 1e9),
        begins_ns + round(stop_s * 1e9),
        round(period_ms * MS),
        quantity=bench.meter.channels[0].quantity,
    )
    assert result.energy_j is not None, result.reason
    course = PowerCourse(steps)
    return result.energy_j, course.energy_j(stop_s) - course.energy_j(start_s)


class TestEnergyOfAnAnswer:
    @pytest.mark.parametrize(
        ("kind", "period_ms", "answer_s", "p95", "largest"),
        [
            ("rapl", USUAL_PERIODS_MS["rapl"], 5.0, 0.005, 0.01),
            ("rapl", USUAL_PERIODS_MS["rapl"], 1.0, 0.01, 0.02),
            ("rapl", 20, 0.3, 0.02, 0.03),
            ("power", USUAL_PERIODS_MS["nvml"], 5.0, 0.005, 0.01),
            ("power", 10, 1.0, 0.01, 0.02),
            ("power", USUAL_PERIODS_MS["nvml"], 1.0, 0.01, 0.02),
            ("counter", USUAL_PERIODS_MS["nvml"], 5.0, 0.005, 0.01),
            ("counter", USUAL_PERIODS_MS["nvml"], 1.0, 0.01, 0.02),
            ("counter", USUAL_PERIODS_MS["nvml"], 30.0, 0.002, 0.005),
        ],
    )
    def test_is_the_curves(
        self, tmp_path: Path, kind: str, period_ms: float, answer_s: float, p95: float, largest: float
    ) -> None:
        chance = random.Random(5)

        errors = []
        for number in range(60 if answer_s < 30 else 12):
            found_j, true_j = measure(kind, answer_s, period_ms, chance, tmp_path / str(number))
            errors.append(abs(found_j / true_j - 1))

        errors.sort()
        assert errors[int(len(errors) * 0.95)] < p95
        assert errors[-1] < largest
