"""The energy of known curves through the twins of three meters, in simulated time."""

import random
import tempfile
from pathlib import Path

from benchmarks.energy import integrate
from benchmarks.meters.base import Quantity, Reading
from benchmarks.meters.configuration import DEFAULT_PERIOD_MS, USUAL_PERIODS_MS
from benchmarks.meters.power_curve import CurvePoint, PowerCurve
from benchmarks.meters.punctuality import quantile
from benchmarks.meters.replay import PowerCourse, Step
from benchmarks.uncertainty import energy_interval
from tests.bench.table import Table
from tests.benchmarks.meters.board_line import Bench as Board
from tests.benchmarks.meters.test_accuracy import MS, curve
from tests.benchmarks.meters.test_accuracy import Bench as Twin

_Found = tuple[float, float, bool, float]
LIMITS = {0.3: None, 1.0: (1.0, 2.0), 5.0: (0.5, 1.0), 30.0: (0.5, 1.0)}
# What a study reads by itself is judged; what a row can set, like the paper's plain 99 ms, is told beside it.
METERS = {
    "board": "simulated board, 30 ms",
    "rapl": "RAPL tree, 49 ms",
    "power": "stub NVML, power, 11 ms",
    "counter": "stub NVML, counter, 11 ms",
}
PLAIN = {"board": "simulated board, plain 99 ms", "rapl": "RAPL tree, plain 99 ms"}


def run(table: Table, *, starts: int) -> None:
    for kind, title in METERS.items():
        for answer_s in LIMITS:
            _judge(table, kind, title, answer_s, starts)
    for kind, title in PLAIN.items():
        for answer_s in LIMITS:
            count = _count(answer_s, starts)
            errors = _errors(_measured(kind, answer_s, count, period_ms=DEFAULT_PERIOD_MS))
            table.row(f"energy, {answer_s:g} s, {title}", _figure(errors), "(a setting)", n=count)


def _judge(table: Table, kind: str, title: str, answer_s: float, starts: int) -> None:
    count = _count(answer_s, starts)
    found = _measured(kind, answer_s, count)
    errors = _errors(found)
    limits = LIMITS[answer_s]
    name = f"energy, {answer_s:g} s, {title}"
    if limits is not None:
        is_ok = quantile(errors, 0.95) < limits[0] and errors[-1] < limits[1]
        table.row(name, _figure(errors), f"< {limits[0]:g} %, max {limits[1]:g} %", is_ok=is_ok, n=count)
        return
    inside = sum(is_inside for _, _, is_inside, _ in found)
    half = 100 * sum(half for _, _, _, half in found) / count
    table.row(name, _figure(errors), n=count)
    figure = f"{inside}/{count}, +-{half:.1f} %"
    table.row("  inside the printed interval, its half width", figure, "all", is_ok=inside == count, n=count)


def _count(answer_s: float, starts: int) -> int:
    return max(3, starts // 5) if answer_s == 30 else starts


def _measured(kind: str, answer_s: float, count: int, *, period_ms: int | None = None) -> list[_Found]:
    chance = random.Random(f"{kind} {answer_s}")
    return [_one(kind, answer_s, chance, period_ms) for _ in range(count)]


def _errors(found: list[_Found]) -> list[float]:
    return sorted(100 * abs(energy_j / true_j - 1) for energy_j, true_j, _, _ in found)


def _figure(errors: list[float]) -> str:
    return f"p95 {quantile(errors, 0.95):.2f} %, max {errors[-1]:.2f} %"


def _one(kind: str, answer_s: float, chance: random.Random, period_ms: int | None) -> _Found:
    """Return energy, the curve's own (J), whether the interval holds it, and its half width as a share."""
    steps = curve(chance, answer_s)
    start_s, stop_s = steps[0].duration_s, steps[0].duration_s + answer_s
    readings, begins_ns, period_ns, quantity = _read(kind, steps, stop_s + 1.3, chance, period_ms)
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
    kind: str, steps: list[Step], until_s: float, chance: random.Random, period_ms: int | None
) -> tuple[list[Reading], int, int, Quantity]:
    if kind == "board":
        moment_s, points = 0.0, []
        for step in steps:
            points.append(CurvePoint(moment_s, step.power_w))
            moment_s += step.duration_s
        board = Board(PowerCurve(points), period_ms=period_ms or USUAL_PERIODS_MS["mcp"])
        board.meter.open()
        jitter_ms = [chance.choice((0, 0, 0, 1, 3, 7)) for _ in range(97)]
        channel = board.meter.channels[0]
        readings = board.run(until_s, jitter_ms=jitter_ms)
        return readings, board.begins_at_ns, max(board.period_ns, channel.window_ns), channel.quantity
    period_ms = period_ms or USUAL_PERIODS_MS["rapl" if kind == "rapl" else "nvml"]
    with tempfile.TemporaryDirectory() as folder:
        twin = Twin(kind, steps, Path(folder))
        begins_ns = twin.clock.now_ns
        readings = twin.read_until(begins_ns + round(until_s * 1e9), period_ms, chance)
        return readings, begins_ns, period_ms * MS, twin.meter.channels[0].quantity
