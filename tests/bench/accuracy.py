"""The energy of known curves through the twins of three meters, in simulated time."""

import random
import tempfile
from pathlib import Path

from benchmarks.energy import integrate
from benchmarks.meters.base import Quantity, Reading
from benchmarks.meters.configuration import USUAL_PERIODS_MS
from benchmarks.meters.power_curve import CurvePoint, PowerCurve
from benchmarks.meters.punctuality import quantile
from benchmarks.meters.replay import PowerCourse, Step
from benchmarks.uncertainty import energy_interval
from tests.bench.table import Table
from tests.benchmarks.meters.board_line import Bench as Board
from tests.benchmarks.meters.test_accuracy import MS, curve
from tests.benchmarks.meters.test_accuracy import Bench as Twin

LIMITS = {0.3: None, 1.0: (1.0, 2.0), 5.0: (0.5, 1.0), 30.0: (0.5, 1.0)}
METERS = {
    "board": "simulated board, 30 ms",
    "rapl": "RAPL tree, 49 ms",
    "power": "stub NVML, power, 11 ms",
    "counter": "stub NVML, counter, 11 ms",
}


def run(table: Table, *, starts: int) -> None:
    for kind, title in METERS.items():
        for answer_s, limits in LIMITS.items():
            chance = random.Random(f"{kind} {answer_s}")
            count = max(3, starts // 5) if answer_s == 30 else starts
            found = [_one(kind, answer_s, chance) for _ in range(count)]
            errors = sorted(100 * abs(energy_j / true_j - 1) for energy_j, true_j, _, _ in found)
            name = f"energy, {answer_s:g} s, {title}"
            p95, largest = quantile(errors, 0.95), errors[-1]
            if limits is not None:
                is_ok = p95 < limits[0] and largest < limits[1]
                target = f"< {limits[0]:g} %, max {limits[1]:g} %"
                table.row(name, f"p95 {p95:.2f} %, max {largest:.2f} %", target, is_ok=is_ok, n=count)
                continue
            inside = sum(is_inside for _, _, is_inside, _ in found)
            half = 100 * sum(half for _, _, _, half in found) / count
            table.row(name, f"p95 {p95:.2f} %, max {largest:.2f} %", n=count)
            figure = f"{inside}/{count}, +-{half:.1f} %"
            table.row("  inside the printed interval, its half width", figure, "all", is_ok=inside == count, n=count)


def _one(kind: str, answer_s: float, chance: random.Random) -> tuple[float, float, bool, float]:
    """Return energy, the curve's own (J), whether the interval holds it, and its half width as a share."""
    steps = curve(chance, answer_s)
    start_s, stop_s = steps[0].duration_s, steps[0].duration_s + answer_s
    readings, begins_ns, period_ns, quantity = _read(kind, steps, stop_s + 1.3, chance)
    start_ns, stop_ns = (begins_ns + round(moment_s * 1e9) for moment_s in (start_s, stop_s))
    energy_j = integrate(readings, start_ns, stop_ns, period_ns, quantity=quantity).energy_j
    if energy_j is None:
        raise RuntimeError(f"{kind}: a gap where there was none")
    course = PowerCourse(steps)
    true_j = course.energy_j(stop_s) - course.energy_j(start_s)
    within = energy_interval(readings, energy_j, start_ns=start_ns, stop_ns=stop_ns, quantity=quantity)
    half = (within.high_j - within.low_j) / 2 / energy_j
    return energy_j, true_j, within.low_j <= true_j <= within.high_j, half


def _read(
    kind: str, steps: list[Step], until_s: float, chance: random.Random
) -> tuple[list[Reading], int, int, Quantity]:
    if kind == "board":
        moment_s, points = 0.0, []
        for step in steps:
            points.append(CurvePoint(moment_s, step.power_w))
            moment_s += step.duration_s
        board = Board(PowerCurve(points))
        board.meter.open()
        jitter_ms = [chance.choice((0, 0, 0, 1, 3, 7)) for _ in range(97)]
        channel = board.meter.channels[0]
        readings = board.run(until_s, jitter_ms=jitter_ms)
        return readings, board.begins_at_ns, max(board.period_ns, channel.window_ns), channel.quantity
    period_ms = USUAL_PERIODS_MS["rapl" if kind == "rapl" else "nvml"]
    with tempfile.TemporaryDirectory() as folder:
        twin = Twin(kind, steps, Path(folder))
        begins_ns = twin.clock.now_ns
        readings = twin.read_until(begins_ns + round(until_s * 1e9), period_ms, chance)
        return readings, begins_ns, period_ms * MS, twin.meter.channels[0].quantity
