"""How punctual the sampler is with four channels, what it costs, and CodeCarbon's tracker measured the same way."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.checking import sample
from benchmarks.meters.stress import cores_busy
from tests.bench.rig import PERIOD_MS, four_channels
from tests.bench.table import Table

USUAL = "idle at the usual periods"
TRACKER = Path(__file__).with_name("codecarbon_lateness.py")


def run(table: Table, *, minutes: float) -> None:
    for load, limit_ms, period_ms in (
        ("idle", 2.0, PERIOD_MS),
        ("two busy processes", 10.0, PERIOD_MS),
        (USUAL, 2.0, None),
    ):
        with contextlib.ExitStack() as stack:
            meters = stack.enter_context(four_channels(period_ms=period_ms))
            seconds = 60 * minutes
            if load != "idle":
                seconds = min(seconds, 60)
            if load == "two busy processes":
                stack.enter_context(cores_busy(seconds=seconds + 60, count=2))
            channels, cost = sample(
                meters=meters, name=f"bench-{os.getpid()}", seconds=seconds, period_ms=PERIOD_MS, sleep=time.sleep,
                clock_ns=time.monotonic_ns,
            )  # fmt: skip
        late = [one.punctuality for one in channels if one.punctuality is not None]
        worst = max(late, key=lambda one: one.p99_ms)
        figure = f"{worst.p50_ms:.2f} / {worst.p99_ms:.2f} / {max(one.largest_ms for one in late):.1f} ms"
        name = f"lateness p50/p99/max, {load}, worst of {len(channels)} channels"
        table.row(name, figure, f"p99 < {limit_ms:g} ms", is_ok=worst.p99_ms < limit_ms, n=worst.n)
        drift = max((abs(one.drift_samples) for one in late), default=0.0)
        table.below(f"drift over {seconds / 60:g} min, {load}", drift, 1, "samples", n=worst.n, digits=3)
        gaps = sum(one.gap_count for one in late)
        table.row(f"gaps, {load}", str(gaps), n=sum(one.n for one in late))
        if period_ms is None:  # no target: polls of 11 ms alone wake it 91 times per second
            table.row(f"sampler, {load}", f"{100 * cost.core_share:.2f} % of a core")
        else:
            table.below(f"sampler, {load}", 100 * cost.core_share, 0.5, "% of a core")
        table.below(f"sampler's resident memory, {load}", cost.resident_bytes / 1e6, 40, "MB", digits=1)


def run_codecarbon(table: Table, *, seconds: float) -> None:
    """Measure CodeCarbon from a virtual environment that is thrown away; the product never needs it."""
    name = "CodeCarbon's tracker at 1 s"
    with tempfile.TemporaryDirectory(prefix="bench-codecarbon-") as folder:
        python = f"{folder}/bin/python"
        made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, check=False)
        installed = made.returncode == 0 and _quiet([python, "-m", "pip", "install", "-q", "codecarbon"], 300)
        if not installed:
            table.skipped(name, "codecarbon cannot be installed here")
            return
        for load in ("idle", "two busy processes"):
            with contextlib.ExitStack() as stack:
                if load != "idle":
                    stack.enter_context(cores_busy(seconds=seconds + 60, count=2))
                done = subprocess.run(
                    [python, str(TRACKER), str(seconds)], capture_output=True, text=True, check=False, cwd=folder,
                    timeout=seconds + 120,
                )  # fmt: skip
            if done.returncode != 0:
                table.skipped(f"{name}, {load}", (done.stderr.strip() or "failed").splitlines()[-1][:60])
                continue
            found = json.loads(done.stdout.splitlines()[-1])
            late = found["late_ms"]
            figure = f"{late[len(late) // 2]:.2f} / {late[-1 - len(late) // 100]:.2f} / {late[-1]:.1f} ms"
            table.row(f"{name}: lateness p50/p99/max, {load}", figure, n=len(late))
            table.row(f"{name}: cost, {load}", f"{100 * found['core_share']:.2f} %, {found['resident_mb']:.0f} MB")


def _quiet(command: list[str], timeout_s: float) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=timeout_s).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
