"""The registers of the MCP39F511N on its evaluation board, and what their numbers mean; pure.

Power counts in units of `10 mW * 2 ** (power range - 19)`. The range is a setting that any program may have
changed since the board was switched on, so it is read, never assumed.
"""

import struct
from dataclasses import dataclass

from benchmarks.units import NANOSECONDS_PER_SECOND

STATUS = 0x0002
VERSION = 0x0004
VOLTAGE = 0x0006
LINE_FREQUENCY = 0x0008
ACTIVE_POWER_1 = 0x0016
ACTIVE_POWER_2 = 0x001A
REACTIVE_POWER_1 = 0x001E
REACTIVE_POWER_2 = 0x0022
APPARENT_POWER_1 = 0x0026
APPARENT_POWER_2 = 0x002A
IMPORT_ENERGY_1 = 0x002E
IMPORT_ENERGY_2 = 0x0036

OUTPUTS = STATUS  # one read from here has all that a poll needs
OUTPUTS_COUNT = 32
OUTLETS = (1, 2)

USUAL_VOLTAGE_RANGE = 18
USUAL_CURRENT_RANGE = 12
USUAL_POWER_RANGE = 19
MAX_POWER_RANGE = 31
POWER_UNIT_MW = 10.0  # at the usual range
CURRENT_UNIT_MA = 0.1
VOLTAGE_UNIT_V = 0.1
FREQUENCY_UNIT_HZ = 0.001
POWER_FACTOR_UNIT = 2.0**-15
ENERGY_ON_BITS = {1: 1 << 8, 2: 1 << 9}  # in the system configuration
SIGN_BITS = {1: 1 << 4, 2: 1 << 6}  # of active power in the status: 1 is positive

MIN_EXPONENT = 1  # one cycle alone gives wrong power factors and even negative power
MAX_EXPONENT = 8

# No board of Microchip's can have it: versions are dates (YMDD), and there is no month 0.
SIMULATED_VERSION = 0x0099

OUTPUTS_LAYOUT = struct.Struct("<HHHHhhIIIII")


@dataclass(frozen=True, slots=True)
class Ranges:
    """The ranges that the board divides its raw sums by; powers are of outlets 1 and 2."""

    voltage: int
    currents: tuple[int, int]
    powers: tuple[int, int]

    @classmethod
    def from_registers(cls, range_1: bytes, range_2: bytes) -> "Ranges":
        """Take the two range registers (4 bytes each) apart."""
        return cls(range_1[0], (range_1[1], range_2[1]), (range_1[2], range_2[2]))


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the board measured in its latest accumulation, as raw counts; pairs are of outlets 1 and 2."""

    status: int
    version: int
    voltage: int
    line_frequency: int
    power_factors: tuple[int, int]
    currents: tuple[int, int]
    active_powers: tuple[int, int]

    @classmethod
    def from_registers(cls, content: bytes) -> "Outputs":
        """Take the 32 bytes from the status register on apart."""
        status, version, voltage, frequency, factor_1, factor_2, current_1, current_2, power_1, power_2, _ = (
            OUTPUTS_LAYOUT.unpack(content)
        )
        return cls(
            status, version, voltage, frequency, (factor_1, factor_2), (current_1, current_2), (power_1, power_2)
        )

    @property
    def fingerprint(self) -> tuple[object, ...]:
        """Return what tells one accumulation from the next; on real mains no two are the same in all of it."""
        return (self.voltage, self.power_factors, self.currents, self.active_powers)

    @property
    def line_frequency_hz(self) -> float:
        """Return the frequency of the mains (Hz)."""
        return self.line_frequency * FREQUENCY_UNIT_HZ

    def is_positive(self, outlet: int) -> bool:
        """Tell whether power flows out of the outlet, as the status says; sources disagree about these bits."""
        return bool(self.status & SIGN_BITS[outlet])

    def apparent_power_mw(self, outlet: int, *, current_unit_ma: float = CURRENT_UNIT_MA) -> float:
        """Return voltage times current of an outlet (mVA)."""
        return self.voltage * VOLTAGE_UNIT_V * self.currents[outlet - 1] * current_unit_ma

    def power_factor(self, outlet: int) -> float:
        """Return active over apparent power of an outlet, -1 to 1."""
        return self.power_factors[outlet - 1] * POWER_FACTOR_UNIT


def power_mw(count: int, power_range: int, *, unit_mw: float = POWER_UNIT_MW) -> float:
    """Return the power (mW) that a count means at a power range; `unit_mw` is one count at the usual range."""
    return count * unit_mw * 2.0 ** (power_range - USUAL_POWER_RANGE)


def window_ns(exponent: int, line_frequency_hz: float) -> int:
    """Return how long the board accumulates: `2 ** exponent` cycles of the mains."""
    return round((1 << exponent) / line_frequency_hz * NANOSECONDS_PER_SECOND)


def exponent_for(period_ns: int, line_frequency_hz: float) -> int:
    """Return the exponent of the longest accumulation that is not longer than a period, but never 0."""
    exponent = MIN_EXPONENT
    while exponent < MAX_EXPONENT and window_ns(exponent + 1, line_frequency_hz) <= period_ns:
        exponent += 1
    return exponent
