"""The sampler: a process of its own that reads the meters and does nothing else.

`python -m benchmarks.meters.sampler` takes its configuration (`benchmarks.meters.configuration`) as JSON,
as its argument or on standard input, and writes one line of JSON when it samples or cannot start. It needs
neither Django nor numpy, so that it stays small, and a busy worker cannot delay it by holding Python's
lock.
"""

import ctypes
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import NamedTuple

from benchmarks.meters.base import Fact, Meter, MeterError, MeterUnavailable
from benchmarks.meters.configuration import ConfigurationError, SamplerConfiguration
from benchmarks.meters.kinds import make_meter
from benchmarks.meters.reading_loop import ReadingLoop
from benchmarks.meters.ring import RingError, RingIdentity, RingWriter
from benchmarks.meters.ring_directory import RingDirectory, RingDirectoryBusy, ring_path
from benchmarks.units import NANOSECONDS_PER_MILLISECOND

_PR_SET_PDEATHSIG = 1
_STOP_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT})
_PARENT_CHECK_S = 1.0
_JOIN_S = 2.0

logger = logging.getLogger(__name__)


class _OpenMeter(NamedTuple):
    kind: str
    meter: Meter
    period_ns: int


class ParentGone(Exception):
    """The process that asked for the sampler ended before the sampler had begun."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the sampler until SIGTERM, SIGINT or the death of its parent; return the exit status."""
    # Blocked before any thread begins, the signals wait until `_wait_for_stop` fetches them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    logging.basicConfig(level=logging.INFO, format="sampler: %(levelname)s %(message)s")
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        configuration = SamplerConfiguration.from_json(given[0] if given else sys.stdin.read())
        parent_pid = os.getppid() if configuration.parent_pid is None else configuration.parent_pid
        _die_with(parent_pid)
        _stay_on_one_core()
        _come_before_others()
        return _sample(configuration, parent_pid)
    except MeterUnavailable as error:
        _announce(error=error.reason, remedy=error.remedy)
    except (ConfigurationError, MeterError, RingError, ParentGone) as error:
        _announce(error=str(error), remedy="", is_busy=isinstance(error, RingDirectoryBusy))
    return 1


def _die_with(parent_pid: int) -> None:
    """Have the kernel send SIGTERM when the parent dies, even when it is killed and cannot stop us itself."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        logger.warning("prctl failed (%s); looking for the parent once a second", os.strerror(ctypes.get_errno()))
    if os.getppid() != parent_pid:  # it died before prctl, which tells nothing about the past
        raise ParentGone(f"process {parent_pid} is not the sampler's parent (any more)")


def _stay_on_one_core() -> None:
    """Keep to the last core that is allowed: meters whose deadlines coincide then find the caches of each other warm.

    It costs a fifth less of the processor, and keeps the sampler off the core that usually takes the interrupts.
    """
    with suppress(OSError):  # a sandbox may forbid it; the sampler works all the same
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _come_before_others() -> None:
    """Be run at once when a reading is due, however busy the processor is, where the system allows it.

    Among ordinary processes a reading waits for its turn, and on a core with much to do so long that its energy is
    missing. The lowest real-time priority is before all of them; the threads that read inherit it.
    """
    with suppress(OSError):  # it takes CAP_SYS_NICE, or a limit for real-time priorities (RLIMIT_RTPRIO)
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))


def _sample(configuration: SamplerConfiguration, parent_pid: int) -> int:
    with ExitStack() as stack:
        meters = []
        for wanted in configuration.meters:
            period_ms = configuration.period_ms_of(wanted)
            meter = make_meter(replace(wanted, period_ms=period_ms))
            meter.open()
            stack.callback(meter.close)
            period_ns = period_ms * NANOSECONDS_PER_MILLISECOND
            meters.append(_OpenMeter(wanted.kind, meter, period_ns))
        facts = {channel.name: dict(entry.meter.facts()) for entry in meters for channel in entry.meter.channels}
        _check_names(meters)
        directory = RingDirectory(configuration.ring_directory)
        directory.claim()
        stack.callback(directory.release)
        loops = _loops(meters, directory)
        _announce(error="", remedy="", facts=facts)
        return _run(loops, parent_pid)


def _check_names(meters: Sequence[_OpenMeter]) -> None:
    names = [channel.name for entry in meters for channel in entry.meter.channels]
    doubles = sorted({name for name in names if names.count(name) > 1})
    if doubles:
        raise ConfigurationError(f"several meters have a channel {', '.join(doubles)}; give one another name")


def _loops(meters: Sequence[_OpenMeter], directory: RingDirectory) -> list[ReadingLoop]:
    origin_ns = time.monotonic_ns()
    loops = []
    for kind, meter, period_ns in meters:
        rings = {
            channel.name: RingWriter(
                ring_path(directory.path, channel.name),
                RingIdentity(kind, channel, period_ns, pid=os.getpid(), started_at_ns=origin_ns),
            )
            for channel in meter.channels
        }
        loops.append(ReadingLoop(meter, rings, period_ns=period_ns, origin_ns=origin_ns))
    return loops


def _run(loops: Sequence[ReadingLoop], parent_pid: int) -> int:
    """Run each loop in a thread; return 0 when asked to stop, 1 when all meters are lost."""
    stop = threading.Event()
    # Daemons, so that a read that never returns cannot keep the process from ending.
    threads = [threading.Thread(target=_run_loop, args=(loop, stop), daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    is_asked_to_stop = _wait_for_stop(threads, parent_pid)
    stop.set()
    for thread in threads:
        thread.join(_JOIN_S)
    return 0 if is_asked_to_stop else 1


def _run_loop(loop: ReadingLoop, stop: threading.Event) -> None:
    try:
        loop.run(stop)
    except Exception:  # the edge of the thread: its rings' heartbeats stop, which the worker notices
        logger.exception("a meter is given up")


def _wait_for_stop(threads: Sequence[threading.Thread], parent_pid: int) -> bool:
    """Wait for a signal or the parent's death and return True, or return False when no thread is left."""
    while any(thread.is_alive() for thread in threads):
        received = signal.sigtimedwait(_STOP_SIGNALS, _PARENT_CHECK_S)
        # CPython returns an empty one, not None, where SIGCONT interrupts it as its time runs out
        is_asked_to_stop = received is not None and received.si_signo in _STOP_SIGNALS
        if is_asked_to_stop or os.getppid() != parent_pid:
            return True
    return False


def _announce(
    *, error: str, remedy: str, is_busy: bool = False, facts: Mapping[str, Mapping[str, Fact]] | None = None
) -> None:
    announcement = {"error": error, "remedy": remedy, "is_busy": is_busy, "facts": facts or {}}
    sys.stdout.write(json.dumps(announcement) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
