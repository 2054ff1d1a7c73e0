"""What a sampler is told: which meters to read how often, and where to put the readings; travels as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.meters.ring_directory import default_directory
from benchmarks.units import NANOSECONDS_PER_MILLISECOND

DEFAULT_PERIOD_MS = 99  # not 100: sampling must not run in step with what happens every 10 or 100 ms
MIN_PERIOD_MS = 10
# Where the default sees too little of a second, or its edges too coarsely: docs/measuring-machine.md has the figures.
# Of a wall meter each window of 40 ms is read.
USUAL_PERIODS_MS = {"mcp": 30, "rapl": 49, "nvml": 11, "simulated_nvml": 11}

# Read more often than its device renews its values, a channel gives one reading for each renewal.
RENEWAL_MS = {"nvml": 20, "simulated_nvml": 20}


def readings_period_ns(meter: str, *, period_ns: int, window_ns: int) -> int:
    """Return how often readings can come (ns): not more often than their windows or the device's renewals."""
    return max(period_ns, window_ns, RENEWAL_MS.get(meter, 0) * NANOSECONDS_PER_MILLISECOND)


class ConfigurationError(Exception):
    """The sampler was told something that makes no sense; the message names the field."""


@dataclass(frozen=True)
class MeterConfiguration:
    """A meter by its kind, with the options of that kind, and its own period where it needs one (ms)."""

    kind: str
    options: Mapping[str, object] = field(default_factory=dict)
    period_ms: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str) or not isinstance(self.options, Mapping):
            raise ConfigurationError("a meter needs a kind (text) and options (an object)")
        if self.period_ms is not None:
            _check_period(self.period_ms)


@dataclass(frozen=True)
class SamplerConfiguration:
    """All that a sampler needs.

    Without a `directory` the rings are in shared memory under the sampler's name. The sampler ends when
    `parent_pid` is no longer its parent.
    """

    meters: tuple[MeterConfiguration, ...]
    period_ms: int = DEFAULT_PERIOD_MS
    name: str = "sampler"
    directory: str | None = None
    parent_pid: int | None = None

    def __post_init__(self) -> None:
        _check_period(self.period_ms)
        if not self.meters:
            raise ConfigurationError("meters: at least one is needed")
        if not self.name or "/" in self.name:
            raise ConfigurationError(f"name: {self.name!r} cannot be part of a directory's name")

    @property
    def ring_directory(self) -> Path:
        """Return where the rings are."""
        return default_directory(self.name) if self.directory is None else Path(self.directory)

    def period_ms_of(self, meter: MeterConfiguration) -> int:
        """Return a meter's period (ms): its own, or the sampler's, or the shorter one that its kind needs."""
        if meter.period_ms is not None:
            return meter.period_ms
        return min(self.period_ms, USUAL_PERIODS_MS.get(meter.kind, self.period_ms))

    def to_json(self) -> str:
        """Write the configuration as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "SamplerConfiguration":
        """Read a configuration from JSON; raise `ConfigurationError`."""
        try:
            fields = json.loads(text)
            meters = tuple(MeterConfiguration(**meter) for meter in fields.pop("meters"))
            return cls(meters=meters, **fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigurationError(f"not a sampler's configuration: {error!r}") from error


def _check_period(period_ms: int) -> None:
    if not isinstance(period_ms, int) or period_ms < MIN_PERIOD_MS:
        raise ConfigurationError(f"period_ms: {period_ms!r} is not a whole number of at least {MIN_PERIOD_MS}")
