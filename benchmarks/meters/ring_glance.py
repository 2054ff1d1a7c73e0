"""A glance at what a sampler is writing: the latest power of each of its channels, for people who look on.

It reads what the rings hold, takes no lock and writes nothing, so that the sampler does not notice it. For measurements
there is `RingReader.records_between`, which checks every record.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.meters.base import Quantity
from benchmarks.meters.ring import Record, RingError, RingHeader, RingReader
from benchmarks.meters.ring_directory import RING_SUFFIX
from benchmarks.meters.sampling import longest_silence_ns
from benchmarks.units import mean_power_mw

GLANCE_STEPS = 120  # of a minute: one each half a second
MAX_RECORDS = 750  # of a channel and minute: all of one that is read every 99 ms, and four take a few ms


@dataclass(frozen=True, slots=True)
class PowerStep:
    """The mean power (mW) that the windows of some readings saw, from the first one's begin to the last one's end."""

    begins_at_ns: int
    ends_at_ns: int
    power_mw: float


@dataclass(frozen=True, slots=True)
class ChannelGlance:
    """What a channel did lately.

    `steps` are thinned out: each is the mean of the readings of one part of the time, where only every `stride`-th was
    looked at. `reading_count` and `gap_count` count the reads looked at that gave a value and that failed. `silent_ns`
    is the time since the sampler's latest sign of life where that is too long, else 0.
    """

    header: RingHeader
    steps: tuple[PowerStep, ...]
    stride: int
    reading_count: int
    gap_count: int
    is_failing: bool
    silent_ns: int

    @property
    def latest_power_mw(self) -> float | None:
        """Return the mean power of the latest part of the time; None where the channel is silent or fails."""
        return self.steps[-1].power_mw if self.steps and not (self.is_failing or self.silent_ns) else None


@dataclass(frozen=True, slots=True)
class Glance:
    """Every channel by name, and why others cannot be read."""

    channels: tuple[ChannelGlance, ...]
    problems: tuple[str, ...]


def glance(directory: Path, *, now_ns: int, span_ns: int, max_steps: int = GLANCE_STEPS) -> Glance:
    """Look at every ring of a directory; `now_ns` is on the machine's monotonic clock.

    A directory that is not there, or is removed meanwhile, has no channels.
    """
    channels, problems = [], []
    for path in sorted(directory.glob(f"*{RING_SUFFIX}")):
        try:
            with RingReader(path) as ring:
                channels.append(_channel(ring, now_ns, span_ns, max_steps))
        except RingError as error:
            problems.append(str(error))
    return Glance(tuple(channels), tuple(problems))


def _channel(ring: RingReader, now_ns: int, span_ns: int, max_steps: int) -> ChannelGlance:
    header = ring.header()
    records, stride = ring.thinned(now_ns - span_ns, MAX_RECORDS)
    readings = [record for record in records if record.is_reading]
    silent_ns = now_ns - header.heartbeat_at_ns
    return ChannelGlance(
        header=header,
        steps=tuple(_steps(readings, header.identity.channel.quantity, -(-span_ns // max_steps))),
        stride=stride,
        reading_count=len(readings),
        gap_count=len(records) - len(readings),
        is_failing=bool(records) and not records[-1].is_reading,
        silent_ns=silent_ns if silent_ns > longest_silence_ns(header.identity.period_ns) else 0,
    )


def _steps(readings: Iterable[Record], quantity: Quantity, part_ns: int) -> Iterable[PowerStep]:
    """Return the mean of the readings that end in each part of a fixed grid, so that a step stays as time goes on."""
    parts: dict[int, tuple[int, int, int, int]] = {}
    is_power = quantity is Quantity.POWER_MW
    for _, at_ns, window_ns, value, _, _ in readings:
        begins_at_ns, _, seen_ns, amount = parts.get(at_ns // part_ns) or (at_ns - window_ns, 0, 0, 0)
        amount += value * window_ns if is_power else value
        parts[at_ns // part_ns] = (begins_at_ns, at_ns, seen_ns + window_ns, amount)
    for begins_at_ns, ends_at_ns, seen_ns, amount in parts.values():
        power_mw = amount / seen_ns if is_power else mean_power_mw(amount, seen_ns)
        yield PowerStep(begins_at_ns, ends_at_ns, power_mw)
