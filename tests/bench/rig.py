"""Four channels for a real sampler: a board on a pseudo-terminal, two zones of a powercap tree, a simulated GPU.

The twins of the devices live in a process of their own, as devices do: they take time of the machine, not of the
sampler.
"""

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.meters.configuration import MeterConfiguration

PERIOD_MS = 99


@contextlib.contextmanager
def four_channels(*, period_ms: int | None = PERIOD_MS) -> Iterator[list[MeterConfiguration]]:
    with tempfile.TemporaryDirectory(prefix="bench-", dir="/dev/shm") as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.rig", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            if process.stdout is None or process.stdout.readline() != "ready\n":
                raise RuntimeError("the simulated devices do not start")
            port, gpu = {"port": f"{folder}/board", "is_simulated": True}, {"steps": [[0.7, 60], [0.5, 180]]}
            yield [
                MeterConfiguration("mcp", port, period_ms),
                MeterConfiguration("rapl", {"root": f"{folder}/powercap"}, period_ms),
                MeterConfiguration("simulated_nvml", {**gpu, "has_counter": False}, period_ms),
            ]
        finally:
            process.terminate()
            process.wait(10)


def serve(folder: Path) -> None:
    """Be the devices until the parent ends."""
    from benchmarks.meters.board_faults import FaultDice
    from benchmarks.meters.board_terminal import BoardTerminal
    from benchmarks.meters.power_curve import CurvePoint, PowerCurve
    from benchmarks.meters.replay import Step
    from benchmarks.meters.simulated_board import SimulatedBoard
    from benchmarks.meters.simulated_powercap import SimulatedPowercap, SimulatedZone

    begins_at_ns = time.monotonic_ns()
    curve = PowerCurve([CurvePoint(0, 90), CurvePoint(0.5, 220), CurvePoint(1.4, 90)], is_repeated=True)
    steps = [Step(0.6, 20), Step(0.4, 70)]
    zones = [SimulatedZone("intel-rapl:0", "package-0", steps), SimulatedZone("intel-rapl:0:0", "dram", steps)]
    tree = SimulatedPowercap(folder / "powercap", zones, begins_at_ns=begins_at_ns)
    terminal = BoardTerminal(SimulatedBoard([curve], begins_at_ns=begins_at_ns), FaultDice([]), link=folder / "board")
    terminal.plug_in()
    stop = threading.Event()
    threading.Thread(target=terminal.serve, args=(stop,), daemon=True).start()
    threading.Thread(target=_end_with_parent, args=(stop,), daemon=True).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while not stop.wait(0.02):
        tree.advance_to(time.monotonic_ns())


def _end_with_parent(stop: threading.Event) -> None:
    sys.stdin.read()
    stop.set()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
