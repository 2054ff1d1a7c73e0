"""What holds the event loop of a web process up: `tests.bench.stalls:application` is the product's own, and watched.

The loop beats every 5 ms. Where a beat is late, a thread notes what every thread of the process is doing, and once the
loop goes on, one paragraph goes to the log: how late it was, how much of that its thread computed and how much it
waited for a core (of `/proc`, so on Linux only), whether garbage was collected, and the stacks that were seen most.
`BENCH_STALL_MS` is the least lateness that is told, 30 ms where it is not set; `BENCH_STALL_LOG` the file.
"""

import asyncio
import gc
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Any

_BEAT_S = 0.005
_LOOK_S = 0.003
_DEEPEST = 12
_TOLD_STACKS = 4
_WAITING = ("wait", "select", "_worker", "get", "accept", "poll", "_recv", "run_once")


class StallWatch:
    """Watches the event loop of the thread that begins it."""

    def __init__(self, *, least_ms: float, tell: Callable[[str], None]) -> None:
        self._least_s = least_ms / 1000
        self._tell = tell
        self._thread = threading.get_ident()
        self._native = threading.get_native_id()
        self._beaten = time.monotonic()
        self._seen: Counter[str] = Counter()
        self._look_count = 0
        self._collections: list[str] = []
        self._collecting_since = 0.0
        self._spent = self._scheduled()

    def begin(self) -> None:
        gc.callbacks.append(self._note_collection)
        threading.Thread(target=self._look_on, name="stall-watch", daemon=True).start()
        asyncio.get_running_loop().call_later(_BEAT_S, self._beat)

    def _beat(self) -> None:
        now = time.monotonic()
        late_s = now - self._beaten - _BEAT_S
        spent = self._scheduled()
        if late_s >= self._least_s:
            self._tell(self._told(late_s, spent))
        self._seen, self._look_count, self._collections = Counter(), 0, []
        self._beaten, self._spent = time.monotonic(), spent
        asyncio.get_running_loop().call_later(_BEAT_S, self._beat)

    def _told(self, late_s: float, spent: tuple[float, float]) -> str:
        computed_ms, queued_ms = ((now - before) / 1e6 for now, before in zip(spent, self._spent, strict=True))
        stacks = [
            f"    {count} of {self._look_count}: {stack}" for stack, count in self._seen.most_common(_TOLD_STACKS)
        ]
        head = (
            f"{time.time():.3f} stalled {late_s * 1000:.0f} ms: computed {computed_ms:.0f}, waited for a core "
            f"{queued_ms:.0f}; collections {', '.join(self._collections) or 'none'}"
        )
        return "\n".join([head, *stacks])

    def _scheduled(self) -> tuple[float, float]:
        """Return the nanoseconds that the loop's thread was on a core, and those that it was ready and had none."""
        with open(f"/proc/self/task/{self._native}/schedstat", encoding="ascii") as file:  # noqa: PTH123  each 5 ms
            computed, queued, _ = file.read().split()
        return float(computed), float(queued)

    def _look_on(self) -> None:
        own = threading.get_ident()
        while True:
            time.sleep(_LOOK_S)
            if time.monotonic() - self._beaten - _BEAT_S < self._least_s / 3:
                continue
            self._look_count += 1
            for thread, frame in sys._current_frames().items():
                if thread == self._thread or (thread != own and frame.f_code.co_name not in _WAITING):
                    whose = "loop" if thread == self._thread else "thread"
                    self._seen[f"{whose}: {_stack(frame)}"] += 1

    def _note_collection(self, phase: str, told: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_since = time.monotonic()
        elif (took_ms := (time.monotonic() - self._collecting_since) * 1000) > 1:
            self._collections.append(f"generation {told['generation']} {took_ms:.0f} ms")


def _stack(frame: FrameType | None) -> str:
    """Return the innermost calls of a stack, the latest first."""
    calls: list[str] = []
    while frame is not None and len(calls) < _DEEPEST:
        file = "/".join(frame.f_code.co_filename.rsplit("/", 2)[-2:])
        calls.append(f"{file}:{frame.f_lineno} {frame.f_code.co_name}")
        frame = frame.f_back
    return " < ".join(calls)


def _tell(told: str) -> None:
    with open(os.environ.get("BENCH_STALL_LOG", "/dev/stderr"), "a", encoding="utf8") as file:  # noqa: PTH123
        file.write(told + "\n")


_watches: list[StallWatch] = []


async def application(scope: dict[str, Any], receive: Callable[[], Any], send: Callable[..., Awaitable[None]]) -> None:
    """Serve the product's application, and watch the loop from its start."""
    from greenllm.asgi import application as served

    if not _watches:
        _watches.append(StallWatch(least_ms=float(os.environ.get("BENCH_STALL_MS", "30")), tell=_tell))
        _watches[0].begin()
    await served(scope, receive, send)
