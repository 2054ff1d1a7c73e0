"""The serial frames of the MCP39F511N, built and taken apart byte by byte; pure.

A request is `A5 | LEN | commands | CHK`: LEN counts all bytes, CHK is their sum modulo 256. Addresses are
big-endian, data little-endian. The reply to a read is `06 | LEN | data | CHK`, to a write the byte `06`, to a
request that is refused `15`, and `51` to one whose checksum is wrong.

The board also knows commands that overwrite its factory calibration, its flash and its EEPROM. Nothing here
can build them: commands are made only of the three types below, and `require_harmless` looks at the finished
bytes once more.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

MAX_FRAME_LENGTH = 35
MAX_READ_COUNT = 32
DEVICE_ID = 0x03
PING = bytes((0x5A, 0x03, 0x5D))  # as a first byte, 5A asks for the device's id; inside a frame it calibrates

SYSTEM_CONFIGURATION = 0x00A0
ACCUMULATION_INTERVAL = 0x00A8
RANGE_1 = 0x00AE
RANGE_2 = 0x00BE
# Lengths are exact: a longer write would go on into the registers behind.
_WRITABLE = {SYSTEM_CONFIGURATION: 4, ACCUMULATION_INTERVAL: 2}
_WRITABLE_WITH_PERMISSION = {RANGE_1: 4, RANGE_2: 4}

_HEADER = 0xA5
_SET_ADDRESS, _READ, _WRITE = 0x41, 0x4E, 0x4D
_FRAMING_LENGTH = 3  # header, LEN and CHK


class Answer(IntEnum):
    """The first byte of every reply."""

    ACKNOWLEDGED = 0x06
    REFUSED = 0x15
    CHECKSUM_REFUSED = 0x51


class FrameError(Exception):
    """A reply is not what was asked for; asking again may help."""


class FrameTruncated(FrameError):
    """The reply ended early, or none came."""


class FrameLengthError(FrameError):
    """The reply says that it is longer or shorter than what was asked for."""


class FrameChecksumError(FrameError):
    """The bytes of the reply do not add up to its checksum."""


class FrameNoise(FrameError):
    """The reply begins with a byte that no reply begins with, or is followed by more bytes."""


class FrameRefused(FrameError):
    """The board answered that it did not understand or could not do it (NAK)."""


class FrameChecksumRefused(FrameError):
    """The board received a request whose checksum was wrong (CSFAIL)."""


class ForbiddenFrame(ValueError):
    """The frame could change more than the board's volatile measuring settings; it is never sent."""


@dataclass(frozen=True, slots=True)
class SetAddress:
    """Point at a register."""

    address: int

    def to_bytes(self) -> bytes:
        """Return the command; the address is big-endian."""
        return bytes((_SET_ADDRESS, *self.address.to_bytes(2, "big")))


@dataclass(frozen=True, slots=True)
class ReadRegisters:
    """Read bytes from the register that was pointed at, 1 to 32."""

    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= MAX_READ_COUNT:
            raise ValueError(f"{self.count} bytes cannot be read at once, 1 to {MAX_READ_COUNT} can")

    def to_bytes(self) -> bytes:
        """Return the command."""
        return bytes((_READ, self.count))


@dataclass(frozen=True, slots=True)
class WriteRegisters:
    """Write bytes, the least significant first, to the register that was pointed at."""

    content: bytes

    def to_bytes(self) -> bytes:
        """Return the command."""
        return bytes((_WRITE, len(self.content))) + self.content


Command = SetAddress | ReadRegisters | WriteRegisters


def build_frame(commands: Sequence[Command], *, may_write_ranges: bool = False) -> bytes:
    """Put commands into a frame; raise `ForbiddenFrame` for one that must not be sent."""
    body = b"".join(command.to_bytes() for command in commands)
    length = len(body) + _FRAMING_LENGTH
    if length > MAX_FRAME_LENGTH:
        raise ForbiddenFrame(f"{length} bytes do not fit a frame of {MAX_FRAME_LENGTH}")
    unchecked = bytes((_HEADER, length)) + body
    frame = unchecked + bytes((checksum(unchecked),))
    require_harmless(frame, may_write_ranges=may_write_ranges)
    return frame


@lru_cache(maxsize=64)
def read_request(address: int, count: int) -> bytes:
    """Build the request to read `count` bytes from an address."""
    return build_frame((SetAddress(address), ReadRegisters(count)))


def write_system_configuration(value: int) -> bytes:
    """Build the request to write the system configuration; bits 8 and 9 switch the energy counters on."""
    return build_frame((SetAddress(SYSTEM_CONFIGURATION), WriteRegisters(value.to_bytes(4, "little"))))


def write_accumulation_interval(exponent: int) -> bytes:
    """Build the request to average over `2 ** exponent` cycles of the mains from now on."""
    return build_frame((SetAddress(ACCUMULATION_INTERVAL), WriteRegisters(exponent.to_bytes(2, "little"))))


def write_range(address: int, *, voltage: int, current: int, power: int, may_write_ranges: bool) -> bytes:
    """Build the request to write a range register; only for who was asked to: the meter never does."""
    content = bytes((voltage, current, power, 0))
    return build_frame((SetAddress(address), WriteRegisters(content)), may_write_ranges=may_write_ranges)


@lru_cache(maxsize=64)  # what is refused is looked at each time
def require_harmless(frame: bytes, *, may_write_ranges: bool = False) -> None:
    """Raise `ForbiddenFrame` unless the bytes are the ping or a frame of the commands that may be sent.

    That is: point at a register, read, and write the system configuration or the accumulation interval as a
    whole; the range registers only with permission.
    """
    if frame == PING:
        return
    if len(frame) < _FRAMING_LENGTH or frame[0] != _HEADER or frame[1] != len(frame):
        raise ForbiddenFrame(f"{frame.hex(' ')} is no frame")
    if checksum(frame[:-1]) != frame[-1]:
        raise ForbiddenFrame(f"{frame.hex(' ')} has a wrong checksum")
    writable = {**_WRITABLE, **(_WRITABLE_WITH_PERMISSION if may_write_ranges else {})}
    _require_harmless_commands(frame[2:-1], writable)


def _require_harmless_commands(body: bytes, writable: dict[int, int]) -> None:
    position, address = 0, None
    while position < len(body):
        operation, operands = body[position], body[position + 1 :]
        if operation == _SET_ADDRESS and len(operands) >= 2:
            address = int.from_bytes(operands[:2], "big")
            position += 3
        elif operation == _READ and operands and 1 <= operands[0] <= MAX_READ_COUNT:
            address = None  # where the pointer stands after a read is not documented
            position += 2
        elif operation == _WRITE and address in writable and operands[:1] == bytes((writable[address],)):
            position += 2 + writable[address]
            address = None
            if position > len(body):
                raise ForbiddenFrame(f"the write in {body.hex(' ')} lacks bytes")
        else:
            raise ForbiddenFrame(f"{body[position:].hex(' ')} may not be sent to the board")


def checksum(content: bytes) -> int:
    """Return the sum of bytes modulo 256."""
    return sum(content) & 0xFF


def data_reply_length(count: int) -> int:
    """Return how long the reply to a read of `count` bytes is."""
    return count + _FRAMING_LENGTH


def parse_data_reply(reply: bytes, count: int) -> bytes:
    """Return the `count` bytes of data in the reply to a read; raise a `FrameError` for anything else."""
    _require_acknowledged(reply)
    length = data_reply_length(count)
    if len(reply) > 1 and reply[1] != length:
        raise FrameLengthError(f"a reply of {length} bytes says that it has {reply[1]}")
    if len(reply) < length:
        raise FrameTruncated(f"{len(reply)} of {length} bytes came")
    if len(reply) > length:
        raise FrameNoise(f"{len(reply) - length} more bytes followed a reply")
    if checksum(reply[:-1]) != reply[-1]:
        raise FrameChecksumError(f"a reply adds up to {checksum(reply[:-1]):02X} and says {reply[-1]:02X}")
    return reply[2:-1]


def parse_acknowledgement(reply: bytes) -> None:
    """Accept the reply to a write; raise a `FrameError` for anything else."""
    _require_acknowledged(reply)
    if len(reply) > 1:
        raise FrameNoise(f"{len(reply) - 1} more bytes followed an acknowledgement")


def parse_ping_reply(reply: bytes) -> int:
    """Return the device's id in the reply to `PING`; raise a `FrameError` for anything else."""
    if len(reply) < 2:
        raise FrameTruncated(f"{len(reply)} of 2 bytes came in answer to the ping")
    if len(reply) > 2 or reply[0] != Answer.REFUSED:
        raise FrameNoise(f"{reply.hex(' ')} does not answer the ping")
    return reply[1]


def _require_acknowledged(reply: bytes) -> None:
    if not reply:
        raise FrameTruncated("no reply came")
    if reply[0] == Answer.REFUSED:
        raise FrameRefused("the board refused the request (NAK)")
    if reply[0] == Answer.CHECKSUM_REFUSED:
        raise FrameChecksumRefused("the request reached the board with a wrong checksum (CSFAIL)")
    if reply[0] != Answer.ACKNOWLEDGED:
        raise FrameNoise(f"a reply begins with {reply[0]:02X}")
