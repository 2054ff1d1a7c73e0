"""What every meter offers: channels that it knows, and one reading per channel each time it is read."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

Fact = str | int | float | bool

SINCE_PREVIOUS = 0  # a channel's nominal window where each reading reaches back to the reading before it

CHANNEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")  # becomes a file name in the ring directory


class Boundary(StrEnum):
    """What a channel sees.

    The whole machine at its plug; one component, which is never added to it; or a part of what another
    component already holds (the cores of a package), which is shown and never added to anything.
    """

    MACHINE = "machine"
    COMPONENT = "component"
    PART = "part"


class Quality(StrEnum):
    """How a channel's values come about; figures of unlike quality are not ranked against each other."""

    MEASURED = "measured"
    COMPONENT = "component"
    ESTIMATED = "estimated"
    SIMULATED = "simulated"


class Quantity(StrEnum):
    """What a value means: mean power of the window in mW, or energy used during the window in µJ."""

    POWER_MW = "power_mw"
    ENERGY_UJ = "energy_uj"


class MeterError(Exception):
    """A meter that was there failed to open or to be read; it may recover, so trying again makes sense."""


class MeterUnavailable(MeterError):
    """This machine cannot offer the meter until somebody applies the remedy."""

    def __init__(self, reason: str, *, remedy: str) -> None:
        super().__init__(f"{reason}; {remedy}")
        self.reason = reason
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Channel:
    """One thing that a meter sees.

    `window_ns` is the time that one value averages over where the device fixes it, otherwise
    `SINCE_PREVIOUS`. Readings of a `SINCE_PREVIOUS` channel adjoin: after a failed read the next one covers
    the lost time too, and only a counter that started anew breaks the row. `is_shared` says that others
    use the thing at the same time and the value does not tell whose energy it is.
    """

    name: str
    boundary: Boundary
    quality: Quality
    quantity: Quantity
    window_ns: int = SINCE_PREVIOUS
    is_shared: bool = False

    def __post_init__(self) -> None:
        if CHANNEL_NAME.fullmatch(self.name) is None:
            raise ValueError(f"channel name {self.name!r} does not match {CHANNEL_NAME.pattern}")
        if self.window_ns < 0:
            raise ValueError(f"channel {self.name}: the window is {self.window_ns} ns")


@dataclass(frozen=True, slots=True)
class Reading:
    """One value: the mean power (mW) of, or the energy (µJ) used in, the window `[at_ns - window_ns, at_ns]`.

    `at_ns` is on the machine's monotonic clock. A device that shows a point in time, not a mean, says 1 ns.
    """

    at_ns: int
    window_ns: int
    value: int

    def __post_init__(self) -> None:
        if self.window_ns <= 0:
            raise ValueError(f"the window of the reading at {self.at_ns} ns is {self.window_ns} ns")

    @property
    def begins_at_ns(self) -> int:
        """Return when the window begins."""
        return self.at_ns - self.window_ns


class Meter(Protocol):
    """A device, or its twin, that is read by one thread at one period.

    Readings carry the time that they describe, which is earlier than the call for a device whose averages
    lag.
    """

    @property
    def channels(self) -> tuple[Channel, ...]:
        """Return what the meter sees; known once it is open."""

    def facts(self) -> Mapping[str, Fact]:
        """Return what the device says of itself and how it is set, to be kept with its readings.

        It is asked once the meter is open, and may be empty.
        """

    def open(self) -> None:
        """Take hold of the device, also again after `close`; raise `MeterUnavailable` or `MeterError`."""

    def read(self) -> Mapping[str, Reading | None]:
        """Return the new reading of each channel by name; a channel left out has none, which is a gap.

        None says that the device works and has nothing new yet: its next value will reach back to the latest.
        Raises `MeterError` when no channel could be read or the meter is not open. A failure is never told
        as a value of 0.
        """

    def close(self) -> None:
        """Let go of the device; harmless when it is not open."""
