"""Keeps every core busy for a bounded time, to see a machine at its highest power."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator

_STOP_TIMEOUT_S = 5.0
# A process bounds itself, so that none is left behind by a program that is killed.
_LOOP = """
import os, sys, time
parent, end = int(sys.argv[1]), time.monotonic() + float(sys.argv[2])
while time.monotonic() < end and os.getppid() == parent:
    sum(number * number for number in range(20_000))
"""


@contextlib.contextmanager
def cores_busy(*, seconds: float, count: int | None = None) -> Iterator[None]:
    """Keep `count` cores busy, all that this process may use where absent; `seconds` is the longest it goes on."""
    wanted = len(os.sched_getaffinity(0)) if count is None else count
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for _ in range(wanted):
            command = [sys.executable, "-c", _LOOP, str(os.getpid()), str(seconds)]
            processes.append(subprocess.Popen(command, start_new_session=True))  # Ctrl-C is for us, who then end them
        yield
    finally:
        for process in processes:
            process.terminate()
        end_s = time.monotonic() + _STOP_TIMEOUT_S
        for process in processes:
            try:
                process.wait(max(0.0, end_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
