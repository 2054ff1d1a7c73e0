"""The worker's side of the sampler: starts it, watches it, and asks it for readings."""

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

import benchmarks
from benchmarks.meters.base import Channel, Fact, MeterUnavailable, Reading
from benchmarks.meters.configuration import SamplerConfiguration
from benchmarks.meters.ring import RecordSpan, RingError, RingHeader, RingReader, RingVanished
from benchmarks.meters.ring_directory import RING_SUFFIX, remove_stale, ring_path
from benchmarks.units import NANOSECONDS_PER_SECOND

START_TIMEOUT_S = 10.0
CLOSE_LOOKS_NS = 2_000_000  # a look costs 0.1 ms
STOP_TIMEOUT_S = 5.0
PATIENCE_PERIODS = 5
HEARTBEAT_PERIODS = 10
MIN_HEARTBEAT_NS = NANOSECONDS_PER_SECOND  # a machine whose cores are all at work may hold a thread back
# So it may. Patience costs nothing where all is well, because the wait ends with the first reading after the stop, nor
# with a dead sampler, which is noticed at once; less of it would fail an answer whose samples are all being written.
MIN_PATIENCE_NS = NANOSECONDS_PER_SECOND


class SamplerGone(Exception):
    """The sampler does not run: never started, stopped, or killed; starting it again may help."""


class SamplerBusy(SamplerGone):
    """Another sampler holds the machine; starting again helps once that one has ended."""


class ReadingsMissing(Exception):
    """The sampler has no complete set of readings for the time asked for; the message says why.

    `readings` are those that came, none where they would be of no use.
    """

    def __init__(self, message: str, readings: Sequence[Reading] = ()) -> None:
        super().__init__(message)
        self.readings = tuple(readings)


@dataclass(frozen=True, slots=True)
class SampledChannel:
    """A channel that is being sampled: which kind of meter it belongs to and how often it is read."""

    meter: str
    channel: Channel
    period_ns: int


class SamplerProcess:
    """A sampler and its rings.

    Start it once, in a thread that lives as long as the worker: the kernel ends the sampler with the thread
    that started it. Processes forked from the worker may ask for readings, because the rings are files and
    the sampler is found by its process number; `start`, `restart` and `stop` are the owner's.
    """

    def __init__(
        self,
        configuration: SamplerConfiguration,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._configuration = configuration
        self._clock = clock
        self._sleep = sleep
        self._child: subprocess.Popen[str] | None = None
        self._process: psutil.Process | None = None
        self._is_borrowed = False
        self._channel_names: list[str] = []
        self._facts: dict[str, dict[str, Fact]] = {}

    @property
    def directory(self) -> Path:
        """Return where the rings are."""
        return self._configuration.ring_directory

    @property
    def pid(self) -> int | None:
        """Return the sampler's process number, None when it was not started."""
        return None if self._process is None else self._process.pid

    @property
    def facts(self) -> Mapping[str, Mapping[str, Fact]]:
        """Return what the meter of each channel said of its device when it was opened; empty before the start."""
        return self._facts

    def start(self) -> None:
        """Start the sampler and wait until it samples; do nothing when it runs already.

        Raises `MeterUnavailable` with a remedy when this machine lacks a meter, `SamplerGone` when it
        cannot start for any other reason.
        """
        if self._is_running():
            return
        self._reap()
        self._child = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.meters.sampler"],
            cwd=Path(benchmarks.__file__).parent.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self._process = psutil.Process(self._child.pid)
            self._configure(self._child)
            self._channel_names = [sampled.channel.name for sampled in self.channels()]
        except BaseException:
            self.stop()
            raise

    def borrow(self) -> bool:
        """Ask the sampler of this name that another process runs; tell whether there is one. `stop` lets it run on."""
        try:
            identities = [header.identity for header in self._headers()]
            self._process = psutil.Process(identities[0].pid)
        except (RingError, IndexError, psutil.NoSuchProcess):
            return False
        self._channel_names = [one.channel.name for one in identities]
        self._is_borrowed = self.is_alive()
        if not self._is_borrowed:
            self._process = None
        return self._is_borrowed

    def is_alive(self) -> bool:
        """Tell whether the sampler runs and every one of its channels has shown a sign of life lately."""
        if not self._is_running():
            return False
        try:
            headers = self._headers()
        except RingError:
            return False
        now_ns = self._clock()
        names = [header.identity.channel.name for header in headers]
        return names == self._channel_names and all(
            now_ns - header.heartbeat_at_ns <= longest_silence_ns(header.identity.period_ns) for header in headers
        )

    def restart(self) -> None:
        """Stop what is left of the sampler and start it again; raises what `start` raises."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End the sampler, by force when it does not end by itself, and remove its rings."""
        if self._is_borrowed:
            self._process, self._is_borrowed = None, False
            return
        if self._process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                self._process.terminate()
            self._reap()
        with contextlib.suppress(RingError):  # somebody else's directory: the sampler said so when it started
            remove_stale(self.directory)

    def channels(self) -> list[SampledChannel]:
        """Return what is sampled, by name; raise `SamplerGone` when nothing is."""
        try:
            headers = self._headers()
        except RingError as error:
            raise SamplerGone(str(error)) from error
        if not headers:
            raise SamplerGone(f"there are no rings in {self.directory}")
        identities = [header.identity for header in headers]
        return [SampledChannel(found.meter, found.channel, found.period_ns) for found in identities]

    def readings(self, channel: str, start_ns: int, stop_ns: int, timeout_s: float | None = None) -> list[Reading]:
        """Return a channel's readings from the last one until the start to the first from the stop on.

        Waits until that last reading is there: a few periods, or `timeout_s`. Both moments are on the
        monotonic clock. Raises `SamplerGone` when the sampler died before that, and `ReadingsMissing` when
        readings were lost, when none came in time, or when the sampler began only after `start_ns`.
        """
        if stop_ns <= start_ns:
            raise ValueError(f"the time from {start_ns} to {stop_ns} ns is empty")
        called_at_ns = self._clock()
        while True:
            # Asked before the look at the ring: what a sampler wrote just before it died still counts.
            is_running = self._is_running()
            header, span = self._look(channel, start_ns, stop_ns)
            readings = [record.reading() for record in span.records if record.is_reading]
            if readings and readings[-1].at_ns >= stop_ns:
                return readings
            if not is_running:
                raise SamplerGone(f"the sampler ended before it had read {channel} to the end")
            if self._clock() - called_at_ns >= _patience_ns(header, timeout_s):
                raise ReadingsMissing(_lateness(header, span, stop_ns), readings)
            self._sleep(_pause_ns(header, self._clock()) / NANOSECONDS_PER_SECOND)

    def _look(self, channel: str, start_ns: int, stop_ns: int) -> tuple[RingHeader, RecordSpan]:
        try:
            with RingReader(ring_path(self.directory, channel)) as ring:
                header, span = ring.header(), ring.records_between(start_ns, stop_ns)
        except RingVanished as error:
            if not self._is_running():
                raise SamplerGone(f"no sampler runs that reads {channel}") from error
            raise ReadingsMissing(
                f"the ring of {channel} is not in {self.directory}: somebody removed it or unmounted its memory; it is "
                "made anew with the next measurement"
            ) from error
        except RingError as error:
            raise ReadingsMissing(str(error)) from error
        if header.identity.started_at_ns > start_ns:
            raise ReadingsMissing(f"the sampler of {channel} was started after the measurement had begun")
        if span.is_overwritten:
            raise ReadingsMissing(f"the ring of {channel} has already overwritten readings of this time")
        return header, span

    def _is_running(self) -> bool:
        # Not Popen.poll: in a process forked from the owner it would call every sampler ended.
        try:
            return (
                self._process is not None
                and self._process.is_running()
                and self._process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return False

    def _headers(self) -> list[RingHeader]:
        headers = []
        for path in sorted(self.directory.glob(f"*{RING_SUFFIX}")):
            with RingReader(path) as ring:
                headers.append(ring.header())
        return headers

    def _configure(self, child: "subprocess.Popen[str]") -> None:
        """Send the configuration, too long for an argument when it holds a trace; wait until samples come."""
        if child.stdin is None or child.stdout is None:
            raise SamplerGone("the sampler has no standard input or output")
        configuration = replace(self._configuration, parent_pid=os.getpid())
        with contextlib.suppress(BrokenPipeError), child.stdin:  # it died: the missing answer says so
            child.stdin.write(configuration.to_json())
        ready, _, _ = select.select([child.stdout], [], [], START_TIMEOUT_S)
        line = child.stdout.readline() if ready else ""
        if not line:
            raise SamplerGone(f"the sampler died at its start or said nothing for {START_TIMEOUT_S:g} s")
        announcement = json.loads(line)
        if announcement["remedy"]:
            raise MeterUnavailable(announcement["error"], remedy=announcement["remedy"])
        if announcement["is_busy"]:
            raise SamplerBusy(announcement["error"])
        if announcement["error"]:
            raise SamplerGone(announcement["error"])
        self._facts = announcement["facts"]

    def _reap(self) -> None:
        """Wait for a sampler that is ending, so that no zombie stays behind."""
        if self._process is not None:
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except psutil.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_TIMEOUT_S)
        if self._child is not None:
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    pipe.close()
            self._child.wait(STOP_TIMEOUT_S)
        self._child = self._process = None


def longest_silence_ns(period_ns: int) -> int:
    """Return how long a channel may show no sign of life before its sampler counts as stopped."""
    return max(HEARTBEAT_PERIODS * period_ns, MIN_HEARTBEAT_NS)


def _pause_ns(header: RingHeader, now_ns: int) -> int:
    """Return how long to wait before the next look: until shortly after the deadline at which the sampler reads next.

    A read takes up to some ms, so for a while after each deadline looks follow one another closely.
    """
    period_ns = header.identity.period_ns
    since_deadline_ns = (now_ns - header.identity.started_at_ns) % period_ns
    if since_deadline_ns < period_ns // 2:
        return CLOSE_LOOKS_NS
    return period_ns - since_deadline_ns + CLOSE_LOOKS_NS // 2


def _patience_ns(header: RingHeader, timeout_s: float | None) -> int:
    if timeout_s is not None:
        return round(timeout_s * NANOSECONDS_PER_SECOND)
    # A device's averages lag by up to their window, so its readings at the stop come that much later.
    periods_ns = PATIENCE_PERIODS * header.identity.period_ns
    return max(periods_ns, MIN_PATIENCE_NS) + 2 * header.identity.channel.window_ns


def _lateness(header: RingHeader, span: RecordSpan, stop_ns: int) -> str:
    gap_count = sum(not record.is_reading for record in span.records)
    reason = f"no reading of {header.identity.channel.name} came in time after {stop_ns} ns"
    if gap_count:
        reason += f"; {gap_count} reads failed, the latest one with: {header.latest_error}"
    if span.torn_count:
        reason += f"; {span.torn_count} records are damaged"
    return reason
