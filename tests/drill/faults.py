"""The faults of the drill: each takes something away, brings it back or waits for it, and tells when it was back."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tests.drill.place import TMPFS_BYTES, DrillError, Place, wait_until

LLM_FAULT_S = 6.0
PULLED_S = 4.0
FULL_S = 8.0
PAUSED_S = 30.0
JUMP_S = 7200
JUMPED_S = 6.0  # each way
_SAMPLER_TIMEOUT_S = 40.0


class Skipped(Exception):
    """The fault cannot be made here; the message says why."""


@dataclass(frozen=True)
class Fault:
    """One fault: `strike` returns the monotonic moment (s) from which all can be as before.

    `parts` are the parts of /health one of which must tell of it where it lasts, `api` whether the endpoint must.
    """

    kind: str
    strike: Callable[[Place], float]
    parts: frozenset[str] = frozenset()
    is_told_by_api: bool = False


def _killed(name: str) -> Callable[[Place], float]:
    def strike(place: Place) -> float:
        pid = place.pid(name)
        os.kill(pid, signal.SIGKILL)
        return place.wait_return(name, pid)

    return strike


def _kill_sampler(place: Place) -> float:
    found: list[psutil.Process] = []

    def is_there() -> bool:
        found[:] = [one for one in [place.sampler()] if one is not None]
        return bool(found)

    wait_until(is_there, _SAMPLER_TIMEOUT_S, "sampler to kill")
    former = found[0].pid
    found[0].kill()
    wait_until(lambda: is_there() and found[0].pid != former, _SAMPLER_TIMEOUT_S, "sampler again")
    return time.monotonic()


def _kill_llm(place: Place) -> float:
    place.end("llm")
    time.sleep(LLM_FAULT_S)
    place.start_llm()
    return time.monotonic()


def _llm(fault: str) -> Callable[[Place], float]:
    def strike(place: Place) -> float:
        place.orders.write_text(fault, encoding="ascii")
        try:
            time.sleep(LLM_FAULT_S)
        finally:
            place.orders.unlink()
        return time.monotonic()

    return strike


def _pull_board(place: Place) -> float:
    place.end("board")
    place.board.unlink(missing_ok=True)
    time.sleep(PULLED_S)
    place.plug_board_in()
    return time.monotonic()


def _paused(name: str) -> Callable[[Place], float]:
    def strike(place: Place) -> float:
        process = psutil.Process(place.pid(name))
        stopped = [process, *process.children(recursive=True)]
        for one in stopped:
            one.suspend()
        try:
            time.sleep(PAUSED_S)
        finally:
            for one in stopped:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.resume()
        return time.monotonic()

    return strike


def _fill_disk(place: Place) -> float:
    """Have the drill's own tmpfs full, never the machine's disk."""
    if not place.is_on_tmpfs or not os.path.ismount(place.var_dir):
        raise Skipped("no tmpfs can be mounted here; run as root, or in a container that may mount")
    until = time.monotonic() + FULL_S
    try:
        while time.monotonic() < until:
            _leave_no_room(place)
            time.sleep(0.2)  # then what was freed meanwhile is taken away as well
    finally:
        place.resize_disk(TMPFS_BYTES)
    return time.monotonic()


def _leave_no_room(place: Place) -> None:
    """Shrink the tmpfs to what is on it: as full as any disk, and no memory is spent on filling it."""
    found = os.statvfs(place.var_dir)
    with contextlib.suppress(DrillError):  # more has been written since
        place.resize_disk((found.f_blocks - found.f_bfree) * found.f_frsize)


def _jump_clock(part: str) -> Callable[[Place], float]:
    """Let one process see the wall clock go ahead, fall behind, and be right again, as it works."""

    def strike(place: Place) -> float:
        if place.clocks is None:
            raise Skipped(place.no_clocks)
        try:
            for seconds in (JUMP_S, -JUMP_S):
                place.clocks.move(part, seconds)
                time.sleep(JUMPED_S)
        finally:
            place.clocks.move(part, 0)
        return time.monotonic()

    return strike


FAULTS = (
    Fault("kill worker", _killed("worker"), frozenset({"worker"})),
    Fault("kill sampler", _kill_sampler, frozenset({"sampler"})),
    Fault("kill web", _killed("web"), is_told_by_api=True),
    Fault("kill valkey", _killed("valkey"), frozenset({"queue"})),
    Fault("kill postgres", _killed("postgres"), frozenset({"postgres"}), is_told_by_api=True),
    Fault("kill chroma", _killed("chroma"), frozenset({"chroma"})),
    Fault("kill llm", _kill_llm, frozenset({"inference"}), is_told_by_api=True),
    Fault("llm hangs", _llm("hangs")),
    Fault("llm garbage", _llm("garbage"), is_told_by_api=True),
    Fault("llm half a stream", _llm("half"), is_told_by_api=True),
    Fault("llm 500", _llm("500"), is_told_by_api=True),
    Fault("llm 429", _llm("429"), is_told_by_api=True),
    Fault("pull board", _pull_board, frozenset({"sampler"})),
    Fault("disk full", _fill_disk),
    Fault("pause worker", _paused("worker")),
    Fault("clock jump worker", _jump_clock("worker")),
    Fault("clock jump web", _jump_clock("web")),
    Fault("pause postgres", _paused("postgres"), frozenset({"postgres"}), is_told_by_api=True),
    Fault("pause web", _paused("web"), is_told_by_api=True),
    Fault("pause valkey", _paused("valkey"), frozenset({"queue"})),
)
_LONG = {one.kind for one in FAULTS if one.kind.startswith("pause")}


def planned(count: int, only: str = "") -> list[Fault]:
    """Return the faults in their order: each kind in turn; those that take long come once, and then no more."""
    chosen = [one for one in FAULTS if only in one.kind]
    if not chosen:
        raise DrillError(f"no fault has {only!r} in its name; there are: {', '.join(one.kind for one in FAULTS)}")
    again = [one for one in chosen if one.kind not in _LONG] or chosen
    rounds = [*chosen]
    while len(rounds) < count:
        rounds.extend(again)
    return rounds[:count]
