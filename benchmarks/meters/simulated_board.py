"""A twin of the MCP39F511N: bytes in, bytes out, with registers and averages behind them.

It knows nothing of ports and takes every moment as an argument. `board_terminal` puts it behind a
pseudo-terminal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.meters.mcp_frames import (
    ACCUMULATION_INTERVAL,
    DEVICE_ID,
    MAX_FRAME_LENGTH,
    MAX_READ_COUNT,
    PING,
    RANGE_1,
    RANGE_2,
    SYSTEM_CONFIGURATION,
    Answer,
    checksum,
)
from benchmarks.meters.mcp_registers import (
    ACTIVE_POWER_1,
    APPARENT_POWER_1,
    CURRENT_UNIT_MA,
    ENERGY_ON_BITS,
    FREQUENCY_UNIT_HZ,
    IMPORT_ENERGY_1,
    MAX_EXPONENT,
    OUTLETS,
    POWER_FACTOR_UNIT,
    POWER_UNIT_MW,
    REACTIVE_POWER_1,
    SIMULATED_VERSION,
    STATUS,
    USUAL_CURRENT_RANGE,
    USUAL_POWER_RANGE,
    USUAL_VOLTAGE_RANGE,
    VERSION,
    VOLTAGE,
    VOLTAGE_UNIT_V,
    window_ns,
)
from benchmarks.meters.power_curve import PowerCurve
from benchmarks.units import MILLIWATTS_PER_WATT, NANOSECONDS_PER_MILLISECOND, NANOSECONDS_PER_SECOND

IMAGE_SIZE = 256
FACTORY_EXPONENT = 4
BYTE_GAP_NS = 20 * NANOSECONDS_PER_MILLISECOND  # a longer pause inside a frame, and the board forgets its begin

_HEADER, _PING_HEADER = 0xA5, 0x5A
_SET_ADDRESS, _READ, _WRITE = 0x41, 0x4E, 0x4D
# Save to flash, erase and write the EEPROM, calibrate gain, reactive gain and frequency, by their operands' length.
_DESTRUCTIVE = {0x53: 0, 0x4F: 0, 0x50: 17, 0x5A: 0, 0x7A: 0, 0x76: 0}
_ALL_POSITIVE = 0xF0
_UINT32_MAX, _UINT64_MAX = 2**32 - 1, 2**64 - 1
_ENERGY_COUNTS_PER_JOULE = 2  # at the usual range; sources disagree about the unit
_FLICKER_STEPS = 7


@dataclass(frozen=True)
class Mains:
    """What the board is plugged into: voltage, frequency, the load's power factor.

    The voltage flickers by a few tenths of a volt from window to window, as it does everywhere, unless told not to.
    """

    voltage_v: float = 230.0
    line_frequency_hz: float = 50.0
    power_factor: float = 0.95
    flickers: bool = True


class SimulatedBoard:
    """A board whose outlets deliver given curves of power from `begins_at_ns` on.

    Its output registers change once each `2 ** N` cycles of the mains, to the averages over the window that just
    ended. `destroyed_with` lists the commands that would have overwritten a real board's calibration or memory.
    """

    def __init__(
        self,
        curves: Sequence[PowerCurve],
        *,
        begins_at_ns: int,
        mains: Mains | None = None,
        power_range: int = USUAL_POWER_RANGE,
        version: int = SIMULATED_VERSION,
    ) -> None:
        self._curves = tuple(curves)
        self._begins_at_ns = begins_at_ns
        self.mains = mains or Mains()
        self.image = bytearray(IMAGE_SIZE)
        self.destroyed_with: list[int] = []
        self._pending = b""
        self._latest_byte_at_ns = begins_at_ns
        self._counting_since_ns: dict[int, int] = {}
        self.put(STATUS, 2, _ALL_POSITIVE)
        self.put(VERSION, 2, version)
        self.set_power_range(power_range)
        self.put(ACCUMULATION_INTERVAL, 2, FACTORY_EXPONENT)
        self._accumulating_since_ns = begins_at_ns
        self._refreshed_at_ns = begins_at_ns
        self._show(begins_at_ns - self._window_ns, begins_at_ns)

    def put(self, address: int, size: int, value: int) -> None:
        """Set a register."""
        self.image[address : address + size] = value.to_bytes(size, "little")

    def get(self, address: int, size: int) -> int:
        """Return a register's value."""
        return int.from_bytes(self.image[address : address + size], "little")

    def set_power_range(self, power_range: int) -> None:
        """Set the power range of both outlets, as another program might."""
        content = bytes((USUAL_VOLTAGE_RANGE, USUAL_CURRENT_RANGE, power_range, 0))
        self.image[RANGE_1 : RANGE_1 + 4] = content
        self.image[RANGE_2 : RANGE_2 + 4] = bytes((0, *content[1:]))

    def restart(self, now_ns: int) -> None:
        """Forget the settings that a power cut makes the board forget."""
        self._pending = b""
        self._counting_since_ns.clear()
        self.put(SYSTEM_CONFIGURATION, 4, 0)
        self.put(ACCUMULATION_INTERVAL, 2, FACTORY_EXPONENT)
        self._accumulating_since_ns = now_ns

    def receive(self, content: bytes, now_ns: int) -> list[bytes]:
        """Take bytes from the line and return the reply to each frame that they complete."""
        if now_ns - self._latest_byte_at_ns > BYTE_GAP_NS:
            self._pending = b""
        self._latest_byte_at_ns = now_ns
        self._pending += content
        replies = []
        while self._pending:
            length = self._frame_length()
            if length is None or len(self._pending) < length:
                break
            frame, self._pending = self._pending[:length], self._pending[length:]
            self._refresh(now_ns)
            replies.append(self._reply(frame, now_ns))
        return replies

    def _frame_length(self) -> int | None:
        """Return how long the frame at the beginning is, None when that is not known yet."""
        if self._pending[0] == _PING_HEADER:
            return len(PING)
        if self._pending[0] != _HEADER:
            return 1  # no frame begins so; it is refused
        if len(self._pending) < 2:
            return None
        return self._pending[1] if 3 < self._pending[1] <= MAX_FRAME_LENGTH else 2

    def _reply(self, frame: bytes, now_ns: int) -> bytes:
        if frame == PING:
            return bytes((Answer.REFUSED, DEVICE_ID))
        if frame[0] != _HEADER or len(frame) <= 3:
            return bytes((Answer.REFUSED,))
        if checksum(frame[:-1]) != frame[-1]:
            return bytes((Answer.CHECKSUM_REFUSED,))
        content = self._execute(frame[2:-1], now_ns)
        if content is None:
            return bytes((Answer.REFUSED,))
        if not content:
            return bytes((Answer.ACKNOWLEDGED,))
        unchecked = bytes((Answer.ACKNOWLEDGED, len(content) + 3)) + content
        return unchecked + bytes((checksum(unchecked),))

    def _execute(self, body: bytes, now_ns: int) -> bytes | None:
        """Do what the commands say; return what they read, None when one is not understood."""
        position, address, content = 0, 0, b""
        while position < len(body):
            operation, operands = body[position], body[position + 1 :]
            if operation == _SET_ADDRESS and len(operands) >= 2:
                address = int.from_bytes(operands[:2], "big")
                position += 3
            elif operation == _READ and operands and self._is_readable(address, operands[0]):
                content += bytes(self.image[address : address + operands[0]])
                position += 2
            elif operation == _WRITE and operands and self._write(address, operands[0], operands[1:], now_ns):
                position += 2 + operands[0]
            elif operation in _DESTRUCTIVE and len(operands) >= _DESTRUCTIVE[operation]:
                self.destroyed_with.append(operation)
                position += 1 + _DESTRUCTIVE[operation]
            else:
                return None
        return content

    def _is_readable(self, address: int, count: int) -> bool:
        return 1 <= count <= MAX_READ_COUNT and address + count <= IMAGE_SIZE

    def _write(self, address: int, count: int, content: bytes, now_ns: int) -> bool:
        if count == 0 or len(content) < count or address + count > IMAGE_SIZE:
            return False
        self.image[address : address + count] = content[:count]
        if address <= ACCUMULATION_INTERVAL < address + count:
            self._accumulating_since_ns = now_ns
        configuration = self.get(SYSTEM_CONFIGURATION, 4)
        for outlet, bit in ENERGY_ON_BITS.items():
            if not configuration & bit:
                self._counting_since_ns.pop(outlet, None)
            else:
                self._counting_since_ns.setdefault(outlet, now_ns)
        return True

    @property
    def _window_ns(self) -> int:
        return window_ns(min(self.get(ACCUMULATION_INTERVAL, 2), MAX_EXPONENT), self.mains.line_frequency_hz)

    def _refresh(self, now_ns: int) -> None:
        """Show the latest complete window, when it was not shown before."""
        count = (now_ns - self._accumulating_since_ns) // self._window_ns
        ended_at_ns = self._accumulating_since_ns + count * self._window_ns
        if count >= 1 and ended_at_ns > self._refreshed_at_ns:
            self._refreshed_at_ns = ended_at_ns
            self._show(ended_at_ns - self._window_ns, ended_at_ns)

    def _show(self, begin_ns: int, end_ns: int) -> None:
        number = end_ns // self._window_ns
        flicker = (number * 5 % _FLICKER_STEPS - _FLICKER_STEPS // 2) if self.mains.flickers else 0
        voltage = round(self.mains.voltage_v / VOLTAGE_UNIT_V) + flicker
        self.put(VOLTAGE, 2, voltage)
        self.put(VOLTAGE + 2, 2, round(self.mains.line_frequency_hz / FREQUENCY_UNIT_HZ))
        for outlet, curve in zip(OUTLETS, self._curves, strict=False):
            power_w = curve.mean_power_w(self._seconds(begin_ns), self._seconds(end_ns))
            self._show_outlet(outlet, power_w, voltage * VOLTAGE_UNIT_V)
            if outlet in self._counting_since_ns:
                since_s = max(self._seconds(self._counting_since_ns[outlet]), 0.0)
                energy_j = curve.energy_j(max(self._seconds(end_ns), since_s)) - curve.energy_j(since_s)
                counts = round(energy_j * _ENERGY_COUNTS_PER_JOULE * self._counts_per_usual_count(outlet))
                self.put(IMPORT_ENERGY_1 + 8 * (outlet - 1), 8, min(counts, _UINT64_MAX))

    def _show_outlet(self, outlet: int, power_w: float, voltage_v: float) -> None:
        factor = self.mains.power_factor
        apparent_w = power_w / factor
        reactive_w = math.sqrt(max(apparent_w**2 - power_w**2, 0.0))
        current_ma = apparent_w / voltage_v * 1_000
        offset_2, offset_4 = 2 * (outlet - 1), 4 * (outlet - 1)
        self.put(0x000A + offset_2, 2, min(round(factor / POWER_FACTOR_UNIT), 2**15 - 1) if power_w else 0)
        self.put(0x000E + offset_4, 4, min(round(current_ma / CURRENT_UNIT_MA), _UINT32_MAX))
        for address, value_w in (
            (ACTIVE_POWER_1, power_w),
            (REACTIVE_POWER_1, reactive_w),
            (APPARENT_POWER_1, apparent_w),
        ):
            counts = round(value_w * MILLIWATTS_PER_WATT / POWER_UNIT_MW * self._counts_per_usual_count(outlet))
            self.put(address + offset_4, 4, min(counts, _UINT32_MAX))

    def _counts_per_usual_count(self, outlet: int) -> float:
        power_range = self.image[(RANGE_1 if outlet == 1 else RANGE_2) + 2]
        return 2.0 ** (USUAL_POWER_RANGE - power_range)

    def _seconds(self, moment_ns: int) -> float:
        return (moment_ns - self._begins_at_ns) / NANOSECONDS_PER_SECOND
